//! The acts whose instructions `cargo xtask bench` counts: `measured ACT TIMES` does one of them so many times.
//!
//! The whole product cannot be counted: its clock asks the kernel's shared page, which does not survive valgrind. So the acts
//! are the parts of a call that decide, scan and record, on fixed clocks, and they are put together here rather than in a
//! program for each crate: one is built and run the same way for all.
//!
//! With no arguments it lists the acts, one a line: name, how often `cargo xtask bench` has it done, and what it is.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for `cargo xtask bench`: it lists what it can do, and says why it cannot"
)]

mod act;
mod command;
mod decision;
mod guard;
mod journal;
mod message;

use std::process::ExitCode;

use anyhow::{Context, bail};

use act::ACTS;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        [] => {
            ACTS.iter().for_each(|act| println!("{}\t{}\t{}", act.name, act.times, act.what));
            Ok(())
        }
        [name, times] => act(name, times),
        _ => Err(anyhow::anyhow!("usage: measured [ACT TIMES]")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("measured: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn act(name: &str, times: &str) -> anyhow::Result<()> {
    let times: u32 = times.parse().with_context(|| format!("`{times}` is no number of times"))?;
    let Some(act) = ACTS.iter().find(|act| act.name == name) else { bail!("there is no act `{name}`") };
    act::run(act, times)
}
