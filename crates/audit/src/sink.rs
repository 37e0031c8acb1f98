//! Sinks: copies of the entries for people and log shippers. They never hold the journal up: each has a thread
//! and a queue of its own, and what it cannot take is dropped, counted, and said in the sink and in the log.

mod protector;

use std::borrow::Cow;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, channel, sync_channel};
use std::time::Duration;

/// Where a sink writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SinkTarget {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// A file, appended to; opened again when asked (log rotation).
    File(PathBuf),
}

/// A copy of the entries, somewhere else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkConfig {
    /// Where to.
    pub to: SinkTarget,
    /// As what.
    pub format: SinkFormat,
}

/// How a sink writes entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SinkFormat {
    /// The journal's own lines, as they are.
    Native,
    /// Lines as `mcp-protector` wrote them, version 2, of one upstream.
    Protector(ProtectorLines),
}

/// What lines of `mcp-protector` say, and entries of ours do not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProtectorLines {
    /// The upstream, as they call it.
    pub upstream: String,
    /// How clients authenticate: `none`, `bearer` or `ip_allowlist`.
    pub method: &'static str,
}

/// Batches that may wait for a slow reader.
const QUEUE: usize = 1024;
/// How long the end waits for a sink: a pipe that nobody reads must not keep the gateway from ending.
const FAREWELL: Duration = Duration::from_secs(5);

enum Message {
    Lines(Vec<u8>),
    Reopen,
}

pub(crate) struct Sink {
    queue: SyncSender<Message>,
    /// Closes when the thread has ended.
    ended: Receiver<()>,
    dropped: u64,
}

impl Sink {
    pub(crate) fn start(config: SinkConfig) -> io::Result<Self> {
        let first = open(&config.to)?;
        let (queue, messages) = sync_channel(QUEUE);
        let (ending, ended) = channel();
        let SinkConfig { to, format } = config;
        std::thread::Builder::new().name("audit-sink".to_owned()).spawn(move || {
            run(&to, &format, first, &messages);
            drop::<std::sync::mpsc::Sender<()>>(ending);
        })?;
        Ok(Self { queue, ended, dropped: 0 })
    }

    pub(crate) fn send(&mut self, lines: &[u8]) {
        let mut batch = Vec::new();
        if self.dropped > 0 {
            batch.extend_from_slice(
                format!("{{\"event\":\"sink_lines_dropped\",\"lines\":{}}}\n", self.dropped).as_bytes(),
            );
        }
        batch.extend_from_slice(lines);
        match self.queue.try_send(Message::Lines(batch)) {
            Ok(()) => self.dropped = 0,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                if self.dropped == 0 {
                    tracing::warn!("audit log channel full; entries are being dropped");
                }
                let lines = lines.iter().filter(|byte| **byte == b'\n').count();
                self.dropped = self.dropped.saturating_add(u64::try_from(lines).unwrap_or(u64::MAX));
            }
        }
    }

    pub(crate) fn reopen(&self) {
        let _ = self.queue.try_send(Message::Reopen);
    }

    /// Waits, not for ever, until everything is written.
    pub(crate) fn finish(self) {
        drop(self.queue);
        let _ = self.ended.recv_timeout(FAREWELL);
    }
}

impl SinkFormat {
    /// Lines of the journal in this format.
    fn of<'l>(&self, lines: &'l [u8]) -> Cow<'l, [u8]> {
        match self {
            Self::Native => Cow::Borrowed(lines),
            Self::Protector(about) => Cow::Owned(protector::lines(about, lines)),
        }
    }
}

fn run(target: &SinkTarget, format: &SinkFormat, first: Box<dyn Write + Send>, messages: &Receiver<Message>) {
    let mut out = first;
    for message in messages {
        let done = match message {
            Message::Lines(lines) => out.write_all(&format.of(&lines)).and_then(|()| out.flush()),
            Message::Reopen => open(target).map(|again| out = again),
        };
        if let Err(cause) = done {
            tracing::error!(sink = ?target, %cause, "an audit sink failed");
        }
    }
}

fn open(target: &SinkTarget) -> io::Result<Box<dyn Write + Send>> {
    Ok(match target {
        SinkTarget::Stdout => Box::new(io::stdout()),
        SinkTarget::Stderr => Box::new(io::stderr()),
        SinkTarget::File(path) => {
            Box::new(OpenOptions::new().append(true).create(true).mode(0o600).open(path)?)
        }
    })
}
