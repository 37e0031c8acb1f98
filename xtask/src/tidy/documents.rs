//! Documents that must be there and say true things.

use std::collections::BTreeSet;

use anyhow::Result;

use super::findings::Findings;
use super::scan::functions;
use super::sources::Workspace;

const PRESENT: &[&str] = &[
    "README.md",
    "ARCHITECTURE.md",
    "SECURITY.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "LICENSE",
    "deny.toml",
    "rustfmt.toml",
];
const ARCHITECTURE_LINES: usize = 220;
const THREATS: &str = "docs/threat-tests.md";

/// Rows that the threat table must have: the invariants that are tests.
const OWED_ROWS: &[&str] = &["every tool and route refuses strangers", "canary secrets"];

/// Checks documents, the threat table and that nothing names one particular machine.
pub(crate) fn check(workspace: &Workspace, findings: &mut Findings) -> Result<()> {
    for path in PRESENT {
        if !workspace.tracked.iter().any(|file| file == path) {
            findings.broken(path, "is missing");
        }
    }
    let length = workspace.text("ARCHITECTURE.md").map_or(0, |text| text.lines().count());
    if length > ARCHITECTURE_LINES {
        findings.broken("ARCHITECTURE.md", format!("{length} lines; three pages are {ARCHITECTURE_LINES}"));
    }
    match workspace.text(THREATS) {
        Some(text) => check_threats(&text, &test_names(workspace), findings),
        None => findings.broken(THREATS, "is missing"),
    }
    check_places(workspace, findings);
    Ok(())
}

/// Every row of the table names tests that exist: `| threat | `test`, `test` |`.
fn check_threats(text: &str, tests: &BTreeSet<String>, findings: &mut Findings) {
    let rows = text.lines().enumerate().filter(|(_, line)| line.starts_with('|')).skip(2);
    let mut seen = Vec::new();
    for (number, row) in rows {
        let place = format!("{THREATS}:{}", number + 1);
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [threat, .., named] = cells.as_slice() else {
            findings.broken(&place, "a row has a threat and its tests");
            continue;
        };
        seen.push(threat.to_lowercase());
        let names: Vec<&str> = named.split('`').skip(1).step_by(2).collect();
        if names.is_empty() {
            let what = format!("no test yet for: {threat}");
            if is_owed(threat) { findings.broken(&place, what) } else { findings.noted(&place, what) }
        }
        for name in names.iter().filter(|name| !tests.contains(**name)) {
            findings.broken(&place, format!("there is no test `{name}`"));
        }
    }
    for owed in OWED_ROWS {
        if !seen.iter().any(|threat| threat.contains(owed)) {
            findings.broken(THREATS, format!("the row `{owed}` is missing"));
        }
    }
}

fn is_owed(threat: &str) -> bool {
    OWED_ROWS.iter().any(|owed| threat.to_lowercase().contains(owed))
}

/// Names of functions under `#[test]` or `#[tokio::test]`.
fn test_names(workspace: &Workspace) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for file in &workspace.files {
        let lines: Vec<&str> = file.code.lines().collect();
        for function in functions(&file.code) {
            let above = lines.iter().take(function.lines.start).rev().map(|line| line.trim());
            let mut attributes = above.take_while(|line| line.starts_with("#[") || line.is_empty());
            if attributes.any(|line| line.contains("test]") || line.contains("test(")) {
                names.insert(function.name);
            }
        }
    }
    names
}

/// No file names a folder of one machine or a package registry's host.
fn check_places(workspace: &Workspace, findings: &mut Findings) {
    // In pieces, so that this file does not name them either.
    let places = [["/wo", "rk/"], ["/root/", ".c"], ["registry.", "npmjs"], ["files.python", "hosted"]]
        .map(|piece| piece.concat());
    for path in workspace.tracked.iter().filter(|path| *path != "Cargo.lock") {
        let Some(text) = workspace.text(path) else { continue };
        for (number, line) in text.lines().enumerate() {
            for place in places.iter().filter(|place| line.contains(place.as_str())) {
                findings.broken(
                    &format!("{path}:{}", number + 1),
                    format!("names `{place}`, which belongs to one machine"),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_name_tests_that_exist() {
        let table = |cell: &str| {
            format!(
                "# T\n\n| Threat | Tests |\n|---|---|\n| Every tool and route refuses strangers | `a` |\n\
                 | Canary secrets | {cell} |\n"
            )
        };
        let tests = ["a".to_owned()].into();
        let found = |text: &str| {
            let mut findings = Findings::default();
            check_threats(text, &tests, &mut findings);
            findings.take_broken()
        };
        assert!(found(&table("`a`")).is_empty());
        assert!(found(&table("`a`, `b`"))[0].contains("there is no test `b`"));
        assert!(found(&table(""))[0].contains("no test yet"));
        assert!(found("| A | B |\n|---|---|\n| x | `a` |\n").len() == 2);
    }
}
