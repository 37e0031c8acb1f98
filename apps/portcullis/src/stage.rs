//! A throw-away gateway's folder: what `init` writes, with hosts, rules and one agent of our choosing.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use config::templates::{self, StarterFile};
use gateway::api_key::{self, ApiKey};
use gateway::control::user_name;
use gateway::{SystemClock, SystemEntropy};
use model::{CredentialRef, Secret};
use sources::{Entry, MasterKeyError, MasterKeyLocation, Surroundings};

use crate::commands::init;
use crate::failure::Stop;

/// What is on stage.
pub(crate) struct Plan<'a> {
    /// Where MCP is served; port 0 lets the system choose.
    pub(crate) listen: SocketAddr,
    /// `[audit] durability`.
    pub(crate) durability: &'a str,
    /// `[limits] calls_per_minute`.
    pub(crate) calls_per_minute: u32,
    /// `inventory.toml`.
    pub(crate) inventory: String,
    /// `policy/rules.toml`, without the operator's own rule.
    pub(crate) rules: String,
    /// `known_hosts`.
    pub(crate) known_hosts: String,
    /// `[[upstream]]` sections of the configuration.
    pub(crate) upstreams: String,
}

/// The folder, gone when this is dropped, and the key of the agent `agent` (group `agents`).
pub(crate) struct Stage {
    folder: tempfile::TempDir,
    api_key: ApiKey,
}

/// The operator's own rule, as `init` writes it.
const OPERATORS: &str = r#"
[[rule]]
name = "operators run the gateway"
allow = ["operator:*"]
principals = ["group:operators"]
targets = ["*"]
"#;

impl Stage {
    /// Writes everything.
    pub(crate) fn new(plan: &Plan<'_>) -> Result<Self, Stop> {
        let folder = tempfile::Builder::new().prefix("portcullis-").tempdir().map_err(Stop::failed)?;
        let (api_key, hash) = api_key::generate(&SystemEntropy).map_err(Stop::failed)?;
        let file = |path, text| StarterFile { path, text };
        init::prepare(
            folder.path(),
            &[
                file("known_hosts", plan.known_hosts.clone()),
                file("inventory.toml", plan.inventory.clone()),
                file("policy/rules.toml", format!("{OPERATORS}{}", plan.rules)),
                file("portcullis.toml", configuration(plan, &hash)),
            ],
        )?;
        Ok(Self { folder, api_key })
    }

    /// The folder.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The configuration file.
    pub(crate) fn configuration(&self) -> PathBuf {
        self.folder().join("portcullis.toml")
    }

    /// The agent's key.
    pub(crate) fn api_key(&self) -> &str {
        self.api_key.reveal()
    }

    /// Replaces the rules; they count after a reload.
    pub(crate) fn write_rules(&self, rules: &str) -> Result<(), Stop> {
        let file = self.folder().join("policy/rules.toml");
        std::fs::write(file, format!("{OPERATORS}{rules}")).map_err(Stop::failed)
    }

    /// Adds to the configuration; it counts from the start.
    pub(crate) fn declare(&self, more: &str) -> Result<(), Stop> {
        let text = std::fs::read_to_string(self.configuration()).map_err(Stop::failed)?;
        std::fs::write(self.configuration(), format!("{text}{more}")).map_err(Stop::failed)
    }

    /// Puts a credential into the keystore.
    pub(crate) fn keep(&self, name: &str, username: &str, secret: Secret<String>) -> Result<(), Stop> {
        let state = self.folder().join("state");
        let around = Surroundings {
            clock: Arc::new(SystemClock::new(&SystemEntropy).map_err(Stop::failed)?),
            entropy: Arc::new(SystemEntropy),
            state: &state,
            environment: sources::process_environment(),
            passphrase: &|| Err(MasterKeyError::NobodyToAsk),
        };
        let key = MasterKeyLocation::File(self.folder().join(templates::MASTER_KEY));
        let keystore = sources::open_located(&self.folder().join(templates::KEYSTORE), &key, &around)
            .map_err(Stop::failed)?;
        let name = CredentialRef::parse(name).map_err(Stop::failed)?;
        let entry = Entry { username: Some(username.to_owned()), address: None, secret, passphrase: None };
        keystore.set(&name, entry).map_err(Stop::failed)
    }
}

fn configuration(plan: &Plan<'_>, hash: &str) -> String {
    let me = user_name(rustix::process::geteuid().as_raw());
    format!(
        r#"[listen]
http = "{listen}"
metrics = "off"

[[principal]]
id = "agent"
groups = ["agents"]
api_key = {{ hash = "{hash}", algorithm = "blake3" }}

[[principal]]
id = "operator"
groups = ["operators"]
os_user = "{me}"

[[credential_source]]
name = "keystore"
kind = "keystore"
file = "{keystore}"
master_key = {{ file = "{master}" }}

[ssh]
known_hosts = ["known_hosts"]

[limits]
calls_per_minute = {calls}

[audit]
durability = "{durability}"

{upstreams}"#,
        upstreams = plan.upstreams,
        listen = plan.listen,
        keystore = templates::KEYSTORE,
        master = templates::MASTER_KEY,
        calls = plan.calls_per_minute,
        durability = plan.durability,
    )
}
