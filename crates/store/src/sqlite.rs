//! The embedded engine: one SQLite file in the state folder.
//!
//! One connection behind a lock. Who owns the state folder is settled by the gateway's own file lock, not here.

use std::fs::{self, OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::{CallId, HandleId, PrincipalId, Timestamp, UpstreamName};
use rusqlite::{Connection, OpenFlags};

use crate::schema::{self, SchemaError};
use crate::{
    Claim, ClaimRequest, HandleRecord, OpenError, PinRecord, StateStore, StoreError, handles, pins, spent,
};

/// How long another process may hold the file before an operation fails.
const BUSY: Duration = Duration::from_secs(5);

/// The state in one SQLite file.
pub struct SqliteStore {
    path: PathBuf,
    connection: Mutex<Connection>,
}

impl SqliteStore {
    /// Opens the file, or makes it with mode 0600; brings it to the newest schema.
    ///
    /// Fails, naming the file, if it is a link, not a database, damaged, of another program, or written by a newer
    /// version. Nothing in the file is changed then.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        private_file(path).map_err(|error| failed(path, &error))?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(|error| failed(path, &error))?;
        Self::prepare(path, connection)
    }

    /// A store that lives and dies with the value, for tests.
    pub fn in_memory() -> Result<Self, OpenError> {
        let path = Path::new(":memory:");
        let connection = Connection::open_in_memory().map_err(|error| failed(path, &error))?;
        Self::prepare(path, connection)
    }

    fn prepare(path: &Path, mut connection: Connection) -> Result<Self, OpenError> {
        settings(&connection)
            .map_err(SchemaError::from)
            .and_then(|()| schema::migrate(&mut connection))
            .map_err(|error| not_opened(path, &error))?;
        Ok(Self { path: path.to_owned(), connection: Mutex::new(connection) })
    }

    fn with<T>(
        &self,
        operation: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        // A panic inside an operation drops its transaction, which rolls it back: the connection is sound.
        let mut connection: MutexGuard<'_, Connection> =
            self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        operation(&mut connection).map_err(|error| failed(&self.path, &error))
    }
}

impl StateStore for SqliteStore {
    fn put_handle(&self, record: &HandleRecord) -> Result<(), StoreError> {
        self.with(|connection| handles::put(connection, record))
    }

    fn claim_handle(&self, claim: &ClaimRequest<'_>) -> Result<Claim, StoreError> {
        self.with(|connection| handles::claim(connection, claim))
    }

    fn unclaim_handle(&self, id: &HandleId, call: CallId) -> Result<(), StoreError> {
        self.with(|connection| handles::unclaim(connection, id, call))
    }

    fn release_handle(&self, id: &HandleId, principal: &PrincipalId) -> Result<bool, StoreError> {
        self.with(|connection| handles::release(connection, id, principal))
    }

    fn sweep_handles(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.with(|connection| handles::sweep(connection, now))
    }

    fn spend(&self, id: &[u8; 16], until: Timestamp) -> Result<bool, StoreError> {
        self.with(|connection| spent::spend(connection, id, until))
    }

    fn sweep_spent(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.with(|connection| spent::sweep(connection, now))
    }

    fn pins(&self, upstream: UpstreamName) -> Result<Vec<PinRecord>, StoreError> {
        self.with(|connection| pins::of(connection, upstream))
    }

    fn pin(&self, upstream: UpstreamName, pins: &[PinRecord], gone: &[String]) -> Result<(), StoreError> {
        self.with(|connection| pins::put(connection, upstream, pins, gone))
    }
}

/// Makes the file if there is none, and takes the rights of all others away. SQLite gives its `-wal` and `-shm`
/// files the mode of the main file.
fn private_file(path: &Path) -> std::io::Result<()> {
    match OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    let metadata = fs::symlink_metadata(path)?;
    if !metadata.is_file() {
        return Err(std::io::Error::other("it is not a regular file"));
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(path, Permissions::from_mode(0o600))?;
    }
    Ok(())
}

fn settings(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    // A killed process loses nothing under NORMAL: what is committed is in the kernel. A power loss can lose the last
    // transactions, and so revive a consumed handle, but it also changes the boot id, and a handle of another
    // boot has expired. A lost pin withholds a tool until it is accepted again. State that must outlive a power loss needs
    // FULL.
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)
}

fn not_opened(path: &Path, error: &SchemaError) -> OpenError {
    if error.is_damage() {
        OpenError::Damaged(format!("`{}`: {error}", path.display()))
    } else {
        failed(path, error).into()
    }
}

fn failed(path: &Path, error: &dyn std::fmt::Display) -> StoreError {
    StoreError(format!("`{}`: {error}", path.display()))
}
