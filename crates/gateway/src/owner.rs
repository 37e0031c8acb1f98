//! One owner of the state: who holds the lock may read and write the state folder.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::control::user_name;

/// The state folder, locked by this process until the value is dropped. The kernel ends the lock with the process.
#[derive(Debug)]
pub struct Owner {
    state: PathBuf,
    _lock: File,
}

/// Why the state folder is not ours.
#[derive(Debug, thiserror::Error)]
pub enum OwnError {
    /// Another process owns it.
    #[error("the state folder `{}` is owned by another process{}", .state.display(), shown_pid(*.pid))]
    Owned {
        /// The folder.
        state: PathBuf,
        /// That process, if it has written its id already.
        pid: Option<u32>,
    },
    /// Others could write to it, so nothing in it can be trusted.
    #[error("the state folder `{}` {reason}", .state.display())]
    Unsafe {
        /// The folder.
        state: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// It belongs to another user.
    #[error("the state folder `{}` belongs to user `{owner}`, and this process runs as `{me}`", .state.display())]
    Foreign {
        /// The folder.
        state: PathBuf,
        /// Its owner.
        owner: String,
        /// The user of this process.
        me: String,
    },
    /// It cannot be made or opened.
    #[error("the state folder `{}` cannot be used: {source}", .state.display())]
    Io {
        /// The folder.
        state: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Owner {
    /// Makes the folder if there is none (mode 0700), checks that only its owner can write to it, and takes the lock.
    pub fn take(state: &Path) -> Result<Self, OwnError> {
        let broken = |source| OwnError::Io { state: state.to_owned(), source };
        match DirBuilder::new().mode(0o700).create(state) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(broken(error)),
        }
        check(state)?;
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or(0))
            .open(state.join("lock"))
            .map_err(broken)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(OwnError::Owned { state: state.to_owned(), pid: pid_in(&mut lock) });
            }
            Err(TryLockError::Error(error)) => return Err(broken(error)),
        }
        write_pid(&mut lock).map_err(broken)?;
        Ok(Self { state: state.to_owned(), _lock: lock })
    }

    /// The folder that is owned.
    pub fn state(&self) -> &Path {
        &self.state
    }
}

impl OwnError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Owned { .. } => {
                Some("a gateway is running on it: stop that one, or ask it instead".to_owned())
            }
            Self::Foreign { owner, .. } => Some(format!("run this as `{owner}`")),
            Self::Unsafe { state, .. } => {
                Some(format!("give it to the gateway's own user alone: `chmod 700 {}`", state.display()))
            }
            Self::Io { .. } => None,
        }
    }
}

fn check(state: &Path) -> Result<(), OwnError> {
    let broken = |source| OwnError::Io { state: state.to_owned(), source };
    let refused = |reason: String| OwnError::Unsafe { state: state.to_owned(), reason };
    let metadata = fs::metadata(state).map_err(broken)?;
    let me = rustix::process::geteuid().as_raw();
    if !metadata.is_dir() {
        return Err(refused("is not a folder".to_owned()));
    }
    if metadata.uid() != me {
        let (owner, me) = (user_name(metadata.uid()), user_name(me));
        return Err(OwnError::Foreign { state: state.to_owned(), owner, me });
    }
    if metadata.mode() & 0o022 != 0 {
        return Err(refused(format!("can be written by others (mode {:04o})", metadata.mode() & 0o7777)));
    }
    Ok(())
}

fn write_pid(lock: &mut File) -> io::Result<()> {
    lock.set_len(0)?;
    lock.rewind()?;
    lock.write_all(format!("{}\n", std::process::id()).as_bytes())
}

fn pid_in(lock: &mut File) -> Option<u32> {
    let mut text = String::new();
    lock.take(20).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn shown_pid(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::{OwnError, Owner};

    #[test]
    fn one_owner_at_a_time_and_the_next_after_it() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let first = Owner::take(&state).unwrap();
        assert_eq!(fs::metadata(&state).unwrap().permissions().mode() & 0o777, 0o700);
        let second = Owner::take(&state).unwrap_err();
        assert!(
            matches!(second, OwnError::Owned { pid: Some(pid), .. } if pid == std::process::id()),
            "{second}"
        );
        drop(first);
        assert!(Owner::take(&state).is_ok());
    }

    #[test]
    fn a_folder_that_others_can_write_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for mode in [0o770, 0o702, 0o777] {
            fs::set_permissions(folder.path(), Permissions::from_mode(mode)).unwrap();
            assert!(matches!(Owner::take(folder.path()), Err(OwnError::Unsafe { .. })), "{mode:o}");
        }
        fs::set_permissions(folder.path(), Permissions::from_mode(0o700)).unwrap();
        assert!(Owner::take(folder.path()).is_ok());
    }

    #[test]
    fn neither_a_file_nor_a_linked_lock_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o700)).unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(matches!(Owner::take(&file), Err(OwnError::Unsafe { .. })));
        symlink(&file, folder.path().join("lock")).unwrap();
        assert!(matches!(Owner::take(folder.path()), Err(OwnError::Io { .. })));
    }
}
