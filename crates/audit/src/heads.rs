//! Signed heads: what anchors a journal outside itself. Written by a thread of their own, because the file is
//! best on another machine and that machine may hang.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::Timestamp;
use serde::Deserialize;

use crate::chain::{ChainHead, raw};
use crate::{PublicKey, SigningKey};

/// How long the end waits for the file with the heads, which may be on a machine that hangs.
const FAREWELL: Duration = Duration::from_secs(5);
/// How long a start waits for that file.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// No head has as many bytes.
const LONGEST_HEAD: u64 = 4096;
const SIG: &str = ",\"sig\":\"";
/// Signed before the line, so that the key's signatures cannot be taken for anything else.
const DOMAIN: &str = "portcullis audit head v1\n";

/// The line of a head, with its newline.
pub(crate) fn line(key: &SigningKey, head: ChainHead, ts: Timestamp) -> String {
    let open = format!(
        "{{\"seq\":{},\"hash\":\"{}\",\"ts\":\"{ts}\",\"key\":\"{}\"",
        head.seq,
        hex::encode(head.hash),
        key.public().id(),
    );
    let signature = key.sign(format!("{DOMAIN}{open}}}").as_bytes());
    format!("{open}{SIG}{}\"}}\n", STANDARD.encode(signature))
}

/// A head as read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SignedHead {
    pub(crate) head: ChainHead,
    pub(crate) signed: Signed,
}

/// What is known of a head's signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signed {
    /// By this key.
    Valid,
    /// Not by this key.
    Invalid,
    /// There was no key to check it with.
    Unchecked,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HeadLine {
    seq: u64,
    hash: String,
    #[serde(rename = "ts")]
    _ts: String,
    #[serde(rename = "key")]
    _key: String,
    sig: String,
}

/// Reads a line; `None` if it has not the form of a head.
pub(crate) fn read(line: &[u8], key: Option<&PublicKey>) -> Option<SignedHead> {
    let parsed: HeadLine = serde_json::from_slice(line).ok()?;
    let hash = raw(&parsed.hash)?;
    let tail = format!("{SIG}{}\"}}", parsed.sig);
    let open = line.strip_suffix(tail.as_bytes())?;
    let signature: Option<[u8; 64]> = STANDARD.decode(&parsed.sig).ok()?.try_into().ok();
    let message = [DOMAIN.as_bytes(), open, b"}"].concat();
    let signed = match key {
        None => Signed::Unchecked,
        Some(key) if signature.is_some_and(|signature| key.accepts(&message, &signature)) => Signed::Valid,
        Some(_) => Signed::Invalid,
    };
    Some(SignedHead { head: ChainHead { seq: parsed.seq, hash }, signed })
}

/// The last head in a file that this key has signed; `None` if there is none, or no file. Only the end is looked at.
pub(crate) fn last(path: &Path, key: &PublicKey) -> io::Result<Option<ChainHead>> {
    let mut file = match open(OpenOptions::new().read(true), path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let from = file.metadata()?.len().saturating_sub(4 * LONGEST_HEAD);
    file.seek(SeekFrom::Start(from))?;
    let mut end = Vec::new();
    file.take(4 * LONGEST_HEAD).read_to_end(&mut end)?;
    let heads = end.rsplit(|byte| *byte == b'\n').filter_map(|line| read(line, Some(key)));
    Ok(heads.filter(|head| head.signed == Signed::Valid).map(|head| head.head).next())
}

/// The thread that signs heads and appends them.
pub(crate) struct HeadWriter {
    queue: SyncSender<(ChainHead, Timestamp)>,
    /// Closes when the thread has ended.
    ended: Receiver<()>,
}

impl HeadWriter {
    pub(crate) fn start(key: SigningKey, path: PathBuf) -> io::Result<Self> {
        // The folder must be there and writable now; later failures are reported and tried again.
        let at = path.clone();
        within(PATIENCE, move || append(&at, b""))?;
        let (queue, heads) = sync_channel(4);
        let (ending, ended) = channel();
        std::thread::Builder::new().name("audit-heads".to_owned()).spawn(move || {
            run(&key, &path, &heads);
            drop::<Sender<()>>(ending);
        })?;
        Ok(Self { queue, ended })
    }

    /// Asks for a head; `false` if the thread is still busy, so that the next one has to do.
    pub(crate) fn sign(&self, head: ChainHead, ts: Timestamp) -> bool {
        self.queue.try_send((head, ts)).is_ok()
    }

    /// Signs a last head and waits, not for ever, until it is written.
    pub(crate) fn finish(self, last: Option<(ChainHead, Timestamp)>) {
        if let Some(last) = last {
            let _ = self.queue.try_send(last);
        }
        drop(self.queue);
        let _ = self.ended.recv_timeout(FAREWELL);
    }
}

fn run(key: &SigningKey, path: &Path, heads: &Receiver<(ChainHead, Timestamp)>) {
    for (head, ts) in heads {
        if let Err(cause) = append(path, line(key, head, ts).as_bytes()) {
            tracing::error!(file = %path.display(), %cause, "a signed head could not be written");
        }
    }
}

fn append(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = open(OpenOptions::new().read(true).append(true).create(true).mode(0o644), path)?;
    // What a crash or a full disk left of a head would make the next one unreadable, and that looks like tampering.
    let whole = whole_lines(&mut file)?;
    if whole < file.metadata()?.len() {
        file.set_len(whole)?;
    }
    if bytes.is_empty() {
        return Ok(());
    }
    let written = file.write_all(bytes).and_then(|()| file.sync_data());
    if written.is_err() {
        file.set_len(whole)?;
    }
    written
}

/// Opens a regular file; anything else is refused without waiting for whoever is at its other end.
fn open(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let no_waiting = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or(0);
    let file = options.custom_flags(no_waiting).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is not a regular file")) }
}

/// Does what may hang with its machine in a thread of its own, and waits only so long for it.
pub(crate) fn within<T: Send + 'static>(
    patience: Duration,
    doing: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let (tell, told) = channel();
    std::thread::Builder::new().name("audit-heads-open".to_owned()).spawn(move || tell.send(doing()))?;
    told.recv_timeout(patience).unwrap_or_else(|_| {
        Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("it did not answer within {} s", patience.as_secs()),
        ))
    })
}

/// Bytes up to the end of the last whole line. A head is short, so only the end is looked at.
fn whole_lines(file: &mut File) -> io::Result<u64> {
    let length = file.metadata()?.len();
    let from = length.saturating_sub(LONGEST_HEAD);
    file.seek(SeekFrom::Start(from))?;
    let mut end = Vec::new();
    file.take(LONGEST_HEAD).read_to_end(&mut end)?;
    let after = end.iter().rposition(|byte| *byte == b'\n').map(|at| at.saturating_add(1));
    Ok(match after {
        Some(after) => from.saturating_add(u64::try_from(after).unwrap_or(u64::MAX)),
        None if from == 0 => 0,
        // No head is that long: the file is something else, and nothing of it is cut off.
        None => length,
    })
}
