//! What only some places may say: clocks, file systems, MCP's JSON, concrete parts, secrets.

use super::findings::Findings;
use super::manifests::PURE;
use super::sources::{RustFile, Workspace};

/// Code that pure crates do not have.
const IMPURE: &[&str] = &[
    "tokio",
    "std::fs",
    "std::env",
    "std::process",
    "SystemTime",
    "Instant",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "ToSocketAddrs",
    "File::open",
    "File::create",
    "OpenOptions",
];

/// Where clocks are read and random bytes drawn.
const CLOCKS: &[&str] = &["crates/gateway/src/clock.rs", "xtask/src/clock.rs"];

/// Ways to a clock or to randomness that clippy's list of methods does not name.
const CLOCK_CODE: &[&str] = &["clock_gettime", "SystemTime", "getrandom", "OsRng", "SysRng", "thread_rng"];

/// Where secrets may be opened. `config` and `gateway` never see one.
const EXPOSING: &[&str] =
    &["crates/connector-ssh/src/", "crates/guard/src/", "crates/sources/src/", "crates/upstream/src/"];

/// Packages that know MCP's JSON.
const MCP: &[&str] = &["wire", "mcp", "upstream", "testkit", "xtask"];

/// Concrete parts that only the application names, and the package that defines each.
const CONCRETE: &[(&str, &str)] =
    &[("SqliteStore", "store"), ("SshConnector", "connector-ssh"), ("UpstreamPool", "upstream")];

/// Checks every Rust file.
pub(crate) fn check(workspace: &Workspace, findings: &mut Findings) {
    for file in workspace.of(PURE) {
        for name in IMPURE {
            report(
                file,
                findings,
                &file.lines_with(name),
                &format!("`{}` is pure: no `{name}`", file.package),
            );
        }
    }
    for file in &workspace.files {
        check_file(file, findings);
    }
    check_clippy(workspace, findings);
}

fn check_file(file: &RustFile, findings: &mut Findings) {
    let is_in = |places: &[&str]| places.iter().any(|place| file.path.starts_with(place));
    let shown = file.package != "xtask" && file.package != "testkit";
    if !MCP.contains(&file.package.as_str()) {
        let lines = file.lines_with_words("\"jsonrpc\"");
        report(file, findings, &lines, "only `wire`, `mcp` and `upstream` know MCP's JSON");
    }
    if shown && !is_in(EXPOSING) {
        report(
            file,
            findings,
            &file.lines_with(".expose()"),
            "secrets are opened only in connectors, sources and the guard",
        );
    }
    if shown && !is_in(CLOCKS) {
        for name in CLOCK_CODE {
            report(
                file,
                findings,
                &file.lines_with(name),
                &format!("`{name}`: clocks and randomness are parameters"),
            );
        }
    }
    if !is_in(CLOCKS) {
        let lines = file.lines_with("disallowed_methods");
        report(file, findings, &lines, "exceptions to clippy.toml's bans belong in the clock module");
    }
    for (name, home) in CONCRETE {
        if shown && file.package != *home && file.package != "portcullis" {
            report(file, findings, &file.lines_with(name), &format!("only the application names `{name}`"));
        }
    }
}

/// The bans that keep clocks and randomness parameters are still there.
fn check_clippy(workspace: &Workspace, findings: &mut Findings) {
    let text = workspace.text("clippy.toml").unwrap_or_default();
    let table: toml::Table = text.parse().unwrap_or_default();
    let banned = table.get("disallowed-methods").and_then(toml::Value::as_array);
    let paths: Vec<&str> = banned
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.get("path").and_then(toml::Value::as_str))
        .collect();
    for path in ["std::time::SystemTime::now", "std::time::Instant::now", "getrandom::fill"] {
        if !paths.contains(&path) {
            findings.broken("clippy.toml", format!("the ban of `{path}` is missing"));
        }
    }
}

fn report(file: &RustFile, findings: &mut Findings, lines: &[usize], what: &str) {
    for line in lines {
        findings.broken(&format!("{}:{line}", file.path), what);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, package: &str, text: &str) -> Vec<String> {
        let mut findings = Findings::default();
        check_file(&RustFile::new(path.into(), package.into(), text), &mut findings);
        findings.take_broken()
    }

    #[test]
    fn secrets_are_opened_only_where_they_may() {
        let opens = "fn a(s: &Secret<String>) { s.expose(); }";
        assert_eq!(found("crates/gateway/src/a.rs", "gateway", opens).len(), 1);
        assert!(found("crates/guard/src/a.rs", "guard", opens).is_empty());
        assert!(found("crates/gateway/src/a.rs", "gateway", "// s.expose()\nfn a() {}").is_empty());
        assert!(
            found("crates/gateway/src/a.rs", "gateway", &format!("#[cfg(test)]\nmod tests {{ {opens} }}"))
                .is_empty()
        );
    }

    #[test]
    fn the_wire_and_the_clock_have_their_places() {
        let says = "const A: &str = \"{\\\"a\\\": 1}\"; const B: [&str; 1] = [\"jsonrpc\"];";
        assert_eq!(found("crates/gateway/src/a.rs", "gateway", says).len(), 1);
        assert!(found("crates/wire/src/a.rs", "wire", says).is_empty());
        assert_eq!(found("crates/audit/src/a.rs", "audit", "use rustix::time::clock_gettime;").len(), 1);
        assert!(
            found("crates/gateway/src/clock.rs", "gateway", "use rustix::time::clock_gettime;").is_empty()
        );
        assert_eq!(found("crates/gateway/src/a.rs", "gateway", "use store::SqliteStore;").len(), 1);
    }
}
