//! The programs that are measured, built by cargo.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::steps::capture;
use crate::workspace;

/// How a program is built.
#[derive(Debug, Clone, Copy)]
pub(super) enum Profile {
    /// As it is released.
    Release,
    /// As it is tested.
    #[cfg(test)]
    Dev,
}

/// What is installed.
pub(super) struct Portcullis(PathBuf);

/// The acts, from `examples/measured`. Cargo builds it apart from the product: its journal has what only tests may have.
pub(super) fn measured(profile: Profile) -> Result<PathBuf> {
    build(&["--package", "xtask", "--example", "measured"], "measured", profile)
}

/// The product.
pub(super) fn portcullis() -> Result<Portcullis> {
    build(&["--package", "portcullis"], "portcullis", Profile::Release).map(Portcullis)
}

impl Portcullis {
    /// `portcullis bench` with these options.
    pub(super) fn bench(&self, options: &[String]) -> Command {
        let mut command = Command::new(&self.0);
        command.arg("bench").args(options);
        command
    }
}

fn build(arguments: &[&str], name: &str, profile: Profile) -> Result<PathBuf> {
    eprintln!("==> building `{name}`");
    let mut cargo = workspace::cargo_command();
    cargo.args(["build", "--locked", "--message-format=json-render-diagnostics"]).args(arguments);
    match profile {
        Profile::Release => cargo.arg("--release"),
        #[cfg(test)]
        Profile::Dev => cargo.arg("--quiet"),
    };
    // Whoever waits for minutes wants to see what for.
    let told = capture(cargo.stderr(Stdio::inherit()))?;
    executable(&told, name).with_context(|| format!("cargo built no program `{name}`"))
}

/// Where cargo says that it put a program.
fn executable(told: &str, name: &str) -> Option<PathBuf> {
    let artifacts = told.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    artifacts
        .filter(|artifact| artifact.pointer("/target/name").and_then(Value::as_str) == Some(name))
        .filter_map(|artifact| artifact.get("executable").and_then(Value::as_str).map(PathBuf::from))
        .next_back()
}

/// What `program --version` says, in one line.
pub(super) fn version(program: &Path) -> Result<String> {
    let told = capture(Command::new(program).arg("--version"))?;
    Ok(told.lines().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::executable;

    #[test]
    fn a_built_program_is_found_among_what_cargo_says() {
        let told = r#"{"reason":"compiler-artifact","target":{"name":"policy","kind":["lib"]},"executable":null}
{"reason":"compiler-artifact","target":{"name":"measured","kind":["example"]},"executable":"/t/release/examples/measured"}
a line of a build script
{"reason":"build-finished","success":true}"#;
        assert_eq!(executable(told, "measured").as_deref(), Some(Path::new("/t/release/examples/measured")));
        assert_eq!(executable(told, "policy"), None);
    }
}
