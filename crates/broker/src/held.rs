//! Secrets of sources that can be read once: in this process's memory, until their handle ends.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::HandleId;

use crate::Credential;

/// How many may be held at once; an agent must not fill the memory with secrets.
const MOST: usize = 1024;

#[derive(Default)]
pub(crate) struct Held(Mutex<HashMap<HandleId, Credential>>);

/// There is no room for another one.
pub(crate) struct Full;

impl Held {
    /// Holds a secret until the handle ends or its life is over, whichever comes first.
    pub(crate) fn hold(
        self: &Arc<Self>,
        id: HandleId,
        credential: Credential,
        life: Duration,
    ) -> Result<(), Full> {
        {
            let mut held = self.lock();
            if held.len() >= MOST {
                return Err(Full);
            }
            held.insert(id.clone(), credential);
        }
        let held = Arc::downgrade(self);
        tokio::spawn(async move {
            tokio::time::sleep(life).await;
            if let Some(held) = held.upgrade() {
                held.wipe(&id);
            }
        });
        Ok(())
    }

    /// A copy for one call.
    pub(crate) fn copy(&self, id: &HandleId) -> Option<Credential> {
        self.lock().get(id).map(Credential::duplicate)
    }

    /// Forgets and wipes.
    pub(crate) fn wipe(&self, id: &HandleId) {
        self.lock().remove(id);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<HandleId, Credential>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
