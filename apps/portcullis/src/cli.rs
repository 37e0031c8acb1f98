//! What can be written on the command line.

use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

mod protector;

use crate::bench::BenchOptions;
use crate::demo::Demo;
use crate::failure::Exit;

const EXIT_CODES: &str = "\
Exit codes: 0 done, 1 configuration wrong, 2 failed while running, 3 denied by policy, 4 approval needed, \
5 integrity check failed, 64 wrong usage.";

/// The gate between AI agents and infrastructure.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version, after_help = EXIT_CODES, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// Configuration file [default: ./portcullis.toml, else /etc/portcullis/portcullis.toml]
    #[arg(
        short,
        long,
        global = true,
        value_name = "FILE",
        env = "PORTCULLIS_CONFIG",
        hide_env_values = true
    )]
    pub(crate) config: Option<PathBuf>,
    /// Print answers as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print less
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Log more; twice for every step
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// When to use colour
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t)]
    pub(crate) color: Color,
    /// Agree to the checks that the configuration's key `insecure` leaves out
    #[arg(long, global = true)]
    pub(crate) insecure: bool,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(crate) enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Take the tour: a gateway, a sandboxed host and an agent, every step checked
    Demo(Demo),
    /// Write a starter configuration, an API key and an encrypted keystore
    Init {
        /// Where to [default: the current folder]
        #[arg(value_name = "DIR")]
        folder: Option<PathBuf>,
    },
    /// Run the gateway: MCP over HTTP, the sockets, metrics
    Serve,
    /// Serve one MCP client on standard input and output
    Stdio(As),
    /// Check configuration, inventory and rules; print every mistake
    Check,
    /// Have the running gateway take the changed files over
    Reload,
    /// Ask the running gateway whether it can do its work
    Health,
    /// Tell which principal you are, and what it may use
    Whoami(As),
    /// Look at declared targets
    #[command(subcommand)]
    Target(Target),
    /// Call one tool, through the whole pipeline
    Call(Call),
    /// Look at the tools that a principal may use
    #[command(subcommand)]
    Tools(Tools),
    /// Make and list API keys
    #[command(subcommand)]
    Key(Key),
    /// Keep secrets in the encrypted keystore
    #[command(subcommand)]
    Secret(Secret),
    /// Decide which host keys are known
    #[command(subcommand)]
    Hostkey(Hostkey),
    /// Decide which tools of third-party servers are offered
    #[command(subcommand)]
    Upstream(Upstream),
    /// Look at the rules, and ask what they would decide
    #[command(subcommand)]
    Policy(Policy),
    /// Read and verify the audit journal
    #[command(subcommand)]
    Audit(Audit),
    /// Stand in for `mcp-protector`, with its file (`--config FILE`)
    Proxy(Proxy),
    /// Check a file of `mcp-protector` (`--config FILE`)
    ValidateConfig,
    /// Measure what the gateway costs on this machine, against the bare limit
    Bench(BenchOptions),
    /// Print a completion script for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

/// `proxy`
#[derive(Debug, Args)]
pub(crate) struct Proxy {
    /// A host name that clients reach it by, beside `localhost`, addresses and this machine's own name
    #[arg(long = "allow-host", value_name = "HOST")]
    pub(crate) allow_hosts: Vec<String>,
}

/// Whose eyes to see with.
#[derive(Debug, Args)]
pub(crate) struct As {
    /// Act as this principal; needs the right `operator:impersonate`
    #[arg(long = "as", value_name = "PRINCIPAL")]
    pub(crate) principal: Option<String>,
}

/// `target ...`
#[derive(Debug, Subcommand)]
pub(crate) enum Target {
    /// List the declared targets
    List,
    /// Show one target
    Show {
        /// Its alias
        name: String,
    },
    /// Dial, check the host key and log in; no command is run
    Test {
        /// Its alias
        name: String,
    },
}

/// `call ...`
#[derive(Debug, Args)]
pub(crate) struct Call {
    /// The tool's name
    pub(crate) tool: String,
    /// Arguments; the tool's schema says which are numbers or JSON
    #[arg(value_name = "KEY=VALUE")]
    pub(crate) arguments: Vec<String>,
    #[command(flatten)]
    pub(crate) who: As,
    /// Stop after the decision and tell it
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// `tools ...`
#[derive(Debug, Subcommand)]
pub(crate) enum Tools {
    /// List the tools
    List(As),
    /// Show one tool with its arguments
    Show {
        /// Its name
        name: String,
        #[command(flatten)]
        who: As,
    },
    /// Tell how much of an agent's context the tools take
    Cost(As),
}

/// `key ...`
#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// Make a key; it is printed once, with the line for the configuration
    New {
        /// Whose it will be
        principal: String,
    },
    /// List whose keys the configuration holds
    List,
    /// Tell which line ends a key
    Revoke {
        /// The key's prefix (`pk_7f3a09bc`), or the principal whose keys all end
        #[arg(value_name = "PREFIX|PRINCIPAL")]
        key: String,
    },
}

/// `secret ...`
#[derive(Debug, Subcommand)]
pub(crate) enum Secret {
    /// Keep a secret, read from standard input
    Set {
        /// `SAFE/OBJECT`, or `SOURCE:SAFE/OBJECT` if there is more than one keystore
        #[arg(value_name = "REF")]
        reference: String,
        /// The account it belongs to
        #[arg(long, value_name = "NAME")]
        username: Option<String>,
        /// The only address it may be used at
        #[arg(long, value_name = "ADDRESS")]
        address: Option<String>,
        /// A file with the passphrase of the private key that is kept
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
    },
    /// List what the keystore holds, never the secrets
    List {
        /// Which keystore, if there is more than one
        #[arg(long, value_name = "NAME")]
        source: Option<String>,
    },
    /// Remove a secret
    Rm {
        /// `SAFE/OBJECT`, or `SOURCE:SAFE/OBJECT`
        #[arg(value_name = "REF")]
        reference: String,
    },
    /// Encrypt the keystore under a new master key
    RotateMaster {
        /// Which keystore, if there is more than one
        #[arg(long, value_name = "NAME")]
        source: Option<String>,
    },
    /// Fetch a secret through any source and tell all but the secret
    Test {
        /// `SOURCE:SAFE/OBJECT`
        #[arg(value_name = "REF")]
        reference: String,
    },
}

/// `hostkey ...`
#[derive(Debug, Subcommand)]
pub(crate) enum Hostkey {
    /// Show the keys that a host offers, and whether they are known
    Scan(HostAddress),
    /// List the known host keys
    List,
    /// Show a host's keys, ask, and keep them as known
    Trust {
        #[command(flatten)]
        host: HostAddress,
        /// Trust exactly the key of this fingerprint, without asking
        #[arg(long, value_name = "SHA256:...")]
        fingerprint: Option<String>,
    },
    /// Refuse a key from now on
    Revoke {
        /// Alias of a target, or an address; may be left out where `--fingerprint` says which key
        #[arg(required_unless_present = "fingerprint")]
        host: Option<String>,
        /// Port, if not the target's or 22
        #[arg(long, requires = "host")]
        port: Option<u16>,
        /// Which key or authority, if not all keys that are known of the host
        #[arg(long, value_name = "SHA256:...")]
        fingerprint: Option<String>,
        /// For which hosts, as known hosts files name them; every host if it is left out
        #[arg(long = "for", value_name = "PATTERN", default_value = "*")]
        hosts: String,
    },
    /// Authorities whose host certificates are taken
    #[command(subcommand)]
    Ca(HostkeyCa),
}

/// `hostkey ca ...`
#[derive(Debug, Subcommand)]
pub(crate) enum HostkeyCa {
    /// Show an authority's fingerprint, ask, and take the certificates it signs for these hosts
    Add {
        /// For which hosts: `*.example.net`, `web1,web2`, `[web1]:2222`, with `*`, `?` and `!`
        #[arg(value_name = "PATTERN")]
        hosts: String,
        /// Its public key, as `ssh-keygen` writes it: `ca.pub`
        #[arg(value_name = "FILE")]
        key: PathBuf,
        /// Take exactly the key of this fingerprint, without asking
        #[arg(long, value_name = "SHA256:...")]
        fingerprint: Option<String>,
    },
    /// List the authorities
    List,
}

/// `upstream ...`
#[derive(Debug, Subcommand)]
pub(crate) enum Upstream {
    /// List the servers, and how many tools of each are withheld
    List,
    /// List a server's tools: accepted, new, changed or gone
    #[command(visible_alias = "show")]
    Tools {
        /// The server's name
        name: String,
    },
    /// Show what differs from the accepted definitions, with nothing hidden
    Diff {
        /// The server's name
        name: String,
        /// Only these tools, by the server's own names
        #[arg(value_name = "TOOL")]
        tools: Vec<String>,
    },
    /// Show what differs, ask, and accept it; what passes for another tool must be named
    Accept {
        /// The server's name
        name: String,
        /// Only these tools, by the server's own names
        #[arg(value_name = "TOOL")]
        tools: Vec<String>,
        /// Accept exactly what `diff` showed under this digest, without asking
        #[arg(long, value_name = "DIGEST")]
        digest: Option<String>,
    },
    /// End a server with the calls that it has, and start it at once
    Restart {
        /// The server's name
        name: String,
    },
}

/// A host to speak to.
#[derive(Debug, Args)]
pub(crate) struct HostAddress {
    /// Alias of a target, or an address
    pub(crate) host: String,
    /// Port, if not the target's or 22
    #[arg(long)]
    pub(crate) port: Option<u16>,
}

/// `policy ...`
#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// Print all rules as Cedar
    Show,
    /// Tell what would be decided, by which rule, and what would be allowed instead
    Explain {
        /// The tool's name
        tool: String,
        /// Arguments
        #[arg(value_name = "KEY=VALUE")]
        arguments: Vec<String>,
        #[command(flatten)]
        who: As,
    },
    /// Check a table of cases against the rules
    Test {
        /// A TOML file of `[[case]]` tables
        file: PathBuf,
    },
    /// Look for rules that say something else than they seem to
    Lint,
}

/// `audit ...`
#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// Print the last entries
    Tail {
        /// How many
        #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
        lines: u32,
        /// Wait for more
        #[arg(short, long)]
        follow: bool,
        /// Open sealed command lines
        #[arg(long)]
        commands: bool,
    },
    /// Print the entries that match
    Query(Query),
    /// Check a journal, also one copied from elsewhere
    Verify {
        /// The journal's folder [default: the configured one]
        #[arg(value_name = "DIR")]
        folder: Option<PathBuf>,
        /// The public key that signed the heads: a `.pub` file, or its line
        #[arg(long, value_name = "PUB")]
        key: Option<String>,
        /// Signed heads that were kept elsewhere
        #[arg(long, value_name = "FILE")]
        head: Option<PathBuf>,
    },
}

/// What to look for in the journal; everything that is given must hold.
#[derive(Debug, Args)]
pub(crate) struct Query {
    /// Not before this time (2026-03-28T10:30:00.000Z) or age (90s, 15m, 12h, 7d)
    #[arg(long, value_name = "TIME|AGE")]
    pub(crate) since: Option<String>,
    /// Before this time or age
    #[arg(long, value_name = "TIME|AGE")]
    pub(crate) until: Option<String>,
    /// Whose calls
    #[arg(long)]
    pub(crate) principal: Option<String>,
    /// Which tool or verb
    #[arg(long)]
    pub(crate) tool: Option<String>,
    /// On which target
    #[arg(long)]
    pub(crate) target: Option<String>,
    /// Which event
    #[arg(long)]
    pub(crate) event: Option<String>,
    /// How it was decided
    #[arg(long)]
    pub(crate) decision: Option<String>,
    /// One call, by its id
    #[arg(long)]
    pub(crate) id: Option<String>,
    /// At most so many of the last
    #[arg(short = 'n', long, value_name = "N", default_value_t = 1000)]
    pub(crate) limit: u32,
    /// Open sealed command lines
    #[arg(long)]
    pub(crate) commands: bool,
}

/// Reads the command line, as the program that it is called as; help and usage errors are printed here.
pub(crate) fn parse() -> Result<Cli, Exit> {
    let called = std::env::args_os().next().map(PathBuf::from);
    let parsed = match called.as_deref().and_then(Path::file_name) {
        Some(name) if name == protector::NAME => protector::parse(),
        Some(_) | None => Cli::try_parse(),
    };
    parsed.map_err(|error| {
        // Standard output or error may be closed; there is nobody left to tell.
        let _ = error.print();
        if error.use_stderr() { Exit::Usage } else { Exit::Done }
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_tree_is_sound() {
        super::Cli::command().debug_assert();
    }
}
