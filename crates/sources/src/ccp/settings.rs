//! What a CCP source is built from.

use std::path::PathBuf;
use std::time::Duration;

use model::SecretLocation;

/// A `[[credential_source]]` of kind `cyberark-ccp`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CcpSettings {
    /// The whole address of the web service, such as `https://ccp.example/AIMWebService/api/Accounts`.
    pub url: String,
    /// The application that the gateway is for CyberArk; no request can name another.
    pub app_id: String,
    /// The folder that accounts lie in, where it is not the safe's `Root`.
    pub folder: Option<String>,
    /// What is sent as the reason where the agent gave none.
    pub reason: Option<String>,
    /// Whose certificates are believed.
    pub trust: CcpTrust,
    /// The certificate the gateway shows.
    pub identity: Option<CcpIdentity>,
    /// How long one connection may take, TLS included.
    pub connect_timeout: Duration,
    /// How long a retrieval may take, retries included.
    pub timeout: Duration,
    /// How long the web service may take to reach its vault; sent to it in whole seconds.
    pub vault_timeout: Duration,
    /// What is done while CyberArk changes the password.
    pub password_change: PasswordChange,
    /// Names that stand for something else than the object of that name.
    pub accounts: Vec<CcpAccount>,
}

/// Whose certificates are believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CcpTrust {
    /// The authorities of the system.
    System,
    /// The authorities in this PEM file and no others.
    Authorities(PathBuf),
    /// Anybody: `insecure = ["tls"]`. Warns at every connection.
    Anybody,
}

/// The gateway's own certificate and key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CcpIdentity {
    /// One PKCS #12 file.
    Pfx {
        /// The file, which others must not be able to read.
        file: PathBuf,
        /// Its password, if it has one.
        password: Option<SecretLocation>,
    },
    /// Two PEM files.
    Pem {
        /// The certificate and its chain.
        cert: PathBuf,
        /// The key, which others must not be able to read.
        key: PathBuf,
    },
}

/// What is done while CyberArk changes a password, when what it has may be the old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PasswordChange {
    /// Asked again twice, then refused.
    #[default]
    Refuse,
    /// Used as it is, and said so.
    Use,
}

/// A name and the account it stands for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CcpAccount {
    /// The safe of the name, and of the account.
    pub safe: String,
    /// The object of the name.
    pub object: String,
    /// How the account is found.
    pub query: CcpQuery,
    /// The object, in the same safe, that holds the passphrase of its private key.
    pub passphrase: Option<String>,
}

/// How an account is found where its name is not that of the object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CcpQuery {
    /// By properties; all that are written must fit.
    Properties {
        /// The account's name in CyberArk.
        object: Option<String>,
        /// Its folder.
        folder: Option<String>,
        /// Its user name.
        user_name: Option<String>,
        /// Its address.
        address: Option<String>,
        /// Its database.
        database: Option<String>,
        /// Its platform.
        policy_id: Option<String>,
    },
    /// By a query of CyberArk's own form, which makes it ignore all else.
    Free {
        /// `Property=value;Property=value`.
        query: String,
        /// Whether values are regular expressions.
        regexp: bool,
    },
}

impl Default for CcpQuery {
    fn default() -> Self {
        Self::Properties {
            object: None,
            folder: None,
            user_name: None,
            address: None,
            database: None,
            policy_id: None,
        }
    }
}
