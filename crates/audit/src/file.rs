//! The files below the journal, behind a seam where tests let disks fail.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// A folder of numbered journal files.
pub(crate) trait Disk: Send {
    /// Makes a new file; it must not exist.
    fn create(&mut self, number: u64) -> io::Result<Box<dyn LogFile>>;
    /// Opens an existing file for appending.
    fn reopen(&mut self, number: u64) -> io::Result<Box<dyn LogFile>>;
    /// Removes a file that holds nothing of its own, or that nobody keeps.
    fn discard(&mut self, number: u64) -> io::Result<()>;
}

/// One file that is appended to.
pub(crate) trait LogFile: Send {
    /// Like `write(2)`: may take less than all.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;
    /// Like `fdatasync(2)`.
    fn sync(&mut self) -> io::Result<()>;
    /// Cuts the file to its first `length` bytes.
    fn truncate(&mut self, length: u64) -> io::Result<()>;
}

/// The name of a journal file.
pub(crate) fn name(number: u64) -> String {
    format!("{number:06}.jsonl")
}

/// The numbers of the journal files in a folder, in order.
pub(crate) fn numbers(folder: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder)? {
        let file = entry?.file_name();
        let number =
            file.to_str().and_then(|text| text.strip_suffix(".jsonl")).and_then(|text| text.parse().ok());
        numbers.extend(number.filter(|number| file.to_str() == Some(name(*number).as_str())));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// The real folder, locked against a second writer for as long as this lives.
pub(crate) struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Makes the folder (mode 0700) if it is missing, and locks it.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path.join("lock"))?;
        lock.try_lock().map_err(|cause| match cause {
            fs::TryLockError::WouldBlock => io::Error::other("another process writes this journal"),
            fs::TryLockError::Error(cause) => cause,
        })?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    fn sync_names(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}

impl Disk for Folder {
    fn create(&mut self, number: u64) -> io::Result<Box<dyn LogFile>> {
        let path = self.path.join(name(number));
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(path)?;
        self.sync_names()?;
        Ok(Box::new(Plain(file)))
    }

    fn reopen(&mut self, number: u64) -> io::Result<Box<dyn LogFile>> {
        let file = OpenOptions::new().append(true).open(self.path.join(name(number)))?;
        Ok(Box::new(Plain(file)))
    }

    fn discard(&mut self, number: u64) -> io::Result<()> {
        fs::remove_file(self.path.join(name(number)))?;
        self.sync_names()
    }
}

struct Plain(File);

impl LogFile for Plain {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }
}
