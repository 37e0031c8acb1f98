//! The embedded source: one encrypted file, its master key kept elsewhere.

mod error;
mod file;
mod format;
mod key;
mod location;
mod source;

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::quick_key;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use model::{Clock, CredentialRef, Entropy, Secret, Timestamp};

pub use error::{KEYSTORE_DAMAGED, KeystoreError};
pub use key::{MasterKey, MasterKeyError, Unlock};
pub(crate) use location::expected;
pub use location::{MasterKeyLocation, create_located, open_located, rotate_master_file};
pub use source::KeystoreSource;

use format::{Contents, StoredEntry};

use crate::examine::{Strength, strength_of_text};

/// An encrypted file of credentials, opened with its master key.
///
/// The file is read at every use, so that a change by another process counts at once. Writers take a lock beside it.
/// Every function may wait for the disk.
pub struct Keystore {
    path: PathBuf,
    key: RwLock<Arc<MasterKey>>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

/// A credential to be kept.
pub struct Entry {
    /// The account.
    pub username: Option<String>,
    /// The address it belongs to; it narrows where a handle may be used.
    pub address: Option<String>,
    /// A password, or a private key in PEM or OpenSSH form.
    pub secret: Secret<String>,
    /// What opens the private key, if that is encrypted by itself.
    pub passphrase: Option<Secret<String>>,
}

/// A credential as it is listed: everything but the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The safe.
    pub safe: String,
    /// The object.
    pub object: String,
    /// The account.
    pub username: Option<String>,
    /// The address it belongs to.
    pub address: Option<String>,
    /// When it was last set.
    pub updated: Timestamp,
    /// Whether the secret is hard to guess.
    pub strength: Strength,
}

impl Keystore {
    /// Makes an empty keystore; never overwrites one.
    pub fn create(
        path: &Path,
        key: MasterKey,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, KeystoreError> {
        let keystore = Self::expected(path, key, clock, entropy);
        let _lock = keystore.lock()?;
        if std::fs::symlink_metadata(path).is_ok() {
            return Err(KeystoreError::Exists(path.to_owned()));
        }
        keystore.write(&Contents::default(), &keystore.key())?;
        Ok(keystore)
    }

    /// Opens a keystore, and tells a missing file, a wrong master key and a changed file apart.
    pub fn open(
        path: &Path,
        unlock: Unlock,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, KeystoreError> {
        let bytes = file::read(path)?;
        let key = format::unlock(path, &bytes, unlock)?;
        format::open(path, &bytes, &key)?;
        Ok(Self::expected(path, key, clock, entropy))
    }

    /// A keystore whose file has not been made yet: until it is, every use fails with [`KeystoreError::Missing`].
    pub(crate) fn expected(
        path: &Path,
        key: MasterKey,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self { path: path.to_owned(), key: RwLock::new(Arc::new(key)), clock, entropy }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps a credential, in the place of one of the same name. The name's source does not matter here.
    pub fn set(&self, name: &CredentialRef, entry: Entry) -> Result<(), KeystoreError> {
        let stored = StoredEntry::from_entry(entry, self.clock.now())?;
        self.change(|contents| {
            contents.entries.insert(key_of(name), stored);
            Ok(())
        })
    }

    /// Forgets a credential.
    pub fn remove(&self, name: &CredentialRef) -> Result<(), KeystoreError> {
        self.change(|contents| match contents.entries.remove(&key_of(name)) {
            Some(_) => Ok(()),
            None => Err(KeystoreError::NoEntry(short(name))),
        })
    }

    /// All credentials, by name, without their secrets.
    pub fn list(&self) -> Result<Vec<Listed>, KeystoreError> {
        let contents = self.read()?;
        let listed = |((safe, object), stored): (&(String, String), &StoredEntry)| Listed {
            safe: safe.clone(),
            object: object.clone(),
            username: stored.username.clone(),
            address: stored.address.clone(),
            updated: stored.updated,
            strength: strength_of_text(&stored.secret),
        };
        Ok(contents.entries.iter().map(listed).collect())
    }

    /// One credential, with its secret.
    pub fn find(&self, name: &CredentialRef) -> Result<Entry, KeystoreError> {
        let mut contents = self.read()?;
        let stored =
            contents.entries.remove(&key_of(name)).ok_or_else(|| KeystoreError::NoEntry(short(name)))?;
        Ok(stored.into_entry())
    }

    /// Encrypts everything anew under another master key. From here on the old one opens nothing.
    ///
    /// The new key must be kept before this is called: [`rotate_master_file`] does both in the right order.
    pub fn rotate_master(&self, new: MasterKey) -> Result<(), KeystoreError> {
        self.rotate_under(&self.lock()?, new)
    }

    /// The lock is the proof that no other writer is at work.
    fn rotate_under(&self, _lock: &File, new: MasterKey) -> Result<(), KeystoreError> {
        let contents = self.read()?;
        self.write(&contents, &new)?;
        self.use_key(new);
        Ok(())
    }

    pub(crate) fn use_key(&self, key: MasterKey) {
        *self.key.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(key);
    }

    fn key(&self) -> Arc<MasterKey> {
        Arc::clone(&self.key.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads, changes and writes under the lock, so that two writers never lose an entry.
    fn change(
        &self,
        change: impl FnOnce(&mut Contents) -> Result<(), KeystoreError>,
    ) -> Result<(), KeystoreError> {
        let _lock = self.lock()?;
        let mut contents = self.read()?;
        change(&mut contents)?;
        self.write(&contents, &self.key())
    }

    fn read(&self) -> Result<Contents, KeystoreError> {
        format::open(&self.path, &file::read(&self.path)?, &self.key())
    }

    fn write(&self, contents: &Contents, key: &MasterKey) -> Result<(), KeystoreError> {
        let bytes = format::seal(&self.path, contents, key, self.entropy.as_ref())?;
        file::replace(&self.path, &bytes, self.entropy.as_ref())
    }

    fn lock(&self) -> Result<File, KeystoreError> {
        file::lock(&self.path)
    }
}

type EntryKey = (String, String);
type Entries = BTreeMap<EntryKey, StoredEntry>;

fn key_of(name: &CredentialRef) -> EntryKey {
    (name.safe().to_owned(), name.object().to_owned())
}

fn short(name: &CredentialRef) -> String {
    format!("{}/{}", name.safe(), name.object())
}
