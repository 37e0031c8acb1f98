//! Handles as rows: every function is one transaction.

use std::time::Duration;

use model::{BootInstant, CallId, CredentialRef, HandleId, PrincipalId, TargetName, Timestamp, ToolName};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, named_params, params};

use crate::{Claim, ClaimRequest, HandleRecord};

/// How long an ended handle is still known, so that its second use is told apart from an invented one.
const REMEMBERED_MS: i64 = 24 * 60 * 60 * 1000;

pub(crate) fn put(connection: &mut Connection, record: &HandleRecord) -> rusqlite::Result<()> {
    let targets: Vec<&str> = record.targets.iter().map(TargetName::as_str).collect();
    let tools: Vec<&str> = record.tools.iter().map(ToolName::as_str).collect();
    connection
        .prepare_cached(
            "INSERT INTO handle
                (id, principal, credential, reason, targets, tools, single_use, boot_deadline, boot_id, deadline)
             VALUES
                (:id, :principal, :credential, :reason, :targets, :tools, :single_use, :boot_deadline, :boot_id,
                 :deadline)",
        )?
        .execute(named_params! {
            ":id": record.id.as_str(),
            ":principal": record.principal.as_str(),
            ":credential": record.credential.to_string(),
            ":reason": record.reason,
            ":targets": serde_json::json!(targets).to_string(),
            ":tools": serde_json::json!(tools).to_string(),
            ":single_use": record.single_use,
            ":boot_deadline": millis(record.boot_deadline),
            ":boot_id": record.boot_id,
            ":deadline": record.deadline.as_millis(),
        })?;
    Ok(())
}

pub(crate) fn claim(connection: &mut Connection, claim: &ClaimRequest<'_>) -> rusqlite::Result<Claim> {
    // IMMEDIATE takes the write lock before the row is read, so two claimers cannot both find it unconsumed.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let kept = transaction
        .prepare_cached("SELECT * FROM handle WHERE id = ?1 AND principal = ?2")?
        .query_row(params![claim.id.as_str(), claim.principal.as_str()], |row| read(row, claim))
        .optional()?;
    let Some(kept) = kept else { return Ok(Claim::Unknown) };
    if kept.consumed {
        return Ok(Claim::AlreadyConsumed);
    }
    if kept.released {
        return Ok(Claim::Unknown);
    }
    let record = kept.record;
    let same_boot = record.boot_id == claim.boot_id;
    if !same_boot || claim.boot >= record.boot_deadline || claim.now >= record.deadline {
        return Ok(Claim::Expired);
    }
    if !record.targets.contains(claim.target) || !record.tools.contains(claim.tool) {
        return Ok(Claim::NotForThisTarget);
    }
    if record.single_use {
        transaction
            .prepare_cached("UPDATE handle SET consumed_by = ?2 WHERE id = ?1")?
            .execute(params![claim.id.as_str(), claim.call.to_string()])?;
    }
    transaction.commit()?;
    Ok(Claim::Claimed(Box::new(record)))
}

pub(crate) fn unclaim(connection: &mut Connection, id: &HandleId, call: CallId) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE handle SET consumed_by = NULL WHERE id = ?1 AND consumed_by = ?2 AND released = 0",
        )?
        .execute(params![id.as_str(), call.to_string()])?;
    Ok(())
}

pub(crate) fn release(
    connection: &mut Connection,
    id: &HandleId,
    principal: &PrincipalId,
) -> rusqlite::Result<bool> {
    let ended = connection
        .prepare_cached("UPDATE handle SET released = 1 WHERE id = ?1 AND principal = ?2 AND released = 0")?
        .execute(params![id.as_str(), principal.as_str()])?;
    Ok(ended > 0)
}

pub(crate) fn sweep(connection: &mut Connection, now: Timestamp) -> rusqlite::Result<u64> {
    let forgotten = connection
        .prepare_cached("DELETE FROM handle WHERE deadline < ?1")?
        .execute(params![now.as_millis().saturating_sub(REMEMBERED_MS)])?;
    Ok(u64::try_from(forgotten).unwrap_or(u64::MAX))
}

struct Kept {
    record: HandleRecord,
    consumed: bool,
    released: bool,
}

fn read(row: &Row<'_>, claim: &ClaimRequest<'_>) -> rusqlite::Result<Kept> {
    let credential: String = row.get("credential")?;
    let record = HandleRecord {
        id: claim.id.clone(),
        principal: claim.principal.clone(),
        credential: CredentialRef::parse(&credential).map_err(malformed)?,
        reason: row.get("reason")?,
        targets: names(row, "targets", TargetName::parse)?,
        tools: names(row, "tools", ToolName::parse)?,
        single_use: row.get("single_use")?,
        boot_deadline: since_boot(row.get("boot_deadline")?),
        boot_id: row.get("boot_id")?,
        deadline: Timestamp::from_millis(row.get("deadline")?),
    };
    let consumed = row.get::<_, Option<String>>("consumed_by")?.is_some();
    Ok(Kept { record, consumed, released: row.get("released")? })
}

fn names<T, E>(row: &Row<'_>, column: &str, parse: impl Fn(&str) -> Result<T, E>) -> rusqlite::Result<Vec<T>>
where
    E: std::error::Error + Send + Sync + 'static,
{
    let text: String = row.get(column)?;
    let texts: Vec<String> = serde_json::from_str(&text).map_err(malformed)?;
    texts.iter().map(|name| parse(name).map_err(malformed)).collect()
}

fn malformed(error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Text, Box::new(error))
}

fn since_boot(millis: i64) -> BootInstant {
    BootInstant::new(Duration::from_millis(u64::try_from(millis).unwrap_or(0)))
}

/// Rounded down: a handle may end a millisecond early, never late.
fn millis(moment: BootInstant) -> i64 {
    i64::try_from(moment.since_boot().as_millis()).unwrap_or(i64::MAX)
}
