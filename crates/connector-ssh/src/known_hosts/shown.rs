//! What a host showed to prove who it is.

use std::fmt;

use russh::keys::{Algorithm, Certificate, HashAlg, PublicKey, PublicKeyOrCertificate};

/// A host's key, and the certificate it came in, if it did. Nothing says yet that it is the right one.
#[derive(Clone)]
pub struct Shown {
    key: PublicKey,
    certificate: Option<Box<Certificate>>,
}

impl Shown {
    /// A key without a certificate.
    pub fn bare(key: PublicKey) -> Self {
        Self { key, certificate: None }
    }

    /// The key itself; for a certificate the one it speaks of.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The certificate, if the host showed one.
    pub fn certificate(&self) -> Option<&Certificate> {
        self.certificate.as_deref()
    }

    /// The key's algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.key.algorithm()
    }

    /// The key's fingerprint, as `SHA256:...`. A certificate that was renewed for the same key does not change it.
    pub fn fingerprint(&self) -> String {
        self.key.fingerprint(HashAlg::Sha256).to_string()
    }

    /// The fingerprint of the authority that signed the certificate.
    pub fn authority(&self) -> Option<String> {
        self.certificate().map(|shown| shown.signature_key().fingerprint(HashAlg::Sha256).to_string())
    }
}

impl From<&PublicKeyOrCertificate> for Shown {
    fn from(shown: &PublicKeyOrCertificate) -> Self {
        let certificate = shown.certificate().cloned().map(Box::new);
        // Without the comment, so that equal keys are equal.
        Self { key: PublicKey::new(shown.public_key().key_data().clone(), ""), certificate }
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.algorithm(), self.fingerprint())?;
        self.authority().map_or(Ok(()), |authority| write!(f, " signed by {authority}"))
    }
}
