//! Lines of journal files, read one at a time and with a bound.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::Path;

/// No entry is as long as this; what is longer is no entry.
const LONGEST: u64 = 16 * 1024 * 1024;

/// A line as it lies in a file.
pub(crate) struct RawLine {
    /// Its bytes without the newline.
    pub(crate) bytes: Vec<u8>,
    /// Whether there was a newline.
    pub(crate) complete: bool,
}

/// The lines of one file.
pub(crate) struct Lines(BufReader<File>);

impl Lines {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(BufReader::with_capacity(64 * 1024, File::open(path)?)))
    }

    pub(crate) fn next(&mut self) -> io::Result<Option<RawLine>> {
        let mut bytes = Vec::new();
        if (&mut self.0).take(LONGEST).read_until(b'\n', &mut bytes)? == 0 {
            return Ok(None);
        }
        let complete = bytes.last() == Some(&b'\n');
        if complete {
            bytes.pop();
        }
        Ok(Some(RawLine { bytes, complete }))
    }
}
