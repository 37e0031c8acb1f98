//! The forms that private keys come in, and how they are opened.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use russh::keys::PrivateKey;
use russh::keys::pkcs8::decode_pkcs8;
use russh::keys::ssh_key::Kdf;
use zeroize::Zeroizing;

use super::legacy;

/// Most rounds of bcrypt-pbkdf that are waited for; `ssh-keygen` makes 16 to 24, and 1000 take about ten seconds.
const MOST_BCRYPT_ROUNDS: u32 = 1000;
/// Most rounds of PBKDF2; OpenSSL makes 2048, careful people some hundred thousand.
const MOST_PBKDF2_ROUNDS: u32 = 5_000_000;
/// Most memory that scrypt may ask for, in bytes.
const MOST_SCRYPT_MEMORY: u64 = 256 * 1024 * 1024;

/// Why a private key stayed closed. Says nothing of what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Closed {
    /// The text is none, or of a kind that no connection could use.
    #[error("it is no private key of a kind that is accepted")]
    NoKey,
    /// There is no passphrase and there would have to be one.
    #[error("it is encrypted and there is no passphrase for it")]
    NoPassphrase,
    /// There is one, and it does not open the key.
    #[error("its passphrase is wrong")]
    WrongPassphrase,
    /// How it is encrypted is not supported.
    #[error("it is encrypted in a way that is not supported")]
    Cipher,
    /// Opening it would take too long, or too much memory.
    #[error("its passphrase is stretched more than is waited for")]
    TooCostly,
}

impl Closed {
    /// What the operator can do.
    pub(super) fn hint(self) -> &'static str {
        match self {
            Self::NoKey => {
                "OpenSSH's own form, PKCS#1, SEC1 and PKCS#8 are read: Ed25519, ECDSA and RSA keys"
            }
            Self::NoPassphrase => {
                "its passphrase goes beside it: `passphrase` in the inventory, the keystore's entry, or the source's companion"
            }
            Self::WrongPassphrase => {
                "`ssh-keygen -y -f FILE` asks for the passphrase and tells whether it opens the key"
            }
            Self::Cipher => "`ssh-keygen -p -f FILE` writes it anew in OpenSSH's own form",
            Self::TooCostly => "`ssh-keygen -p -f FILE` writes it anew with the usual number of rounds",
        }
    }
}

/// Opens a key, with its passphrase if it is encrypted; one that is not needed is not looked at.
pub(super) fn open(text: &str, passphrase: Option<&str>) -> Result<PrivateKey, Closed> {
    let Body { label, dek, bytes } = body(text).ok_or(Closed::NoKey)?;
    match (label, dek) {
        ("OPENSSH PRIVATE KEY", None) => openssh(&bytes, passphrase),
        ("PRIVATE KEY", None) | ("EC PRIVATE KEY", None) => {
            decode_pkcs8(&bytes, None).map_err(|_| Closed::NoKey)
        }
        ("ENCRYPTED PRIVATE KEY", None) => pkcs8(&bytes, passphrase),
        ("RSA PRIVATE KEY", None) => pkcs1(&bytes),
        ("RSA PRIVATE KEY" | "EC PRIVATE KEY", Some(dek)) => {
            let der = legacy::decrypt(dek, &bytes, passphrase)?;
            let opened = if label.starts_with("RSA") {
                pkcs1(&der)
            } else {
                decode_pkcs8(&der, None).map_err(|_| Closed::NoKey)
            };
            // What a wrong passphrase makes of it is noise.
            opened.map_err(|_| Closed::WrongPassphrase)
        }
        (_, _) => Err(Closed::NoKey),
    }
}

fn openssh(bytes: &[u8], passphrase: Option<&str>) -> Result<PrivateKey, Closed> {
    let key = PrivateKey::from_bytes(bytes).map_err(|_| Closed::NoKey)?;
    if !key.is_encrypted() {
        return Ok(key);
    }
    if let Kdf::Bcrypt { rounds, .. } = key.kdf()
        && *rounds > MOST_BCRYPT_ROUNDS
    {
        return Err(Closed::TooCostly);
    }
    key.decrypt(passphrase.ok_or(Closed::NoPassphrase)?).map_err(|_| Closed::WrongPassphrase)
}

fn pkcs8(bytes: &[u8], passphrase: Option<&str>) -> Result<PrivateKey, Closed> {
    let sealed = pkcs8::EncryptedPrivateKeyInfoRef::try_from(bytes).map_err(|_| Closed::Cipher)?;
    let scheme = sealed.encryption_algorithm.pbes2().ok_or(Closed::Cipher)?;
    let rounds = scheme.kdf.pbkdf2().map_or(0, |kdf| kdf.iteration_count);
    let memory = scheme
        .kdf
        .scrypt()
        .map_or(0, |kdf| kdf.cost_parameter.saturating_mul(128).saturating_mul(u64::from(kdf.block_size)));
    if rounds > MOST_PBKDF2_ROUNDS || memory > MOST_SCRYPT_MEMORY {
        return Err(Closed::TooCostly);
    }
    let passphrase = passphrase.ok_or(Closed::NoPassphrase)?;
    decode_pkcs8(bytes, Some(passphrase.as_bytes())).map_err(|_| Closed::WrongPassphrase)
}

/// russh reads PKCS#1 only as text.
fn pkcs1(der: &[u8]) -> Result<PrivateKey, Closed> {
    let base64 = Zeroizing::new(STANDARD.encode(der));
    let text = Zeroizing::new(format!(
        "-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----\n",
        base64.as_str()
    ));
    russh::keys::decode_secret_key(&text, None).map_err(|_| Closed::NoKey)
}

/// What is between the two lines of dashes.
struct Body<'a> {
    label: &'a str,
    /// How the traditional form says that it is encrypted: `AES-128-CBC,IV`.
    dek: Option<&'a str>,
    bytes: Zeroizing<Vec<u8>>,
}

fn body(text: &str) -> Option<Body<'_>> {
    let mut lines = text.lines().map(str::trim);
    let label = lines.find_map(|line| line.strip_prefix("-----BEGIN ")?.strip_suffix("-----"))?;
    let mut dek = None;
    let mut base64 = Zeroizing::new(String::with_capacity(text.len()));
    for line in lines {
        if line.starts_with("-----END ") {
            let bytes = Zeroizing::new(STANDARD.decode(base64.as_bytes()).ok()?);
            return Some(Body { label, dek, bytes });
        }
        match line.split_once(':') {
            Some(("DEK-Info", info)) => dek = Some(info.trim()),
            Some(_) => {}
            None => base64.push_str(line),
        }
    }
    None
}
