//! The gate between AI agents and infrastructure: `cli` says what can be written on the command line, `commands` does
//! it, `compose` builds the gateway. Started as a launcher, it becomes a program of an upstream (`upstream::launched`).

mod agent_socket;
mod arguments;
mod bench;
mod cli;
mod commands;
mod compose;
mod demo;
mod failure;
mod harden;
mod keys;
mod log;
mod operators;
mod output;
mod place;
mod service;
mod stage;
mod verbs;
mod watch;

use std::process::ExitCode;

fn main() -> ExitCode {
    upstream::launched().unwrap_or_else(|| match cli::parse() {
        Ok(cli) => commands::run(cli).into(),
        Err(exit) => exit.into(),
    })
}
