//! One authenticated connection and the seats on it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use broker::CredentialKey;
use model::{BootInstant, Clock};
use russh::client::Handle;
use tokio_util::sync::CancellationToken;

use crate::gatekeeper::{Gatekeeper, Seen};
use crate::known_hosts::{KnownHosts, Shown};
use crate::leash::Allowance;
use crate::pool::Pool;

/// How many channels are opened on one connection at most; OpenSSH's own default is ten.
const MOST_SEATS: usize = 10;

/// What a host may send while no command runs on the connection, in bytes.
const IDLE_ALLOWANCE: u64 = 256 * 1024;

/// An authenticated connection. Dropping it ends it.
pub(crate) struct Connection {
    pub(crate) handle: Handle<Gatekeeper>,
    pub(crate) address: SocketAddr,
    pub(crate) user: String,
    pub(crate) host_key: Shown,
    /// Which secret it was made with; `None` if it serves one call only.
    pub(crate) key: Option<CredentialKey>,
    pub(crate) seen: Arc<Seen>,
    leash: CancellationToken,
    allowance: Allowance,
    clock: Arc<dyn Clock>,
    seats: Mutex<Seats>,
    vouched: Mutex<Option<Vouched>>,
}

/// What last trusted the host key, and for which address.
struct Vouched {
    by: Arc<KnownHosts>,
    address: String,
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

/// What a connection is made of.
pub(crate) struct Parts {
    pub(crate) handle: Handle<Gatekeeper>,
    pub(crate) address: SocketAddr,
    pub(crate) user: String,
    pub(crate) host_key: Shown,
    pub(crate) key: Option<CredentialKey>,
    pub(crate) seen: Arc<Seen>,
    pub(crate) leash: CancellationToken,
    pub(crate) allowance: Allowance,
}

impl Connection {
    pub(crate) fn new(parts: Parts, clock: Arc<dyn Clock>) -> Self {
        let Parts { handle, address, user, host_key, key, seen, leash, allowance } = parts;
        allowance.set(IDLE_ALLOWANCE);
        let seats =
            Mutex::new(Seats { taken: 0, most: MOST_SEATS, retired: false, idle_since: clock.boot() });
        Self {
            handle,
            address,
            user,
            host_key,
            key,
            seen,
            leash,
            allowance,
            clock,
            seats,
            vouched: Mutex::new(None),
        }
    }

    /// The host key's fingerprint.
    pub(crate) fn fingerprint(&self) -> String {
        self.host_key.fingerprint()
    }

    /// Whether the host key is trusted, asking `check` only if these known hosts have not said so before.
    pub(crate) fn vouched(&self, by: &Arc<KnownHosts>, address: &str, check: impl FnOnce() -> bool) -> bool {
        let mut vouched = self.vouched.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |last: &Vouched| Arc::ptr_eq(&last.by, by) && last.address == address;
        let trusted = vouched.as_ref().is_some_and(same) || check();
        *vouched = trusted.then(|| Vouched { by: Arc::clone(by), address: address.to_owned() });
        trusted
    }

    /// Takes a seat, if there is one on a living connection.
    pub(crate) fn sit(self: &Arc<Self>) -> Option<Seat> {
        let mut seats = self.lock();
        if seats.retired || self.is_over() || seats.taken >= seats.most {
            return None;
        }
        seats.taken += 1;
        self.allowance.lift();
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
        self.leash.is_cancelled() || self.handle.is_closed()
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
            connection.allowance.set(IDLE_ALLOWANCE);
            if seats.retired {
                connection.end();
            }
        }
    }
}

/// Watches a connection until it is over: ends it when it has been idle too long, or when it is in use and does
/// not answer.
pub(crate) async fn watch(
    connection: Weak<Connection>,
    pool: Weak<Pool>,
    idle_limit: Duration,
    watchdog: Duration,
) {
    let step = (idle_limit / 4).clamp(Duration::from_millis(20), watchdog);
    loop {
        tokio::time::sleep(step).await;
        let Some(connection) = connection.upgrade() else { return };
        if connection.is_over() {
            if let Some(pool) = pool.upgrade() {
                pool.clear_out();
            }
            return;
        }
        match connection.idle() {
            Some(idle) if idle >= idle_limit => connection.retire(),
            Some(_) => {}
            None => {
                // A failed ping says the same as none: nobody answers.
                let answer = tokio::time::timeout(watchdog, connection.handle.send_ping()).await;
                if !matches!(answer, Ok(Ok(()))) {
                    connection.end();
                }
            }
        }
    }
}
