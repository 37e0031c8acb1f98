//! Reading entries back. Nothing is verified here: that is what `verify` is for.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

use model::Timestamp;
use serde_json::{Map, Value};

use crate::file::{name, numbers};
use crate::reader::Lines;

/// One entry as it lies in the journal.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its number.
    pub seq: u64,
    /// When it was written, as in the file.
    pub ts: String,
    /// The call's id.
    pub id: String,
    /// `intent`, `complete` or `closed`.
    pub phase: String,
    /// The event's name.
    pub event: String,
    /// Every member, these included, in the file's order.
    pub members: Map<String, Value>,
    /// The line.
    pub line: String,
}

/// Why entries could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A file or folder could not be read.
    #[error("`{}`: {cause}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// A line is no entry.
    #[error("`{}` line {line} is not an entry: run `portcullis audit verify`", path.display())]
    NotAnEntry {
        /// In which file.
        path: PathBuf,
        /// On which line, from 1.
        line: u64,
    },
}

/// What to look for; every part that is set must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// `principal` is this.
    pub principal: Option<String>,
    /// `tool` is this.
    pub tool: Option<String>,
    /// `target` is this.
    pub target: Option<String>,
    /// `event` is this.
    pub event: Option<String>,
    /// `decision` is this.
    pub decision: Option<String>,
    /// `id` or `parent` is this.
    pub call: Option<String>,
    /// Written at this moment or later, by the clock of the gateway.
    pub since: Option<Timestamp>,
}

impl Entry {
    /// Reads a line.
    pub fn parse(line: &str) -> Option<Self> {
        let members: Map<String, Value> = serde_json::from_str(line).ok()?;
        let text = |key: &str| members.get(key).and_then(Value::as_str).map(ToOwned::to_owned);
        Some(Self {
            seq: members.get("seq")?.as_u64()?,
            ts: text("ts")?,
            id: text("id")?,
            phase: text("phase")?,
            event: text("event")?,
            line: line.to_owned(),
            members,
        })
    }

    /// A member that is a text.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.members.get(key).and_then(Value::as_str)
    }
}

impl Filter {
    /// Whether the entry is looked for.
    pub fn admits(&self, entry: &Entry) -> bool {
        let same = |wanted: &Option<String>, key: &str| {
            wanted.as_deref().is_none_or(|wanted| entry.text(key) == Some(wanted))
        };
        same(&self.principal, "principal")
            && same(&self.tool, "tool")
            && same(&self.target, "target")
            && same(&self.event, "event")
            && same(&self.decision, "decision")
            && (same(&self.call, "id") || same(&self.call, "parent"))
            && self.since.is_none_or(|since| Timestamp::parse(&entry.ts).is_some_and(|ts| ts >= since))
    }
}

/// The entries that the filter admits, oldest first, one read at a time.
pub fn query(
    dir: &Path,
    filter: Filter,
) -> Result<impl Iterator<Item = Result<Entry, ReadError>>, ReadError> {
    let entries = Entries::open(dir)?;
    Ok(entries.filter(move |entry| entry.as_ref().map_or(true, |entry| filter.admits(entry))))
}

/// The last `count` entries, oldest first.
pub fn tail(dir: &Path, count: usize) -> Result<Vec<Entry>, ReadError> {
    let mut numbers = list(dir)?;
    let mut last: VecDeque<Entry> = VecDeque::new();
    while let Some(number) = numbers.pop() {
        let missing = count.saturating_sub(last.len());
        if missing == 0 {
            break;
        }
        let mut of_file = VecDeque::new();
        for entry in Entries::of(dir, vec![number]) {
            of_file.push_back(entry?);
            if of_file.len() > missing {
                of_file.pop_front();
            }
        }
        // A file after a failed one begins by repeating.
        let begin = last.front().map_or(u64::MAX, |entry| entry.seq);
        of_file.into_iter().rev().filter(|entry| entry.seq < begin).for_each(|entry| last.push_front(entry));
    }
    Ok(last.into())
}

/// Every entry of a folder, repeats left out.
struct Entries {
    dir: PathBuf,
    numbers: VecDeque<u64>,
    current: Option<(PathBuf, Lines, u64)>,
    last_seq: u64,
}

impl Entries {
    fn open(dir: &Path) -> Result<Self, ReadError> {
        Ok(Self::of(dir, list(dir)?))
    }

    fn of(dir: &Path, numbers: Vec<u64>) -> Self {
        Self { dir: dir.to_owned(), numbers: numbers.into(), current: None, last_seq: 0 }
    }

    fn advance(&mut self) -> Result<Option<Entry>, ReadError> {
        loop {
            let Some((path, lines, line)) = &mut self.current else {
                let Some(number) = self.numbers.pop_front() else { return Ok(None) };
                let path = self.dir.join(name(number));
                let lines =
                    Lines::open(&path).map_err(|cause| ReadError::File { path: path.clone(), cause })?;
                self.current = Some((path, lines, 0));
                continue;
            };
            let next = lines.next().map_err(|cause| ReadError::File { path: path.clone(), cause })?;
            // An unfinished line is being written, or is what a crash left.
            let Some(raw) = next.filter(|raw| raw.complete) else {
                self.current = None;
                continue;
            };
            *line += 1;
            let entry = std::str::from_utf8(&raw.bytes).ok().and_then(Entry::parse);
            let Some(entry) = entry else {
                return Err(ReadError::NotAnEntry { path: path.clone(), line: *line });
            };
            if entry.seq > self.last_seq {
                self.last_seq = entry.seq;
                return Ok(Some(entry));
            }
        }
    }
}

impl Iterator for Entries {
    type Item = Result<Entry, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.advance().transpose()
    }
}

fn list(dir: &Path) -> Result<Vec<u64>, ReadError> {
    numbers(dir).map_err(|cause| ReadError::File { path: dir.to_owned(), cause })
}
