//! `cargo xtask bench`: instructions of single acts, which are the same on every run, and the times of `portcullis bench`,
//! which are what a person waits for.
//!
//! The acts are in `examples/measured`. Nothing here is a test: a figure that grows fails nobody, it is compared.

mod against;
mod callgrind;
mod count;
mod peers;
mod programs;
mod report;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::debian;
use crate::steps::{capture, run as run_command};
use callgrind::Callgrind;
use count::Count;
use programs::Profile;
use report::Report;

/// What to measure, and how to say it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// One JSON object on standard output, and nothing else.
    json: bool,
    /// An earlier JSON output.
    against: Option<PathBuf>,
    /// Only instructions.
    counts: bool,
    /// Only acts whose name holds this, and no times.
    filter: Option<String>,
    /// Other proxies are installed and measured beside the gateway.
    peers: bool,
    /// For `portcullis bench`.
    passed_on: Vec<String>,
}

impl Options {
    /// Reads the arguments behind `bench`.
    pub(crate) fn parse(words: &[&str]) -> Result<Self, String> {
        let mut options = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match *word {
                "--json" => options.json = true,
                "--counts" => options.counts = true,
                "--peers" => options.peers = true,
                "--against" => {
                    options.against = Some(words.next().ok_or("`--against` needs a file")?.into());
                }
                "--" => options.passed_on = words.by_ref().map(|word| (*word).to_owned()).collect(),
                flag if flag.starts_with('-') => return Err(format!("no option `{flag}`")),
                filter if options.filter.is_none() => options.filter = Some(filter.to_owned()),
                extra => return Err(format!("one filter is enough, `{extra}` is a second")),
            }
        }
        if options.no_times() && (options.peers || !options.passed_on.is_empty()) {
            return Err(
                "`--peers` and what is behind `--` are for `portcullis bench`, but it is not run".to_owned()
            );
        }
        Ok(options)
    }

    fn no_times(&self) -> bool {
        self.counts || self.filter.is_some()
    }
}

/// Builds, counts, and prints.
pub(crate) fn run(options: &Options) -> Result<()> {
    // Before anything is built: a wrong name should not cost ten minutes.
    let before = options.against.as_deref().map(against::read).transpose()?;
    let mut passed_on = options.passed_on.clone();
    if options.peers {
        passed_on.extend(peers::options()?);
    }
    debian::ensure_valgrind()?;
    let report = count(options.filter.as_deref())?;
    let portcullis = if options.no_times() { None } else { Some(programs::portcullis()?) };
    if options.json {
        let mut all = report.to_json(before.as_ref());
        if let (Some(portcullis), Some(all)) = (portcullis, all.as_object_mut()) {
            eprintln!("==> measuring times");
            let told = capture(portcullis.bench(&passed_on).arg("--json"))?;
            let told: Value =
                serde_json::from_str(&told).context("`portcullis bench --json` wrote no JSON")?;
            all.insert("times".to_owned(), told);
        }
        println!("{all:#}");
        return Ok(());
    }
    print!("{}", report.table(before.as_ref()));
    if let Some(portcullis) = portcullis {
        println!();
        run_command(&mut portcullis.bench(&passed_on))?;
    }
    Ok(())
}

fn count(filter: Option<&str>) -> Result<Report> {
    let callgrind = Callgrind::new(programs::measured(Profile::Release)?)?;
    let mut acts = callgrind.acts()?;
    acts.retain(|act| filter.is_none_or(|filter| act.name.contains(filter)));
    ensure!(!acts.is_empty(), "there is no act whose name holds `{}`", filter.unwrap_or_default());
    eprintln!("==> counting (ten thousand rules take a minute or two)");
    let counts: Result<Vec<Count>> = acts.into_iter().map(|act| callgrind.count(act)).collect();
    eprintln!("    profiles for `callgrind_annotate`: {}", callgrind.folder().display());
    let made_with = [Path::new("rustc"), Path::new("valgrind")].map(programs::version);
    Ok(Report { counts: counts?, made_with: made_with.into_iter().collect::<Result<_>>()? })
}

#[cfg(test)]
mod tests {
    use super::Options;

    #[test]
    fn options_are_read_and_wrong_ones_named() {
        let words = ["--json", "--against", "before.json", "--", "--rounds", "1"];
        let wanted = Options {
            json: true,
            against: Some("before.json".into()),
            passed_on: vec!["--rounds".into(), "1".into()],
            ..Options::default()
        };
        assert_eq!(Options::parse(&words).unwrap(), wanted);
        let filtered = Options::parse(&["decision"]).unwrap();
        assert!(filtered.no_times() && filtered.filter.as_deref() == Some("decision"));
        assert!(!Options::parse(&[]).unwrap().no_times());
        for (words, told) in [
            (&["--against"][..], "needs a file"),
            (&["--fast"], "`--fast`"),
            (&["a", "b"], "`b`"),
            (&["--counts", "--", "--rounds", "1"], "not run"),
            (&["--counts", "--peers"], "not run"),
        ] {
            let wrong = Options::parse(words).unwrap_err();
            assert!(wrong.contains(told), "{words:?}: {wrong}");
        }
    }
}
