//! `watch = true`: changed files are taken over unasked.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use config::Configuration;

/// How often the files are looked at.
pub(crate) const LOOK: Duration = Duration::from_secs(2);

/// What was last seen of every file that a reload would read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seen(BTreeMap<PathBuf, (Option<SystemTime>, u64)>);

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
}

fn note(path: &Path, seen: &mut BTreeMap<PathBuf, (Option<SystemTime>, u64)>) {
    if let Ok(found) = std::fs::metadata(path) {
        seen.insert(path.to_owned(), (found.modified().ok(), found.len()));
    }
}
