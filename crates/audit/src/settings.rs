//! What a journal is opened with.

use std::path::PathBuf;
use std::time::Duration;

use crate::{RecordCommands, SigningKey, SinkConfig};

/// When an entry counts as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// On disk above tier read; in the kernel for reads, on disk within 100 ms.
    #[default]
    Auto,
    /// On disk, always.
    Disk,
    /// In the kernel, always; on disk within 100 ms.
    Process,
}

/// `[audit]`, checked.
pub struct JournalConfig {
    /// The folder with the journal's files (`journal` in the state folder); made if it is missing.
    pub dir: PathBuf,
    /// When an entry counts as written.
    pub durability: Durability,
    /// Signs the heads.
    pub signing_key: SigningKey,
    /// What becomes of commands.
    pub record_commands: RecordCommands,
    /// Where signed heads go, and how often.
    pub heads: HeadsConfig,
    /// Bytes from which on a file is followed by the next.
    pub max_file_bytes: u64,
    /// How many files stay beside the one that is written; `None`: all. For a journal that nobody keeps.
    pub keep_files: Option<u64>,
    /// Copies for people and log shippers.
    pub sinks: Vec<SinkConfig>,
    /// How many requests may wait for the writer at once; more wait for a place.
    pub queue: usize,
    /// How long a request waits for its entry before it is refused.
    pub patience: Duration,
}

/// `[audit] heads`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeadsConfig {
    /// How often a head is signed while entries come.
    pub every: Duration,
    /// The file they are appended to, best on another machine.
    pub path: PathBuf,
}

impl JournalConfig {
    /// With the defaults of the configuration file: `auto`, a head each minute, files of 64 MiB, no sinks.
    pub fn new(
        dir: PathBuf,
        signing_key: SigningKey,
        record_commands: RecordCommands,
        heads: PathBuf,
    ) -> Self {
        Self {
            dir,
            durability: Durability::default(),
            signing_key,
            record_commands,
            heads: HeadsConfig { every: Duration::from_secs(60), path: heads },
            max_file_bytes: 64 * 1024 * 1024,
            keep_files: None,
            sinks: Vec::new(),
            queue: 1024,
            patience: Duration::from_secs(10),
        }
    }
}
