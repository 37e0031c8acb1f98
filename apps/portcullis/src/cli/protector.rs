//! The command line under the name `mcp-protector`, which is a link to this program.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::{Cli, Color, Command, Global, Proxy};

/// The link's name.
pub(super) const NAME: &str = "mcp-protector";

/// A security proxy before one MCP server: its clients see and call the tools that are listed, and every call is recorded.
#[derive(Debug, Parser)]
#[command(name = NAME, version, max_term_width = 100)]
#[command(after_help = "Exit codes: 0 done, 1 configuration wrong, 2 failed while running, 64 wrong usage.")]
struct Protector {
    #[command(subcommand)]
    command: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Start the proxy
    Proxy(Start),
    /// Check the configuration file, and connect to nothing
    ValidateConfig(File),
}

#[derive(Debug, Args)]
struct Start {
    #[command(flatten)]
    file: File,
    #[command(flatten)]
    proxy: Proxy,
}

#[derive(Debug, Args)]
struct File {
    /// Configuration file
    #[arg(short, long, value_name = "PATH")]
    config: PathBuf,
}

pub(super) fn parse() -> Result<Cli, clap::Error> {
    let (file, command) = match Protector::try_parse()?.command {
        Task::Proxy(Start { file, proxy }) => (file, Command::Proxy(proxy)),
        Task::ValidateConfig(file) => (file, Command::ValidateConfig),
    };
    let config = Some(file.config);
    let global =
        Global { config, json: false, quiet: false, verbose: 0, color: Color::Auto, insecure: false };
    Ok(Cli { global, command })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_tree_is_sound() {
        super::Protector::command().debug_assert();
    }
}
