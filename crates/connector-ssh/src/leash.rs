//! A socket on a leash: it can be ended from outside at any moment, and it counts what the other side sends.
//!
//! russh's own tasks end when their socket does. In the middle of a key exchange they listen to nothing else,
//! so the socket is where a connection is ended for certain.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// How much the other side may still send. Bounds floods of banners and requests where no output is expected.
#[derive(Debug, Clone)]
pub(crate) struct Allowance(Arc<AtomicU64>);

impl Allowance {
    pub(crate) fn new(bytes: u64) -> Self {
        Self(Arc::new(AtomicU64::new(bytes)))
    }

    /// From now on this many bytes.
    pub(crate) fn set(&self, bytes: u64) {
        self.0.store(bytes, Ordering::Relaxed);
    }

    /// No bound: a command runs, and its output is counted where it is kept.
    pub(crate) fn lift(&self) {
        self.set(u64::MAX);
    }

    /// Whether these bytes may still come.
    fn take(&self, bytes: u64) -> bool {
        let left = self.0.load(Ordering::Relaxed);
        if left != u64::MAX {
            self.set(left.saturating_sub(bytes));
        }
        bytes <= left
    }
}

/// A stream that ends when its leash is cut.
pub(crate) struct Leashed<S> {
    stream: S,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    allowance: Allowance,
}

impl<S> Leashed<S> {
    pub(crate) fn new(stream: S, leash: CancellationToken, allowance: Allowance) -> Self {
        Self { stream, cut: Box::pin(leash.cancelled_owned()), allowance }
    }

    fn is_cut(&mut self, cx: &mut Context<'_>) -> bool {
        self.cut.as_mut().poll(cx).is_ready()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Leashed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_cut(cx) {
            return Poll::Ready(Err(cut()));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let read = buf.filled().len().saturating_sub(before);
        let within = self.allowance.take(u64::try_from(read).unwrap_or(u64::MAX));
        Poll::Ready(if within { Ok(()) } else { Err(io::Error::other("more was sent than was asked for")) })
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Leashed<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_cut(cx) {
            return Poll::Ready(Err(cut()));
        }
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_cut(cx) {
            return Poll::Ready(Err(cut()));
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

fn cut() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "the connection was ended here")
}
