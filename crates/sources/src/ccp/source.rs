//! CyberArk as a credential source.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use broker::{Credential, CredentialSource, Fetch, Remark, SECRET_MAX, VersionKey};
use model::{Clock, CredentialRef, Failure};
use rustls::crypto::aws_lc_rs;
use tokio_rustls::TlsConnector;

use super::answer::{self, Account};
use super::client::Client;
use super::endpoint::Endpoint;
use super::fault::Fault;
use super::request::{self, Question, forbidden};
use super::settings::{CcpAccount, CcpSettings, CcpTrust, PasswordChange};
use super::{identity, tls};
use crate::Environment;
use crate::assemble::assemble;
use crate::names::{plain_text, refused};

/// A broker gives a source a minute; this leaves room for its answer to be used.
const TIMEOUT_MAX: Duration = Duration::from_secs(55);

/// The waits before CyberArk is asked again while it changes a password.
const CHANGE_AGAIN: [Duration; 2] = [Duration::from_millis(1500), Duration::from_secs(3)];

/// Beginnings of private keys in forms that no login here can be made with.
const FOREIGN_KEYS: [(&str, &str); 2] =
    [("PuTTY-User-Key-File-", "PuTTY's"), ("---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----", "SSH.com's")];

/// Accounts of CyberArk's Central Credential Provider. `SAFE/OBJECT` is the account of that name in that safe, unless the
/// configuration says how the account of that name is found.
pub struct CcpSource {
    settings: CcpSettings,
    client: Client,
    versions: VersionKey,
    /// What is to be said of the gateway's own certificate.
    ending: Option<&'static str>,
}

impl CcpSource {
    /// A source of these settings; reads certificates and keys. `Err` says what is wrong with them.
    pub fn new(
        settings: CcpSettings,
        environment: &Environment,
        clock: Arc<dyn Clock>,
        versions: VersionKey,
    ) -> Result<Self, String> {
        let endpoint = Endpoint::parse(&settings.url)?;
        check(&settings)?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let key =
            settings.identity.as_ref().map(|own| identity::read(own, environment, &provider)).transpose()?;
        let ending = key.as_ref().and_then(|key| identity::ending(key, clock.now()));
        if let Some(ending) = ending {
            tracing::warn!(url = settings.url, "CyberArk source: {ending}");
        }
        let config = tls::client_config(&settings.trust, key, provider)?;
        let connector = TlsConnector::from(Arc::new(config));
        let anybody = settings.trust == CcpTrust::Anybody;
        let client = Client::new(endpoint, connector, settings.connect_timeout, anybody, clock);
        Ok(Self { settings, client, versions, ending })
    }

    /// Retrieves an account, within the source's time.
    async fn retrieve(&self, fetch: &Fetch<'_>) -> Result<(Credential, Vec<Remark>), Failure> {
        let name = fetch.credential;
        request::check_name(name)?;
        let limit = self.settings.timeout.min(TIMEOUT_MAX);
        let retrieved = tokio::time::timeout(limit, self.assembled(name, fetch.reason)).await;
        retrieved.unwrap_or_else(|_| Err(self.failure(name, &Fault::Slow)))
    }

    async fn assembled(
        &self,
        name: &CredentialRef,
        reason: Option<&str>,
    ) -> Result<(Credential, Vec<Remark>), Failure> {
        let declared = self.declared(name);
        let account = self.account(name, declared, reason).await?;
        let passphrase = match declared.and_then(|declared| declared.passphrase.as_deref()) {
            Some(object) => {
                let name = CredentialRef::new(name.source(), name.safe(), object)
                    .map_err(|error| refused(name, error))?;
                Some(self.account(&name, None, reason).await?.content)
            }
            None => None,
        };
        let Account { content, username, address, changing, mut remarks } = account;
        if let Some((_, whose)) = FOREIGN_KEYS.iter().find(|(begin, _)| content.starts_with(begin.as_bytes()))
        {
            return Err(refused(name, format!("its content is a private key in {whose} form")).with_hint(
                "the key must be kept in PEM or OpenSSH form (`puttygen KEY -O private-openssh`)",
            ));
        }
        if content.len() > SECRET_MAX {
            return Err(refused(name, "its content is larger than 64 KiB"));
        }
        if changing {
            tracing::warn!(credential = %name, "CyberArk is changing this password: what it gave may be the old one");
            remarks.push(remark("password change", "in process: this may be the old one".to_owned()));
        }
        if !remarks.iter().any(|remark| remark.name == "object") {
            let unsaid = "CyberArk did not say; prefer exact names in rules to patterns";
            remarks.push(remark("object", unsaid.to_owned()));
        }
        remarks.extend(self.ending.map(|ending| remark("warning", ending.to_owned())));
        let username = plain_text(name, "user name", username.as_bytes())?;
        let address = plain_text(name, "address", address.as_bytes())?;
        let credential = assemble(name, &self.versions, username, address, content, passphrase)?;
        Ok((credential, remarks))
    }

    /// Asks for one account; while its password is being changed, twice again if there is time.
    async fn account(
        &self,
        name: &CredentialRef,
        declared: Option<&CcpAccount>,
        reason: Option<&str>,
    ) -> Result<Account, Failure> {
        let question = request::question(&self.settings, name, declared, reason)?;
        let until = self.client.clock.boot().after(self.settings.timeout.min(TIMEOUT_MAX));
        let mut waits = CHANGE_AGAIN.iter();
        loop {
            let fault = match self.ask(&question).await {
                Ok(account) => return Ok(account),
                Err(fault) => fault,
            };
            let left = until.since(self.client.clock.boot());
            match waits.next() {
                // What cannot be answered any more is not asked.
                Some(wait) if fault.is_password_change() && left > *wait * 2 => {
                    tokio::time::sleep(*wait).await
                }
                Some(_) | None => return Err(self.failure(name, &fault)),
            }
        }
    }

    async fn ask(&self, question: &Question) -> Result<Account, Fault> {
        let account = answer::read(&self.client.get(&question.query).await?, question)?;
        match account.changing && self.settings.password_change == PasswordChange::Refuse {
            true => Err(Fault::Changing),
            false => Ok(account),
        }
    }

    fn declared(&self, name: &CredentialRef) -> Option<&CcpAccount> {
        let is = |account: &&CcpAccount| account.safe == name.safe() && account.object == name.object();
        self.settings.accounts.iter().find(is)
    }

    fn failure(&self, name: &CredentialRef, fault: &Fault) -> Failure {
        fault.failure(name.source(), &self.client.shown())
    }
}

#[async_trait]
impl CredentialSource for CcpSource {
    async fn fetch(&self, fetch: Fetch<'_>) -> Result<Credential, Failure> {
        self.retrieve(&fetch).await.map(|(credential, _)| credential)
    }

    async fn examine(&self, fetch: Fetch<'_>) -> Result<(Credential, Vec<Remark>), Failure> {
        self.retrieve(&fetch).await
    }
}

/// What the web service would not read as it is written.
fn check(settings: &CcpSettings) -> Result<(), String> {
    let unfit = |key: &dyn Display, text: &str| match text.chars().find(|c| forbidden(*c) || c.is_control()) {
        Some(found) => Err(format!("`{key}`: CyberArk's web service takes no `{}`", found.escape_default())),
        None if text.is_empty() => Err(format!("`{key}` is empty")),
        None => Ok(()),
    };
    unfit(&"app_id", &settings.app_id)?;
    settings.folder.as_deref().map_or(Ok(()), |folder| unfit(&"folder", folder))
}

fn remark(name: &'static str, value: String) -> Remark {
    Remark { name, value }
}
