//! The calls that are under way on one session or stream, so that a later message can cancel them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;
use wire::{RequestId, RpcError};

/// Calls by the JSON of their ids. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct InFlight {
    calls: Arc<Mutex<HashMap<Box<str>, CancellationToken>>>,
    most: usize,
}

/// One call's entry; it goes when the call ends.
#[derive(Debug)]
pub(crate) struct Entry {
    calls: InFlight,
    id: Box<str>,
}

impl InFlight {
    /// Room for this many.
    pub(crate) fn new(most: usize) -> Self {
        Self { calls: Arc::default(), most }
    }

    /// Enters a call; an id that is under way already belongs to that other call.
    pub(crate) fn enter(&self, id: RequestId<'_>, cancel: &CancellationToken) -> Result<Entry, RpcError> {
        let mut calls = self.lock();
        if calls.len() >= self.most {
            return Err(RpcError::Busy);
        }
        if calls.contains_key(id.as_json()) {
            return Err(RpcError::InvalidRequest("a request with this id is under way"));
        }
        let id: Box<str> = id.as_json().into();
        calls.insert(id.clone(), cancel.clone());
        Ok(Entry { calls: self.clone(), id })
    }

    /// Cancels a call, if it is still under way.
    pub(crate) fn cancel(&self, id: RequestId<'_>) {
        if let Some(cancel) = self.lock().get(id.as_json()) {
            cancel.cancel();
        }
    }

    /// Cancels all of them.
    pub(crate) fn cancel_all(&self) {
        self.lock().values().for_each(CancellationToken::cancel);
    }

    /// Whether nothing is under way.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Box<str>, CancellationToken>> {
        // No code panics while it holds the lock, and the map is whole between any two statements.
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.calls.lock().remove(&self.id);
    }
}
