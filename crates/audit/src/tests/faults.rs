//! A disk that fails as it is told to, over a real folder.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::file::{Disk, Folder, LogFile};
use crate::test_util::{TestClock, TestEntropy, test_config};
use crate::{Durability, Journal, JournalConfig};

/// What goes wrong, until it is taken back.
#[derive(Debug, Default, Clone)]
pub(crate) struct Plan {
    /// Bytes that still fit; then the disk is full.
    pub(crate) room: Option<usize>,
    /// At most this many bytes a write.
    pub(crate) short: Option<usize>,
    /// `fsync` fails: with this many failures to come.
    pub(crate) sync_failures: usize,
    /// Writes fail with an I/O error.
    pub(crate) write_fails: bool,
    /// Cutting back fails.
    pub(crate) truncate_fails: bool,
    /// New files cannot be made.
    pub(crate) create_fails: bool,
    /// How long a sync takes at least.
    pub(crate) sync_takes: std::time::Duration,
    /// Syncs seen.
    pub(crate) syncs: usize,
}

#[derive(Clone, Default)]
pub(crate) struct Faults(Arc<Mutex<Plan>>);

impl Faults {
    pub(crate) fn set(&self, change: impl FnOnce(&mut Plan)) {
        change(&mut self.0.lock().unwrap());
    }

    pub(crate) fn syncs(&self) -> usize {
        self.0.lock().unwrap().syncs
    }

    /// A journal on this disk, with `durability = "auto"`.
    pub(crate) fn open(&self, dir: &Path) -> Journal {
        self.open_with(JournalConfig { durability: Durability::Auto, ..test_config(dir) })
    }

    pub(crate) fn open_with(&self, config: JournalConfig) -> Journal {
        let disk = FaultyDisk { folder: Folder::open(&config.dir).unwrap(), plan: self.clone() };
        let (clock, entropy) = (Arc::new(TestClock::default()), Arc::new(TestEntropy::default()));
        Journal::open_on(Box::new(disk), config, clock, entropy).unwrap()
    }
}

struct FaultyDisk {
    folder: Folder,
    plan: Faults,
}

impl Disk for FaultyDisk {
    fn create(&mut self, number: u64) -> io::Result<Box<dyn LogFile>> {
        if self.plan.0.lock().unwrap().create_fails {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let file = self.folder.create(number)?;
        Ok(Box::new(FaultyFile { file, plan: self.plan.clone() }))
    }

    fn reopen(&mut self, number: u64) -> io::Result<Box<dyn LogFile>> {
        let file = self.folder.reopen(number)?;
        Ok(Box::new(FaultyFile { file, plan: self.plan.clone() }))
    }

    fn discard(&mut self, number: u64) -> io::Result<()> {
        self.folder.discard(number)
    }
}

struct FaultyFile {
    file: Box<dyn LogFile>,
    plan: Faults,
}

impl LogFile for FaultyFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut plan = self.plan.0.lock().unwrap();
        if plan.write_fails {
            return Err(io::Error::other("input/output error"));
        }
        let most = plan.short.unwrap_or(usize::MAX).min(plan.room.unwrap_or(usize::MAX)).min(bytes.len());
        if most == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let taken = self.file.write(&bytes[..most])?;
        plan.room = plan.room.map(|room| room - taken);
        Ok(taken)
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut plan = self.plan.0.lock().unwrap();
        std::thread::sleep(plan.sync_takes);
        plan.syncs += 1;
        if plan.sync_failures > 0 {
            plan.sync_failures -= 1;
            return Err(io::Error::other("fsync: input/output error"));
        }
        self.file.sync()
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        if self.plan.0.lock().unwrap().truncate_fails {
            return Err(io::Error::other("truncate: input/output error"));
        }
        self.file.truncate(length)
    }
}
