//! What people and CI run: `cargo xtask test`, `cargo xtask tidy`, `cargo xtask bench`.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool that talks to the person who runs it"
)]

mod bench;
mod clock;
mod debian;
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
  bench [--json] [--against FILE] [--counts] [--peers] [FILTER] [-- OPTIONS]
           counts the instructions of single acts with valgrind, then runs `portcullis bench OPTIONS` for the times
           (FILTER: only acts whose name holds it, no times; --counts: no times; --against: compares with an earlier --json;
           --peers: installs other MCP proxies and measures them beside the gateway)
  tidy     checks the architecture's invariants, dependencies, licences and sizes";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["test", rest @ ..] => match test::Options::parse(rest) {
            Ok(options) => test::run(&options),
            Err(wrong) => return usage(&wrong),
        },
        ["bench", rest @ ..] => match bench::Options::parse(rest) {
            Ok(options) => bench::run(&options),
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
