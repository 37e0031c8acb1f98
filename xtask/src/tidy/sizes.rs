//! Files and functions that a person can still read.

use super::findings::Findings;
use super::scan::functions;
use super::sources::{Package, Workspace};

const FILE_NOTED: usize = 400;
const FILE_BROKEN: usize = 600;
const FUNCTION_NOTED: usize = 60;
const MAIN: (&str, usize) = ("apps/portcullis/src/main.rs", 30);

/// What a newcomer reads first, and how long that may be altogether.
const FIRST_READ: (&[&str], usize) = (
    &[
        "ARCHITECTURE.md",
        "apps/portcullis/src/main.rs",
        "apps/portcullis/src/compose.rs",
        "crates/gateway/src/pipeline.rs",
    ],
    600,
);

/// Checks files and functions.
pub(crate) fn check(workspace: &Workspace, findings: &mut Findings) {
    for file in workspace.files.iter().filter(|file| !file.is_test()) {
        let length = file.length();
        if length > FILE_BROKEN {
            findings.broken(&file.path, format!("{length} lines without tests; at most {FILE_BROKEN}"));
        } else if length > FILE_NOTED {
            findings.noted(
                &file.path,
                format!("{length} lines without tests; more than {FILE_NOTED} need a reason"),
            );
        }
        for function in functions(&file.code) {
            let lines = function.lines.len();
            if lines > FUNCTION_NOTED && !file.is_test_line(function.lines.start) {
                let place = format!("{}:{}", file.path, function.lines.start + 1);
                findings.noted(
                    &place,
                    format!(
                        "`{}` has {lines} lines; more than {FUNCTION_NOTED} need a reason",
                        function.name
                    ),
                );
            }
        }
    }
    let lines = |path: &str| workspace.text(path).map(|text| text.lines().count());
    match lines(MAIN.0) {
        Some(count) if count <= MAIN.1 => {}
        count => findings
            .broken(MAIN.0, format!("has {} lines; there and at most {}", count.unwrap_or_default(), MAIN.1)),
    }
    let all: usize = FIRST_READ.0.iter().filter_map(|path| lines(path)).sum();
    if all > FIRST_READ.1 {
        findings.broken(
            "newcomer's path",
            format!("{} have {all} lines; at most {}", FIRST_READ.0.join(", "), FIRST_READ.1),
        );
    }
    for package in &workspace.packages {
        let binaries = test_binaries(package, &workspace.tracked);
        if binaries > 1 {
            let place = format!("{}/tests", package.folder);
            findings.broken(
                &place,
                format!(
                    "{binaries} integration-test binaries; modules of one `tests/main/main.rs` link once"
                ),
            );
        }
    }
}

/// How many binaries cargo makes of a package's `tests` folder.
fn test_binaries(package: &Package, tracked: &[String]) -> usize {
    let named = package.manifest.get("test").and_then(toml::Value::as_array).map_or(0, Vec::len);
    let automatic =
        package.manifest.get("package").and_then(|p| p.get("autotests")).and_then(toml::Value::as_bool);
    let tests = format!("{}/tests/", package.folder);
    let found = tracked.iter().filter(|file| is_test_binary(file, &tests)).count();
    if automatic == Some(false) { named } else { found.max(named) }
}

fn is_test_binary(file: &str, tests: &str) -> bool {
    let Some(rest) = file.strip_prefix(tests) else { return false };
    rest.ends_with(".rs")
        && (!rest.contains('/') || (rest.ends_with("/main.rs") && rest.matches('/').count() == 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_binaries_are_counted_as_cargo_makes_them() {
        let files = [
            "a/tests/main.rs",
            "a/tests/other.rs",
            "a/tests/main/main.rs",
            "a/tests/main/part.rs",
            "a/src/lib.rs",
        ];
        let files: Vec<String> = files.map(str::to_owned).to_vec();
        let count = |manifest: &str| {
            let package =
                Package { name: "a".into(), folder: "a".into(), manifest: manifest.parse().unwrap() };
            test_binaries(&package, &files)
        };
        assert_eq!(count("[package]\nname = \"a\""), 3);
        assert_eq!(count("[package]\nautotests = false\n[[test]]\nname = \"main\""), 1);
    }
}
