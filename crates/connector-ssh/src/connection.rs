//! One authenticated connection, with the jump hosts that it goes through, and the seats on it.
//!
//! The connections to its jump hosts are its own: a host that stops a jump host's connection stops nobody else's.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use model::{BootInstant, Clock, TargetName};
use tokio_util::sync::CancellationToken;

use crate::known_hosts::KnownHosts;
use crate::leg::Link;
use crate::pool::Pool;

/// How many channels are opened on one connection at most; OpenSSH's own default is ten.
const MOST_SEATS: usize = 10;

/// What a host may send while no command runs on the connection, in bytes.
const IDLE_ALLOWANCE: u64 = 256 * 1024;

/// How long a jump host has to answer once what lies behind it has not.
const HOP_PATIENCE: Duration = Duration::from_secs(2);
/// How often, and how long apart, it is looked for a jump host that was lost.
const LOSS_LOOKS: u32 = 10;
const LOSS_PAUSE: Duration = Duration::from_millis(20);

/// An authenticated connection. Dropping it ends it.
pub(crate) struct Connection {
    /// The target itself.
    pub(crate) link: Link,
    /// The jump hosts on the way to it, the one that was dialled first coming first.
    pub(crate) hops: Vec<Link>,
    leash: CancellationToken,
    clock: Arc<dyn Clock>,
    seats: Mutex<Seats>,
    /// What last trusted the host keys.
    vouched: Mutex<Option<Arc<KnownHosts>>>,
    /// Who stopped answering.
    silent: OnceLock<TargetName>,
}

struct Seats {
    taken: usize,
    most: usize,
    retired: bool,
    idle_since: BootInstant,
}

/// The right to one channel on a connection.
pub(crate) struct Seat {
    pub(crate) connection: Arc<Connection>,
}

impl Connection {
    pub(crate) fn new(link: Link, hops: Vec<Link>, leash: CancellationToken, clock: Arc<dyn Clock>) -> Self {
        let seats =
            Mutex::new(Seats { taken: 0, most: MOST_SEATS, retired: false, idle_since: clock.boot() });
        let (vouched, silent) = (Mutex::new(None), OnceLock::new());
        let connection = Self { link, hops, leash, clock, seats, vouched, silent };
        connection.allow(IDLE_ALLOWANCE);
        connection
    }

    /// Every host on the way, the target last.
    pub(crate) fn links(&self) -> impl Iterator<Item = &Link> {
        self.hops.iter().chain(std::iter::once(&self.link))
    }

    /// The addresses that were dialled for it, as far as they are known here.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.links().filter_map(|link| link.place.address()).map(|address| address.ip())
    }

    /// Whether all host keys are known ones still, asking only if these known hosts have not said so before. What a
    /// certificate proved is asked anew each time, for its time may be over.
    pub(crate) fn is_vouched_for(&self, by: &Arc<KnownHosts>, insecure: bool) -> bool {
        let trusted = || self.links().all(|link| link.is_trusted(by, self.clock.now(), insecure));
        if self.links().any(|link| link.host_key.certificate().is_some()) {
            return trusted();
        }
        let mut vouched = self.vouched.lock().unwrap_or_else(PoisonError::into_inner);
        let trusted = vouched.as_ref().is_some_and(|last| Arc::ptr_eq(last, by)) || trusted();
        *vouched = trusted.then(|| Arc::clone(by));
        trusted
    }

    /// The jump host that the connection was lost with, once it is; `None` if it was the target, or our own doing.
    pub(crate) async fn lost_hop(&self) -> Option<&TargetName> {
        if let Some(silent) = self.silent.get() {
            return Some(silent).filter(|name| **name != self.link.target);
        }
        // What goes through a jump host learns of its end a moment before it is told here.
        for _ in 0..LOSS_LOOKS {
            let lost = self.hops.iter().find(|hop| hop.handle.is_closed());
            if self.hops.is_empty() || self.leash.is_cancelled() || lost.is_some() {
                return lost.filter(|_| !self.leash.is_cancelled()).map(|hop| &hop.target);
            }
            tokio::time::sleep(LOSS_PAUSE).await;
        }
        None
    }

    /// What may come in from now on while nobody looks, in bytes, on each connection of the way.
    fn allow(&self, bytes: u64) {
        self.links().for_each(|link| link.allowance.set(bytes));
    }

    /// Takes a seat, if there is one on a living connection.
    pub(crate) fn sit(self: &Arc<Self>) -> Option<Seat> {
        let mut seats = self.lock();
        if seats.retired || self.is_over() || seats.taken >= seats.most {
            return None;
        }
        seats.taken += 1;
        self.links().for_each(|link| link.allowance.lift());
        Some(Seat { connection: Arc::clone(self) })
    }

    /// The host refused a channel: no more than are open now are asked for again. Tells whether any is.
    pub(crate) fn is_full(&self) -> bool {
        let mut seats = self.lock();
        seats.most = seats.taken.max(1);
        seats.taken > 0
    }

    /// No new seats; ends when the last is given back.
    pub(crate) fn retire(&self) {
        let mut seats = self.lock();
        seats.retired = true;
        if seats.taken == 0 {
            self.end();
        }
    }

    /// Ends it now, whatever runs on it.
    pub(crate) fn end(&self) {
        self.leash.cancel();
    }

    pub(crate) fn is_over(&self) -> bool {
        self.leash.is_cancelled() || self.links().any(|link| link.handle.is_closed())
    }

    /// How long nobody has sat here; `None` while somebody does.
    fn idle(&self) -> Option<Duration> {
        let seats = self.lock();
        (seats.taken == 0).then(|| self.clock.boot().since(seats.idle_since))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.leash.cancel();
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let connection = &self.connection;
        let mut seats = connection.lock();
        seats.taken = seats.taken.saturating_sub(1);
        if seats.taken == 0 {
            seats.idle_since = connection.clock.boot();
            connection.allow(IDLE_ALLOWANCE);
            if seats.retired {
                connection.end();
            }
        }
    }
}

/// Watches a connection until it is over: ends it when it has been idle too long, or when a host on the way does not
/// answer. A peer that is gone is found within twice the watchdog's time, whether a command runs or not.
pub(crate) async fn watch(
    connection: Weak<Connection>,
    pool: Weak<Pool>,
    idle_limit: Duration,
    watchdog: Duration,
) {
    let step = (idle_limit / 4).clamp(Duration::from_millis(20), watchdog);
    let mut asked = tokio::time::Instant::now();
    loop {
        tokio::time::sleep(step).await;
        let Some(connection) = connection.upgrade() else { return };
        if connection.is_over() {
            if let Some(pool) = pool.upgrade() {
                pool.clear_out();
            }
            return;
        }
        if connection.idle().is_some_and(|idle| idle >= idle_limit) {
            connection.retire();
        } else if asked.elapsed() + step > watchdog {
            asked = tokio::time::Instant::now();
            if let Some(silent) = silent(&connection, watchdog).await {
                let _ = connection.silent.set(silent);
                connection.end();
            }
        }
    }
}

/// Which host does not answer: the target, or the first jump host that does not either.
async fn silent(connection: &Connection, patience: Duration) -> Option<TargetName> {
    if answers(&connection.link, patience).await {
        return None;
    }
    for hop in &connection.hops {
        if !answers(hop, HOP_PATIENCE.min(patience)).await {
            return Some(hop.target.clone());
        }
    }
    Some(connection.link.target.clone())
}

/// A failed ping says the same as none: nobody answers.
async fn answers(link: &Link, patience: Duration) -> bool {
    matches!(tokio::time::timeout(patience, link.handle.send_ping()).await, Ok(Ok(())))
}
