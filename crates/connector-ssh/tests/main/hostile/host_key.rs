//! The scripted host's own key.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};

use super::wire::{mpint, string};

pub(crate) enum HostKey {
    Ed25519(Ed25519KeyPair),
    Ecdsa(EcdsaKeyPair),
}

impl HostKey {
    pub(crate) fn ed25519() -> Self {
        Self::Ed25519(Ed25519KeyPair::generate().unwrap())
    }

    pub(crate) fn ecdsa() -> Self {
        Self::Ecdsa(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    pub(crate) fn algorithm(&self) -> &'static str {
        match self {
            Self::Ed25519(_) => "ssh-ed25519",
            Self::Ecdsa(_) => "ecdsa-sha2-nistp256",
        }
    }

    /// As it is sent.
    pub(crate) fn public(&self) -> Vec<u8> {
        let own = match self {
            Self::Ed25519(key) => string(key.public_key().as_ref()),
            Self::Ecdsa(key) => [string(b"nistp256"), string(key.public_key().as_ref())].concat(),
        };
        [string(self.algorithm().as_bytes()), own].concat()
    }

    /// A signature as it is sent.
    pub(crate) fn sign(&self, hash: &[u8]) -> Vec<u8> {
        let own = match self {
            Self::Ed25519(key) => key.sign(hash).as_ref().to_vec(),
            Self::Ecdsa(key) => {
                let signature = key.sign(&SystemRandom::new(), hash).unwrap();
                let (r, s) = signature.as_ref().split_at(32);
                [mpint(r), mpint(s)].concat()
            }
        };
        [string(self.algorithm().as_bytes()), string(&own)].concat()
    }
}
