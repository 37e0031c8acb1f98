//! Requests to one web service: connections kept and used again, and failures to connect tried again.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::Clock;
use tokio::sync::Semaphore;
use tokio_rustls::TlsConnector;

use super::connection::{Answer, Connection};
use super::endpoint::Endpoint;
use super::fault::Fault;

/// Requests under way at a time; others wait, within their own time.
const AT_ONCE: usize = 16;
/// Connections kept for the next request.
const KEPT: usize = AT_ONCE;
/// How long one is kept; IIS closes them after two minutes.
const IDLE_MAX: Duration = Duration::from_secs(60);
/// The waits before a connection is tried again.
const CONNECT_AGAIN: [Duration; 2] = [Duration::from_millis(200), Duration::from_millis(600)];

/// A client of one web service.
pub(super) struct Client {
    pub(super) endpoint: Endpoint,
    pub(super) tls: TlsConnector,
    pub(super) connect_timeout: Duration,
    pub(super) clock: Arc<dyn Clock>,
    /// Whether any certificate is believed, which is said at every connection.
    pub(super) believes_anybody: bool,
    kept: Mutex<Vec<Connection>>,
    local: Mutex<Option<IpAddr>>,
    slots: Semaphore,
}

impl Client {
    pub(super) fn new(
        endpoint: Endpoint,
        tls: TlsConnector,
        connect_timeout: Duration,
        believes_anybody: bool,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let slots = Semaphore::new(AT_ONCE);
        let (kept, local) = (Mutex::default(), Mutex::default());
        Self { endpoint, tls, connect_timeout, clock, believes_anybody, kept, local, slots }
    }

    /// Asks once. What is tried again is only what cannot have been answered: a connection that did not come about, and one
    /// that the other side closed while it was kept.
    pub(super) async fn get(&self, query: &str) -> Result<Answer, Fault> {
        // The semaphore is never closed; without a slot the request would only be one more.
        let _slot = self.slots.acquire().await.ok();
        if let Some(connection) = self.kept() {
            match self.ask(connection, query).await {
                Err(Fault::Closed) => {}
                answered => return answered,
            }
        }
        let mut waits = CONNECT_AGAIN.iter();
        loop {
            match (self.open().await, waits.next()) {
                (Ok(connection), _) => return self.ask(connection, query).await,
                (Err(fault), Some(wait)) if fault.is_of_connecting() => tokio::time::sleep(*wait).await,
                (Err(fault), _) => return Err(fault),
            }
        }
    }

    /// Where it asks, and from which of its own addresses, for the operator.
    pub(super) fn shown(&self) -> String {
        match *self.local.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(local) => format!("{}, asked from {local}", self.endpoint.shown()),
            None => self.endpoint.shown(),
        }
    }

    async fn ask(&self, mut connection: Connection, query: &str) -> Result<Answer, Fault> {
        let answer = connection.ask(&self.endpoint, query).await?;
        connection.idle_since = self.clock.boot();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT {
            kept.push(connection);
        }
        Ok(answer)
    }

    fn kept(&self) -> Option<Connection> {
        let now = self.clock.boot();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|connection| !connection.is_closed() && now.since(connection.idle_since) < IDLE_MAX);
        kept.pop()
    }

    async fn open(&self) -> Result<Connection, Fault> {
        let now = self.clock.boot();
        let connection = Connection::open(&self.endpoint, &self.tls, self.connect_timeout, now).await?;
        if self.believes_anybody {
            let host = self.endpoint.shown();
            tracing::warn!(host, "certificate accepted without being verified: `insecure = [\"tls\"]`");
        }
        *self.local.lock().unwrap_or_else(PoisonError::into_inner) = connection.local;
        Ok(connection)
    }
}
