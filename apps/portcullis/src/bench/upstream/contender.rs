//! Something to call the server's tool through, and what that cost.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use mcp::client::{Client, legacy};
use mcp::mirror::TOOL;
use serde_json::json;

use crate::bench::load::VARIED;
use crate::bench::process::Measured;

/// One of those that are compared.
pub(super) struct Contender {
    pub(super) name: String,
    /// The process between client and server; for the server itself, the server.
    pub(super) process: Arc<Measured>,
    pub(super) address: SocketAddr,
    pub(super) request: Request<Full<Bytes>>,
    /// Whether somebody else made it.
    pub(super) peer: bool,
    /// Whether its server is a program.
    pub(super) stdio: bool,
    spent: Vec<(usize, Spent)>,
}

/// The least of all rounds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spent {
    pub(super) cpu: Duration,
    pub(super) median: Duration,
    pub(super) p99: Duration,
}

impl Spent {
    const NOTHING_YET: Self = Self { cpu: Duration::MAX, median: Duration::MAX, p99: Duration::MAX };

    fn least(&mut self, other: Self) {
        self.cpu = self.cpu.min(other.cpu);
        self.median = self.median.min(other.median);
        self.p99 = self.p99.min(other.p99);
    }
}

impl Contender {
    /// Called by a client of the newest revision.
    pub(super) async fn modern(
        name: &str,
        process: Arc<Measured>,
        address: SocketAddr,
        path: &str,
        key: Option<&str>,
    ) -> anyhow::Result<Self> {
        let mut client = Client::connect(address, path, key).await?;
        let request = client.prepare(TOOL, &json!({ "text": VARIED }))?;
        Ok(Self::new(name, process, address, request))
    }

    /// Called by a client of the revision that is most spoken.
    pub(super) async fn legacy(
        name: &str,
        process: Arc<Measured>,
        address: SocketAddr,
        path: &str,
        key: Option<&str>,
    ) -> anyhow::Result<Self> {
        let (arguments, id) = (json!({ "text": VARIED }), json!(VARIED));
        let request = legacy::prepare(address, path, key, TOOL, &arguments, &id).await?;
        Ok(Self::new(name, process, address, request))
    }

    fn new(name: &str, process: Arc<Measured>, address: SocketAddr, request: Request<Full<Bytes>>) -> Self {
        let name = name.to_owned();
        Self { name, process, address, request, peer: false, stdio: false, spent: Vec::new() }
    }

    /// What it spent with so many connections.
    pub(super) fn at(&self, connections: usize) -> Spent {
        let found = self.spent.iter().find(|(at, _)| *at == connections);
        found.map_or(Spent::NOTHING_YET, |(_, spent)| *spent)
    }

    /// A round's figures; the least of all rounds counts.
    pub(super) fn has_spent(&mut self, connections: usize, spent: Spent) {
        match self.spent.iter_mut().find(|(at, _)| *at == connections) {
            Some((_, least)) => least.least(spent),
            None => self.spent.push((connections, spent)),
        }
    }

    /// Made by somebody else, before the server as a program or over HTTP.
    pub(super) fn of_others(self, stdio: bool) -> Self {
        Self { peer: true, stdio, ..self }
    }
}
