//! The subscriptions that are open: so many of one principal, each ended when its principal is no longer to stay.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gateway::{Authenticated, Proof};
use model::PrincipalId;
use tokio_util::sync::CancellationToken;

/// All subscriptions of one front. Clones share them.
#[derive(Clone)]
pub(super) struct Subscriptions {
    open: Arc<Mutex<Open>>,
    per_principal: usize,
}

#[derive(Default)]
struct Open {
    next: u64,
    places: HashMap<u64, (PrincipalId, Proof, CancellationToken)>,
}

/// One subscription's place; it is free again when this is dropped.
pub(super) struct Place {
    subscriptions: Subscriptions,
    number: u64,
    ended: CancellationToken,
}

impl Subscriptions {
    /// Room for this many of each principal.
    pub(super) fn new(per_principal: usize) -> Self {
        Self { open: Arc::default(), per_principal }
    }

    /// A place for one more, if there is one.
    pub(super) fn open(&self, who: &Authenticated<()>) -> Option<Place> {
        let mut open = self.lock();
        let id = &who.principal().id;
        if open.places.values().filter(|(owner, ..)| owner == id).count() >= self.per_principal {
            return None;
        }
        let (number, ended) = (open.next, CancellationToken::new());
        open.next += 1;
        open.places.insert(number, (id.clone(), who.proof().clone(), ended.clone()));
        Some(Place { subscriptions: self.clone(), number, ended })
    }

    /// Ends those of principals that are not to stay, or not with the proof they were begun with.
    pub(super) fn retain(&self, stays: impl Fn(&PrincipalId, &Proof) -> bool) {
        let open = self.lock();
        let ending = open.places.values().filter(|(owner, proof, _)| !stays(owner, proof));
        ending.for_each(|(.., ended)| ended.cancel());
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        // No code panics while it holds the lock, and the table is whole between any two statements.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Cancelled when the subscription is to end.
    pub(super) fn ended(&self) -> CancellationToken {
        self.ended.clone()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.subscriptions.lock().places.remove(&self.number);
    }
}
