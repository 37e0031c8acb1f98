//! Which package may use which: the arrows of the architecture, and what pure crates must not touch.

use std::collections::BTreeSet;

use super::findings::Findings;
use super::sources::{Package, Workspace};

/// Package, and which of ours it may use. Another arrow is a decision: say why in the commit.
const ARROWS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("wire", &["model"]),
    ("guard", &["model"]),
    ("policy", &["model"]),
    ("store", &["model"]),
    ("config", &["model", "policy"]),
    ("import", &["model"]),
    ("audit", &["guard", "model", "policy"]),
    ("broker", &["audit", "guard", "model", "policy", "store"]),
    ("sources", &["broker", "model"]),
    ("tools", &["broker", "model", "policy"]),
    ("connector-ssh", &["broker", "model", "policy", "tools"]),
    ("upstream", &["broker", "guard", "model", "policy", "tools", "wire"]),
    ("gateway", &["audit", "broker", "guard", "model", "policy", "store", "tools"]),
    ("mcp", &["gateway", "model", "wire"]),
    ("testkit", &["model"]),
    ("xtask", &["config"]),
];

/// Packages whose example is composed of the product's own parts, which are for that example and for tests alone: the
/// conformance fixture, and the acts that `cargo xtask bench` measures.
const COMPOSED: &[(&str, &[&str])] = &[
    ("testkit", &["audit", "broker", "gateway", "guard", "mcp", "policy", "store", "tools", "upstream"]),
    ("xtask", &["audit", "guard", "wire"]),
];

/// The composition root: uses everything.
const APPLICATION: &str = "portcullis";

/// Crates without runtime, clock and file system.
pub(crate) const PURE: &[&str] = &["model", "policy", "guard", "wire", "import"];

/// What a pure crate's manifest must not name, not even for tests.
const IMPURE: &[&str] = &[
    "async-trait",
    "axum",
    "getrandom",
    "hyper",
    "hyper-util",
    "reqwest",
    "rusqlite",
    "russh",
    "rustix",
    "tempfile",
    "testkit",
    "tokio",
    "tokio-rustls",
    "tokio-util",
    "tower",
];

/// Packages that may use rmcp.
const RMCP: &[&str] = &["upstream", "testkit"];

/// Checks every manifest.
pub(crate) fn check(workspace: &Workspace, findings: &mut Findings) {
    let ours: BTreeSet<&str> = workspace.packages.iter().map(|package| package.name.as_str()).collect();
    for package in &workspace.packages {
        check_package(package, &ours, findings);
    }
}

fn check_package(package: &Package, ours: &BTreeSet<&str>, findings: &mut Findings) {
    let place = format!("{}/Cargo.toml", package.folder);
    let name = package.name.as_str();
    let arrows = arrows_from(name);
    if arrows.is_none() && name != APPLICATION {
        findings
            .broken(&place, format!("`{name}` is not in the table of arrows in xtask/src/tidy/manifests.rs"));
    }
    let reach = reach(name);
    for (kind, dependency) in dependencies(package) {
        let dependency = dependency.as_str();
        if PURE.contains(&name) && IMPURE.contains(&dependency) {
            findings.broken(&place, format!("`{name}` is pure and must not use `{dependency}`"));
        }
        if dependency == "rmcp" && !RMCP.contains(&name) {
            findings.broken(&place, "rmcp is for `upstream` and test clients");
        }
        let Some(arrows) = arrows.filter(|_| ours.contains(dependency)) else { continue };
        let allowed = match kind {
            Kind::Build => arrows.contains(&dependency),
            Kind::Test => {
                let composed =
                    COMPOSED.iter().any(|(package, parts)| *package == name && parts.contains(&dependency));
                composed || dependency == "testkit" || dependency == name || reach.contains(dependency)
            }
        };
        if !allowed {
            findings.broken(&place, format!("no arrow from `{name}` to `{dependency}`"));
        }
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Build,
    Test,
}

fn dependencies(package: &Package) -> Vec<(Kind, String)> {
    let mut tables = vec![&package.manifest];
    // `[target.'cfg(..)'.dependencies]` count like any other.
    let targets = package.manifest.get("target").and_then(toml::Value::as_table);
    tables.extend(targets.into_iter().flat_map(toml::Table::values).filter_map(toml::Value::as_table));
    let mut found = Vec::new();
    for table in tables {
        let kinds = [
            ("dependencies", Kind::Build),
            ("build-dependencies", Kind::Build),
            ("dev-dependencies", Kind::Test),
        ];
        for (section, kind) in kinds {
            let names = table.get(section).and_then(toml::Value::as_table);
            found.extend(names.into_iter().flat_map(toml::Table::keys).map(|name| (kind, name.clone())));
        }
    }
    found
}

/// Everything that is reached over arrows.
fn reach(from: &str) -> BTreeSet<&'static str> {
    let mut found = BTreeSet::new();
    let mut next: Vec<&'static str> = arrows_from(from).unwrap_or_default().to_vec();
    while let Some(name) = next.pop() {
        if found.insert(name) {
            next.extend(arrows_from(name).unwrap_or_default());
        }
    }
    found
}

fn arrows_from(name: &str) -> Option<&'static [&'static str]> {
    ARROWS.iter().find(|(from, _)| *from == name).map(|(_, to)| *to)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str, manifest: &str) -> Vec<String> {
        let package = Package { name: name.into(), folder: name.into(), manifest: manifest.parse().unwrap() };
        let ours = ["model", "policy", "gateway", "sources", "testkit", "mystery"].into_iter().collect();
        let mut findings = Findings::default();
        check_package(&package, &ours, &mut findings);
        findings.take_broken()
    }

    #[test]
    fn arrows_go_one_way() {
        assert!(found("policy", "[dependencies]\nmodel = \"1\"\nserde = \"1\"").is_empty());
        assert!(
            found("policy", "[dependencies]\ngateway = \"1\"")[0]
                .contains("no arrow from `policy` to `gateway`")
        );
        assert!(found("gateway", "[dependencies]\nsources = \"1\"")[0].contains("no arrow"));
        assert!(found("gateway", "[dev-dependencies]\ntestkit = \"1\"\npolicy = \"1\"").is_empty());
        assert!(found("testkit", "[dev-dependencies]\ngateway = \"1\"").is_empty());
        assert!(found("testkit", "[dependencies]\ngateway = \"1\"")[0].contains("no arrow"));
        assert!(found("mystery", "")[0].contains("table of arrows"));
        assert!(found("portcullis", "[dependencies]\nsources = \"1\"").is_empty());
    }

    #[test]
    fn pure_crates_have_no_runtime_whatever_the_section() {
        for section in ["dependencies", "dev-dependencies", "target.'cfg(unix)'.dependencies"] {
            let broken = found("guard", &format!("[{section}]\ntokio = \"1\""));
            assert!(broken[0].contains("pure and must not use `tokio`"), "{section}");
        }
        assert!(found("gateway", "[dependencies]\nrmcp = \"3\"")[0].contains("rmcp"));
    }
}
