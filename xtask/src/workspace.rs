//! Where this workspace and its tool folder are.

use std::path::PathBuf;

/// The folder that holds the workspace's `Cargo.toml`.
pub(crate) fn root() -> PathBuf {
    let own = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    own.parent().map_or(own.clone(), PathBuf::from)
}

/// Where what the tests need beside Debian packages is installed: `PORTCULLIS_TOOLS`, else `.tools` here.
pub(crate) fn tools() -> PathBuf {
    let chosen = std::env::var_os("PORTCULLIS_TOOLS").map_or_else(|| root().join(".tools"), PathBuf::from);
    // Tests run in folders of their own.
    std::path::absolute(&chosen).unwrap_or(chosen)
}

/// The cargo that runs this tool.
pub(crate) fn cargo() -> PathBuf {
    std::env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from)
}
