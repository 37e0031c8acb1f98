//! The codes of warnings are names that people look up.

use std::collections::BTreeSet;
use std::path::Path;

use policy::LintCode;

/// The names in the first column of the table under this heading.
fn listed(document: &str, heading: &str) -> Vec<String> {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(document)).unwrap();
    let (_, section) = text.split_once(&format!("\n## {heading}\n")).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let first = rows.filter_map(|row| row.split('|').nth(1));
    first.flat_map(|cell| cell.split(',')).map(|name| name.trim().trim_matches('`').to_owned()).collect()
}

#[test]
fn every_code_of_a_warning_is_in_the_documentation_and_every_documented_one_exists() {
    let documented = listed("../../docs/policy.md", "Warnings");
    let given: Vec<String> = LintCode::ALL.iter().map(|code| code.as_str().to_owned()).collect();
    assert_eq!(documented, given, "docs/policy.md, Warnings");
    let distinct: BTreeSet<_> = given.iter().collect();
    assert_eq!(distinct.len(), given.len());
}
