//! A folder of files, as an operator would have it.

use std::path::{Path, PathBuf};

use config::{Diagnostics, Loaded};

/// Files in a folder of their own, removed at the end.
pub(crate) struct Folder(tempfile::TempDir);

pub(crate) const KEY_HASH: &str =
    "pk_7f3a09bc:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

impl Folder {
    /// With the files that every configuration needs.
    pub(crate) fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for (name, text) in
            [("audit.key", "k"), ("audit-seal.key", "k"), ("inventory.toml", ""), ("policy/ops.toml", "")]
        {
            folder.write(name, text);
        }
        folder
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// A private file.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;

        let path = self.0.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    pub(crate) fn load(&self) -> Result<Loaded, Diagnostics> {
        config::load(&self.0.path().join("portcullis.toml"))
    }
}
