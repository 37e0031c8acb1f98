//! Python packages, each set of them in a virtual environment of its own.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::folder;
use crate::steps::{capture, run};
use crate::workspace;

/// Makes the folder `name` of the tools from the pinned requirements, a file below `crates/testkit`, unless it is there.
pub(crate) fn ensure(tools: &Path, name: &str, pinned: &str) -> Result<()> {
    let requirements = workspace::root().join("crates/testkit").join(pinned);
    let pins = std::fs::read_to_string(&requirements)
        .with_context(|| format!("cannot read `{}`", requirements.display()))?;
    let version = capture(Command::new("python3").arg("--version"))?;
    let recipe = format!("{}{pins}", version);
    let home = tools.join(name);
    if folder::is_made_from(&home, &recipe) {
        println!("    already there: {}", home.display());
        return Ok(());
    }
    println!("    making a virtual environment in {} with {}", home.display(), version.trim());
    folder::start_over(&home)?;
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&home))?;
    println!("    installing the pinned packages of crates/testkit/{pinned} with pip");
    run(Command::new(home.join("bin/python"))
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r"])
        .arg(&requirements))?;
    folder::stamp(&home, &recipe)
}
