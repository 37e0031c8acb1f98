//! Instructions, counted by valgrind's callgrind.
//!
//! Callgrind counts only while one function is on the stack, so what an act needs beforehand is not in its figure, and the
//! profile it leaves behind is of the act alone: `callgrind_annotate FILE` shows where its instructions go.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use super::count::{Act, Count};
use crate::steps::capture;

/// The function of `examples/measured/main.rs` inside of which is counted.
const COUNTED: &str = "measured_acts";

/// Counts the acts of one program.
pub(super) struct Callgrind {
    program: PathBuf,
    /// Where profiles go.
    folder: PathBuf,
    /// What makes randomness the same in every run.
    still: PathBuf,
}

impl Callgrind {
    /// For a program that cargo built; profiles go to `bench/` beside cargo's folders for profiles.
    pub(super) fn new(program: PathBuf) -> Result<Self> {
        // Cargo puts examples into TARGET/PROFILE/examples.
        let target = program.ancestors().nth(3).context("a program outside of cargo's target folder")?;
        let folder = target.join("bench");
        fs::create_dir_all(&folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
        let still = folder.join("still.so");
        // Somebody else may be counting with it.
        let fresh = folder.join(format!("still-{}.so", std::process::id()));
        compile(include_str!("still.c"), &fresh)?;
        fs::rename(&fresh, &still).with_context(|| format!("cannot make `{}`", still.display()))?;
        Ok(Self { program, folder, still })
    }

    /// What the program can do.
    pub(super) fn acts(&self) -> Result<Vec<Act>> {
        Act::read_all(&capture(&mut Command::new(&self.program))?)
    }

    /// Where the profiles are.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Has one act done and counted.
    pub(super) fn count(&self, act: Act) -> Result<Count> {
        let profile = self.folder.join(format!("{}.callgrind", act.name));
        // The environment lies on the stack of the program, and so it is the same for everybody.
        let mut valgrind = Command::new("valgrind");
        valgrind
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("LD_PRELOAD", &self.still)
            .args(["--tool=callgrind", "--quiet", &format!("--toggle-collect=*{COUNTED}*")])
            .arg(format!("--callgrind-out-file={}", profile.display()))
            .arg(&self.program)
            .args([&act.name, &act.times.to_string()]);
        capture(&mut valgrind)?;
        let text =
            fs::read_to_string(&profile).with_context(|| format!("cannot read `{}`", profile.display()))?;
        let total = total(&text).with_context(|| format!("`{}` is no profile", profile.display()))?;
        ensure!(
            total > u64::from(act.times),
            "callgrind did not see `{COUNTED}` in `{}`; is the program stripped of its symbols?",
            self.program.display()
        );
        Ok(Count { act, total })
    }
}

/// The instructions of a whole profile.
fn total(profile: &str) -> Result<u64> {
    let after = |key: &str| profile.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
    match after("events:") {
        Some("Ir") => {}
        Some(other) => bail!("it counts `{other}`, not instructions (`Ir`)"),
        None => bail!("it does not say what it counts"),
    }
    let total = after("totals:").context("it has no total")?;
    total.parse().with_context(|| format!("its total is `{total}`"))
}

fn compile(source: &str, to: &Path) -> Result<()> {
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-x", "c", "-o"]).arg(to).arg("-");
    let mut cc = cc.stdin(Stdio::piped()).spawn().context("cannot start the C compiler `cc`")?;
    let mut stdin = cc.stdin.take().context("the C compiler reads nothing")?;
    stdin.write_all(source.as_bytes()).context("cannot write to the C compiler")?;
    drop(stdin);
    let status = cc.wait().context("cannot wait for the C compiler")?;
    ensure!(status.success(), "the C compiler did not make `{}`", to.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::programs::{self, Profile};
    use super::*;

    #[test]
    fn a_total_is_read_from_a_profile_of_instructions() {
        let profile =
            "# callgrind format\nversion: 1\npositions: line\nevents: Ir\n\nfn=(1) a\n0 7\n\ntotals: 12345\n";
        assert_eq!(total(profile).unwrap(), 12_345);
        for (profile, told) in [
            ("events: Ir Dr\ntotals: 1 2\n", "`Ir Dr`"),
            ("totals: 1\n", "what it counts"),
            ("events: Ir\n", "no total"),
            ("events: Ir\ntotals: many\n", "`many`"),
        ] {
            assert!(total(profile).unwrap_err().to_string().contains(told), "{profile}");
        }
    }

    /// Cargo builds examples before it runs tests; whoever runs the tests of this program alone may not have it.
    fn measured() -> PathBuf {
        let own = std::env::current_exe().unwrap();
        let built = own.ancestors().nth(2).unwrap().join("examples/measured");
        if built.exists() { built } else { programs::measured(Profile::Dev).unwrap() }
    }

    #[test]
    fn an_act_takes_the_same_instructions_each_time_and_nothing_else_is_counted() {
        crate::debian::ensure_valgrind().unwrap();
        let callgrind = Callgrind::new(measured()).unwrap();
        // Looks things up in hash tables, whose keys are drawn anew in each process.
        let count = |times| {
            let act = callgrind.acts().unwrap().into_iter().find(|act| act.name == "decision-100").unwrap();
            callgrind.count(Act { times, ..act }).unwrap().total
        };
        let (five, again, ten) = (count(5), count(5), count(10));
        assert_eq!(five, again);
        assert!(ten.abs_diff(five * 2) < five / 50, "{five} and {ten}: what comes before is in the count");

        let stranger = Callgrind { program: "/bin/true".into(), ..callgrind };
        let act = Act { name: "stranger".into(), times: 1, what: String::new() };
        assert!(stranger.count(act).unwrap_err().to_string().contains("symbols"));
    }
}
