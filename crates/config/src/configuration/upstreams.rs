//! `[[upstream]]`: third-party MCP servers.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use model::{Abilities, Inventory, SecretLocation, Tier, UpstreamName};

use super::Sources;
use super::secrets::secret_location;
use super::sources::argument;
use crate::forms::{self, Wrong};
use crate::node::{Node, Place, Table};

mod http;
mod sandbox;

pub use http::{HttpConfig, OAuthConfig};
pub use sandbox::{SandboxConfig, SandboxKind};

/// An upstream as declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamConfig {
    /// Its name.
    pub name: UpstreamName,
    /// How it is reached.
    pub reach: ReachConfig,
    /// The tools that may be used; `None` is all.
    pub tools: Option<BTreeSet<String>>,
    /// Tiers of tools that are not `dangerous`.
    pub tier: BTreeMap<String, Tier>,
    /// How long a call may take.
    pub timeout: Option<Duration>,
    /// Calls that may be under way.
    pub max_concurrent: usize,
    /// Of these, calls of one principal.
    pub max_concurrent_per_principal: usize,
    /// Calls in a minute, of all principals together.
    pub calls_per_minute: Option<u32>,
    /// What becomes of tools whose definitions nobody accepted.
    pub pin: Pinning,
    /// What it may ask clients.
    pub client_requests: Abilities,
    /// Whether the gateway is unhealthy without it.
    pub required: bool,
}

/// What becomes of tools whose definitions nobody accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pinning {
    /// They are withheld.
    Strict,
    /// They are offered and reported.
    Warn,
    /// They are offered.
    Off,
}

/// How an upstream is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReachConfig {
    /// By its standard input and output.
    Program {
        /// Program and arguments; no shell. The program is absolute, or a bare name to be looked up in `PATH`.
        command: Vec<String>,
        /// The program's environment, sorted by name.
        env: BTreeMap<String, Setting>,
        /// Where it runs.
        folder: PathBuf,
        /// What it is kept from.
        sandbox: SandboxConfig,
    },
    /// Over HTTP.
    Http(Box<HttpConfig>),
}

/// The value of an environment variable or a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting {
    /// What everybody may read.
    Plain(String),
    /// A secret, by where it is written down.
    Secret(SecretLocation),
}

/// Sets and endpoints, also those of later versions: `/mcp/NAME` is one thing only.
const TAKEN: [&str; 19] = [
    "credentials",
    "cyberark",
    "ssh",
    "powershell",
    "database",
    "fleet",
    "gateway",
    "host",
    "session",
    "sftp-read",
    "file-ops",
    "exec",
    "sudo",
    "shell",
    "docker",
    "systemctl",
    "pkg",
    "console",
    "upstream",
];

const SECRET_NAMES: [&str; 5] = ["TOKEN", "KEY", "SECRET", "PASS", "CREDENTIAL"];

/// `ours` is what no program may touch.
pub(super) fn read(root: &Table<'_>, sources: &Sources, ours: &[PathBuf]) -> Vec<UpstreamConfig> {
    let mut taken: BTreeMap<UpstreamName, Place<'_>> = BTreeMap::new();
    let mut upstreams = Vec::new();
    for table in root.list("upstream").iter().filter_map(Node::table) {
        let name = table.node("name").and_then(|node| {
            let name = node.read(name)?;
            if let Some(first) = taken.insert(name, node.place.clone()) {
                node.place.error(format!("the same name is already at {}", first.seen_from(&node.place)));
            }
            Some(name)
        });
        let reach = reach(&table, sources, ours);
        let tools = tools(&table);
        let tier = tier(&table, tools.as_ref().and_then(Option::as_ref));
        let timeout = table.node("timeout").and_then(|node| node.duration());
        let (max_concurrent, max_concurrent_per_principal) = concurrent(&table);
        let per_minute = table.node("calls_per_minute").and_then(|node| node.integer());
        let calls_per_minute = per_minute.and_then(|calls| u32::try_from(calls).ok());
        let required = table.node("required").and_then(|node| node.flag()).unwrap_or(false);
        let pin = match table.node("pin").as_ref().and_then(|node| node.text()) {
            Some("off") => Pinning::Off,
            Some("warn") => Pinning::Warn,
            Some(_) | None => Pinning::Strict,
        };
        let (Some(name), Some(reach), Some(tools)) = (name, reach, tools) else { continue };
        upstreams.push(UpstreamConfig {
            name,
            reach,
            tools,
            tier,
            timeout,
            max_concurrent,
            max_concurrent_per_principal,
            calls_per_minute,
            pin,
            client_requests: client_requests(&table),
            required,
        });
    }
    upstreams
}

/// Calls under way, of all and of one principal: half of them, unless it is written otherwise.
fn concurrent(table: &Table<'_>) -> (usize, usize) {
    let written = |key: &str| {
        let node = table.node(key)?;
        let most = usize::try_from(node.integer()?).ok()?;
        Some((node, most))
    };
    let all = written("max_concurrent").map_or(64, |(_, most)| most);
    match written("max_concurrent_per_principal") {
        None => (all, all.div_ceil(2)),
        Some((node, most)) => {
            if most > all {
                node.place.error(format!("is more than `max_concurrent`, which is {all}"));
            }
            (all, most)
        }
    }
}

fn client_requests(table: &Table<'_>) -> Abilities {
    let mut may = Abilities::default();
    for node in table.list("client_requests") {
        match node.text() {
            Some("sampling") => may.sample = true,
            Some("elicitation") => (may.form, may.page) = (true, true),
            Some("roots") => may.roots = true,
            Some(_) | None => {}
        }
    }
    may
}

/// Rules name hosts and upstreams alike.
pub(crate) fn check_names(root: &Table<'_>, inventory: &Inventory) {
    for table in root.list("upstream").iter().filter_map(Node::table) {
        let Some(node) = table.node("name") else { continue };
        let host = node.text().filter(|name| inventory.hosts().any(|host| host.name.as_str() == *name));
        if let Some(name) = host {
            let wrong = Wrong::new(format!("a host of the inventory is called `{name}`"));
            node.place.error(wrong.hint("rules would mean both: give one of them another name"));
        }
    }
}

fn name(text: &str) -> Result<UpstreamName, Wrong> {
    let name = UpstreamName::parse(text)?;
    match TAKEN.contains(&text) {
        true => Err(Wrong::new(format!("`{text}` is the name of a set or an endpoint"))
            .hint("give it a name of its own")),
        false => Ok(name),
    }
}

/// Keys that say something about a server elsewhere.
const OF_SERVERS: [&str; 6] = ["auth", "headers", "ca", "client_cert", "client_key", "networks"];

fn reach(table: &Table<'_>, sources: &Sources, ours: &[PathBuf]) -> Option<ReachConfig> {
    let misplaced = |keys: &[&str], why: &str| {
        for node in keys.iter().filter_map(|key| table.node(key)) {
            node.place.error(why);
        }
    };
    match (table.node("command"), table.node("url")) {
        (Some(_), None) => {
            misplaced(&OF_SERVERS, "is for an upstream with `url`");
            let (command, env) = (command(table), env(table, sources));
            let folder = table.node("folder").map(|node| node.path().unwrap_or_default());
            let folder = folder.unwrap_or_else(|| PathBuf::from("/"));
            let sandbox = sandbox::read(table, ours);
            Some(ReachConfig::Program { command: command?, env, folder, sandbox })
        }
        (None, Some(url)) => {
            misplaced(&["env", "folder"], "is for an upstream with `command`");
            misplaced(&sandbox::KEYS, "is for an upstream with `command`");
            http::read(table, &url, sources).map(|http| ReachConfig::Http(Box::new(http)))
        }
        (Some(_), Some(url)) => {
            url.place.error(Wrong::new("there is a `command` already").hint("write one of them"));
            None
        }
        (None, None) => {
            let wrong = Wrong::new("is missing").hint(
                "write `command = [...]` for a program, `url = \"https://...\"` for a server elsewhere",
            );
            table.place_of("command").error(wrong);
            None
        }
    }
}

fn command(table: &Table<'_>) -> Option<Vec<String>> {
    let node = table.node("command")?;
    if node.value.as_array().is_some_and(|items| items.is_empty()) {
        node.place.error("must not be empty");
        return None;
    }
    // Two steps, so that every word is looked at.
    let words: Vec<_> = node.list().iter().enumerate().map(|(at, node)| argument(at, node)).collect();
    words.into_iter().collect()
}

fn env(table: &Table<'_>, sources: &Sources) -> BTreeMap<String, Setting> {
    let Some(node) = table.node("env") else { return BTreeMap::new() };
    let mut settings = BTreeMap::new();
    for (name, place, value) in node.named() {
        let Ok(name) = forms::environment_name(name) else {
            place.error("expected the name of an environment variable");
            continue;
        };
        let setting = setting(&name, &value, &SECRET_NAMES, sources);
        if matches!(&setting, Some(Setting::Plain(text)) if text.contains('\0')) {
            value.place.error("a variable cannot hold a NUL");
        }
        settings.extend(setting.map(|setting| (name, setting)));
    }
    settings
}

/// A value that is plain, unless its name says that it is a secret or it says where one is.
fn setting(name: &str, value: &Node<'_>, secret_names: &[&str], sources: &Sources) -> Option<Setting> {
    let secret = secret_names.iter().any(|part| name.to_ascii_uppercase().contains(part));
    match value.text() {
        Some(text) if !secret => Some(Setting::Plain(text.to_owned())),
        Some(_) | None => secret_location(value, sources).map(Setting::Secret),
    }
}

fn tools(table: &Table<'_>) -> Option<Option<BTreeSet<String>>> {
    let node = table.node("tools")?;
    if node.text().is_some() {
        return Some(None);
    }
    let mut tools = BTreeSet::new();
    for item in node.list() {
        if let Some(tool) = item.read(tool_name)
            && !tools.insert(tool)
        {
            item.place.error("the same tool is named twice");
        }
    }
    Some(Some(tools))
}

fn tier(table: &Table<'_>, listed: Option<&BTreeSet<String>>) -> BTreeMap<String, Tier> {
    let Some(node) = table.node("tier") else { return BTreeMap::new() };
    let mut tiers = BTreeMap::new();
    for (name, place, value) in node.named() {
        if listed.is_some_and(|listed| !listed.contains(name)) {
            let wrong = Wrong::new(format!("`tools` does not list `{}`", forms::printable(name)));
            place.error(wrong.hint("only tools in that list are ever offered"));
        }
        let tier = match value.text() {
            Some("read") => Tier::Read,
            Some("low-access") => Tier::LowAccess,
            Some("sudo") => Tier::Sudo,
            Some(_) | None => Tier::Dangerous,
        };
        tiers.insert(name.to_owned(), tier);
    }
    tiers
}

fn tool_name(text: &str) -> Result<String, Wrong> {
    if text == "*" {
        return Err(Wrong::new("`*` is no tool").hint("write `tools = \"*\"` for all"));
    }
    // The longest name of an upstream and what joins them come before it.
    let fits = text.len() <= 106 && model::ToolName::parse(text).is_ok();
    if fits {
        Ok(text.to_owned())
    } else {
        Err(Wrong::new(format!("`{}` is not a tool that rules could name", forms::printable(text)))
            .hint("1 to 106 of `a-z A-Z 0-9 _ - . : /`"))
    }
}
