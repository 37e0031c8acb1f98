//! Opens a file below a folder without ever leaving the folder.
//!
//! Each component is opened from the folder before it, never following a link unseen; a link is read and its
//! target walked in the same way. Whatever is swapped in between, the walk cannot come out above its root.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, fstat, openat, readlinkat};
use rustix::io::Errno;

/// How many links may be on the way; as many as the kernel allows.
const LINKS_MAX: usize = 40;

/// Why a file below a folder could not be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BeneathError {
    #[error("there is no such file")]
    Missing,
    #[error("a link leads out of the folder")]
    Outside,
    #[error("too many links")]
    Links,
    #[error("it is not a regular file")]
    NotAFile,
    #[error("{0}")]
    System(#[from] Errno),
}

pub(crate) fn open_beneath(root: &Path, components: &[&OsStr]) -> Result<File, BeneathError> {
    let folder = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open(root, folder, Mode::empty()).map_err(missing)?;
    let mut folders: Vec<OwnedFd> = vec![root];
    let mut ahead: VecDeque<OsString> = components.iter().map(|part| (*part).to_owned()).collect();
    let mut links = 0;
    while let Some(part) = ahead.pop_front() {
        if part.is_empty() || part == "." {
            continue;
        }
        if part == ".." {
            folders.pop();
            if folders.is_empty() {
                return Err(BeneathError::Outside);
            }
            continue;
        }
        let Some(here) = folders.last() else { return Err(BeneathError::Outside) };
        // NONBLOCK, because opening a pipe would wait for its writer.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        match openat(here, part.as_os_str(), flags, Mode::empty()) {
            Ok(opened) => match FileType::from_raw_mode(fstat(&opened)?.st_mode) {
                FileType::Directory => folders.push(opened),
                FileType::RegularFile if ahead.iter().all(|rest| rest.is_empty()) => return Ok(opened.into()),
                FileType::RegularFile => return Err(BeneathError::Missing),
                FileType::Symlink
                | FileType::Fifo
                | FileType::Socket
                | FileType::CharacterDevice
                | FileType::BlockDevice
                | FileType::Unknown => return Err(BeneathError::NotAFile),
            },
            // A link; FreeBSD says MLINK.
            Err(Errno::LOOP | Errno::MLINK) => {
                links += 1;
                if links > LINKS_MAX {
                    return Err(BeneathError::Links);
                }
                let target = readlinkat(here, part.as_os_str(), Vec::new()).map_err(missing)?.into_bytes();
                if target.starts_with(b"/") {
                    return Err(BeneathError::Outside);
                }
                for step in target.split(|byte| *byte == b'/').rev() {
                    ahead.push_front(OsString::from_vec(step.to_vec()));
                }
            }
            Err(Errno::NXIO) => return Err(BeneathError::NotAFile),
            Err(error) => return Err(missing(error)),
        }
    }
    Err(BeneathError::NotAFile)
}

fn missing(error: Errno) -> BeneathError {
    match error {
        Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG => BeneathError::Missing,
        other => BeneathError::System(other),
    }
}
