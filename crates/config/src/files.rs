//! Files that are named in a file: whether they are there, and on the right side of a boundary.

use std::path::{Component, Path, PathBuf};

use crate::exposure::readable_by_others;
use crate::forms::Wrong;
use crate::node::Place;

/// Reports a file that is not there. One that cannot be looked at is left to whoever opens it.
pub(crate) fn must_exist(place: &Place<'_>, path: &Path) {
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => place.error(format!("`{}` is a folder, not a file", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            place.error(format!("there is no file `{}`", path.display()));
        }
        Ok(_) | Err(_) => {}
    }
}

/// Reports a key's file that is not there, or that others than the gateway's user can read: the same rule as when it is
/// read, so that `check` tells what a start would.
pub(crate) fn must_be_private(place: &Place<'_>, path: &Path) {
    must_exist(place, path);
    let Ok(found) = std::fs::metadata(path) else { return };
    if let Some(mode) = readable_by_others(&found) {
        let wrong = Wrong::new(format!("others can read `{}` (mode {mode:04o})", path.display()));
        place.error(
            wrong
                .hint(format!("`chmod 600 {}`; if it was readable for long, make a new one", path.display())),
        );
    }
}

/// Reports a path that lies inside the state folder, where a copy of the state would carry it along.
pub(crate) fn must_lie_outside(place: &Place<'_>, path: &Path, state: &Path) {
    if lies_within(path, state) {
        let wrong = Wrong::new(format!("`{}` lies inside the state folder", path.display()));
        place.error(wrong.hint("keep it outside `state`, where a copy of the state cannot carry it along"));
    }
}

/// Whether a path ends inside a folder, by its text or through links.
pub(crate) fn lies_within(path: &Path, folder: &Path) -> bool {
    lexical(path).starts_with(lexical(folder)) || resolved(path).starts_with(resolved(folder))
}

/// Without `.` and `..`, from the text alone.
fn lexical(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                clean.pop();
            }
            Component::CurDir => {}
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => clean.push(part),
        }
    }
    clean
}

/// With links followed as far as the path exists.
fn resolved(path: &Path) -> PathBuf {
    let path = lexical(path);
    let found = path.ancestors().find_map(|existing| {
        let real = existing.canonicalize().ok()?;
        Some(real.join(path.strip_prefix(existing).ok()?))
    });
    found.unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::{lexical, resolved};

    #[test]
    fn dots_and_links_do_not_hide_where_a_path_ends() {
        assert_eq!(lexical(Path::new("/a/./b/../c")), PathBuf::from("/a/c"));
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        std::fs::create_dir(&state).unwrap();
        std::os::unix::fs::symlink(&state, folder.path().join("link")).unwrap();
        let through_link = resolved(&folder.path().join("link/not/there"));
        assert!(through_link.starts_with(state.canonicalize().unwrap()));
    }
}
