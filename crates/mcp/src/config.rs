//! What the application decides about the front.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use crate::{Admission, Alone, HostRules, TlsMaterial};

/// Where to listen and what to let in. The application builds it from the checked configuration.
#[derive(Debug)]
pub struct FrontConfig {
    /// Addresses that serve MCP.
    pub http: Vec<SocketAddr>,
    /// The address that serves `/metrics`.
    pub metrics: Option<SocketAddr>,
    /// TLS for every listener that is not on loopback only for metrics, and for all that serve MCP.
    pub tls: Option<TlsMaterial>,
    /// `Some` behind a proxy: only these networks may connect, and their `X-Forwarded-For` counts.
    pub trusted_proxies: Option<Vec<IpNet>>,
    /// Hosts and origins beside the loopback ones.
    pub hosts: HostRules,
    /// Whether any principal can authenticate over HTTP at all.
    pub has_principals: bool,
    /// Threads that serve connections, each keeping its own; 0: the runtime that starts the front serves them.
    pub lanes: usize,
    /// Serves one upstream alone.
    pub alone: Option<Arc<Alone>>,
    /// What bounds connections and requests.
    pub limits: HttpLimits,
    /// What bounds legacy sessions.
    pub sessions: SessionLimits,
}

/// What bounds connections and requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpLimits {
    /// Connections to one listener; more are told to come back.
    pub connections: usize,
    /// Of those, from one address (for IPv6, one /64). Trusted proxies are exempt.
    pub connections_per_address: usize,
    /// How long the head of a request may take. An idle HTTP/1 connection ends after it, too.
    pub header_timeout: Duration,
    /// How long a connection may be without a request before it is ended.
    pub idle_timeout: Duration,
    /// How long a TLS handshake may take.
    pub handshake_timeout: Duration,
    /// How long the body of a request may take.
    pub body_timeout: Duration,
    /// Largest head of a request in bytes.
    pub head: usize,
    /// Largest body of a request in bytes.
    pub body: usize,
    /// How deep a message may nest.
    pub depth: usize,
    /// How often a quiet event stream says that it is alive.
    pub keep_alive: Duration,
    /// Failed authentications from one address in a minute; after that the answer is 429 instead of 401.
    pub failures_per_minute: u32,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            connections: 1024,
            connections_per_address: 256,
            header_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(75),
            handshake_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            head: 64 * 1024,
            body: 4 * 1024 * 1024,
            depth: 64,
            keep_alive: Duration::from_secs(15),
            failures_per_minute: 60,
        }
    }
}

/// What bounds legacy sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionLimits {
    /// Sessions in all; more are refused until others end.
    pub total: usize,
    /// Sessions of one principal; a new one ends the one that was used longest ago.
    pub per_principal: usize,
    /// How long a session lives without being used.
    pub idle: Duration,
    /// Event streams that one session may hold open.
    pub streams: usize,
    /// Calls that one session may have under way.
    pub calls: usize,
    /// How long a client may take to answer what a call has to ask it.
    pub answer: Duration,
}

impl Default for SessionLimits {
    fn default() -> Self {
        let (idle, answer) = (Duration::from_secs(30 * 60), Duration::from_secs(300));
        Self { total: 4096, per_principal: 128, idle, streams: 4, calls: 64, answer }
    }
}

/// Why the front did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Others can reach it, and nothing protects what passes.
    #[error("`{address}` can be reached from other machines, and neither `tls` nor `behind_proxy` is set")]
    Unprotected {
        /// The address.
        address: SocketAddr,
    },
    /// Others can reach it, and nobody could authenticate.
    #[error("`{address}` can be reached from other machines, and no principal can authenticate")]
    NoPrincipals {
        /// The address.
        address: SocketAddr,
    },
    /// It cannot be bound.
    #[error("cannot listen on `{address}`: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The threads that serve connections cannot be started.
    #[error("cannot start the threads that serve connections: {0}")]
    Lanes(std::io::Error),
}

impl FrontConfig {
    /// Refuses what would be open to strangers.
    pub(crate) fn check(&self) -> Result<(), StartError> {
        for address in self.http.iter().chain(&self.metrics).copied().filter(|address| is_reachable(*address))
        {
            // The program that this stands in for had no TLS, and was reached from other machines: docs/decisions/0017.
            let was_so = self.alone.as_ref().is_some_and(|alone| alone.admission() != Admission::Anybody);
            if self.tls.is_none() && self.trusted_proxies.is_none() && !was_so {
                return Err(StartError::Unprotected { address });
            }
            if !self.has_principals {
                return Err(StartError::NoPrincipals { address });
            }
        }
        Ok(())
    }
}

/// Whether other machines can reach it.
pub(crate) fn is_reachable(address: SocketAddr) -> bool {
    !address.ip().to_canonical().is_loopback()
}
