//! What people and CI run: `cargo xtask test`, `cargo xtask tidy`.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool that talks to the person who runs it"
)]

mod clock;
mod steps;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  test [--only PACKAGE] [--kill-rounds N] [FILTER]
           installs what the tests need, then runs them all (or one package's, or those whose name holds FILTER)
  tools    only installs what the tests need
  tidy     checks the architecture's invariants, dependencies, licences and sizes";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["test", rest @ ..] => match test::Options::parse(rest) {
            Ok(options) => test::run(&options),
            Err(wrong) => return usage(&wrong),
        },
        ["tools"] => test::tools(),
        ["tidy"] => tidy::run(),
        ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        [] => return usage("no command"),
        [other, ..] => return usage(&format!("no command `{other}`, or it takes no arguments")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn usage(wrong: &str) -> ExitCode {
    eprintln!("xtask: {wrong}\n\n{USAGE}");
    ExitCode::from(64)
}
