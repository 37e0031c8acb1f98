//! From the bytes a source has to the material a connector uses.

use model::{Entropy, NoEntropy, Secret};
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

use crate::{Credential, Material};

/// A secret that no login could be made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnusableSecret {
    /// Nothing is there.
    #[error("it is empty")]
    Empty,
    /// It is no text.
    #[error("it is not UTF-8 text")]
    NotText,
}

impl Material {
    /// A private key if the bytes are one in PEM or OpenSSH form, else a password. A line behind the key may be
    /// its user certificate.
    pub fn from_bytes(
        bytes: Zeroizing<Vec<u8>>,
        passphrase: Option<Secret<String>>,
    ) -> Result<Self, UnusableSecret> {
        let text = secret_text(bytes)?;
        if is_private_key(&text) {
            let certificate = certificate_in(&text);
            return Ok(Self::PrivateKey { pem: into_secret(text), passphrase, certificate });
        }
        Ok(Self::Password(into_secret(text)))
    }

    /// A second copy of the secret.
    pub(crate) fn duplicate(&self) -> Self {
        match self {
            Self::Password(password) => Self::Password(password.duplicate()),
            Self::PrivateKey { pem, passphrase, certificate } => Self::PrivateKey {
                pem: pem.duplicate(),
                passphrase: passphrase.as_ref().map(Secret::duplicate),
                certificate: certificate.clone(),
            },
            Self::Agent { fingerprint, socket } => {
                Self::Agent { fingerprint: fingerprint.clone(), socket: socket.clone() }
            }
        }
    }
}

impl Credential {
    pub(crate) fn duplicate(&self) -> Self {
        Self {
            username: self.username.clone(),
            address: self.address.clone(),
            material: self.material.duplicate(),
            version: self.version.clone(),
        }
    }
}

/// Makes versions of secrets: equal for equal secrets, and of no use to who wants to guess one, because the key
/// is drawn anew in every process and never leaves it.
#[derive(Clone)]
pub struct VersionKey(Zeroizing<[u8; 32]>);

impl VersionKey {
    /// Draws a key.
    pub fn draw(entropy: &dyn Entropy) -> Result<Self, NoEntropy> {
        let mut key = Zeroizing::new([0; 32]);
        entropy.fill(&mut *key)?;
        Ok(Self(key))
    }

    /// The version of a secret that has these parts (the key and its passphrase, the password and its account).
    pub fn version(&self, parts: &[&[u8]]) -> String {
        let mut hash = Sha256::new();
        hash.update(*self.0);
        for part in parts {
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        }
        hex::encode(hash.finalize())
    }

    /// The version of one secret by itself.
    pub(crate) fn version_of(&self, secret: &Secret<String>) -> String {
        hex::encode(secret.digest(&self.0))
    }
}

/// Takes the bytes over as text without a copy.
pub(crate) fn secret_text(mut bytes: Zeroizing<Vec<u8>>) -> Result<Zeroizing<String>, UnusableSecret> {
    if bytes.is_empty() {
        return Err(UnusableSecret::Empty);
    }
    String::from_utf8(std::mem::take(&mut *bytes)).map(Zeroizing::new).map_err(|error| {
        error.into_bytes().zeroize();
        UnusableSecret::NotText
    })
}

pub(crate) fn into_secret(mut text: Zeroizing<String>) -> Secret<String> {
    Secret::new(std::mem::take(&mut *text))
}

/// The user certificate that stands on a line behind a private key.
pub(crate) fn certificate_in(text: &str) -> Option<String> {
    let mut behind = text.lines().skip_while(|line| !line.starts_with("-----END "));
    let is_certificate = |line: &&str| {
        line.split_ascii_whitespace().next().is_some_and(|kind| kind.ends_with("-cert-v01@openssh.com"))
    };
    behind.find(is_certificate).map(|line| line.trim().to_owned())
}

pub(crate) fn is_private_key(text: &str) -> bool {
    let first = text.trim_start().lines().next().unwrap_or_default().trim_end();
    first.starts_with("-----BEGIN ") && first.ends_with("PRIVATE KEY-----")
}
