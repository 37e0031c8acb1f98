//! Steps that say what they do and how long it took.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::clock::Stopwatch;

/// The steps of one run, for the summary at its end.
#[derive(Default)]
pub(crate) struct Steps {
    done: Vec<(String, f64)>,
}

impl Steps {
    /// Does one step: announces it, runs it, prints its time.
    pub(crate) fn step<T>(&mut self, name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        println!("==> {name}");
        let watch = Stopwatch::start();
        let outcome = work();
        let seconds = watch.elapsed().as_secs_f64();
        println!("    {} after {seconds:.1} s", if outcome.is_ok() { "done" } else { "FAILED" });
        self.done.push((name.to_owned(), seconds));
        outcome.with_context(|| format!("step `{name}` failed"))
    }

    /// Prints all steps with their times.
    pub(crate) fn summary(&self) {
        println!("\ntime    step");
        for (name, seconds) in &self.done {
            println!("{seconds:>6.1} s {name}");
        }
    }
}

/// Runs a command whose output the person sees; an exit status other than zero is an error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start `{}`", line(command)))?;
    if !status.success() {
        bail!("`{}` ended with {status}", line(command));
    }
    Ok(())
}

/// Runs a command and returns what it wrote to standard output; on failure its standard error is in the error.
pub(crate) fn capture(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot start `{}`", line(command)))?;
    if !output.status.success() {
        bail!(
            "`{}` ended with {}: {}",
            line(command),
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    String::from_utf8(output.stdout)
        .with_context(|| format!("`{}` wrote something that is not UTF-8", line(command)))
}

fn line(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy()];
    words.extend(command.get_args().map(|a| a.to_string_lossy()));
    words.join(" ")
}
