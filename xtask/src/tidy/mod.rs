//! `cargo xtask tidy`: the sentences of `ARCHITECTURE.md` that a machine can check.

mod documents;
mod findings;
mod graph;
mod layers;
mod manifests;
mod pipeline;
mod scan;
mod sizes;
mod sources;

use anyhow::{Result, bail};

use findings::Findings;
use sources::Workspace;

/// Runs every check and prints what it found; an error when anything is broken.
pub(crate) fn run() -> Result<()> {
    let workspace = Workspace::read(&crate::workspace::root())?;
    let mut findings = Findings::default();
    manifests::check(&workspace, &mut findings);
    graph::check(&workspace, &mut findings)?;
    layers::check(&workspace, &mut findings);
    pipeline::check(&workspace, &mut findings);
    sizes::check(&workspace, &mut findings);
    documents::check(&workspace, &mut findings)?;
    let (broken, noted) = findings.print();
    println!(
        "tidy: {} files of {} packages, {broken} broken, {noted} to look at",
        workspace.files.len(),
        workspace.packages.len()
    );
    if broken > 0 {
        bail!("{broken} rules are broken");
    }
    Ok(())
}
