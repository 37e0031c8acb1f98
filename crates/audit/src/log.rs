//! The chain on its files: append, sync, rotate, and what to do when a disk fails.
//!
//! INVARIANT: what has been acknowledged stays in the chain. A batch that could not be written is cut off
//! again; if that fails too, or if a sync fails, the file is not trusted any more, and the chain goes on in a
//! new one that begins by repeating every line that may not have reached the disk.

use std::io;

use model::Timestamp;
use serde_json::{Map, Value, json};

use crate::body::Ids;
use crate::chain::ChainHead;
use crate::file::{Disk, LogFile, name};
use crate::open_calls::{Change, MOVED, OpenCalls, ROTATED};
use crate::text::LINE;

/// An entry ready to be chained: its members, and what it does to the set of open calls.
#[derive(Debug, Clone)]
pub(crate) struct Prepared {
    pub(crate) members: String,
    pub(crate) change: Option<Change>,
}

pub(crate) struct Log {
    disk: Box<dyn Disk>,
    file: Box<dyn LogFile>,
    number: u64,
    next_number: u64,
    /// Bytes of this file that belong to the chain.
    length: u64,
    trusted: bool,
    chain: ChainHead,
    /// Lines of the chain that may not be on disk yet.
    unsynced: Vec<u8>,
    open: OpenCalls,
    max_file_bytes: u64,
    keep_files: Option<u64>,
    ids: Ids,
}

/// Where a log goes on.
pub(crate) struct Place {
    pub(crate) file: Box<dyn LogFile>,
    pub(crate) number: u64,
    pub(crate) length: u64,
    pub(crate) chain: ChainHead,
    pub(crate) open: OpenCalls,
}

impl Log {
    pub(crate) fn new(disk: Box<dyn Disk>, place: Place, max_file_bytes: u64, ids: Ids) -> Self {
        let Place { file, number, length, chain, open } = place;
        let next_number = number.saturating_add(1);
        let unsynced = Vec::new();
        Self {
            disk,
            file,
            number,
            next_number,
            length,
            trusted: true,
            chain,
            unsynced,
            open,
            max_file_bytes,
            keep_files: None,
            ids,
        }
    }

    /// Removes files from now on that are followed by more than so many.
    pub(crate) fn keep_files(&mut self, most: Option<u64>) {
        self.keep_files = most;
    }

    /// The last entry.
    pub(crate) fn head(&self) -> ChainHead {
        self.chain
    }

    /// Whether all of the chain is known to be on disk.
    pub(crate) fn is_synced(&self) -> bool {
        self.trusted && self.unsynced.is_empty()
    }

    /// Whether the next append is a write to the file as it is, and nothing else.
    pub(crate) fn is_plain(&self) -> bool {
        self.trusted && self.length < self.max_file_bytes
    }

    pub(crate) fn open_calls(&self) -> &OpenCalls {
        &self.open
    }

    /// Chains and writes a batch, all or nothing, and returns its lines. On an error none of it counts.
    pub(crate) fn append(&mut self, ts: Timestamp, batch: &[&Prepared]) -> io::Result<Vec<u8>> {
        if !self.trusted {
            self.move_on(ts, "the file before could not be trusted any more")?;
        }
        if self.length >= self.max_file_bytes {
            self.rotate(ts)?;
        }
        let mut chain = self.chain;
        let mut lines = Vec::with_capacity(batch.len().saturating_mul(LINE));
        for entry in batch {
            chain.extend(ts, &entry.members, &mut lines);
        }
        if let Err(cause) = write_all(self.file.as_mut(), &lines) {
            if self.file.truncate(self.length).is_err() {
                // Some of it may stay where it is, so it has to stay in the chain: nobody acts on it, because
                // nobody gets an acknowledgement.
                self.trusted = false;
                self.accept(chain, &lines, batch);
            }
            return Err(cause);
        }
        self.length = self.length.saturating_add(length(&lines));
        self.accept(chain, &lines, batch);
        Ok(lines)
    }

    /// Brings all of the chain to disk; into a new file if this one cannot do it.
    pub(crate) fn sync(&mut self, ts: Timestamp) -> io::Result<()> {
        if self.is_synced() {
            return Ok(());
        }
        if self.trusted {
            match self.file.sync() {
                Ok(()) => {
                    self.unsynced.clear();
                    return Ok(());
                }
                // After a failed sync the kernel may have dropped the data and call the file clean: a second
                // sync that succeeds means nothing.
                Err(cause) => {
                    self.trusted = false;
                    tracing::error!(file = name(self.number), %cause, "the journal file failed to sync");
                }
            }
        }
        self.move_on(ts, "the file before failed to sync")
    }

    fn accept(&mut self, chain: ChainHead, lines: &[u8], batch: &[&Prepared]) {
        self.chain = chain;
        self.unsynced.extend_from_slice(lines);
        for change in batch.iter().filter_map(|entry| entry.change.as_ref()) {
            self.open.apply(change);
        }
    }

    /// A full file is followed by the next; if that cannot be had, the full one grows on.
    fn rotate(&mut self, ts: Timestamp) -> io::Result<()> {
        let before = self.number;
        self.sync(ts)?;
        if self.number != before {
            return Ok(());
        }
        if let Err(cause) = self.start_file(ts, ROTATED, json!({})) {
            tracing::warn!(%cause, "the journal could not begin a new file");
        }
        Ok(())
    }

    fn move_on(&mut self, ts: Timestamp, why: &str) -> io::Result<()> {
        let repeated = self.unsynced.iter().filter(|byte| **byte == b'\n').count();
        self.start_file(ts, MOVED, json!({ "why": why, "repeated": repeated }))
    }

    /// Begins the next file with the lines that may be lost and an entry that carries the open calls over.
    fn start_file(&mut self, ts: Timestamp, event: &'static str, fields: Value) -> io::Result<()> {
        let number = self.next_number;
        let mut members = Map::new();
        members.insert("from".to_owned(), Value::String(name(self.number)));
        members.extend(fields.as_object().cloned().unwrap_or_default());
        members.insert("open".to_owned(), self.open.to_json());
        let members = self.ids.own_event(event, members).map_err(io::Error::other)?;
        let mut chain = self.chain;
        let mut lines = self.unsynced.clone();
        chain.extend(ts, &members, &mut lines);
        let mut file = self.disk.create(number)?;
        if let Err(cause) = write_all(file.as_mut(), &lines).and_then(|()| file.sync()) {
            drop(file);
            if self.disk.discard(number).is_err() {
                self.next_number = number.saturating_add(1);
            }
            return Err(cause);
        }
        self.file = file;
        self.number = number;
        self.next_number = number.saturating_add(1);
        self.length = length(&lines);
        self.chain = chain;
        self.unsynced.clear();
        self.trusted = true;
        self.remove_oldest();
        Ok(())
    }

    /// Files are made one at a time, so one at a time is enough.
    fn remove_oldest(&mut self) {
        let oldest = self.keep_files.and_then(|keep| self.number.checked_sub(keep)?.checked_sub(1));
        let Some(oldest) = oldest.filter(|number| *number > 0) else { return };
        if let Err(cause) = self.disk.discard(oldest) {
            tracing::warn!(file = name(oldest), %cause, "an old journal file could not be removed");
        }
    }
}

fn write_all(file: &mut dyn LogFile, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(taken) => bytes = bytes.get(taken..).unwrap_or_default(),
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            Err(cause) => return Err(cause),
        }
    }
    Ok(())
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
