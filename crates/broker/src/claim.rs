//! A claimed handle: consumed once its call starts, given back if it never does.

use std::sync::Arc;

use model::{CallId, ErrorCode, Failure};
use store::{Claim, HandleRecord, StateStore};

use crate::held::Held;

/// The claim of one call on one handle. Dropping it gives the handle back, also when the call's task is cancelled.
pub(crate) struct ClaimedHandle {
    store: Arc<dyn StateStore>,
    held: Arc<Held>,
    record: Box<HandleRecord>,
    call: CallId,
    settled: bool,
}

impl ClaimedHandle {
    /// Takes what the store answered, or says why there is no claim.
    pub(crate) fn from_answer(
        answer: Claim,
        store: Arc<dyn StateStore>,
        held: Arc<Held>,
        call: CallId,
    ) -> Result<Self, Failure> {
        match answer {
            Claim::Claimed(record) => Ok(Self { store, held, record, call, settled: false }),
            Claim::AlreadyConsumed => Err(already_consumed()),
            Claim::Expired => Err(expired()),
            Claim::Unknown => Err(unknown()),
            Claim::NotForThisTarget => Err(not_for_this_target()),
        }
    }

    pub(crate) fn record(&self) -> &HandleRecord {
        &self.record
    }

    /// The handle stays consumed.
    pub(crate) fn keep(mut self) {
        self.settled = true;
        if self.record.single_use {
            self.held.wipe(&self.record.id);
        }
    }

    /// Gives the handle back and waits until that is done.
    pub(crate) async fn give_back(mut self) {
        self.settled = true;
        let (store, id, call) = (Arc::clone(&self.store), self.record.id.clone(), self.call);
        // If this fails the handle stays consumed: the agent takes another one.
        let _ = tokio::task::spawn_blocking(move || store.unclaim_handle(&id, call)).await;
    }
}

impl Drop for ClaimedHandle {
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        let (store, id, call) = (Arc::clone(&self.store), self.record.id.clone(), self.call);
        let give_back = move || drop(store.unclaim_handle(&id, call));
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(give_back)),
            Err(_) => give_back(),
        }
    }
}

pub(crate) fn unknown() -> Failure {
    handle_failure(ErrorCode::HandleUnknown, "Handle unknown")
}

pub(crate) fn expired() -> Failure {
    handle_failure(ErrorCode::HandleExpired, "Handle expired")
}

pub(crate) fn not_for_this_target() -> Failure {
    Failure::new(ErrorCode::HandleNotForThisTarget, "Handle not for this target")
        .with_hint("the handle can still be used where it was issued for; `get_credential` takes a `target`")
}

fn already_consumed() -> Failure {
    handle_failure(ErrorCode::HandleAlreadyConsumed, "Handle already consumed")
}

fn handle_failure(code: ErrorCode, message: &str) -> Failure {
    Failure::new(code, message).with_hint("take a new handle with `get_credential`")
}

#[cfg(test)]
mod tests {
    use model::ErrorCode;

    #[test]
    fn the_four_failures_have_their_codes_and_texts() {
        let all =
            [super::unknown(), super::expired(), super::already_consumed(), super::not_for_this_target()];
        let texts: Vec<_> = all.iter().map(|failure| (failure.code(), failure.message())).collect();
        assert_eq!(
            texts,
            [
                (ErrorCode::HandleUnknown, "Handle unknown"),
                (ErrorCode::HandleExpired, "Handle expired"),
                (ErrorCode::HandleAlreadyConsumed, "Handle already consumed"),
                (ErrorCode::HandleNotForThisTarget, "Handle not for this target"),
            ]
        );
        assert!(all.iter().all(|failure| failure.hint().is_some() && !failure.retry()));
    }
}
