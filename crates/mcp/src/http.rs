//! Streamable HTTP: listeners, connections, routes.

mod accept;
mod body;
mod credentials;
mod exchange;
mod hosts;
mod lanes;
mod legacy;
mod peer;
mod post;
mod refuse;
mod routes;
mod strangers;
mod subscriptions;
mod tls;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use gateway::Proof;
use ipnet::IpNet;
use model::{Clock, Entropy, PrincipalId};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use hosts::{HostRules, MalformedHostRule};
pub use routes::{ROUTES, RouteOf};
pub use tls::{TlsError, TlsMaterial};

use crate::Alone;
use crate::config::is_reachable;
use crate::session::Sessions;
use crate::{FrontConfig, Gate, HttpLimits, SessionLimits, StartError};
use accept::Listener;
use lanes::Lanes;
use strangers::Strangers;
use subscriptions::Subscriptions;

/// Renders the metrics in Prometheus' text form.
pub type RenderMetrics = Arc<dyn Fn() -> String + Send + Sync>;

/// What the front is built on; the application makes every part.
pub struct Parts {
    /// The gateway.
    pub gate: Arc<dyn Gate>,
    /// The clocks.
    pub clock: Arc<dyn Clock>,
    /// Random bytes for session ids.
    pub entropy: Arc<dyn Entropy>,
    /// What `/metrics` shows.
    pub metrics: RenderMetrics,
}

/// A running front. Dropping it lets it run on; [`Front::shutdown`] ends it.
pub struct Front {
    shared: Arc<Shared>,
    http: Vec<SocketAddr>,
    metrics: Option<SocketAddr>,
}

/// What every connection and request of one front shares.
struct Shared {
    gate: Arc<dyn Gate>,
    metrics: RenderMetrics,
    limits: HttpLimits,
    session_limits: SessionLimits,
    sessions: Sessions,
    subscriptions: Subscriptions,
    strangers: Strangers,
    alone: Option<Arc<Alone>>,
    hosts: ArcSwap<HostRules>,
    proxies: ArcSwap<Option<Vec<IpNet>>>,
    tls: Option<ArcSwap<rustls::ServerConfig>>,
    lanes: Lanes,
    /// Connections and calls; the shutdown waits for them.
    tasks: TaskTracker,
    /// No new connections; those there are end after what is under way.
    closing: CancellationToken,
    /// Everything under way is cancelled.
    calls: CancellationToken,
    /// Connections end at once. Never before `closing`.
    ending: CancellationToken,
}

/// How often idle sessions are looked for.
const SWEEP: Duration = Duration::from_secs(30);
/// How long cancelled calls may take to end at a shutdown.
const LAST_WORDS: Duration = Duration::from_secs(5);

impl Front {
    /// Binds every address and serves. Refuses to listen where strangers could come in.
    pub async fn start(config: FrontConfig, parts: Parts) -> Result<Self, StartError> {
        config.check()?;
        let mut bound = Vec::new();
        for address in &config.http {
            bound.push((
                bind(*address).await?,
                Listener { serves: RouteOf::Mcp, tls: config.tls.is_some(), key: true },
            ));
        }
        if let Some(address) = config.metrics {
            let open = is_reachable(address);
            let listener =
                Listener { serves: RouteOf::Metrics, tls: open && config.tls.is_some(), key: open };
            bound.push((bind(address).await?, listener));
        }
        let of = |wanted: RouteOf| {
            let wanted = bound.iter().filter(move |(_, listener)| listener.serves == wanted);
            wanted.filter_map(|(socket, _)| socket.local_addr().ok()).collect::<Vec<_>>()
        };
        let (http, metrics) = (of(RouteOf::Mcp), of(RouteOf::Metrics).first().copied());
        let addresses = http.iter().chain(&metrics).map(|address| address.ip());
        let hosts = ArcSwap::from_pointee(config.hosts.with_addresses(addresses));
        let shared = Arc::new(Shared {
            gate: parts.gate,
            metrics: parts.metrics,
            limits: config.limits,
            session_limits: config.sessions,
            sessions: Sessions::new(config.sessions, Arc::clone(&parts.clock), parts.entropy),
            subscriptions: Subscriptions::new(config.sessions.per_principal),
            strangers: Strangers::new(config.limits.failures_per_minute, parts.clock),
            alone: config.alone,
            hosts,
            proxies: ArcSwap::from_pointee(config.trusted_proxies),
            tls: config.tls.map(|tls| ArcSwap::new(tls.into_config())),
            lanes: Lanes::start(config.lanes).map_err(StartError::Lanes)?,
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
            calls: CancellationToken::new(),
            ending: CancellationToken::new(),
        });
        for (socket, listener) in bound {
            tokio::spawn(accept::run(Arc::clone(&shared), socket, listener));
        }
        tokio::spawn(sweep(Arc::clone(&shared)));
        Ok(Self { shared, http, metrics })
    }

    /// The addresses that serve MCP, with the ports the system chose.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.http
    }

    /// The address that serves `/metrics`.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics
    }

    /// Uses other certificates for connections made from now on; false if the front was started without TLS.
    pub fn reload_tls(&self, tls: TlsMaterial) -> bool {
        self.shared.tls.as_ref().map(|current| current.store(tls.into_config())).is_some()
    }

    /// Lets in other hosts and origins from now on.
    pub fn reload_hosts(&self, hosts: HostRules) {
        let addresses = self.http.iter().chain(&self.metrics).map(|address| address.ip());
        self.shared.hosts.store(Arc::new(hosts.with_addresses(addresses)));
    }

    /// Trusts other proxies from now on.
    pub fn reload_proxies(&self, trusted: Option<Vec<IpNet>>) {
        self.shared.proxies.store(Arc::new(trusted));
    }

    /// Ends the sessions and subscriptions of principals that are not to stay, or that began them with a proof that counts
    /// no more.
    pub fn retain_sessions(&self, stays: impl Fn(&PrincipalId, &Proof) -> bool) {
        self.shared.sessions.retain(&stays);
        self.shared.subscriptions.retain(&stays);
    }

    /// Takes no more connections, lets what is under way end until the deadline, then cancels it. Calls that were
    /// cancelled get a few seconds to reach their record.
    pub async fn shutdown(&self, deadline: Duration) {
        let shared = &self.shared;
        shared.closing.cancel();
        shared.tasks.close();
        if tokio::time::timeout(deadline, shared.tasks.wait()).await.is_err() {
            shared.calls.cancel();
            if tokio::time::timeout(LAST_WORDS, shared.tasks.wait()).await.is_err() {
                shared.ending.cancel();
            }
        }
        shared.calls.cancel();
        shared.ending.cancel();
    }
}

async fn bind(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|source| StartError::Bind { address, source })
}

async fn sweep(shared: Arc<Shared>) {
    while shared.closing.run_until_cancelled(tokio::time::sleep(SWEEP)).await.is_some() {
        shared.sessions.sweep();
    }
}
