//! Secret values beside the calls they belong to.
//!
//! A verb is a tool, and a tool's arguments are hashed, recorded and shown in denials. So a secret never is one: it
//! waits here, and the argument [`SLIP`] says under which random name. Whatever the pipeline decides, the value is
//! gone when the call is over.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use model::{Entropy, ErrorCode, Failure, Secret};

use super::Enclosure;

/// The argument that tells a verb where its secret waits.
pub const SLIP: &str = "slip";

/// Secrets of the calls that are being made right now.
pub struct Tray {
    entropy: Arc<dyn Entropy>,
    waiting: Mutex<HashMap<String, Enclosure>>,
}

impl Tray {
    /// An empty tray.
    pub fn new(entropy: Arc<dyn Entropy>) -> Self {
        Self { entropy, waiting: Mutex::default() }
    }

    /// Lays a secret down for one call; it is wiped when the returned place is dropped.
    pub(super) fn lay(&self, secret: Enclosure) -> Result<Place<'_>, Failure> {
        let mut random = [0; 16];
        self.entropy
            .fill(&mut random)
            .map_err(|error| Failure::new(ErrorCode::Internal, error.to_string()))?;
        let slip = hex::encode(random);
        self.waiting().insert(slip.clone(), secret);
        Ok(Place { tray: self, slip })
    }

    /// Takes the secret of this slip away, once.
    pub fn take(&self, slip: &str) -> Option<Secret<String>> {
        self.waiting().remove(slip).map(Enclosure::into_secret)
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, HashMap<String, Enclosure>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a secret waits.
pub(super) struct Place<'a> {
    tray: &'a Tray,
    slip: String,
}

impl Place<'_> {
    pub(super) fn slip(&self) -> &str {
        &self.slip
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        drop(self.tray.take(&self.slip));
    }
}
