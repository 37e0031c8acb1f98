//! A call that is never lost: it runs where it is awaited, and on its own when nobody awaits it any more.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

type Call<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A tracked call. Dropped before its end it moves to a task of its own, so that a client that goes away cancels what it
/// asked for and never its record; most calls are awaited to their end, and cost no task and no waking.
pub(crate) struct Unlosable<T: Send + 'static> {
    call: Option<Call<Option<T>>>,
    calls: TaskTracker,
    _counted: TaskTrackerToken,
}

impl<T: Send + 'static> Unlosable<T> {
    /// Counts the call in `calls` until it has ended.
    pub(crate) fn new(call: impl Future<Output = T> + Send + 'static, calls: &TaskTracker) -> Self {
        // A defect in one call ends that call, not the connection it came on.
        let call = AssertUnwindSafe(call).catch_unwind().map(|ended| ended.ok());
        Self { call: Some(Box::pin(call)), calls: calls.clone(), _counted: calls.token() }
    }
}

impl<T: Send + 'static> Future for Unlosable<T> {
    /// `None` when the call ended in a defect.
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(call) = self.call.as_mut() else { return Poll::Ready(None) };
        let ended = std::task::ready!(call.as_mut().poll(context));
        self.call = None;
        Poll::Ready(ended)
    }
}

impl<T: Send + 'static> Drop for Unlosable<T> {
    fn drop(&mut self) {
        // Without a runtime nothing goes on, and the journal closes what is open.
        if let (Some(call), Ok(_)) = (self.call.take(), Handle::try_current()) {
            self.calls.spawn(call);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::sync::Notify;
    use tokio_util::task::TaskTracker;

    use super::Unlosable;

    #[tokio::test]
    async fn what_is_awaited_gives_its_value_and_is_counted_until_then() {
        let calls = TaskTracker::new();
        let call = Unlosable::new(async { 7 }, &calls);
        assert_eq!(calls.len(), 1);
        assert_eq!(call.await, Some(7));
        assert!(calls.is_empty());
    }

    #[tokio::test]
    async fn what_nobody_awaits_any_more_goes_on_to_its_end() {
        let (calls, go, done) = (TaskTracker::new(), Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (may_go, is_done) = (Arc::clone(&go), Arc::clone(&done));
        let call = Unlosable::new(
            async move {
                may_go.notified().await;
                is_done.notify_one();
            },
            &calls,
        );
        assert!(tokio::time::timeout(Duration::from_millis(1), call).await.is_err());
        assert_eq!(calls.len(), 1, "still counted");
        go.notify_one();
        done.notified().await;
        calls.close();
        calls.wait().await;
    }

    #[tokio::test]
    async fn a_defect_is_no_value_and_no_unwinding() {
        let calls = TaskTracker::new();
        assert_eq!(Unlosable::new(async { panic!("a defect") }, &calls).await, None::<()>);
        assert!(calls.is_empty());
    }
}
