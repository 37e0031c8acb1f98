//! The keystore as a credential source.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use broker::{Credential, CredentialSource, Fetch, Material, VersionKey};
use model::{CredentialRef, ErrorCode, Failure};
use zeroize::Zeroizing;

use super::{Entry, Keystore, KeystoreError, MasterKeyLocation};
use crate::Environment;
use crate::names::blocking;

/// A keystore that credentials are fetched from.
pub struct KeystoreSource {
    inner: Arc<Inner>,
}

struct Inner {
    keystore: Keystore,
    location: MasterKeyLocation,
    state: PathBuf,
    environment: Environment,
    versions: VersionKey,
}

impl KeystoreSource {
    /// The source; when the master key was rotated by another process it is read again from its location.
    pub fn new(
        keystore: Keystore,
        location: MasterKeyLocation,
        state: PathBuf,
        environment: Environment,
        versions: VersionKey,
    ) -> Self {
        Self { inner: Arc::new(Inner { keystore, location, state, environment, versions }) }
    }
}

#[async_trait]
impl CredentialSource for KeystoreSource {
    async fn fetch(&self, fetch: Fetch<'_>) -> Result<Credential, Failure> {
        let (inner, name) = (Arc::clone(&self.inner), fetch.credential.clone());
        blocking(move || inner.credential(&name)).await
    }
}

impl Inner {
    fn credential(&self, name: &CredentialRef) -> Result<Credential, Failure> {
        let Entry { username, address, secret, passphrase } = self.find(name)?;
        let account = username.as_deref().unwrap_or_default();
        let version = self.versions.version(&[account.as_bytes(), secret.expose().as_bytes()]);
        let bytes = Zeroizing::new(secret.expose().clone().into_bytes());
        let material = Material::from_bytes(bytes, passphrase)
            .map_err(|error| Failure::new(ErrorCode::CredentialRefused, format!("`{name}`: {error}")))?;
        Ok(Credential { username, address, material, version: Some(version) })
    }

    fn find(&self, name: &CredentialRef) -> Result<Entry, KeystoreError> {
        let mut found = self.keystore.find(name);
        if matches!(found, Err(KeystoreError::WrongMasterKey(_))) {
            for key in self.location.keys(&self.state, &self.environment) {
                self.keystore.use_key(key);
                found = self.keystore.find(name);
                if !matches!(found, Err(KeystoreError::WrongMasterKey(_))) {
                    break;
                }
            }
        }
        found
    }
}
