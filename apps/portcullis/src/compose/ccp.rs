//! From what the files say of a CyberArk source to what it is built with.

use config::{CcpConfig, CcpCriteria, CcpIdentity};
use sources::{CcpAccount, CcpQuery, CcpSettings, CcpTrust, PasswordChange};

/// `kind = "cyberark-ccp"`.
pub(super) fn settings(ccp: &CcpConfig, believes_anybody: bool) -> CcpSettings {
    let trust = match &ccp.ca {
        _ if believes_anybody => CcpTrust::Anybody,
        Some(path) => CcpTrust::Authorities(path.clone()),
        None => CcpTrust::System,
    };
    let identity = ccp.identity.as_ref().map(|identity| match identity {
        CcpIdentity::Pfx { file, password } => {
            sources::CcpIdentity::Pfx { file: file.clone(), password: password.clone() }
        }
        CcpIdentity::Pem { cert, key } => sources::CcpIdentity::Pem { cert: cert.clone(), key: key.clone() },
    });
    CcpSettings {
        url: ccp.url.clone(),
        app_id: ccp.app_id.clone(),
        folder: ccp.folder.clone(),
        reason: ccp.reason.clone(),
        trust,
        identity,
        connect_timeout: ccp.connect_timeout,
        timeout: ccp.timeout,
        vault_timeout: ccp.vault_timeout,
        password_change: if ccp.use_changing { PasswordChange::Use } else { PasswordChange::Refuse },
        accounts: ccp.accounts.iter().map(account).collect(),
    }
}

fn account(declared: &config::CcpAccount) -> CcpAccount {
    let query = match &declared.by {
        CcpCriteria::Query { query, regexp } => CcpQuery::Free { query: query.clone(), regexp: *regexp },
        CcpCriteria::Properties(properties) => {
            let property = |key: &str| properties.get(key).cloned();
            // A table that only adds a passphrase is about the object of its name.
            let object =
                if properties.is_empty() { Some(declared.object.clone()) } else { property("object") };
            CcpQuery::Properties {
                object,
                folder: property("folder"),
                user_name: property("user_name"),
                address: property("address"),
                database: property("database"),
                policy_id: property("policy_id"),
            }
        }
    };
    CcpAccount {
        safe: declared.safe.clone(),
        object: declared.object.clone(),
        query,
        passphrase: declared.passphrase.clone(),
    }
}
