//! What may be used once: a row stands for its one use.

use model::Timestamp;
use rusqlite::{Connection, params};

pub(crate) fn spend(connection: &mut Connection, id: &[u8; 16], until: Timestamp) -> rusqlite::Result<bool> {
    // One statement: of two that come at once, one finds the row of the other.
    let spent = connection
        .prepare_cached("INSERT OR IGNORE INTO spent (id, until) VALUES (?1, ?2)")?
        .execute(params![id.as_slice(), until.as_millis()])?;
    Ok(spent > 0)
}

pub(crate) fn sweep(connection: &mut Connection, now: Timestamp) -> rusqlite::Result<u64> {
    let forgotten =
        connection.prepare_cached("DELETE FROM spent WHERE until < ?1")?.execute([now.as_millis()])?;
    Ok(u64::try_from(forgotten).unwrap_or(u64::MAX))
}
