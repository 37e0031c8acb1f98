//! What the program says about itself, on standard error. The audit journal is something else.

use std::io::{self, IsTerminal};

use config::{Log, LogFormat};
use tracing_subscriber::EnvFilter;

use crate::cli::Global;

/// Starts logging: as configured for the gateway, or (`None`) for a command, which says little of itself.
pub(crate) fn start(log: Option<&Log>, global: &Global) {
    let configured = log.map_or("warn", |log| log.level.as_str());
    let level = match (global.quiet, global.verbose) {
        (true, _) => "error",
        (false, 0) => configured,
        (false, 1) => "debug",
        (false, _) => "trace",
    };
    let filter = EnvFilter::new(filter(level));
    let terminal = io::stderr().is_terminal();
    let json = match log.map_or(LogFormat::Text, |log| log.format) {
        LogFormat::Auto => !terminal,
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(terminal);
    // A second start in one process (tests) keeps the first.
    let _ = if json { lines.json().try_init() } else { lines.try_init() };
}

/// Below `info` libraries speak of every packet and every parsed word, logins and commands among them: only our own
/// crates may go there.
fn filter(level: &str) -> String {
    match level {
        "debug" | "trace" => OURS.iter().fold("info".to_owned(), |all, name| format!("{all},{name}={level}")),
        level => level.to_owned(),
    }
}

/// Every crate of ours that logs.
const OURS: &[&str] = &["portcullis", "gateway", "mcp", "audit", "broker", "sources", "connector_ssh"];

#[cfg(test)]
mod tests {
    use super::filter;

    #[test]
    fn libraries_never_log_below_info() {
        for level in ["debug", "trace"] {
            assert!(filter(level).starts_with("info,portcullis="), "{level}");
        }
        assert_eq!(filter("warn"), "warn");
    }
}
