//! One link's writing side, which knows what of it a lost gateway cannot have taken.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;

/// How much of a link has been written.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// Whole lines.
    lines: AtomicU64,
    /// Whether a part of the next one is out.
    part: AtomicBool,
}

/// The lines that the gateway behind a lost link may have acted on: the first so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Taken(u64);

impl Taken {
    /// Whether the line with this number may be among them.
    pub(super) fn may_hold(self, at: u64) -> bool {
        at < self.0
    }
}

impl Written {
    /// What can have been taken, now that nothing more is written.
    ///
    /// `unread`: the link ended with a reset, which a local socket does if there was something in it that its
    /// owner had not read. A line counts only with its end, so the last one that was written is then not taken, unless a
    /// part of another one came after it.
    pub(super) fn taken(&self, unread: bool) -> Taken {
        let lines = self.lines.load(Ordering::SeqCst);
        let certain = unread && !self.part.load(Ordering::SeqCst);
        Taken(if certain { lines.saturating_sub(1) } else { lines })
    }
}

/// Writes lines until there are no more.
pub(super) async fn write_all(
    mut writer: Box<dyn AsyncWrite + Send + Unpin>,
    mut lines: mpsc::Receiver<Vec<u8>>,
    written: Arc<Written>,
) -> io::Result<()> {
    while let Some(mut line) = lines.recv().await {
        line.push(b'\n');
        let mut rest = line.as_slice();
        while !rest.is_empty() {
            let length = writer.write(rest).await?;
            if length == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            written.part.store(true, Ordering::SeqCst);
            rest = rest.get(length..).unwrap_or_default();
        }
        written.lines.fetch_add(1, Ordering::SeqCst);
        written.part.store(false, Ordering::SeqCst);
        writer.flush().await?;
    }
    writer.shutdown().await
}
