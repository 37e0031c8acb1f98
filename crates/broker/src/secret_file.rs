//! Files that hold one secret.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use zeroize::Zeroizing;

/// The most bytes a secret may have.
pub const SECRET_MAX: usize = 64 * 1024;

/// Why a file gave no secret. Names neither the file nor anything in it.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// It is not there.
    #[error("there is no such file")]
    Missing,
    /// A folder, a pipe, a device.
    #[error("it is not a regular file")]
    NotAFile,
    /// More than [`SECRET_MAX`].
    #[error("it is larger than 64 KiB")]
    TooLarge,
    /// Others than the gateway's user may read it.
    #[error("others can read it (mode {0:04o})")]
    OthersCanRead(u32),
    /// The system refused.
    #[error("{0}")]
    Io(std::io::Error),
}

/// Reads a file that holds one secret, following links; one trailing newline is dropped.
pub fn read_secret_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, SecretFileError> {
    read_to_end(&open(path)?).map(without_newline)
}

/// Reads a private key's file, which others must not be able to read.
///
/// The group counts as others on files of the gateway's own user; a mounted secret often belongs to root and is
/// given to the gateway by its group.
pub fn read_key_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, SecretFileError> {
    let file = open(path)?;
    let metadata = file.metadata().map_err(SecretFileError::Io)?;
    let own = metadata.uid() == rustix::process::geteuid().as_raw();
    let forbidden = if own { 0o077 } else { 0o007 };
    if metadata.mode() & forbidden != 0 {
        return Err(SecretFileError::OthersCanRead(metadata.mode() & 0o7777));
    }
    read_to_end(&file)
}

/// Drops one trailing newline, as editors and `echo` leave it.
pub fn without_newline(mut bytes: Zeroizing<Vec<u8>>) -> Zeroizing<Vec<u8>> {
    if bytes.ends_with(b"\n") {
        bytes.pop();
        if bytes.ends_with(b"\r") {
            bytes.pop();
        }
    }
    bytes
}

/// Reads an open file to its end, [`SECRET_MAX`] bytes at most, into a buffer that never moves, so that no copy stays
/// behind.
pub fn read_to_end(mut file: &File) -> Result<Zeroizing<Vec<u8>>, SecretFileError> {
    let mut bytes = Zeroizing::new(vec![0; SECRET_MAX + 1]);
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(SecretFileError::Io(error)),
        }
    }
    if filled > SECRET_MAX {
        return Err(SecretFileError::TooLarge);
    }
    // The copy into a vector of the right size keeps a small secret from occupying the whole buffer.
    Ok(Zeroizing::new(bytes.get(..filled).unwrap_or_default().to_vec()))
}

fn open(path: &Path) -> Result<File, SecretFileError> {
    // Opening a pipe without NONBLOCK would wait for its writer.
    let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or(0);
    let file = OpenOptions::new().read(true).custom_flags(nonblocking).open(path).map_err(|error| {
        if error.kind() == std::io::ErrorKind::NotFound {
            SecretFileError::Missing
        } else {
            SecretFileError::Io(error)
        }
    })?;
    let metadata = file.metadata().map_err(SecretFileError::Io)?;
    if metadata.is_file() { Ok(file) } else { Err(SecretFileError::NotAFile) }
}
