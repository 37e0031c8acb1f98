//! What a tool carries from a question to its answers: sealed on its way through the client, and good for one use.
//!
//! The key lives and dies with the process. A client that comes back after a restart is asked again.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use model::{BootInstant, CallId, Clock, Entropy, ErrorCode, Failure, NoEntropy, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::StateStore;
use zeroize::Zeroizing;

/// How long somebody may think about a question.
pub(crate) const LIFE: Duration = Duration::from_secs(15 * 60);
/// The longest state that is looked at, in characters; also the longest that is given out.
const LONGEST: usize = 64 * 1024;
const NONCE: usize = 24;

/// Seals what tools carry, and opens it once.
pub struct StateSeal {
    key: Zeroizing<[u8; 32]>,
    entropy: Arc<dyn Entropy>,
    clock: Arc<dyn Clock>,
    store: Arc<dyn StateStore>,
}

/// What a state was sealed for. It opens for nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Purpose(blake3::Hash);

/// A state that was opened; its one use is still to be claimed.
pub(crate) struct Opened {
    /// What the tool carried.
    pub(crate) carried: Value,
    /// The call that asked.
    pub(crate) call: Option<CallId>,
    id: [u8; 16],
    until: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct Sealed {
    id: [u8; 16],
    call: String,
    until: i64,
    boot_until: u64,
    boot: String,
    carried: Value,
}

impl Purpose {
    /// A call by this principal (and who acts as it) of what has this name, with these arguments.
    pub(crate) fn new(principal: &str, actor: &str, name: &str, arguments: &Value) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("portcullis request state v1");
        for part in [principal, actor, name, &arguments.to_string()] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        Self(hasher.finalize())
    }
}

impl StateSeal {
    /// A seal with a key of its own. What is used is kept in the store.
    pub fn new(
        entropy: Arc<dyn Entropy>,
        clock: Arc<dyn Clock>,
        store: Arc<dyn StateStore>,
    ) -> Result<Self, NoEntropy> {
        let mut key = Zeroizing::new([0; 32]);
        entropy.fill(&mut *key)?;
        Ok(Self { key, entropy, clock, store })
    }

    /// Seals what a call carries.
    pub(crate) fn seal(&self, purpose: &Purpose, call: CallId, carried: Value) -> Result<String, Failure> {
        let mut random = [0; NONCE + 16];
        self.entropy.fill(&mut random).map_err(|NoEntropy| defect("there are no random bytes"))?;
        let (nonce, id) = random.split_at(NONCE);
        let sealed = Sealed {
            id: id.try_into().map_err(|_| defect("an id has 16 bytes"))?,
            call: call.to_string(),
            until: self.clock.now().after(LIFE).as_millis(),
            boot_until: millis(self.clock.boot().after(LIFE)),
            boot: self.clock.boot_id().to_owned(),
            carried,
        };
        let plain = serde_json::to_vec(&sealed).map_err(|_| defect("a state could not be written"))?;
        let nonce = XNonce::try_from(nonce).map_err(|_| defect("a nonce has 24 bytes"))?;
        let payload = Payload { msg: &plain, aad: purpose.0.as_bytes() };
        let cipher =
            self.cipher().encrypt(&nonce, payload).map_err(|_| defect("a state could not be sealed"))?;
        let text = BASE64_URL_SAFE_NO_PAD.encode([&nonce[..], &cipher].concat());
        if text.len() > LONGEST {
            return Err(defect("a tool carries more than a client can be asked to keep"));
        }
        Ok(text)
    }

    /// Opens what a client sent back. It must be for this purpose, and in time.
    pub(crate) fn open(&self, purpose: &Purpose, text: &str) -> Result<Opened, Failure> {
        let foreign = || refused("it was not given out for this call by you with these arguments");
        if text.len() > LONGEST {
            return Err(foreign());
        }
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| foreign())?;
        let (nonce, cipher) = bytes.split_at_checked(NONCE).ok_or_else(foreign)?;
        let nonce = XNonce::try_from(nonce).map_err(|_| foreign())?;
        let payload = Payload { msg: cipher, aad: purpose.0.as_bytes() };
        let plain = self.cipher().decrypt(&nonce, payload).map_err(|_| foreign())?;
        let sealed: Sealed = serde_json::from_slice(&plain).map_err(|_| foreign())?;
        let until = Timestamp::from_millis(sealed.until);
        let late = self.clock.now() >= until
            || millis(self.clock.boot()) >= sealed.boot_until
            || self.clock.boot_id() != sealed.boot;
        if late {
            return Err(refused("its time is over"));
        }
        Ok(Opened { carried: sealed.carried, call: CallId::parse(&sealed.call), id: sealed.id, until })
    }

    /// Takes the one use. Who comes second has a state that was used.
    pub(crate) async fn claim(&self, opened: &Opened) -> Result<(), Failure> {
        // Kept a little longer than the state lives, so that a clock set back by a moment revives nothing.
        let (store, id, until) = (Arc::clone(&self.store), opened.id, opened.until.after(LIFE));
        let spent = tokio::task::spawn_blocking(move || store.spend(&id, until)).await;
        match spent {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err(refused("it was used before")),
            Ok(Err(error)) => Err(defect("the state store failed").with_internal(error.to_string())),
            Err(error) => Err(defect("the state store failed").with_internal(error.to_string())),
        }
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&(*self.key).into())
    }
}

impl std::fmt::Debug for StateSeal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StateSeal").finish_non_exhaustive()
    }
}

/// Rounded down: a state may end a millisecond early, never late.
fn millis(moment: BootInstant) -> u64 {
    u64::try_from(moment.since_boot().as_millis()).unwrap_or(u64::MAX)
}

fn refused(why: &str) -> Failure {
    Failure::new(ErrorCode::InputState, format!("`requestState` is refused: {why}"))
        .with_hint("make the call again without `requestState` and `inputResponses`")
}

fn defect(what: &str) -> Failure {
    Failure::new(ErrorCode::Internal, what)
}

#[cfg(test)]
mod tests;
