//! Calls that wait at their upstream while their clients are asked: bounded, each for its own principal, none for ever.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::PrincipalId;
use tokio::task::AbortHandle;

use crate::call::Call;

/// How long a call waits: as long as the state is good that its client comes back with.
const LIFE: Duration = Duration::from_secs(15 * 60);
/// Calls of one principal that wait; of more the oldest is given up. All of them have a place among the upstream's calls.
const EACH: usize = 4;

/// The calls of one upstream that wait.
#[derive(Default)]
pub(crate) struct Parking(Mutex<BTreeMap<u64, Waiting>>);

struct Waiting {
    call: Call,
    who: PrincipalId,
    _expiry: Expiry,
}

/// Ends with what it would have ended.
struct Expiry(AbortHandle);

impl Drop for Expiry {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Parking {
    /// Keeps a call until its client comes back, under a ticket that is given out once in the life of the process.
    pub(crate) fn park(self: &Arc<Self>, call: Call, who: PrincipalId) -> u64 {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let ticket = NEXT.fetch_add(1, Ordering::Relaxed);
        let parking = Arc::downgrade(self);
        let expiry = tokio::spawn(async move {
            tokio::time::sleep(LIFE).await;
            if let Some(parking) = parking.upgrade() {
                parking.forget(ticket);
            }
        });
        let mut calls = self.lock();
        let own: Vec<u64> =
            calls.iter().filter(|(_, waiting)| waiting.who == who).map(|(ticket, _)| *ticket).collect();
        let displaced = own.first().filter(|_| own.len() >= EACH).and_then(|oldest| calls.remove(oldest));
        calls.insert(ticket, Waiting { call, who, _expiry: Expiry(expiry.abort_handle()) });
        drop(calls);
        drop(displaced);
        ticket
    }

    /// The call of this ticket, if it still waits and is this principal's.
    pub(crate) fn take(&self, ticket: u64, who: &PrincipalId) -> Option<Call> {
        let mut calls = self.lock();
        if calls.get(&ticket)?.who != *who {
            return None;
        }
        calls.remove(&ticket).map(|waiting| waiting.call)
    }

    /// Nobody comes back to it.
    pub(crate) fn forget(&self, ticket: u64) {
        let forgotten = self.lock().remove(&ticket);
        drop(forgotten);
    }

    /// Nobody can come back to any of them.
    pub(crate) fn clear(&self) {
        let forgotten = std::mem::take(&mut *self.lock());
        drop(forgotten);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
