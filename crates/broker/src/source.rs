//! What a credential source must do.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use model::{CredentialRef, Failure, Secret};

/// A credential as a source gave it, for one use.
pub struct Credential {
    /// The account; wins over the inventory's.
    pub username: Option<String>,
    /// The address the source knows; only narrows, never resolved.
    pub address: Option<String>,
    /// The secret part.
    pub material: Material,
    /// What changes when the secret does, if the source can tell; connections are pooled only if it can.
    /// Made by a [`crate::VersionKey`], so that it says nothing about the secret.
    pub version: Option<String>,
}

/// The secret part of a credential.
pub enum Material {
    /// A password.
    Password(Secret<String>),
    /// A private key in PEM or OpenSSH form.
    PrivateKey {
        /// The key's text.
        pem: Secret<String>,
        /// Its passphrase, if it has one.
        passphrase: Option<Secret<String>>,
        /// The user certificate that goes with it, as OpenSSH writes it, if there is one. Not a secret.
        certificate: Option<String>,
    },
    /// A key that stays in the SSH agent at this socket, named by fingerprint.
    Agent {
        /// `SHA256:...`
        fingerprint: String,
        /// The agent's socket (`SSH_AUTH_SOCK` at start).
        socket: PathBuf,
    },
}

/// What to fetch, and why.
#[derive(Debug, Clone)]
pub struct Fetch<'a> {
    /// The credential by name.
    pub credential: &'a CredentialRef,
    /// The agent's reason, for sources that record one.
    pub reason: Option<&'a str>,
}

/// When the secret behind a handle is fetched: the key `fetch` of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FetchTime {
    /// At every use; nothing is kept in between.
    #[default]
    AtUse,
    /// Once, when the handle is issued, for secrets that can be read once. Kept in memory until the handle ends.
    AtIssue,
}

/// What a source says of a credential beside account and address, for operators; never any part of the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// What it is about, in a word or two.
    pub name: &'static str,
    /// What there is to say.
    pub value: String,
}

/// Where credentials come from. Implementations live in `sources`.
#[async_trait]
pub trait CredentialSource: Send + Sync {
    /// Fetches a credential. Failures carry `credential.*` codes and never any part of the secret.
    async fn fetch(&self, fetch: Fetch<'_>) -> Result<Credential, Failure>;

    /// Fetches a credential with all there is to say of it.
    async fn examine(&self, fetch: Fetch<'_>) -> Result<(Credential, Vec<Remark>), Failure> {
        Ok((self.fetch(fetch).await?, Vec::new()))
    }

    /// When the secret behind a handle is fetched.
    fn fetch_time(&self) -> FetchTime {
        FetchTime::AtUse
    }
}

/// A source whose entry says `fetch = "at_issue"`.
pub struct FetchedAtIssue(pub Arc<dyn CredentialSource>);

#[async_trait]
impl CredentialSource for FetchedAtIssue {
    async fn fetch(&self, fetch: Fetch<'_>) -> Result<Credential, Failure> {
        self.0.fetch(fetch).await
    }

    async fn examine(&self, fetch: Fetch<'_>) -> Result<(Credential, Vec<Remark>), Failure> {
        self.0.examine(fetch).await
    }

    fn fetch_time(&self) -> FetchTime {
        FetchTime::AtIssue
    }
}
