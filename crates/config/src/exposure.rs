//! Who else can read a file, for the secrets that are written in it.

use std::fs::Metadata;
use std::path::Path;

/// Who can read a file beside the gateway's own user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exposure {
    /// Nobody (the system's administrator aside).
    Private,
    /// Others can, and its mode could be changed.
    Exposed,
    /// Others can, on a file system that is mounted read-only: nobody here can change that.
    ExposedReadOnly,
}

impl Exposure {
    #[cfg(unix)]
    pub(crate) fn of(path: &Path, metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;

        let read_only = || {
            rustix::fs::statvfs(path)
                .is_ok_and(|mount| mount.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY))
        };
        Self::judge(metadata.mode(), metadata.uid(), rustix::process::geteuid().as_raw(), read_only)
    }

    /// Elsewhere modes say nothing: literal secrets are refused.
    #[cfg(not(unix))]
    pub(crate) fn of(_: &Path, _: &Metadata) -> Self {
        Self::Exposed
    }

    #[cfg(unix)]
    fn judge(mode: u32, owner: u32, ours: u32, read_only: impl FnOnce() -> bool) -> Self {
        let others = mode & 0o077 != 0 || (owner != ours && owner != 0);
        match (others, others && read_only()) {
            (false, _) => Self::Private,
            (true, false) => Self::Exposed,
            (true, true) => Self::ExposedReadOnly,
        }
    }
}

/// The mode of a key's file that others can read. The group counts as others on files of our own user; a mounted
/// secret often belongs to root and is given to us by its group.
pub(crate) fn readable_by_others(metadata: &Metadata) -> Option<u32> {
    use std::os::unix::fs::MetadataExt;

    let forbidden = if metadata.uid() == rustix::process::geteuid().as_raw() { 0o077 } else { 0o007 };
    (metadata.is_file() && metadata.mode() & forbidden != 0).then(|| metadata.mode() & 0o7777)
}

/// The mode of what everybody can write to: everybody could decide what is permitted.
pub(crate) fn writable_by_everybody(metadata: &Metadata) -> Option<u32> {
    use std::os::unix::fs::MetadataExt;

    // In a folder with the sticky bit only the owner of a file can replace it.
    let open = metadata.mode() & 0o002 != 0 && (metadata.is_file() || metadata.mode() & 0o1000 == 0);
    open.then(|| metadata.mode() & 0o7777)
}

#[cfg(all(test, unix))]
mod tests {
    use super::Exposure;

    #[test]
    fn a_file_is_private_only_to_its_owner_who_is_us_or_root() {
        let judge = |mode, owner, read_only| Exposure::judge(mode, owner, 1000, || read_only);
        assert_eq!(judge(0o100_600, 1000, false), Exposure::Private);
        assert_eq!(judge(0o100_400, 0, true), Exposure::Private);
        assert_eq!(judge(0o100_640, 1000, false), Exposure::Exposed);
        assert_eq!(judge(0o100_604, 1000, false), Exposure::Exposed);
        assert_eq!(judge(0o100_600, 1001, false), Exposure::Exposed);
        assert_eq!(judge(0o100_644, 0, true), Exposure::ExposedReadOnly);
    }
}
