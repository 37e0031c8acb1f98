//! A tool folder with a stamp: what it was made from, so that the second run has nothing to do.

use std::path::Path;

use anyhow::{Context, Result};

/// Whether `folder` was made, to its end, from exactly `recipe`.
pub(crate) fn is_made_from(folder: &Path, recipe: &str) -> bool {
    std::fs::read_to_string(folder.join("made-from")).is_ok_and(|stamp| stamp == recipe)
}

/// Notes that `folder` is complete.
pub(crate) fn stamp(folder: &Path, recipe: &str) -> Result<()> {
    std::fs::write(folder.join("made-from"), recipe)
        .with_context(|| format!("cannot stamp `{}`", folder.display()))
}

/// An empty folder, whatever was there before.
pub(crate) fn start_over(folder: &Path) -> Result<()> {
    if folder.exists() {
        std::fs::remove_dir_all(folder).with_context(|| format!("cannot remove `{}`", folder.display()))?;
    }
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::{is_made_from, stamp, start_over};

    #[test]
    fn a_folder_is_done_only_for_the_recipe_it_was_stamped_with() {
        let folder = std::env::temp_dir().join(format!("xtask-folder-{}", std::process::id()));
        start_over(&folder).unwrap();
        assert!(!is_made_from(&folder, "a"));
        stamp(&folder, "a").unwrap();
        assert!(is_made_from(&folder, "a") && !is_made_from(&folder, "b"));
        start_over(&folder).unwrap();
        assert!(!is_made_from(&folder, "a"));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
