//! Connections that calls may share, and who may share them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::TargetName;

use crate::connection::{Connection, Seat};

/// What two calls must have in common to share a connection, beside addresses, host keys and secrets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Shelf {
    pub(crate) target: TargetName,
    pub(crate) user: String,
    /// The jump hosts on the way, in order.
    pub(crate) by_way_of: Vec<TargetName>,
}

/// Whether a call may use a connection that another one made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fit {
    /// It may.
    Fits,
    /// Another call may: it leads to another address, or another account on the way.
    Differs,
    /// Nobody may any more: a secret on the way was rotated, or a host key is not trusted now.
    Stale,
}

/// Connections by shelf. A call on a handle has a pool of its own, so that it shares with nobody.
#[derive(Default)]
pub(crate) struct Pool {
    shelves: Mutex<HashMap<Shelf, Vec<Arc<Connection>>>>,
    dialling: Mutex<HashMap<Shelf, Arc<tokio::sync::Mutex<()>>>>,
}

impl Pool {
    /// A seat on a connection that fits.
    pub(crate) fn seat(&self, shelf: &Shelf, fit: impl Fn(&Connection) -> Fit) -> Option<Seat> {
        let mut shelves = self.lock();
        let connections = shelves.get_mut(shelf)?;
        connections.retain(|connection| !connection.is_over());
        let mut fitting = Vec::new();
        for connection in connections.iter() {
            match fit(connection) {
                Fit::Fits => fitting.push(connection),
                Fit::Differs => {}
                Fit::Stale => connection.retire(),
            }
        }
        fitting.into_iter().find_map(Connection::sit)
    }

    pub(crate) fn add(&self, shelf: Shelf, connection: Arc<Connection>) {
        self.lock().entry(shelf).or_default().push(connection);
    }

    /// Forgets connections that are over.
    pub(crate) fn clear_out(&self) {
        self.lock().retain(|_, connections| {
            connections.retain(|connection| !connection.is_over());
            !connections.is_empty()
        });
    }

    /// Held while one call dials for a shelf, so that many at once do not all dial.
    pub(crate) fn dialling(&self, shelf: &Shelf) -> Arc<tokio::sync::Mutex<()>> {
        let mut dialling = self.dialling.lock().unwrap_or_else(PoisonError::into_inner);
        dialling.retain(|_, lock| Arc::strong_count(lock) > 1);
        Arc::clone(dialling.entry(shelf.clone()).or_default())
    }

    /// Connections of which this holds are not shared any more; idle ones end now, busy ones with their last command.
    pub(crate) fn retire(&self, touched: impl Fn(&Connection) -> bool) {
        for connection in self.lock().values().flatten().filter(|connection| touched(connection)) {
            connection.retire();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Shelf, Vec<Arc<Connection>>>> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
