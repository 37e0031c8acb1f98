//! What others' code we build: banned crates and licences, both as `deny.toml` lists them.

use std::collections::BTreeSet;
use std::process::Command;

use anyhow::{Context, Result};

use super::findings::Findings;
use super::sources::Workspace;
use crate::steps::capture;
use crate::workspace;

/// Checks the graph that is really built, for every platform: an optional dependency that nothing switches on is
/// in the lock file, but not here.
pub(crate) fn check(workspace: &Workspace, findings: &mut Findings) -> Result<()> {
    let deny: toml::Table = workspace.text("deny.toml").context("cannot read `deny.toml`")?.parse()?;
    let banned = list(&deny, "bans", "deny");
    let banned: BTreeSet<&str> =
        banned.iter().filter_map(|b| b.get("crate").and_then(toml::Value::as_str)).collect();
    let allowed = list(&deny, "licenses", "allow");
    let allowed: BTreeSet<&str> = allowed.iter().filter_map(toml::Value::as_str).collect();
    if !banned.contains("ring") || !banned.contains("openssl-sys") {
        findings.broken("deny.toml", "must ban `ring` and `openssl-sys`");
    }
    let tree = capture(Command::new(workspace::cargo()).current_dir(&workspace.root).args([
        "tree",
        "--workspace",
        "--locked",
        "--edges=normal,build,dev",
        "--target=all",
        "--prefix=none",
        "--format={p}|{l}",
    ]))?;
    let crates: BTreeSet<&str> =
        tree.lines().filter(|line| !line.is_empty()).map(|line| line.trim_end_matches(" (*)")).collect();
    for line in crates {
        let (package, licence) = line.split_once('|').unwrap_or((line, ""));
        let name = package.split(' ').next().unwrap_or_default();
        if banned.contains(name) {
            findings.broken("dependencies", format!("`{package}` is banned by deny.toml; who wants it: cargo tree --workspace --target all --invert {name}"));
        }
        if !permits(licence, &allowed) {
            findings.broken(
                "dependencies",
                format!("`{package}` has the licence `{licence}`, which deny.toml does not allow"),
            );
        }
    }
    Ok(())
}

fn list(deny: &toml::Table, section: &str, key: &str) -> Vec<toml::Value> {
    deny.get(section).and_then(|s| s.get(key)).and_then(toml::Value::as_array).cloned().unwrap_or_default()
}

/// Whether an SPDX expression (or the older `A/B`) can be met with these licences.
fn permits(expression: &str, allowed: &BTreeSet<&str>) -> bool {
    let spaced =
        expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ").replace(" WITH ", "+WITH+");
    let mut words = spaced.split_whitespace().collect::<Vec<_>>().into_iter().peekable();
    let met = any_of(&mut words, allowed);
    met && words.peek().is_none()
}

type Words<'a> = std::iter::Peekable<std::vec::IntoIter<&'a str>>;

fn any_of(words: &mut Words<'_>, allowed: &BTreeSet<&str>) -> bool {
    let mut met = all_of(words, allowed);
    while words.next_if_eq(&"OR").is_some() {
        // Both sides must be read, whatever the first was.
        met |= all_of(words, allowed);
    }
    met
}

fn all_of(words: &mut Words<'_>, allowed: &BTreeSet<&str>) -> bool {
    let mut met = one(words, allowed);
    while words.next_if_eq(&"AND").is_some() {
        met &= one(words, allowed);
    }
    met
}

fn one(words: &mut Words<'_>, allowed: &BTreeSet<&str>) -> bool {
    match words.next() {
        Some("(") => {
            let met = any_of(words, allowed);
            words.next() == Some(")") && met
        }
        Some(name) => allowed.contains(name.replace("+WITH+", " WITH ").as_str()),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::permits;

    #[test]
    fn licence_expressions_are_met_or_not() {
        let allowed = ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception"].into();
        for (expression, met) in [
            ("MIT", true),
            ("GPL-3.0", false),
            ("MIT/GPL-3.0", true),
            ("GPL-3.0 OR (MIT AND Apache-2.0)", true),
            ("MIT AND (GPL-3.0 OR ISC)", false),
            ("Apache-2.0 WITH LLVM-exception AND MIT", true),
            ("Apache-2.0 / MIT", true),
            ("", false),
            ("(MIT", false),
        ] {
            assert_eq!(permits(expression, &allowed), met, "{expression}");
        }
    }
}
