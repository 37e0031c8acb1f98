//! Secrets of something that lives longer than a call: what an upstream was started with.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use guard::Scanner;
use model::{ErrorCode, Failure, Fault, Secret, SecretLocation};

use crate::broker::blocking;
use crate::material::{into_secret, secret_text};
use crate::own::read_variable;
use crate::secret_file::read_secret_file;
use crate::{Broker, Material};

/// Secrets that something which serves many calls was given at its start, and what finds them in its answers. Every call
/// on it is leased them, by way of this.
pub struct Standing {
    scanner: RwLock<Arc<Scanner>>,
}

impl Standing {
    /// For something that was given these. They are not kept: only what finds them is.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a Secret<String>>) -> Self {
        Self { scanner: RwLock::new(Arc::new(Scanner::new(secrets))) }
    }

    /// It has other secrets from now on: these. Said before any of them is used, and with those whose use is not over.
    pub fn renew<'a>(&self, secrets: impl IntoIterator<Item = &'a Secret<String>>) {
        let scanner = Arc::new(Scanner::new(secrets));
        *self.scanner.write().unwrap_or_else(PoisonError::into_inner) = scanner;
    }

    /// What finds them now.
    pub fn scanner(&self) -> Arc<Scanner> {
        Arc::clone(&self.scanner.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Standing")
    }
}

impl Broker {
    /// Fetches one secret for the start of what `owner` names. Why it cannot be had is for the operator alone.
    pub async fn secret(&self, location: &SecretLocation, owner: &str) -> Result<Secret<String>, Failure> {
        let unusable = |internal: String| {
            Failure::new(ErrorCode::CredentialRefused, format!("a credential of {owner} cannot be used"))
                .with_fault(Fault::Us)
                .with_hint("the gateway's operator finds the reason in its log")
                .with_internal(internal)
        };
        let (bytes, at) = match location {
            SecretLocation::Literal(literal) => return Ok(literal.secret().duplicate()),
            SecretLocation::Stored(name) => {
                return match self.fetch(name, None).await?.material {
                    Material::Password(password) => Ok(password),
                    Material::PrivateKey { .. } | Material::Agent { .. } => {
                        Err(unusable(format!("`{name}` is a private key where a password is needed")))
                    }
                };
            }
            SecretLocation::Env(name) => {
                let at = format!("variable `{name}`");
                (read_variable(name).ok_or_else(|| unusable(format!("{at} is not set")))?, at)
            }
            SecretLocation::File(path) => {
                let (at, path) = (format!("`{}`", path.display()), path.clone());
                let read = blocking(move || Ok(read_secret_file(&path))).await?;
                (read.map_err(|error| unusable(format!("{at}: {error}")))?, at)
            }
        };
        secret_text(bytes).map(into_secret).map_err(|error| unusable(format!("{at}: {error}")))
    }
}
