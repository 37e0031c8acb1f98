//! What becomes of the command field.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use model::Entropy;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::text::without_handles;
use crate::{Entry, JournalError, SealKey};

const NONCE: usize = 24;
const SALT: usize = 16;

/// `[audit] record_commands`.
pub enum RecordCommands {
    /// Encrypted under this key; the chain holds a commitment.
    Sealed(SealKey),
    /// As they are (handles replaced by their ids).
    Clear,
    /// Not at all: replay then has nothing to say.
    Never,
}

impl RecordCommands {
    /// The `command` member of the entry with this id.
    pub(crate) fn member(
        &self,
        id: &str,
        command: &str,
        entropy: &dyn Entropy,
    ) -> Result<Option<Value>, JournalError> {
        let command = Zeroizing::new(without_handles(command));
        match self {
            Self::Never => Ok(None),
            Self::Clear => Ok(Some(Value::String(command.to_string()))),
            Self::Sealed(key) => seal(key, id, &command, entropy).map(Some),
        }
    }
}

fn seal(key: &SealKey, id: &str, command: &str, entropy: &dyn Entropy) -> Result<Value, JournalError> {
    let mut random = [0; NONCE + SALT];
    entropy.fill(&mut random).map_err(|cause| JournalError(cause.to_string()))?;
    let (nonce, salt) = random.split_at(NONCE);
    let salted = Zeroizing::new([salt, command.as_bytes()].concat());
    let failed = || JournalError("the command could not be sealed".to_owned());
    let nonce_array = XNonce::try_from(nonce).map_err(|_| failed())?;
    let cipher = XChaCha20Poly1305::new(&(*key.0).into());
    let payload = Payload { msg: &salted, aad: id.as_bytes() };
    let sealed = cipher.encrypt(&nonce_array, payload).map_err(|_| failed())?;
    Ok(json!({
        "sealed": STANDARD.encode([nonce, &sealed].concat()),
        "commitment": hex::encode(Sha256::digest(&salted)),
    }))
}

/// Why a command could not be read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnsealError {
    /// The entry records no command.
    #[error("the entry records no command")]
    NoCommand,
    /// The sealed text has not the form of one.
    #[error("the sealed command is malformed")]
    Malformed,
    /// Another key, or the entry was changed.
    #[error("the sealed command does not open with this key")]
    WrongKey,
    /// What was sealed is not what the chain committed to.
    #[error("the sealed command is not the one that the entry committed to")]
    WrongCommitment,
}

/// The command of an entry: as recorded in the clear, or opened and checked against its commitment.
pub fn unseal(entry: &Entry, key: &SealKey) -> Result<String, UnsealError> {
    let command = entry.members.get("command").ok_or(UnsealError::NoCommand)?;
    if let Some(clear) = command.as_str() {
        return Ok(clear.to_owned());
    }
    let member = |name: &str| command.get(name).and_then(Value::as_str).ok_or(UnsealError::Malformed);
    let bytes = STANDARD.decode(member("sealed")?).map_err(|_| UnsealError::Malformed)?;
    let (nonce, sealed) = bytes.split_at_checked(NONCE).ok_or(UnsealError::Malformed)?;
    let nonce = XNonce::try_from(nonce).map_err(|_| UnsealError::Malformed)?;
    let payload = Payload { msg: sealed, aad: entry.id.as_bytes() };
    let cipher = XChaCha20Poly1305::new(&(*key.0).into());
    let salted = cipher.decrypt(&nonce, payload).map(Zeroizing::new).map_err(|_| UnsealError::WrongKey)?;
    if hex::encode(Sha256::digest(&salted)) != member("commitment")? {
        return Err(UnsealError::WrongCommitment);
    }
    let text = salted.get(SALT..).ok_or(UnsealError::Malformed)?;
    String::from_utf8(text.to_vec()).map_err(|_| UnsealError::Malformed)
}
