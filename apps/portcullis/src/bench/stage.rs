//! The gateway under measurement: a child process with a hundred rules and the audit journal on.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};

use super::process::Measured;
use crate::stage::{Plan, Stage as Folder};

/// `[audit] durability`.
#[derive(Debug, Clone, Copy)]
pub(super) enum Durability {
    Auto,
    Process,
}

/// A host that the gateway reaches with a key.
pub(super) struct StageHost {
    pub(super) port: u16,
    pub(super) user: String,
    pub(super) key: PathBuf,
    pub(super) host_key: PathBuf,
}

/// The folder of a gateway, and where it will listen.
pub(super) struct Stage {
    folder: Folder,
    address: SocketAddr,
}

/// How many rules there are beside the operator's.
pub(super) const RULES: usize = 100;
/// One more, where there are upstreams.
const OF_UPSTREAMS: &str = r#"
[[rule]]
name = "upstreams"
allow = ["upstream:read", "upstream:dangerous", "upstream:stdio"]
principals = ["group:agents"]
targets = ["read", "dangerous", "stdio"]
"#;
/// More calls a minute than any measurement makes.
const CALLS_PER_MINUTE: u32 = 1_000_000;

impl Stage {
    pub(super) fn new(durability: Durability, host: Option<StageHost>) -> anyhow::Result<Self> {
        Self::with_upstreams(durability, host, String::new())
    }

    /// Also with these `[[upstream]]` sections, whose tools the agent may call.
    pub(super) fn with_upstreams(
        durability: Durability,
        host: Option<StageHost>,
        upstreams: String,
    ) -> anyhow::Result<Self> {
        let port = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let (inventory, known_hosts) = match &host {
            Some(host) => (inventory(host), known_hosts(host)?),
            None => (String::new(), String::new()),
        };
        let mut rules = rules(RULES);
        if !upstreams.is_empty() {
            rules.push_str(OF_UPSTREAMS);
        }
        let plan = Plan {
            listen: address,
            durability: match durability {
                Durability::Auto => "auto",
                Durability::Process => "process",
            },
            calls_per_minute: CALLS_PER_MINUTE,
            inventory,
            rules,
            known_hosts,
            upstreams,
        };
        let folder = Folder::new(&plan).map_err(|stop| anyhow::anyhow!(stop.message))?;
        Ok(Self { folder, address })
    }

    pub(super) fn api_key(&self) -> &str {
        self.folder.api_key()
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.folder()
    }

    /// Starts the gateway and waits until it listens.
    pub(super) async fn serve(&self) -> anyhow::Result<(Measured, SocketAddr)> {
        let configuration = self.folder.configuration();
        let configuration = configuration.to_str().context("a temporary folder with an odd name")?;
        let log = self.folder().join("serve.log");
        let child = Measured::start(&["-c", configuration, "serve"], &log)?;
        for _ in 0..400 {
            if tokio::net::TcpStream::connect(self.address).await.is_ok() {
                return Ok((child, self.address));
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        bail!("the gateway did not start: {}", std::fs::read_to_string(log).unwrap_or_default())
    }
}

/// Rules as they are in the field: most are about other hosts; one lets the agent run `true`.
pub(super) fn rules(count: usize) -> String {
    let mut text = String::new();
    for at in 1..count {
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "[[rule]]\nname = \"team {at}\"\nallow = [\"ssh_execute\"]\nprincipals = [\"group:team-{at}\", \"group:agents\"]\n\
             targets = [\"tag:team-{at}\"]\ncommands = [\"uptime\", \"df -h\", \"systemctl status *\"]\n\n"
        );
    }
    text + "[[rule]]\nname = \"bench\"\nallow = [\"ssh_execute\"]\nprincipals = [\"group:agents\"]\n\
            targets = [\"tag:bench\"]\ncommands = [\"true\"]\n"
}

fn inventory(host: &StageHost) -> String {
    format!(
        "[hosts.bench]\naddress = \"127.0.0.1\"\nport = {}\nuser = \"{}\"\ntags = [\"bench\"]\ncredential = {{ key = \"{}\" }}\n",
        host.port,
        host.user,
        host.key.display()
    )
}

fn known_hosts(host: &StageHost) -> anyhow::Result<String> {
    let key = std::fs::read_to_string(&host.host_key).context("read the host's public key")?;
    Ok(format!("[127.0.0.1]:{} {key}", host.port))
}
