//! Connections that calls may share, and who may share them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use broker::CredentialKey;
use model::TargetName;

use crate::connection::{Connection, Seat};

/// What two calls must have in common to share a connection, beside address, host key and secret.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Shelf {
    pub(crate) target: TargetName,
    pub(crate) user: String,
}

/// Connections by shelf. A call on a handle has a pool of its own, so that it shares with nobody.
#[derive(Default)]
pub(crate) struct Pool {
    shelves: Mutex<HashMap<Shelf, Vec<Arc<Connection>>>>,
    dialling: Mutex<HashMap<Shelf, Arc<tokio::sync::Mutex<()>>>>,
}

impl Pool {
    /// A seat on a connection to one of these addresses, made with this very secret, whose host key `trusted` still.
    pub(crate) fn seat(
        &self,
        shelf: &Shelf,
        key: Option<&CredentialKey>,
        addresses: &[SocketAddr],
        trusted: impl Fn(&Connection) -> bool,
    ) -> Option<Seat> {
        let mut shelves = self.lock();
        let connections = shelves.get_mut(shelf)?;
        connections.retain(|connection| !connection.is_over());
        for connection in connections.iter().filter(|c| c.key.as_ref() != key || !trusted(c)) {
            // The secret was rotated, or the host key is not trusted any more.
            connection.retire();
        }
        connections
            .iter()
            .filter(|connection| addresses.contains(&connection.address))
            .find_map(Connection::sit)
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

    /// No connection is shared any more; idle ones end now, busy ones with their last command.
    pub(crate) fn retire_all(&self) {
        for connection in self.lock().drain().flat_map(|(_, connections)| connections) {
            connection.retire();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Shelf, Vec<Arc<Connection>>>> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
