//! A journal for tests, with a clock and randomness of its own.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use model::{BootInstant, Clock, Entropy, NoEntropy, Timestamp};
use serde_json::Map;
use zeroize::Zeroizing;

use crate::body::{Body, Ids};
use crate::file::Folder;
use crate::log::{Log, Prepared};
use crate::recover::{self, Opening};
use crate::{
    Durability, Event, Journal, JournalConfig, JournalError, OpenError, PublicKey, RecordCommands, SealKey,
    SigningKey,
};

/// A clock that advances one millisecond each time it is looked at, and otherwise when told.
#[derive(Debug, Default)]
pub struct TestClock {
    elapsed: AtomicU64,
    wall_offset: AtomicI64,
}

impl TestClock {
    /// Moves the wall clock alone, as somebody who sets it does.
    pub fn set_wall(&self, by_millis: i64) {
        self.wall_offset.fetch_add(by_millis, Ordering::SeqCst);
    }

    fn tick(&self) -> u64 {
        self.elapsed.fetch_add(1, Ordering::SeqCst)
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        let elapsed = i64::try_from(self.tick()).unwrap_or(i64::MAX);
        Timestamp::from_millis(1_790_000_000_000 + elapsed + self.wall_offset.load(Ordering::SeqCst))
    }

    fn boot(&self) -> BootInstant {
        BootInstant::new(Duration::from_millis(self.tick()))
    }

    fn boot_id(&self) -> &str {
        "test"
    }
}

/// Bytes that count up, for each new one from another start.
#[derive(Debug)]
pub struct TestEntropy(AtomicU64);

impl TestEntropy {
    /// The same bytes in every run.
    pub fn starting_at(start: u64) -> Self {
        Self(AtomicU64::new(start))
    }
}

impl Default for TestEntropy {
    fn default() -> Self {
        static STARTS: AtomicU64 = AtomicU64::new(0);
        Self::starting_at(STARTS.fetch_add(7, Ordering::SeqCst))
    }
}

impl Entropy for TestEntropy {
    fn fill(&self, out: &mut [u8]) -> Result<(), NoEntropy> {
        for byte in out {
            *byte = u8::try_from(self.0.fetch_add(1, Ordering::SeqCst) % 251).unwrap_or(0);
        }
        Ok(())
    }
}

/// The public half of the key that [`Journal::for_test`] signs with.
pub fn test_public_key() -> PublicKey {
    SigningKey::from_seed(&[7; 32]).public()
}

/// The key that [`Journal::for_test`] seals with.
pub fn test_seal_key() -> SealKey {
    SealKey(Zeroizing::new([9; 32]))
}

/// What [`Journal::for_test`] is opened with: files in `dir`/journal, heads in `dir`/heads.jsonl.
pub fn test_config(dir: &Path) -> JournalConfig {
    let commands = RecordCommands::Sealed(test_seal_key());
    let key = SigningKey::from_seed(&[7; 32]);
    let config = JournalConfig::new(dir.join("journal"), key, commands, dir.join("heads.jsonl"));
    JournalConfig { durability: Durability::Process, ..config }
}

impl Journal {
    /// A real journal below `dir` with fixed keys and `durability = "process"`.
    pub fn for_test(dir: &Path) -> Result<Self, OpenError> {
        Self::open(test_config(dir), Arc::new(TestClock::default()), Arc::new(TestEntropy::default()))
    }
}

/// The entries of a journal without its queue and its threads: made, chained and given to the kernel by whoever asks, so
/// that the same entries cost the same each time.
pub struct BareJournal {
    log: Log,
    ids: Ids,
}

impl BareJournal {
    /// A new journal in `dir`, in files as [`Journal`] writes them.
    pub fn open(dir: &Path, now: Timestamp) -> Result<Self, OpenError> {
        let ids = Ids::new(&TestEntropy::starting_at(0))?;
        let folder = Folder::open(dir).map_err(|cause| JournalError(cause.to_string()))?;
        let config = test_config(dir);
        let opening = Opening { fields: Map::new(), vouched: None, now };
        let log = recover::open(dir, Box::new(folder), config.max_file_bytes, ids.clone(), opening)?;
        Ok(Self { log, ids })
    }

    /// Writes an entry of its own. It is on disk when the kernel likes.
    pub fn event(&mut self, now: Timestamp, event: Event) -> Result<(), JournalError> {
        let members = Body::of_event(self.ids.next(), event).members()?;
        let entry = Prepared { members, change: None };
        self.log.append(now, &[&entry]).map(drop).map_err(|cause| JournalError(cause.to_string()))
    }
}
