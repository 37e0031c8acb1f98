//! The keystore's file: read whole, replaced whole, locked for writers.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use model::Entropy;

use super::{KeystoreError, MasterKeyError};

const SIZE_MAX: u64 = 16 * 1024 * 1024;

pub(super) fn read(path: &Path) -> Result<Vec<u8>, KeystoreError> {
    let failed = |error: std::io::Error| {
        if error.kind() == ErrorKind::NotFound {
            KeystoreError::Missing(path.to_owned())
        } else {
            io(path, error)
        }
    };
    let file = File::open(path).map_err(failed)?;
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(KeystoreError::NotAKeystore(path.to_owned()));
    }
    let mut bytes = Vec::new();
    file.take(SIZE_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    bounded(path, &bytes)?;
    Ok(bytes)
}

/// Replaces the file so that a crash leaves the old or the new one, never a part.
pub(super) fn replace(path: &Path, bytes: &[u8], entropy: &dyn Entropy) -> Result<(), KeystoreError> {
    bounded(path, bytes)?;
    // Through a link the file it points to is replaced, not the link.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mut random = [0; 8];
    entropy.fill(&mut random).map_err(MasterKeyError::from)?;
    let fresh = sibling(&target, &format!(".{}.tmp", hex::encode(random)));
    let written = write_private(&fresh, bytes).and_then(|()| fs::rename(&fresh, &target));
    if let Err(error) = written.and_then(|()| sync_folder(&target)) {
        let _ = fs::remove_file(&fresh);
        return Err(io(path, error));
    }
    Ok(())
}

/// The writers' lock, held until the file is dropped. It is a file of its own because the keystore is replaced.
pub(super) fn lock(path: &Path) -> Result<File, KeystoreError> {
    let at = sibling(path, ".lock");
    let open = || {
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&at)?;
        file.lock()?;
        Ok(file)
    };
    open().map_err(|error| io(&at, error))
}

/// Writes a new file that only its owner can read, and waits until it is on disk.
pub(super) fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

pub(super) fn sync_folder(of: &Path) -> std::io::Result<()> {
    match of.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        Some(_) | None => File::open(".")?.sync_all(),
    }
}

pub(super) fn sibling(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

pub(super) fn io(path: &Path, error: std::io::Error) -> KeystoreError {
    KeystoreError::Io { path: path.to_owned(), error }
}

fn bounded(path: &Path, bytes: &[u8]) -> Result<(), KeystoreError> {
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    if length > SIZE_MAX { Err(KeystoreError::TooLarge(path.to_owned())) } else { Ok(()) }
}
