//! What connectors to hosts must do, declared by the tools that need it.

use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;
use broker::Lease;
use model::{Failure, Host, LogLevel, Outcome};
use tokio_util::sync::CancellationToken;

/// Everything a connector may know of one run.
#[derive(Clone, Copy)]
pub struct HostRun<'a> {
    /// The right to act, with the credential and, in its action, the command. Nothing else is sent.
    pub lease: &'a Lease,
    /// The inventory entry of the action's target.
    pub host: &'a Host,
    /// The jump hosts on the way to it, the one that is dialled first coming first. The lease has their credentials.
    pub hops: &'a [&'a Host],
    /// How long all of it may take.
    pub timeout: Duration,
    /// How many bytes of output are kept, all streams together; the rest is counted and dropped while reading.
    pub output: u64,
    /// Cancelled when the caller goes away, the gate drops or the gateway stops.
    pub cancel: &'a CancellationToken,
    /// Told how many bytes have come so far.
    pub progress: &'a (dyn Fn(u64) + Send + Sync),
    /// Where the connector records what it does beside the command (the shell probe).
    pub sub_events: &'a dyn SubEvents,
}

/// A connector to hosts.
#[async_trait]
pub trait HostShell: Send + Sync {
    /// Runs the lease's command line, quoted canonically, and collects what it wrote.
    ///
    /// A non-zero exit status is an outcome. Failures carry `target.*`, `denied.network` or `call.cancelled` codes.
    async fn exec(&self, run: HostRun<'_>) -> Result<Outcome, Failure>;

    /// Dials, checks the host key and logs in; runs no command. The outcome's values tell address, host key and user.
    async fn login(&self, run: HostRun<'_>) -> Result<Outcome, Failure>;
}

/// Learns of what is done beside the main act, and records it under the parent call's intent.
#[async_trait]
pub trait SubEvents: Send + Sync {
    /// Before the act; it must not happen if this fails.
    async fn begin(&self, event: &'static str, detail: &str) -> Result<(), Failure>;
    /// After it, with how it went.
    async fn end(&self, event: &'static str, result: &str) -> Result<(), Failure>;
    /// Before anything is sent for the call: it goes to this address. If that is not permitted any more, the call is
    /// cancelled.
    fn dialled(&self, address: IpAddr);
}

/// Tells the client how a run goes. Nothing waits for a client that does not listen, and what holds a leased secret is
/// not told.
pub trait Notices: Send + Sync {
    /// How far the run is, of how much, and a word about it.
    fn progress(&self, done: f64, total: Option<f64>, message: Option<&str>);
    /// A message for who watches the client.
    fn log(&self, level: LogLevel, text: &str);
    /// What an upstream says of a run, as its own JSON text; it goes on as it is where it is `faithful`.
    fn pass_on(&self, told: PassedOn<'_>, faithful: bool);
}

/// What an upstream says while it runs something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PassedOn<'a> {
    /// The parameters of a progress notification, marked for us.
    Progress(&'a str),
    /// The parameters of a log message of this level.
    Log(LogLevel, &'a str),
}
