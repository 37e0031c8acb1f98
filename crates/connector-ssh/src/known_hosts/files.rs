//! Known hosts files on disk: read again when they change, and appended to.

use std::fs::OpenOptions;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::{KnownHosts, KnownHostsError, problem};

/// Some known hosts files, read again whenever one of them has changed.
///
/// So a key that is revoked in a file is refused from the next use on, without a reload.
#[derive(Debug, Default)]
pub struct HostKeyFiles {
    files: Vec<PathBuf>,
    last: Mutex<Option<(Vec<Stamp>, Arc<KnownHosts>)>>,
}

/// What changes when a file does; `None` for a file that is not there or cannot be looked at.
type Stamp = Option<(u64, u64, i64, i64, u64)>;

impl HostKeyFiles {
    /// Names the files; none is read yet.
    pub fn new(files: Vec<PathBuf>) -> Self {
        Self { files, last: Mutex::new(None) }
    }

    /// What the files say now. Reads them (blocking) if one of them changed since the last time.
    pub fn current(&self) -> Result<Arc<KnownHosts>, KnownHostsError> {
        let stamps: Vec<Stamp> = self.files.iter().map(|file| stamp(file)).collect();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((then, known)) = &*last
            && *then == stamps
        {
            return Ok(Arc::clone(known));
        }
        let known = Arc::new(KnownHosts::load(&self.files)?);
        *last = Some((stamps, Arc::clone(&known)));
        Ok(known)
    }
}

fn stamp(file: &Path) -> Stamp {
    let about = std::fs::metadata(file).ok()?;
    Some((about.dev(), about.ino(), about.mtime(), about.mtime_nsec(), about.len()))
}

pub(super) fn append(file: &Path, line: &str) -> Result<(), KnownHostsError> {
    let write = || -> std::io::Result<()> {
        let mut open = OpenOptions::new().read(true).append(true).create(true).open(file)?;
        let newline = if ends_in_newline(&mut open)? { "" } else { "\n" };
        // One write, so that two that append at once cannot mix their lines.
        open.write_all(format!("{newline}{line}\n").as_bytes())?;
        open.sync_all()
    };
    write().map_err(|error| problem(file, None, &format!("cannot be written: {error}")))
}

fn ends_in_newline(file: &mut std::fs::File) -> std::io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}
