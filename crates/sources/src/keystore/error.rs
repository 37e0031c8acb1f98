//! What can go wrong with a keystore.

use std::path::PathBuf;

use model::{ErrorCode, Failure, Fault};

use super::MasterKeyError;

/// Why a keystore operation failed. Names the file or the entry, and holds nothing secret.
#[derive(Debug, thiserror::Error)]
pub enum KeystoreError {
    /// There is no file.
    #[error("keystore `{}` does not exist", .0.display())]
    Missing(PathBuf),
    /// There is one already.
    #[error("keystore `{}` exists already", .0.display())]
    Exists(PathBuf),
    /// The file is something else.
    #[error("`{}` is not a keystore", .0.display())]
    NotAKeystore(PathBuf),
    /// The file was written by a newer version.
    #[error("keystore `{}` has format {version}, which this version does not know", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        version: u32,
    },
    /// The file was written with another master key.
    #[error("keystore `{}` was not written with this master key", .0.display())]
    WrongMasterKey(PathBuf),
    /// The file was written with this master key, and has been changed since.
    #[error("keystore `{}` is damaged or was tampered with", .0.display())]
    Tampered(PathBuf),
    /// There is no such entry.
    #[error("there is no `{0}` in the keystore")]
    NoEntry(String),
    /// The entry cannot be kept.
    #[error("the entry cannot be kept: {0}")]
    BadEntry(&'static str),
    /// The keystore would be, or is, larger than 16 MiB.
    #[error("keystore `{}` is larger than 16 MiB", .0.display())]
    TooLarge(PathBuf),
    /// The master key could not be had.
    #[error(transparent)]
    MasterKey(#[from] MasterKeyError),
    /// The system refused.
    #[error("keystore `{}`: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
}

/// What a [`Failure`] names as the source's own code when a keystore is not what was written.
pub const KEYSTORE_DAMAGED: &str = "keystore.damaged";

impl KeystoreError {
    /// Adds what is known beyond the text.
    pub fn explain(&self, failure: Failure) -> Failure {
        let failure = match self {
            Self::NotAKeystore(_) | Self::Tampered(_) => failure.with_vendor(KEYSTORE_DAMAGED),
            Self::Missing(_)
            | Self::Exists(_)
            | Self::Newer { .. }
            | Self::WrongMasterKey(_)
            | Self::NoEntry(_)
            | Self::BadEntry(_)
            | Self::TooLarge(_)
            | Self::MasterKey(_)
            | Self::Io { .. } => failure,
        };
        match self.hint() {
            Some(hint) => failure.with_hint(hint),
            None => failure,
        }
    }

    fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Missing(_) => Some("`portcullis secret set` makes it"),
            Self::WrongMasterKey(_) => {
                Some("check `master_key`; if it was rotated, the old key opens old copies only")
            }
            Self::Tampered(_) | Self::NotAKeystore(_) => {
                Some("restore it from a backup, or move it aside: `portcullis secret set` makes a new one")
            }
            Self::NoEntry(_) => Some("`portcullis secret set` adds it"),
            Self::Newer { .. } => Some("use the version that wrote it"),
            Self::Exists(_)
            | Self::BadEntry(_)
            | Self::TooLarge(_)
            | Self::MasterKey(_)
            | Self::Io { .. } => None,
        }
    }
}

/// For agents: the entry's absence is told, anything else only to the operator.
impl From<KeystoreError> for Failure {
    fn from(error: KeystoreError) -> Self {
        let failure = match &error {
            KeystoreError::NoEntry(_) => Self::new(ErrorCode::CredentialNotFound, error.to_string()),
            KeystoreError::BadEntry(_) => Self::new(ErrorCode::InputInvalid, error.to_string()),
            KeystoreError::Missing(_)
            | KeystoreError::Exists(_)
            | KeystoreError::NotAKeystore(_)
            | KeystoreError::Newer { .. }
            | KeystoreError::WrongMasterKey(_)
            | KeystoreError::Tampered(_)
            | KeystoreError::TooLarge(_)
            | KeystoreError::MasterKey(_)
            | KeystoreError::Io { .. } => {
                Self::new(ErrorCode::CredentialSourceDown, "the keystore cannot be read or written")
                    .with_fault(Fault::Us)
                    .with_internal(error.to_string())
            }
        };
        error.explain(failure)
    }
}
