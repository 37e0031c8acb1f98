//! `watch = true`: changed files are taken over unasked.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use config::Configuration;

/// How often the files are looked at.
pub(crate) const LOOK: Duration = Duration::from_secs(2);

/// When a file was changed (seconds and nanoseconds), which file it is, and its length.
type Stamp = (i64, i64, u64, u64);

/// What was last seen of every file that a reload would read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen(BTreeMap<PathBuf, Stamp>);

impl Seen {
    /// Looks. Polling rather than being told: it works on every file system, also for files that are replaced or mounted.
    pub(crate) fn look(file: &Path, configuration: &Configuration) -> Self {
        let mut seen = BTreeMap::new();
        note(file, &mut seen);
        for path in [&configuration.inventory, &configuration.policy] {
            note(path, &mut seen);
            for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
                note(&entry.path(), &mut seen);
            }
        }
        Self(seen)
    }

    /// Looks at the certificates alone, which are taken over whether files are watched or not: they are renewed by
    /// programs that know nothing of us.
    pub(crate) fn certificates(configuration: &Configuration) -> Self {
        let mut seen = BTreeMap::new();
        if let Some(tls) = &configuration.listen.tls {
            [&tls.cert, &tls.key].into_iter().chain(&tls.client_ca).for_each(|file| note(file, &mut seen));
        }
        Self(seen)
    }
}

/// Tells when something has changed and rested for one look, so that a file that is being written is not read half.
pub(crate) struct Changes {
    taken: Seen,
    last: Seen,
}

impl Changes {
    /// Nothing has changed yet.
    pub(crate) fn since(seen: Seen) -> Self {
        Self { taken: seen.clone(), last: seen }
    }

    /// Whether what is seen now is to be taken over.
    pub(crate) fn settled(&mut self, now: Seen) -> bool {
        let settled = now != self.taken && now == self.last;
        if settled {
            self.taken = std::mem::replace(&mut self.last, now);
        } else {
            self.last = now;
        }
        settled
    }

    /// What is seen now has been taken over, or is not to be.
    pub(crate) fn forget(&mut self, now: Seen) {
        self.taken = now;
    }
}

fn note(path: &Path, seen: &mut BTreeMap<PathBuf, Stamp>) {
    if let Ok(found) = std::fs::metadata(path) {
        seen.insert(path.to_owned(), (found.mtime(), found.mtime_nsec(), found.ino(), found.len()));
    }
}

#[cfg(test)]
mod tests {
    use super::{Changes, Seen};

    fn seen(length: u64) -> Seen {
        Seen([("file".into(), (0, 0, 0, length))].into())
    }

    #[test]
    fn a_change_counts_once_and_only_after_it_has_rested() {
        let mut changes = Changes::since(seen(1));
        let looks = [(1, false), (2, false), (3, false), (3, true), (3, false), (1, false), (1, true)];
        for (at, (length, settled)) in looks.into_iter().enumerate() {
            assert_eq!(changes.settled(seen(length)), settled, "look {at}");
        }
        changes.forget(seen(5));
        assert!(!changes.settled(seen(5)) && !changes.settled(seen(5)));
    }
}
