//! The subcommands, one file each.

pub(crate) mod audit;
mod call;
pub(crate) mod check;
mod completions;
mod hostkey;
pub(crate) mod init;
mod key;
mod policy;
mod protector;
mod secret;
mod serve;
mod stdio;
mod target;
mod tools;
mod upstream;

use serde_json::Map;

use crate::cli::{Cli, Command};
use crate::failure::{Exit, Stop};
use crate::output::Output;
use crate::{bench, demo, harden, log, operators};

/// Does what the command line says.
pub(crate) fn run(cli: Cli) -> Exit {
    let output = Output::new(&cli.global);
    harden::harden();
    match dispatch(cli, output) {
        Ok(exit) => exit,
        Err(stop) => output.stop(&stop),
    }
}

fn dispatch(cli: Cli, output: Output) -> Result<Exit, Stop> {
    let global = cli.global;
    if !matches!(
        cli.command,
        Command::Serve | Command::Stdio(_) | Command::Proxy(_) | Command::ValidateConfig
    ) {
        log::start(None, &global);
    }
    match cli.command {
        Command::Demo(demo) => demo::run(&global, &demo, output),
        Command::Bench(options) => bench::run(options, output),
        Command::Init { folder } => init::run(folder.as_deref(), output),
        Command::Serve => serve::run(&global, output),
        Command::Stdio(who) => stdio::run(&global, who, output),
        Command::Check => check::run(&global, output),
        Command::Reload => verb(&global, "reload", output),
        Command::Health => verb(&global, "health", output),
        Command::Whoami(who) => call::whoami(&global, who, output),
        Command::Target(target) => target::run(&global, target, output),
        Command::Call(call) => call::run(&global, call, output),
        Command::Tools(tools) => tools::run(&global, tools, output),
        Command::Key(key) => key::run(&global, key, output),
        Command::Secret(secret) => secret::run(&global, secret, output),
        Command::Hostkey(hostkey) => hostkey::run(&global, hostkey, output),
        Command::Policy(policy) => policy::run(&global, policy, output),
        Command::Upstream(upstream) => upstream::run(&global, upstream, output),
        Command::Audit(audit) => audit::run(&global, audit, output),
        Command::Proxy(proxy) => protector::proxy(&global, &proxy, output),
        Command::ValidateConfig => protector::validate(&global, output),
        Command::Completions { shell } => completions::run(shell),
    }
}

/// Takes nothing but a written `yes`.
fn says_yes(question: &str) -> Result<bool, Stop> {
    anstream::eprint!("{question}");
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).map_err(Stop::failed)?;
    Ok(answer.trim() == "yes")
}

/// A verb that needs a running gateway: on its own files there would be nothing to ask.
fn verb(global: &crate::cli::Global, verb: &str, output: Output) -> Result<Exit, Stop> {
    operators::running(global, verb, Map::new()).and_then(|reply| operators::show(&reply, output))
}
