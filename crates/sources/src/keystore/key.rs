//! The master key: 32 bytes from elsewhere, or made from a passphrase.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use model::{Entropy, NoEntropy, Secret};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

/// What opens and seals a keystore.
pub struct MasterKey {
    pub(super) bytes: Secret<[u8; 32]>,
    /// How it was made from a passphrase, if it was; kept in the keystore's header.
    pub(super) derivation: Option<Derivation>,
}

/// What an operator has to open a keystore with.
pub enum Unlock {
    /// The key itself.
    Key(MasterKey),
    /// The passphrase that it is made from.
    Passphrase(Secret<String>),
}

/// Why there is no master key.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    /// The text is no key.
    #[error("the master key from {0} is not 32 bytes, raw, as 64 hex digits or as base64")]
    Malformed(String),
    /// Its place cannot be read.
    #[error("the master key from {place} cannot be read: {reason}")]
    Unreadable {
        /// The file, variable or systemd credential.
        place: String,
        /// Why.
        reason: String,
    },
    /// It lies beside what it protects.
    #[error("the master key {0} lies inside the state folder, beside what it protects")]
    InsideState(String),
    /// The passphrase is too short to make a key from.
    #[error("a passphrase needs at least 12 characters")]
    ShortPassphrase,
    /// The keystore asks for a derivation that is too weak or too costly.
    #[error("the keystore's key derivation is out of bounds")]
    Derivation,
    /// There is nobody to ask.
    #[error("the keystore is opened with a passphrase, and there is nobody to ask for it")]
    NobodyToAsk,
    /// A new passphrase was typed in two ways.
    #[error("the two passphrases are not the same")]
    Mistyped,
    /// The system gave no random bytes.
    #[error(transparent)]
    NoEntropy(#[from] NoEntropy),
}

/// Argon2id with these costs and this salt.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Derivation {
    name: String,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: String,
}

impl MasterKey {
    /// A new random key.
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, NoEntropy> {
        let mut bytes = Zeroizing::new([0; 32]);
        entropy.fill(&mut *bytes)?;
        Ok(Self::from_bytes(&bytes))
    }

    /// A key of these bytes: 32 raw ones, 64 hex digits, or base64; text may end in a newline. `place` is named in
    /// the error.
    pub fn parse(bytes: Zeroizing<Vec<u8>>, place: &str) -> Result<Self, MasterKeyError> {
        let mut key = Zeroizing::new([0; 32]);
        if bytes.len() == 32 {
            key.copy_from_slice(&bytes);
            return Ok(Self::from_bytes(&key));
        }
        let text = broker::without_newline(bytes);
        let read = match text.len() {
            64 => hex::decode_to_slice(text.as_slice(), &mut *key).is_ok(),
            44 => {
                // base64 wants room for the padding, too.
                let mut decoded = Zeroizing::new([0; 33]);
                let read = STANDARD.decode_slice(text.as_slice(), &mut *decoded) == Ok(32);
                decoded.iter().zip(key.iter_mut()).for_each(|(from, to)| *to = *from);
                read
            }
            _ => false,
        };
        if read { Ok(Self::from_bytes(&key)) } else { Err(MasterKeyError::Malformed(place.to_owned())) }
    }

    /// A key for a new keystore, made from a passphrase with a fresh salt. Takes a good part of a second.
    pub fn from_passphrase(
        passphrase: &Secret<String>,
        entropy: &dyn Entropy,
    ) -> Result<Self, MasterKeyError> {
        Self::derive(passphrase, Derivation::fresh(64 * 1024, 3, entropy)?)
    }

    /// The key as 64 hex digits, to be written to its file.
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(hex::encode(self.bytes.expose()))
    }

    pub(super) fn derive(
        passphrase: &Secret<String>,
        derivation: Derivation,
    ) -> Result<Self, MasterKeyError> {
        if passphrase.expose().chars().count() < 12 {
            return Err(MasterKeyError::ShortPassphrase);
        }
        let bytes = derivation.derive(passphrase.expose().as_bytes())?;
        Ok(Self { derivation: Some(derivation), ..Self::from_bytes(&bytes) })
    }

    /// A key for one purpose; the master key itself is used for nothing.
    pub(super) fn subkey(&self, purpose: &str) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(blake3::derive_key(purpose, self.bytes.expose()))
    }

    fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self { bytes: Secret::new(*bytes), derivation: None }
    }
}

impl Derivation {
    pub(super) fn fresh(memory_kib: u32, passes: u32, entropy: &dyn Entropy) -> Result<Self, NoEntropy> {
        let mut salt = [0; 16];
        entropy.fill(&mut salt)?;
        Ok(Self { name: "argon2id".to_owned(), memory_kib, passes, lanes: 1, salt: hex::encode(salt) })
    }

    /// Bounded, because the header is believed before it can be authenticated.
    fn derive(&self, passphrase: &[u8]) -> Result<Zeroizing<[u8; 32]>, MasterKeyError> {
        let sane = self.name == "argon2id"
            && (8..=1024 * 1024).contains(&self.memory_kib)
            && (1..=16).contains(&self.passes)
            && self.lanes == 1;
        let mut salt = [0; 16];
        if !sane || hex::decode_to_slice(&self.salt, &mut salt).is_err() {
            return Err(MasterKeyError::Derivation);
        }
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(32))
            .map_err(|_| MasterKeyError::Derivation)?;
        let mut memory = vec![Block::default(); params.block_count()];
        let mut key = Zeroizing::new([0; 32]);
        let derived = Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into_with_memory(passphrase, &salt, &mut *key, &mut memory);
        memory.iter_mut().for_each(|block| block.as_mut().zeroize());
        derived.map_err(|_| MasterKeyError::Derivation)?;
        Ok(key)
    }
}
