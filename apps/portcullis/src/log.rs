//! What the program says about itself, on standard error. The audit journal is something else.

use std::io::{self, IsTerminal};

use config::{Log, LogFormat, LogLevel};
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

/// Starts logging as `mcp-protector` did: lines for people, at the level that `RUST_LOG` gives for it or for everything.
pub(crate) fn start_by_environment(global: &Global) {
    let directives = std::env::var("RUST_LOG").unwrap_or_default();
    let level = level_of(&directives).unwrap_or(LogLevel::Info);
    start(Some(&Log { level, format: LogFormat::Text }), global);
}

/// The last directive that is about that program, or about everything.
fn level_of(directives: &str) -> Option<LogLevel> {
    let mut levels = directives.split(',').filter_map(|directive| {
        let level = match directive.trim().split_once('=') {
            Some(("mcp_protector" | "portcullis", level)) => level,
            Some(_) => return None,
            None => directive.trim(),
        };
        match level.to_ascii_lowercase().as_str() {
            "error" | "off" => Some(LogLevel::Error),
            "warn" => Some(LogLevel::Warn),
            "info" => Some(LogLevel::Info),
            "debug" => Some(LogLevel::Debug),
            "trace" => Some(LogLevel::Trace),
            _ => None,
        }
    });
    levels.next_back()
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
    use config::LogLevel;

    use super::{filter, level_of};

    #[test]
    fn the_level_is_read_from_directives_about_us_or_everything() {
        for (directives, level) in [
            ("", None),
            ("debug", Some(LogLevel::Debug)),
            ("mcp_protector=WARN", Some(LogLevel::Warn)),
            ("warn,mcp_protector=trace,hyper=off", Some(LogLevel::Trace)),
            ("hyper=debug", None),
            ("[span]=x", None),
        ] {
            assert_eq!(level_of(directives), level, "{directives}");
        }
    }

    #[test]
    fn libraries_never_log_below_info() {
        for level in ["debug", "trace"] {
            assert!(filter(level).starts_with("info,portcullis="), "{level}");
        }
        assert_eq!(filter("warn"), "warn");
    }
}
