//! Accepted definitions of upstreams' tools, one row each.

use model::{Timestamp, UpstreamName};
use rusqlite::{Connection, TransactionBehavior, params};

use crate::PinRecord;

pub(crate) fn of(connection: &mut Connection, upstream: UpstreamName) -> rusqlite::Result<Vec<PinRecord>> {
    let mut statement = connection.prepare_cached(
        "SELECT tool, hash, definition, accepted FROM pin WHERE upstream = ?1 ORDER BY tool",
    )?;
    let rows = statement.query_map([upstream.as_str()], |row| {
        Ok(PinRecord {
            tool: row.get("tool")?,
            hash: row.get("hash")?,
            definition: row.get("definition")?,
            accepted: Timestamp::from_millis(row.get("accepted")?),
        })
    })?;
    rows.collect()
}

pub(crate) fn put(
    connection: &mut Connection,
    upstream: UpstreamName,
    pins: &[PinRecord],
    gone: &[String],
) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for pin in pins {
        transaction
            .prepare_cached(
                "INSERT OR REPLACE INTO pin (upstream, tool, hash, definition, accepted) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![
                upstream.as_str(),
                pin.tool,
                pin.hash.as_slice(),
                pin.definition,
                pin.accepted.as_millis()
            ])?;
    }
    for tool in gone {
        transaction
            .prepare_cached("DELETE FROM pin WHERE upstream = ?1 AND tool = ?2")?
            .execute(params![upstream.as_str(), tool])?;
    }
    transaction.commit()
}
