//! `cargo xtask test`: everything the tests need, then the tests.

mod folder;
pub(crate) mod npm;
pub(crate) mod python;

use std::fs::File;

use anyhow::{Context, Result};

use crate::steps::{Steps, run as run_command};
use crate::{debian, workspace};

/// What to test.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    only: Option<String>,
    kill_rounds: Option<u32>,
    filter: Option<String>,
}

impl Options {
    /// Reads the arguments behind `test`.
    pub(crate) fn parse(words: &[&str]) -> Result<Self, String> {
        let mut options = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match *word {
                "--only" => options.only = Some(words.next().ok_or("`--only` needs a package")?.to_string()),
                "--kill-rounds" => {
                    let rounds = words.next().ok_or("`--kill-rounds` needs a number")?;
                    options.kill_rounds =
                        Some(rounds.parse().map_err(|_| format!("`{rounds}` is no number of rounds"))?);
                }
                flag if flag.starts_with('-') => return Err(format!("no option `{flag}`")),
                filter if options.filter.is_none() => options.filter = Some(filter.to_owned()),
                extra => return Err(format!("one filter is enough, `{extra}` is a second")),
            }
        }
        Ok(options)
    }
}

/// Installs what is missing and runs the tests.
pub(crate) fn run(options: &Options) -> Result<()> {
    let mut steps = Steps::default();
    let outcome = install(&mut steps).and_then(|()| {
        let name = match &options.only {
            Some(package) => format!("cargo test of package {package}"),
            None => "cargo test of the whole workspace".to_owned(),
        };
        steps.step(&name, || cargo_test(options))
    });
    steps.summary();
    outcome
}

/// Installs what is missing.
pub(crate) fn tools() -> Result<()> {
    let mut steps = Steps::default();
    let outcome = install(&mut steps);
    steps.summary();
    outcome
}

fn install(steps: &mut Steps) -> Result<()> {
    steps.step("look for Debian packages and rights", debian::ensure)?;
    let tools = workspace::tools();
    std::fs::create_dir_all(&tools).with_context(|| format!("cannot make `{}`", tools.display()))?;
    let lock = File::create(tools.join("lock")).context("cannot make the tool folder's lock")?;
    lock.lock().context("cannot lock the tool folder")?;
    steps.step("look for the Python clients", || {
        python::ensure(&tools, "python", "clients/requirements.txt")
    })?;
    steps.step("look for the scripted SSH server", || {
        python::ensure(&tools, "python-servers", "servers/requirements.txt")
    })?;
    steps.step("look for the FastMCP server", || {
        python::ensure(&tools, "python-fastmcp", "servers/fastmcp.txt")
    })?;
    steps.step("look for Node.js and the npm clients", || npm::ensure(&tools, "npm", "clients"))?;
    steps.step("look for the npm servers", || npm::ensure(&tools, "npm-servers", "servers"))
}

fn cargo_test(options: &Options) -> Result<()> {
    let mut command = workspace::cargo_command();
    command.args(["test", "--locked"]);
    match &options.only {
        Some(package) => command.args(["--package", package]),
        None => command.arg("--workspace"),
    };
    if let Some(filter) = &options.filter {
        command.args(["--", filter]);
    }
    command.env("PORTCULLIS_TOOLS", workspace::tools());
    if let Some(rounds) = options.kill_rounds {
        command.env("PORTCULLIS_KILL_ROUNDS", rounds.to_string());
    }
    run_command(&mut command)
}

#[cfg(test)]
mod tests {
    use super::Options;

    #[test]
    fn options_are_read_and_wrong_ones_named() {
        let options = Options::parse(&["--only", "policy", "--kill-rounds", "200", "glob"]).unwrap();
        let wanted =
            Options { only: Some("policy".into()), kill_rounds: Some(200), filter: Some("glob".into()) };
        assert_eq!(options, wanted);
        for (words, told) in [
            (&["--only"][..], "needs a package"),
            (&["--kill-rounds", "many"], "`many`"),
            (&["--release"], "`--release`"),
            (&["a", "b"], "`b`"),
        ] {
            let wrong = Options::parse(words).unwrap_err();
            assert!(wrong.contains(told), "{words:?}: {wrong}");
        }
    }
}
