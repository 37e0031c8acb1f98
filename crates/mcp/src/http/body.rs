//! What goes out: whole answers, and event streams.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::{CancellationToken, DropGuard, WaitForCancellationFutureOwned};

use super::accept::UnderWay;

/// The body of a response.
pub(super) enum Body {
    /// All of it at once.
    Whole(Option<Bytes>),
    /// Events as they come.
    Events(Box<Events>),
}

/// An event stream. Dropping it is how a client that went away is noticed.
pub(super) struct Events {
    first: VecDeque<Vec<u8>>,
    messages: mpsc::Receiver<Vec<u8>>,
    ended: Pin<Box<WaitForCancellationFutureOwned>>,
    keep_alive: Duration,
    quiet: Pin<Box<Sleep>>,
    opened: bool,
    done: bool,
    _cancel: Option<DropGuard>,
    _place: Option<Box<dyn Send>>,
    _under_way: UnderWay,
}

impl Body {
    /// All of it at once.
    pub(super) fn whole(bytes: impl Into<Bytes>) -> Self {
        Self::Whole(Some(bytes.into()))
    }
}

impl Events {
    /// Sends what comes through the channel until it closes or `ended` is cancelled.
    pub(super) fn new(
        messages: mpsc::Receiver<Vec<u8>>,
        ended: CancellationToken,
        keep_alive: Duration,
        under_way: UnderWay,
    ) -> Self {
        Self {
            first: VecDeque::new(),
            messages,
            ended: Box::pin(ended.cancelled_owned()),
            keep_alive,
            quiet: Box::pin(tokio::time::sleep(keep_alive)),
            opened: false,
            done: false,
            _cancel: None,
            _place: None,
            _under_way: under_way,
        }
    }

    /// Cancels this when the client goes away. It is cancelled, too, when the stream has ended, where that is too late
    /// to matter.
    pub(super) fn cancelling(mut self, cancel: CancellationToken) -> Self {
        self._cancel = Some(cancel.drop_guard());
        self
    }

    /// Keeps a place for the stream, for as long as it is there.
    pub(super) fn holding(mut self, place: impl Send + 'static) -> Self {
        self._place = Some(Box::new(place));
        self
    }

    /// Sends these before everything else.
    pub(super) fn after(mut self, first: VecDeque<Vec<u8>>) -> Self {
        self.first = first;
        self
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Vec<u8>>> {
        let mut out = Vec::new();
        if !self.opened {
            // Something must be sent at once, or some clients wait for the head of the answer.
            self.opened = true;
            wire::write_comment(&mut out);
            return Poll::Ready(Some(out));
        }
        if let Some(message) = self.first.pop_front() {
            wire::write_event(&mut out, &message);
            return Poll::Ready(Some(out));
        }
        match self.messages.poll_recv(cx) {
            Poll::Ready(Some(message)) => {
                wire::write_event(&mut out, &message);
                self.quiet.as_mut().reset(Instant::now() + self.keep_alive);
                return Poll::Ready(Some(out));
            }
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Pending => {}
        }
        if self.ended.as_mut().poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        if self.quiet.as_mut().poll(cx).is_ready() {
            self.quiet.as_mut().reset(Instant::now() + self.keep_alive);
            // Polled once more, so that the new deadline is waited for.
            let _ = self.quiet.as_mut().poll(cx);
            wire::write_comment(&mut out);
            return Poll::Ready(Some(out));
        }
        Poll::Pending
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Whole(bytes) => {
                Poll::Ready(bytes.take().filter(|b| !b.is_empty()).map(|b| Ok(Frame::data(b))))
            }
            Self::Events(events) if events.done => Poll::Ready(None),
            Self::Events(events) => events.poll_event(cx).map(|event| {
                events.done = event.is_none();
                event.map(|event| Ok(Frame::data(event.into())))
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Self::Events(events) => events.done,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Self::Events(_) => SizeHint::default(),
        }
    }
}
