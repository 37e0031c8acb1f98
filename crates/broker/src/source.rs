//! What a credential source must do.

use std::path::PathBuf;

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
    /// What changes when the secret does, if the source can tell.
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

/// Where credentials come from. Implementations live in `sources`.
#[async_trait]
pub trait CredentialSource: Send + Sync {
    /// Fetches a credential. Failures carry `credential.*` codes and never any part of the secret.
    async fn fetch(&self, fetch: Fetch<'_>) -> Result<Credential, Failure>;
}
