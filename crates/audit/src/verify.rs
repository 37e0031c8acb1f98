//! Verification, offline and in bounded memory, of a journal that somebody may have changed.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::path::Path;

use crate::chain::{ChainHead, Flaw, Link};
use crate::file::{name, numbers};
use crate::heads::{self, Signed, SignedHead};
use crate::reader::{Lines, RawLine};
use crate::{JournalError, PublicKey};

/// What verification found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VerifyReport {
    /// Files read.
    pub files: u64,
    /// Entries that hold, from the first on.
    pub entries: u64,
    /// The first record that does not hold. `None`: nothing was changed, reordered or removed, as far as it is
    /// anchored.
    pub first_bad: Option<BadRecord>,
    /// Number and time of the last entry that holds: up to here the record is complete.
    pub complete_up_to: Option<(u64, String)>,
    /// Number of the last entry that a head with a valid signature vouches for. Entries after it could have been
    /// cut off without a trace.
    pub anchored: Option<u64>,
    /// Heads that were checked, and whether there was a key to check them with.
    pub heads: u64,
    /// Calls with an intent and no end: running now, or to be closed as orphans at the next start.
    pub orphans: u64,
    /// The last file ends in the middle of a line: a crash (repaired at the next start), or being written now.
    pub torn_tail: bool,
    /// Bytes at the end of files that were given up after a disk failed; what they held is in the next file.
    pub abandoned_bytes: u64,
}

/// A record that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRecord {
    /// The file's name.
    pub file: String,
    /// Its line, from 1; 0 for the file as a whole.
    pub line: u64,
    /// The number that the entry should have, or that the head has.
    pub seq: u64,
    /// What is wrong.
    pub what: Damage,
}

/// What is wrong with a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Damage {
    /// Not an entry at all.
    Form,
    /// Its bytes are not those that were hashed.
    Changed,
    /// Another entry should be here.
    OutOfOrder {
        /// The number that is there.
        found: u64,
    },
    /// It does not follow the entry before.
    Unchained,
    /// A file is missing.
    MissingFile,
    /// There are no files.
    Empty,
    /// A signed head is newer than the journal: its tail was cut off.
    TailCut {
        /// The last entry that is there.
        last: u64,
    },
    /// A signed head names another entry: everything up to here was written anew.
    Rewritten,
    /// A head is not signed by the key.
    HeadSignature,
    /// A line of the heads' file is no head, or heads go backwards.
    HeadForm,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form => f.write_str("not an entry"),
            Self::Changed => f.write_str("changed: its hash is not the hash of its bytes"),
            Self::OutOfOrder { found } => write!(f, "removed or reordered: entry {found} is in this place"),
            Self::Unchained => f.write_str("does not follow the entry before"),
            Self::MissingFile => f.write_str("the file is missing"),
            Self::Empty => f.write_str("there is no journal"),
            Self::TailCut { last } => {
                write!(f, "the tail was cut off: a signed head names it, the journal ends at {last}")
            }
            Self::Rewritten => f.write_str("rewritten: a signed head names another entry with this number"),
            Self::HeadSignature => f.write_str("the head is not signed by this key"),
            Self::HeadForm => f.write_str("not a head, or older than the one before"),
        }
    }
}

impl fmt::Display for BadRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` line {}, entry {}: {}", self.file, self.line, self.seq, self.what)
    }
}

/// Reads every file in `dir` and, if given, the heads in `head_file`, whose signatures are checked with `key`.
/// An error means that something could not be read; what was tampered with is in the report.
pub fn verify(
    dir: &Path,
    key: Option<&PublicKey>,
    head_file: Option<&Path>,
) -> Result<VerifyReport, JournalError> {
    let heads = head_file.map(|path| Heads::open(path, key)).transpose()?;
    let mut walk = Walk { heads, ..Walk::default() };
    let numbers = numbers(dir).map_err(|cause| JournalError(format!("`{}`: {cause}", dir.display())))?;
    if numbers.is_empty() {
        walk.bad(name(1), 0, Damage::Empty);
    }
    for (number, expected) in numbers.iter().zip(1..) {
        if *number != expected && walk.report.first_bad.is_none() {
            walk.bad(name(expected), 0, Damage::MissingFile);
        }
        if walk.report.first_bad.is_some() {
            break;
        }
        walk.file(dir, *number, numbers.last() == Some(number))?;
    }
    walk.finish()
}

/// Entries that a file after a failure may repeat.
const REPEATS: usize = 65_536;

#[derive(Default)]
struct Walk {
    report: VerifyReport,
    head: Option<ChainHead>,
    ts: String,
    recent: VecDeque<ChainHead>,
    open: BTreeSet<String>,
    heads: Option<Heads>,
    /// A place in an earlier file from which on nothing held; forgiven if the next file goes on from there.
    pardon: Option<(BadRecord, u64)>,
}

impl Walk {
    fn file(&mut self, dir: &Path, number: u64, last: bool) -> Result<(), JournalError> {
        let path = dir.join(name(number));
        let failed = |cause: std::io::Error| JournalError(format!("`{}`: {cause}", path.display()));
        self.report.files += 1;
        let mut lines = Lines::open(&path).map_err(failed)?;
        let mut count = 0;
        let mut in_front = true;
        while let Some(line) = lines.next().map_err(failed)? {
            count += 1;
            let step = self.step(&line, in_front);
            match step {
                Ok(Step::Repeated) => {}
                Ok(Step::New) => {
                    in_front = false;
                    self.pardon = None;
                    if !self.check_head()? {
                        return Ok(());
                    }
                }
                Err(what) => {
                    let bad = BadRecord { file: name(number), line: count, seq: self.next_seq(), what };
                    return self.end_of_good(bad, &line, &mut lines, last).map_err(failed);
                }
            }
        }
        Ok(())
    }

    /// One line: it repeats what is known, it goes on, or it is wrong.
    fn step(&mut self, line: &RawLine, in_front: bool) -> Result<Step, Damage> {
        let link = Link::read(&line.bytes).map_err(|flaw| match flaw {
            Flaw::Form => Damage::Form,
            Flaw::Hash => Damage::Changed,
        })?;
        if !line.complete {
            return Err(Damage::Form);
        }
        let head = self.head.unwrap_or(ChainHead::GENESIS);
        if in_front && link.seq <= head.seq && self.recent.contains(&link.head()) {
            return Ok(Step::Repeated);
        }
        if link.seq != head.seq.saturating_add(1) {
            return Err(Damage::OutOfOrder { found: link.seq });
        }
        if link.prev != head.hash {
            return Err(Damage::Unchained);
        }
        self.take(link);
        Ok(Step::New)
    }

    fn take(&mut self, link: Link) {
        let head = link.head();
        self.head = Some(head);
        self.ts = link.ts;
        self.recent.push_back(head);
        if self.recent.len() > REPEATS {
            self.recent.pop_front();
        }
        self.report.entries += 1;
        match link.phase.as_str() {
            "intent" => drop(self.open.insert(link.id)),
            _ => drop(self.open.remove(&link.id)),
        }
    }

    /// From here on this file does not hold. At the very end of a file an unfinished line is what a crash
    /// leaves, and a file that a failing disk made useless is followed by one that repeats what it should hold.
    fn end_of_good(
        &mut self,
        bad: BadRecord,
        line: &RawLine,
        lines: &mut Lines,
        last: bool,
    ) -> std::io::Result<()> {
        let mut rest = u64::try_from(line.bytes.len()).unwrap_or(u64::MAX);
        let mut unfinished = bad.what == Damage::Form;
        while let Some(more) = lines.next()? {
            unfinished &= Link::read(&more.bytes) == Err(Flaw::Form);
            rest = rest.saturating_add(u64::try_from(more.bytes.len()).unwrap_or(u64::MAX)).saturating_add(1);
        }
        if !unfinished || (last && line.complete) {
            self.report.first_bad = Some(bad);
        } else if last {
            self.report.torn_tail = true;
        } else {
            self.pardon = Some((bad, rest));
            self.report.abandoned_bytes = self.report.abandoned_bytes.saturating_add(rest);
        }
        Ok(())
    }

    /// Compares with the heads up to the current entry; `false` when one does not fit.
    fn check_head(&mut self) -> Result<bool, JournalError> {
        let (Some(heads), Some(head)) = (&mut self.heads, self.head) else { return Ok(true) };
        while let Some(signed) = heads.peek()? {
            let signed = match signed {
                Err(what) => Err((head.seq, what)),
                Ok(signed) if signed.head.seq > head.seq => return Ok(true),
                Ok(signed) => match signed.signed {
                    Signed::Invalid => Err((signed.head.seq, Damage::HeadSignature)),
                    Signed::Valid | Signed::Unchecked if signed.head.seq < head.seq => {
                        Err((signed.head.seq, Damage::HeadForm))
                    }
                    Signed::Valid | Signed::Unchecked if signed.head != head => {
                        Err((signed.head.seq, Damage::Rewritten))
                    }
                    Signed::Valid => Ok(Some(head.seq)),
                    Signed::Unchecked => Ok(None),
                },
            };
            match signed {
                Ok(anchored) => {
                    self.report.anchored = anchored.or(self.report.anchored);
                    self.report.heads += 1;
                    heads.advance();
                }
                Err((seq, what)) => {
                    let (file, line) = heads.place();
                    self.report.first_bad = Some(BadRecord { file, line, seq, what });
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn finish(mut self) -> Result<VerifyReport, JournalError> {
        if let (None, Some((bad, _))) = (&self.report.first_bad, self.pardon.take()) {
            self.report.first_bad = Some(bad);
        }
        let last = self.head.map_or(0, |head| head.seq);
        if let (None, Some(heads)) = (&self.report.first_bad, &mut self.heads)
            && let Some(next) = heads.peek()?
        {
            let (seq, what) = match next {
                Err(what) => (0, what),
                Ok(signed) if signed.signed == Signed::Invalid => (signed.head.seq, Damage::HeadSignature),
                Ok(signed) => (signed.head.seq, Damage::TailCut { last }),
            };
            let (file, line) = heads.place();
            self.report.first_bad = Some(BadRecord { file, line, seq, what });
        }
        self.report.complete_up_to = self.head.map(|head| (head.seq, self.ts));
        self.report.orphans = u64::try_from(self.open.len()).unwrap_or(u64::MAX);
        Ok(self.report)
    }

    fn next_seq(&self) -> u64 {
        self.head.map_or(1, |head| head.seq.saturating_add(1))
    }

    fn bad(&mut self, file: String, line: u64, what: Damage) {
        self.report.first_bad = Some(BadRecord { file, line, seq: self.next_seq(), what });
    }
}

enum Step {
    Repeated,
    New,
}

/// The heads' file, one line ahead.
struct Heads {
    file: String,
    path: String,
    lines: Lines,
    line: u64,
    key: Option<PublicKey>,
    next: Option<Result<SignedHead, Damage>>,
    last_seq: u64,
}

impl Heads {
    fn open(path: &Path, key: Option<&PublicKey>) -> Result<Self, JournalError> {
        let lines =
            Lines::open(path).map_err(|cause| JournalError(format!("`{}`: {cause}", path.display())))?;
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self {
            file,
            path: path.display().to_string(),
            lines,
            line: 0,
            key: key.cloned(),
            next: None,
            last_seq: 0,
        })
    }

    fn peek(&mut self) -> Result<Option<Result<SignedHead, Damage>>, JournalError> {
        if self.next.is_none() {
            let failed = |cause| JournalError(format!("`{}`: {cause}", self.path));
            let Some(line) = self.lines.next().map_err(failed)? else { return Ok(None) };
            if !line.complete {
                // Half a head vouches for nothing.
                return Ok(None);
            }
            self.line += 1;
            let head = heads::read(&line.bytes, self.key.as_ref()).ok_or(Damage::HeadForm);
            self.next = Some(head.and_then(|head| {
                if head.head.seq < self.last_seq { Err(Damage::HeadForm) } else { Ok(head) }
            }));
        }
        Ok(self.next.clone())
    }

    fn advance(&mut self) {
        if let Some(Ok(head)) = self.next.take() {
            self.last_seq = head.head.seq;
        }
    }

    fn place(&self) -> (String, u64) {
        (self.file.clone(), self.line)
    }
}
