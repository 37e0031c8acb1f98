//! Stands in for `mcp-protector`: its configuration file, its commands, its words; behind them the one gateway there is.
//!
//! `file` reads the file, `stage` says what it means to us, `serve` serves it. What it means is decided in
//! `docs/decisions/0017-in-the-place-of-mcp-protector.md`.

mod file;
mod serve;
mod stage;

use std::path::Path;

use import::protector::Protector;

use crate::cli::{Global, Proxy};
use crate::failure::{Exit, Stop};
use crate::log;
use crate::output::Output;

/// `validate-config`: tells every mistake, connects to nothing, and prints nothing on standard output.
pub(crate) fn validate(global: &Global, output: Output) -> Result<Exit, Stop> {
    log::start_by_environment(global);
    read(global, output)?;
    output.note("Config is valid.");
    Ok(Exit::Done)
}

/// `proxy`: serves until it is told to stop, or its one client is done.
pub(crate) fn proxy(global: &Global, options: &Proxy, output: Output) -> Result<Exit, Stop> {
    log::start_by_environment(global);
    let file = read(global, output)?;
    serve::run(&file, options, global, output).map_err(|stop| {
        if !stop.message.is_empty() {
            output.plain_error(&format!("proxy runtime error: {}", stop.message));
        }
        Stop::said(stop.exit)
    })
}

fn read(global: &Global, output: Output) -> Result<Protector, Stop> {
    let path: &Path = global
        .config
        .as_deref()
        .ok_or_else(|| Stop::usage("no configuration file is named").with_hint("name it: `--config FILE`"))?;
    tracing::info!(file = %path.display(), "reading the configuration");
    file::read(path).map_err(|mistakes| {
        mistakes.iter().for_each(|mistake| output.plain_error(mistake));
        Stop::said(Exit::Configuration)
    })
}
