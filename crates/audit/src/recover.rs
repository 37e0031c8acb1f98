//! Opening: finds where the chain ends, cuts off what a crash left half-written, and closes orphans.

use std::fs;
use std::path::{Path, PathBuf};

use model::Timestamp;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::body::{Body, Ids};
use crate::chain::{ChainHead, Flaw, Link};
use crate::file::{Disk, name, numbers};
use crate::log::{Log, Place, Prepared};
use crate::open_calls::{Change, OpenCalls, carries};
use crate::reader::Lines;
use crate::{JournalError, OpenError};

/// What the first entry of this opening says, and what is known from outside.
pub(crate) struct Opening {
    pub(crate) fields: Map<String, Value>,
    /// The last signed head, if there is one.
    pub(crate) vouched: Option<ChainHead>,
    pub(crate) now: Timestamp,
}

/// Opens the log in `folder`, repaired, with its opening entry and those of its orphans on disk.
pub(crate) fn open(
    folder: &Path,
    mut disk: Box<dyn Disk>,
    max_file_bytes: u64,
    ids: Ids,
    opening: Opening,
) -> Result<Log, OpenError> {
    let Opening { fields: mut opening, vouched, now } = opening;
    let found = find_end(folder, disk.as_mut())?;
    let cut = tail_cut(found.place.chain, vouched);
    if let Some(torn) = &found.torn {
        tracing::warn!(
            file = torn.file,
            bytes = torn.bytes,
            "the journal ended in the middle of a line: cut off"
        );
        opening.insert(
            "repaired".to_owned(),
            json!({ "file": torn.file, "bytes": torn.bytes, "sha256": torn.sha256 }),
        );
    }
    let orphans: Vec<_> = found.place.open.calls().cloned().collect();
    let mut log = Log::new(disk, found.place, max_file_bytes, ids.clone());
    let mut batch = vec![Prepared { members: ids.own_event("journal_opened", opening)?, change: None }];
    if let Some(fields) = cut {
        tracing::error!(folder = %folder.display(), %fields, "the journal is not what its last signed head vouches for: {ADVICE}");
        let fields = fields.as_object().cloned().unwrap_or_default();
        batch.push(Prepared { members: ids.own_event("journal_tail_cut", fields)?, change: None });
    }
    for orphan in orphans {
        let change = Some(Change::Closes(orphan.id.clone()));
        let body = Body {
            id: orphan.id,
            parent: orphan.parent,
            phase: "closed",
            event: "orphan_closed",
            actor: orphan.principal.clone(),
            principal: orphan.principal,
            tool: orphan.tool,
            target: orphan.target,
            decision: Some("failed".into()),
            reason: Some(
                "the gateway ended before the call did; whether the target acted is not known".into(),
            ),
            ..Body::default()
        };
        batch.push(Prepared { members: body.members()?, change });
    }
    let batch: Vec<&Prepared> = batch.iter().collect();
    let written = log.append(now, &batch).map(drop).and_then(|()| log.sync(now));
    written.map_err(|cause| JournalError(format!("`{}`: {cause}", folder.display())))?;
    Ok(log)
}

/// What is wrong, if the chain does not reach its last signed head or ends in another entry than that. Only what is on
/// disk is signed, so no crash does this. The opening goes on: who can cut a tail off must not be able to keep the gateway
/// from starting as well.
fn tail_cut(chain: ChainHead, vouched: Option<ChainHead>) -> Option<Value> {
    let vouched = vouched?;
    let differs = vouched.seq > chain.seq || (vouched.seq == chain.seq && vouched.hash != chain.hash);
    differs.then(|| json!({ "head": vouched.seq, "head_hash": hex::encode(vouched.hash), "last": chain.seq }))
}

struct End {
    place: Place,
    torn: Option<Torn>,
}

struct Torn {
    file: String,
    bytes: u64,
    sha256: String,
}

fn find_end(folder: &Path, disk: &mut dyn Disk) -> Result<End, OpenError> {
    let failed = |cause: std::io::Error| JournalError(format!("`{}`: {cause}", folder.display()));
    let mut files = numbers(folder).map_err(failed)?;
    while let Some(number) = files.pop() {
        let survey = Survey::of(&folder.join(name(number)), number)?;
        let before = files.last().copied();
        let place = match (survey.head, before) {
            (None, Some(_)) => None,
            (None, None) => return Err(fork(&folder.join(name(number)))),
            (Some(head), _) => after(folder, number, before, &survey, head)?,
        };
        let Some((chain, open)) = place else {
            // A new file that a crash kept from being begun: all it holds is repeated from the one before.
            disk.discard(number).map_err(failed)?;
            continue;
        };
        let mut file = disk.reopen(number).map_err(failed)?;
        if survey.torn.is_some() {
            file.truncate(survey.valid).and_then(|()| file.sync()).map_err(failed)?;
        }
        return Ok(End {
            place: Place { file, number, length: survey.valid, chain, open },
            torn: survey.torn,
        });
    }
    let file = disk.create(1).map_err(failed)?;
    let place = Place { file, number: 1, length: 0, chain: ChainHead::GENESIS, open: OpenCalls::default() };
    Ok(End { place, torn: None })
}

/// Where the chain stands after this file; `None` if the file before holds all of it and more.
fn after(
    folder: &Path,
    number: u64,
    before: Option<u64>,
    survey: &Survey,
    head: ChainHead,
) -> Result<Option<(ChainHead, OpenCalls)>, OpenError> {
    let Some(before) = before.filter(|_| !survey.carried) else {
        return Ok(Some((head, survey.open.clone())));
    };
    let path = folder.join(name(before));
    let older = Survey::of(&path, before)?;
    if older.head.is_some_and(|older| older.seq >= head.seq) {
        return if older.hashes.contains(&head.hash) {
            Ok(None)
        } else {
            Err(fork(&folder.join(name(number))))
        };
    }
    let mut open = older.open;
    for (event, phase, id, line) in &survey.changes {
        open.follow(event, phase, id, line);
    }
    Ok(Some((head, open)))
}

fn fork(path: &Path) -> OpenError {
    OpenError::Damaged(format!("`{}` does not continue the file before it", path.display()))
}

/// What to do about a journal that was changed.
pub(crate) const ADVICE: &str =
    "run `portcullis audit verify`, then move the journal folder aside to begin a new one";

/// What one file holds.
struct Survey {
    head: Option<ChainHead>,
    /// Bytes up to the end of the last good line.
    valid: u64,
    torn: Option<Torn>,
    open: OpenCalls,
    /// Whether an entry of this file carries the open calls over from the files before.
    carried: bool,
    hashes: Vec<[u8; 32]>,
    /// Entries before the one that carries over, for when there is none.
    changes: Vec<(String, String, String, Vec<u8>)>,
}

impl Survey {
    fn of(path: &Path, number: u64) -> Result<Self, OpenError> {
        let failed = |cause: std::io::Error| JournalError(format!("`{}`: {cause}", path.display()));
        let mut survey = Self {
            head: (number == 1).then_some(ChainHead::GENESIS),
            valid: 0,
            torn: None,
            open: OpenCalls::default(),
            carried: number == 1,
            hashes: Vec::new(),
            changes: Vec::new(),
        };
        let mut lines = Lines::open(path).map_err(failed)?;
        let mut torn = false;
        while let Some(line) = lines.next().map_err(failed)? {
            match Link::read(&line.bytes) {
                Ok(_) if torn => return Err(broken(path, survey.hashes.len())),
                Ok(link) if line.complete => survey.follow(path, &link, &line.bytes)?,
                Err(Flaw::Hash) if line.complete => return Err(broken(path, survey.hashes.len())),
                Ok(_) | Err(Flaw::Form | Flaw::Hash) => torn = true,
            }
        }
        if torn {
            survey.torn = Some(survey.cut_off(path.to_owned()).map_err(failed)?);
        }
        Ok(survey)
    }

    fn follow(&mut self, path: &Path, link: &Link, line: &[u8]) -> Result<(), OpenError> {
        if self.head.is_some_and(|head| link.prev != head.hash || link.seq != head.seq + 1) {
            return Err(broken(path, self.hashes.len()));
        }
        self.head = Some(link.head());
        self.valid += u64::try_from(line.len()).unwrap_or(u64::MAX) + 1;
        self.hashes.push(link.hash);
        self.open.follow(&link.event, &link.phase, &link.id, line);
        if carries(&link.event) {
            self.carried = true;
            self.changes.clear();
        } else if !self.carried {
            self.changes.push((link.event.clone(), link.phase.clone(), link.id.clone(), line.to_vec()));
        }
        Ok(())
    }

    fn cut_off(&self, path: PathBuf) -> std::io::Result<Torn> {
        let bytes = fs::read(&path)?;
        let rest = bytes.get(usize::try_from(self.valid).unwrap_or(usize::MAX)..).unwrap_or_default();
        Ok(Torn {
            file: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            bytes: u64::try_from(rest.len()).unwrap_or(u64::MAX),
            sha256: hex::encode(Sha256::digest(rest)),
        })
    }
}

fn broken(path: &Path, good_lines: usize) -> OpenError {
    let line = good_lines.saturating_add(1);
    OpenError::Damaged(format!("`{}` line {line} does not continue the chain", path.display()))
}
