//! `portcullis.toml` as checked types.

mod audit;
mod ccp;
mod listen;
mod principals;
mod secrets;
mod sources;
mod upstreams;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use model::Limits;
use policy::NetworkFence;

pub use audit::{Audit, Durability, Heads, RecordCommands, Sink, SinkTo};
pub use ccp::{CcpAccount, CcpConfig, CcpCriteria, CcpIdentity};
pub use listen::{AgentSocket, Listen, TlsFiles};
pub use principals::{ApiKeyHash, MalformedKeyHash, PrincipalConfig};
pub use secrets::KeyLocation;
pub(crate) use secrets::{Sources, secret_location};
pub use sources::{Fetch, SourceConfig, SourceKind};
pub(crate) use upstreams::check_names as check_upstream_names;
pub use upstreams::{
    HttpConfig, OAuthConfig, Pinning, ReachConfig, SandboxConfig, SandboxKind, Setting, UpstreamConfig,
};

use crate::forms;
use crate::node::{Node, Table, absolute};

/// Everything that `portcullis.toml` says, with defaults filled in and every path absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configuration {
    /// Inventory file, or folder of inventory files.
    pub inventory: PathBuf,
    /// Folder of rule files.
    pub policy: PathBuf,
    /// Folder of what the gateway writes.
    pub state: PathBuf,
    /// Whether changed files are taken over unasked.
    pub watch: bool,
    /// Checks that are left out, if the command line agrees.
    pub insecure: BTreeSet<Insecure>,
    /// Where clients connect.
    pub listen: Listen,
    /// Who may connect, in the order of the file.
    pub principals: Vec<PrincipalConfig>,
    /// Where credentials come from, in the order of the file.
    pub sources: Vec<SourceConfig>,
    /// Third-party servers, in the order of the file.
    pub upstreams: Vec<UpstreamConfig>,
    /// Life of handles.
    pub handles: Handles,
    /// Files of known host keys.
    pub known_hosts: Vec<PathBuf>,
    /// Which addresses may be dialled.
    pub network: NetworkFence,
    /// Limits where no rule sets one; every field is set.
    pub limits: Limits,
    /// The journal.
    pub audit: Audit,
    /// What the program logs.
    pub log: Log,
}

/// A check that may be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Insecure {
    /// Any SSH host key is taken.
    Hostkey,
    /// Any certificate of a target or source is taken.
    Tls,
}

/// `[handles]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handles {
    /// Life of a handle; at most ten minutes.
    pub ttl: Duration,
    /// Whether one use ends it.
    pub single_use: bool,
}

/// `[log]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Log {
    /// The least important level that is logged.
    pub level: LogLevel,
    /// How a line is written.
    pub format: LogFormat,
}

/// How important a log line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Something failed.
    Error,
    /// Somebody should look.
    Warn,
    /// What the program does.
    Info,
    /// How it does it.
    Debug,
    /// Every step.
    Trace,
}

impl LogLevel {
    /// The word in the file, which is also the filter of the logging library.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// How a log line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people on a terminal, else JSON.
    Auto,
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Reads the checked structure of `portcullis.toml`; `None` only after an error was reported.
pub(crate) fn read(root: &Table<'_>) -> Option<Configuration> {
    let folder = root.place.file.folder.as_path();
    let state = path_or(root, "state", folder, "state");
    if root.node("state").and_then(|node| node.text()) == Some("memory") {
        root.place_of("state").error("`memory` comes with a later version of Portcullis");
    }
    let sources = sources::read(root, &state);
    let inventory = path_or(root, "inventory", folder, "inventory.toml");
    let policy = path_or(root, "policy", folder, "policy");
    let ours = [own_file(root), inventory.clone(), policy.clone(), state.clone()];
    let upstreams = upstreams::read(root, &Sources::declared(root), &ours);
    let listen = listen::read(root, &state);
    let principals = principals::read(root);
    listen::check_principals(root, listen.as_ref(), &principals);
    Some(Configuration {
        inventory,
        policy,
        watch: root.node("watch").and_then(|node| node.flag()).unwrap_or(false),
        insecure: root.list("insecure").iter().filter_map(insecure).collect(),
        listen: listen?,
        principals,
        sources,
        upstreams,
        handles: handles(root),
        known_hosts: known_hosts(root, folder),
        network: network(root),
        limits: limits(root.table("limits").as_ref()).or(DEFAULT_LIMITS),
        audit: audit::read(root, &state),
        log: log(root),
        state,
    })
}

/// The file that all of it is in.
fn own_file(root: &Table<'_>) -> PathBuf {
    let file = root.place.file;
    file.shown.file_name().map_or_else(|| file.folder.clone(), |name| file.folder.join(name))
}

const DEFAULT_LIMITS: Limits =
    Limits { timeout: Some(Duration::from_secs(60)), output: Some(1 << 20), calls_per_minute: Some(120) };

fn path_or(table: &Table<'_>, key: &str, folder: &Path, default: &str) -> PathBuf {
    match table.node(key) {
        Some(node) => node.path().unwrap_or_default(),
        None => absolute(folder, Path::new(default)),
    }
}

fn insecure(node: &Node<'_>) -> Option<Insecure> {
    match node.text()? {
        "hostkey" => Some(Insecure::Hostkey),
        "tls" => Some(Insecure::Tls),
        _ => None,
    }
}

fn handles(root: &Table<'_>) -> Handles {
    let table = root.table("handles");
    let node = |key| table.as_ref().and_then(|table| table.node(key));
    Handles {
        ttl: node("ttl").and_then(|node| node.duration()).unwrap_or(Duration::from_secs(300)),
        single_use: node("single_use").and_then(|node| node.flag()).unwrap_or(true),
    }
}

fn known_hosts(root: &Table<'_>, folder: &Path) -> Vec<PathBuf> {
    match root.table("ssh").and_then(|ssh| ssh.node("known_hosts")) {
        Some(files) => {
            if files.value.as_array().is_some_and(|items| items.is_empty()) {
                files.place.error("no file is named, so no host key can be known");
            }
            files.list().iter().filter_map(Node::path).collect()
        }
        None => vec![folder.join("known_hosts"), PathBuf::from("/etc/ssh/ssh_known_hosts")],
    }
}

fn network(root: &Table<'_>) -> NetworkFence {
    let Some(table) = root.table("network") else { return NetworkFence::default() };
    if let Some(allow) = table.node("allow")
        && allow.value.as_array().is_some_and(|items| items.is_empty())
    {
        // The fence reads an empty list as "everything"; its author may have meant "nothing".
        allow.place.error(
            forms::Wrong::new("an empty list allows nothing")
                .hint("name the networks, or leave the key out to allow all"),
        );
    }
    NetworkFence { allow: networks(&table, "allow"), block: networks(&table, "block") }
}

pub(crate) fn networks(table: &Table<'_>, key: &str) -> Vec<IpNet> {
    table.list(key).iter().filter_map(|node| node.read(forms::network)).collect()
}

/// What a `limits` table sets.
pub(crate) fn limits(table: Option<&Table<'_>>) -> Limits {
    let node = |key| table.and_then(|table| table.node(key));
    Limits {
        timeout: node("timeout").and_then(|node| node.duration()),
        output: node("output").and_then(|node| node.size()),
        calls_per_minute: node("calls_per_minute")
            .and_then(|node| node.integer())
            .and_then(|n| u32::try_from(n).ok()),
    }
}

fn log(root: &Table<'_>) -> Log {
    let table = root.table("log");
    let text = |key| table.as_ref().and_then(|table| table.node(key)).and_then(|node| node.text());
    Log {
        level: match text("level") {
            Some("error") => LogLevel::Error,
            Some("warn") => LogLevel::Warn,
            Some("debug") => LogLevel::Debug,
            Some("trace") => LogLevel::Trace,
            Some(_) | None => LogLevel::Info,
        },
        format: match text("format") {
            Some("text") => LogFormat::Text,
            Some("json") => LogFormat::Json,
            Some(_) | None => LogFormat::Auto,
        },
    }
}
