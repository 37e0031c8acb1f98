//! Who is on stage: a host, a gateway in front of it, and an agent that has an API key and nothing else.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use connector_ssh::sandbox::Sandbox;
use gateway::SystemEntropy;
use mcp::Front;
use mcp::client::{Client, Reply};
use serde_json::Value;

use super::upstream;
use crate::cli::Global;
use crate::compose::{self, Portcullis};
use crate::failure::Stop;
use crate::output::Output;
use crate::place::Place;
use crate::service::Service;
use crate::stage::{Plan, Stage};

/// Everything that the tour needs.
pub(super) struct Scene {
    pub(super) stage: Stage,
    pub(super) host: Sandbox,
    pub(super) portcullis: Portcullis,
    pub(super) address: SocketAddr,
    /// What an operator's command line would say.
    pub(super) global: Global,
    front: Arc<Front>,
    service: Service,
    agent: Client,
    /// Every byte that the agent has been sent.
    pub(super) seen: Vec<u8>,
}

/// The rules the tour begins with.
pub(super) const RULES: &str = r#"
[[rule]]
name = "agents look at the demo host"
allow = ["ssh_execute"]
principals = ["group:agents"]
targets = ["tag:demo"]
commands = ["uptime", "df -h", "systemctl status *", "cat <path:/etc>"]
limits = { timeout = "10s", output = "64KiB" }

[[rule]]
name = "agents may use the demo credential"
allow = ["get_credential"]
principals = ["group:agents"]
targets = ["tag:demo"]
credentials = ["keystore:demo/*"]

[[rule]]
name = "agents may ask for the weather"
allow = ["weather__forecast"]
principals = ["group:agents"]
targets = ["weather"]
"#;

impl Scene {
    /// Builds all of it on loopback, in a folder that goes with it.
    pub(super) async fn build(global: &Global, listen: SocketAddr, output: Output) -> Result<Self, Stop> {
        let host = Sandbox::start(&SystemEntropy).await.map_err(Stop::failed)?;
        let stage = Stage::new(&Plan {
            listen,
            durability: "auto",
            calls_per_minute: 600,
            inventory: inventory(&host),
            rules: RULES.to_owned(),
            known_hosts: format!("{}\n", host.host_key_line),
            upstreams: String::new(),
        })?;
        stage.declare(&upstream::declaration()?)?;
        stage.keep("keystore:demo/web1", &host.username, host.password.duplicate())?;
        let global = Global { config: Some(stage.configuration()), ..global.clone() };
        let place = Place::find(global.config.as_deref())?;
        let portcullis = compose::compose(&place, &global, output).await?;
        let front = compose::front(&portcullis).await?;
        let service = Service::start(&portcullis)?;
        let address = *front.addresses().first().ok_or_else(|| Stop::failed("nothing is listening"))?;
        let agent = Client::connect(address, "/mcp", Some(stage.api_key())).await.map_err(Stop::failed)?;
        Ok(Self { stage, host, portcullis, address, global, front, service, agent, seen: Vec::new() })
    }

    /// The agent calls a tool.
    pub(super) async fn call(&mut self, tool: &str, arguments: Value) -> Result<Reply, Stop> {
        let reply = self.agent.call_tool(tool, &arguments).await.map_err(Stop::failed)?;
        self.sees(&reply.bytes);
        Ok(reply)
    }

    /// The agent lists its tools.
    pub(super) async fn list(&mut self) -> Result<Vec<String>, Stop> {
        let (tools, bytes) = self.agent.list_tools().await.map_err(Stop::failed)?;
        self.sees(&bytes);
        Ok(tools)
    }

    /// The journal's folder.
    pub(super) fn journal(&self) -> PathBuf {
        self.stage.folder().join("state/journal")
    }

    /// Ends everything, the agent's connection first.
    pub(super) async fn close(self) -> Result<(), Stop> {
        const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);
        let Self { agent, service, front, portcullis, .. } = self;
        drop(agent);
        service.stop(PATIENCE).await;
        front.shutdown(PATIENCE).await;
        portcullis.close().await
    }

    fn sees(&mut self, bytes: &Bytes) {
        self.seen.extend_from_slice(bytes);
    }
}

fn inventory(host: &Sandbox) -> String {
    format!(
        r#"[hosts.web1]
address = "{}"
port = {}
tags = ["demo", "web"]
credential = "keystore:demo/web1"
notes = "a sandbox: canned answers, nothing is executed"
"#,
        host.addr.ip(),
        host.addr.port()
    )
}
