//! The journal's keys and the files they live in, outside the state folder.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, VerifyingKey};
use model::{Entropy, NoEntropy};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

const SIGNING: &str = "portcullis-audit-signing-key-v1";
const PUBLIC: &str = "portcullis-audit-public-key-v1";
const SEAL: &str = "portcullis-audit-seal-key-v1";

/// Why a key could not be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file could not be read or written.
    #[error("`{}`: {cause}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// Others than the owner may read the file.
    #[error("`{}` can be read by others than its owner (mode {mode:04o}): make it 0600", path.display())]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The text is no key of this kind.
    #[error("not a key: expected one line, `{expected}` and 44 characters of base64")]
    Malformed {
        /// The word that such a line begins with.
        expected: &'static str,
    },
    /// A file holds no key of this kind.
    #[error("`{}` is not a key: expected one line, `{expected}` and 44 characters of base64", path.display())]
    MalformedFile {
        /// Which file.
        path: PathBuf,
        /// The word that such a line begins with.
        expected: &'static str,
    },
    /// No random bytes.
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
}

/// The Ed25519 key that signs heads. Never printed; wiped when dropped.
pub struct SigningKey(ed25519_dalek::SigningKey);

/// The public half, for `verify`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

/// The key that seals commands. Never printed; wiped when dropped.
pub struct SealKey(pub(crate) Zeroizing<[u8; 32]>);

impl SigningKey {
    /// Makes a key pair and writes `path` (mode 0600) and `path` + `.pub`; never overwrites either.
    pub fn create(path: &Path, entropy: &dyn Entropy) -> Result<Self, KeyError> {
        let key = Self::from_seed(&*random(entropy)?);
        write_new(path, 0o600, SIGNING, key.0.as_bytes())?;
        write_new(&with_pub(path), 0o644, PUBLIC, key.public().0.as_bytes())?;
        Ok(key)
    }

    /// Reads a key file; it must be readable by its owner only.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        Self::parse(&read_private(path)?).map_err(|error| error.of_file(path))
    }

    /// Reads the text of a key file.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        Ok(Self::from_seed(&*parse(text, SIGNING)?))
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    pub(crate) fn from_seed(seed: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

impl PublicKey {
    /// Reads a `.pub` file.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let text = std::fs::read_to_string(path).map_err(|cause| file_error(path, cause))?;
        Self::parse(&text).map_err(|error| error.of_file(path))
    }

    /// Reads the text of a `.pub` file.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let bytes = parse(text, PUBLIC)?;
        VerifyingKey::from_bytes(&bytes).map(Self).map_err(|_| KeyError::Malformed { expected: PUBLIC })
    }

    /// What heads name the key by: the first 16 hexadecimal digits of its SHA-256.
    pub fn id(&self) -> String {
        hex::encode(Sha256::digest(self.0.as_bytes())).chars().take(16).collect()
    }

    pub(crate) fn accepts(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        self.0.verify_strict(message, &Signature::from_bytes(signature)).is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PUBLIC} {}", STANDARD.encode(self.0.as_bytes()))
    }
}

impl SealKey {
    /// Makes a key and writes `path` (mode 0600); never overwrites.
    pub fn create(path: &Path, entropy: &dyn Entropy) -> Result<Self, KeyError> {
        let key = random(entropy)?;
        write_new(path, 0o600, SEAL, &*key)?;
        Ok(Self(key))
    }

    /// Reads a key file; it must be readable by its owner only.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        Self::parse(&read_private(path)?).map_err(|error| error.of_file(path))
    }

    /// Reads the text of a key file.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        parse(text, SEAL).map(Self)
    }
}

impl KeyError {
    /// A key that is none comes from a file, which is named.
    fn of_file(self, path: &Path) -> Self {
        match self {
            Self::Malformed { expected } => Self::MalformedFile { path: path.to_owned(), expected },
            Self::File { .. } | Self::Exposed { .. } | Self::MalformedFile { .. } | Self::Entropy(_) => self,
        }
    }
}

fn random(entropy: &dyn Entropy) -> Result<Zeroizing<[u8; 32]>, NoEntropy> {
    let mut bytes = Zeroizing::new([0; 32]);
    entropy.fill(&mut *bytes)?;
    Ok(bytes)
}

fn with_pub(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    PathBuf::from(name)
}

fn write_new(path: &Path, mode: u32, word: &str, bytes: &[u8]) -> Result<(), KeyError> {
    let line = Zeroizing::new(format!("{word} {}\n", STANDARD.encode(bytes)));
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        file.write_all(line.as_bytes())?;
        file.sync_all()
    };
    write().map_err(|cause| file_error(path, cause))
}

fn read_private(path: &Path) -> Result<Zeroizing<String>, KeyError> {
    let failed = |cause| file_error(path, cause);
    let file = File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(KeyError::Exposed { path: path.to_owned(), mode });
    }
    let mut text = Zeroizing::new(String::new());
    file.take(4096).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

fn parse(text: &str, word: &'static str) -> Result<Zeroizing<[u8; 32]>, KeyError> {
    let malformed = || KeyError::Malformed { expected: word };
    let encoded = text.trim().strip_prefix(word).map(str::trim).ok_or_else(malformed)?;
    let bytes = STANDARD.decode(encoded).map(Zeroizing::new).map_err(|_| malformed())?;
    <[u8; 32]>::try_from(bytes.as_slice()).map(Zeroizing::new).map_err(|_| malformed())
}

fn file_error(path: &Path, cause: io::Error) -> KeyError {
    KeyError::File { path: path.to_owned(), cause }
}
