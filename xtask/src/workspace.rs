//! Where this workspace and its tool folder are.

use std::path::PathBuf;
use std::process::Command;

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

/// That cargo, to be run on this workspace.
pub(crate) fn cargo_command() -> Command {
    let mut command = Command::new(cargo());
    command.current_dir(root());
    // What `cargo run` told this tool about itself would only make cargo build things twice.
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|n| n.starts_with("CARGO_PKG_") || n.starts_with("CARGO_MANIFEST_")) {
            command.env_remove(name);
        }
    }
    command
}
