//! Where the master key lies: never beside what it protects.

use std::ffi::OsStr;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use broker::read_key_file;
use model::Entropy;
use zeroize::Zeroizing;

use super::{Keystore, KeystoreError, MasterKey, MasterKeyError, Unlock, file};
use crate::Environment;
use crate::build::Surroundings;

/// The key `master_key` of a keystore.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MasterKeyLocation {
    /// A file that only the gateway can read.
    File(PathBuf),
    /// An environment variable.
    Env(String),
    /// A systemd credential: a file of this name in `$CREDENTIALS_DIRECTORY`.
    Systemd(String),
    /// Made from a passphrase that an operator types when the gateway starts.
    Prompt,
}

impl MasterKeyLocation {
    /// Reads the key from where it lies; asks for the passphrase, if that is what it is made from.
    pub fn unlock(&self, around: &Surroundings<'_>) -> Result<Unlock, MasterKeyError> {
        match self {
            Self::Prompt => (around.passphrase)().map(Unlock::Passphrase),
            Self::File(_) | Self::Env(_) | Self::Systemd(_) => {
                self.read(around.state, &around.environment).map(Unlock::Key)
            }
        }
    }

    /// The keys that lie there now: during a rotation also the next one.
    pub(super) fn keys(&self, state: &Path, environment: &Environment) -> Vec<MasterKey> {
        let next = match self {
            Self::File(path) => read_outside(&fresh_key_path(path), state).ok(),
            Self::Env(_) | Self::Systemd(_) | Self::Prompt => None,
        };
        self.read(state, environment).into_iter().chain(next).collect()
    }

    /// Reads a key that nobody has to be asked for.
    fn read(&self, state: &Path, environment: &Environment) -> Result<MasterKey, MasterKeyError> {
        match self {
            Self::File(path) => read_outside(path, state),
            Self::Systemd(name) => {
                let place = || format!("systemd credential `{name}`");
                let unreadable =
                    |reason: &str| MasterKeyError::Unreadable { place: place(), reason: reason.to_owned() };
                if !is_file_name(name) {
                    return Err(unreadable("it is not a file name"));
                }
                let folder = environment("CREDENTIALS_DIRECTORY")
                    .ok_or_else(|| unreadable("`$CREDENTIALS_DIRECTORY` is not set"))?;
                read_outside(&Path::new(&folder).join(name), state)
            }
            Self::Env(name) => {
                let place = format!("variable `{name}`");
                let value = environment(name).ok_or_else(|| MasterKeyError::Unreadable {
                    place: place.clone(),
                    reason: "it is not set".to_owned(),
                })?;
                MasterKey::parse(Zeroizing::new(value.into_encoded_bytes()), &place)
            }
            Self::Prompt => Err(MasterKeyError::NobodyToAsk),
        }
    }
}

/// Opens a keystore with the key from its location, and finishes a rotation that a crash left half done.
pub fn open_located(
    path: &Path,
    location: &MasterKeyLocation,
    around: &Surroundings<'_>,
) -> Result<Keystore, KeystoreError> {
    let open = |unlock| Keystore::open(path, unlock, Arc::clone(&around.clock), Arc::clone(&around.entropy));
    let opened = open(location.unlock(around)?);
    let (Err(KeystoreError::WrongMasterKey(_)), MasterKeyLocation::File(key_path)) = (&opened, location)
    else {
        return opened;
    };
    // Under the lock nobody is rotating: what is half done now stays half done.
    let _lock = file::lock(path)?;
    let opened = open(location.unlock(around)?);
    if !matches!(opened, Err(KeystoreError::WrongMasterKey(_))) {
        return opened;
    }
    let fresh = fresh_key_path(key_path);
    let Ok(key) = read_outside(&fresh, around.state) else { return opened };
    let keystore = open(Unlock::Key(key))?;
    fs::rename(&fresh, key_path).map_err(|error| file::io(key_path, error))?;
    Ok(keystore)
}

/// Makes an empty keystore with the key from its location; never overwrites one.
pub fn create_located(
    path: &Path,
    location: &MasterKeyLocation,
    around: &Surroundings<'_>,
) -> Result<Keystore, KeystoreError> {
    let key = match location.unlock(around)? {
        Unlock::Key(key) => key,
        Unlock::Passphrase(passphrase) => MasterKey::from_passphrase(&passphrase, around.entropy.as_ref())?,
    };
    Keystore::create(path, key, Arc::clone(&around.clock), Arc::clone(&around.entropy))
}

/// Opens a keystore for a source. One that has not been made yet is expected to be, with the key from its location. A
/// passphrase makes another key for every file, so with `"prompt"` what is made later is opened at the next start.
pub(crate) fn expected(
    path: &Path,
    location: &MasterKeyLocation,
    around: &Surroundings<'_>,
) -> Result<Keystore, KeystoreError> {
    // Nobody is asked for a passphrase that nothing was sealed with.
    if path.exists() {
        return open_located(path, location, around);
    }
    let key = match location {
        MasterKeyLocation::Prompt => {
            MasterKey::generate(around.entropy.as_ref()).map_err(MasterKeyError::from)?
        }
        MasterKeyLocation::File(_) | MasterKeyLocation::Env(_) | MasterKeyLocation::Systemd(_) => {
            location.read(around.state, &around.environment)?
        }
    };
    Ok(Keystore::expected(path, key, Arc::clone(&around.clock), Arc::clone(&around.entropy)))
}

/// Draws a new master key, encrypts the keystore under it, and puts it into the old key's file.
///
/// The new key is on disk (as `FILE.new`) before the keystore needs it, so that a crash at any point leaves a keystore
/// that opens.
pub fn rotate_master_file(
    keystore: &Keystore,
    key_path: &Path,
    entropy: &dyn Entropy,
) -> Result<(), KeystoreError> {
    let lock = keystore.lock()?;
    // With the key at hand the keystore opens, so a new key that lies here was never used.
    keystore.read()?;
    let fresh = fresh_key_path(key_path);
    let _ = fs::remove_file(&fresh);
    let key = MasterKey::generate(entropy).map_err(MasterKeyError::from)?;
    key.save(&fresh)?;
    if let Err(error) = keystore.rotate_under(&lock, key) {
        let _ = fs::remove_file(&fresh);
        return Err(error);
    }
    let renamed = fs::rename(&fresh, key_path).and_then(|()| file::sync_folder(key_path));
    renamed.map_err(|error| file::io(key_path, error))
}

impl MasterKey {
    /// Writes the key to a new file that only its owner can read, and waits until it is on disk. Never overwrites.
    pub fn save(&self, path: &Path) -> Result<(), KeystoreError> {
        let text = Zeroizing::new([self.to_text().as_bytes(), b"\n"].concat());
        let written = file::write_private(path, &text).and_then(|()| file::sync_folder(path));
        written.map_err(|error| file::io(path, error))
    }
}

fn fresh_key_path(key_path: &Path) -> PathBuf {
    file::sibling(key_path, ".new")
}

fn read_outside(path: &Path, state: &Path) -> Result<MasterKey, MasterKeyError> {
    let place = format!("`{}`", path.display());
    let resolve = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if resolve(path).starts_with(resolve(state)) || path.starts_with(state) {
        return Err(MasterKeyError::InsideState(place));
    }
    match read_key_file(path) {
        Ok(bytes) => MasterKey::parse(bytes, &place),
        Err(error) => Err(MasterKeyError::Unreadable { place, reason: error.to_string() }),
    }
}

fn is_file_name(name: &str) -> bool {
    let mut components = Path::new(name).components();
    matches!((components.next(), components.next()), (Some(Component::Normal(only)), None) if only == OsStr::new(name))
}
