//! What the journal does for an entry, on a time that stands still.
//!
//! Without the journal's thread: it wakes when it likes, and then writes entries that the measured thread would have.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context, ensure};
use audit::test_util::BareJournal;
use audit::{Event, Origin};
use model::{PrincipalId, Timestamp, ToolName};
use serde_json::{Map, json};

use crate::act::Once;
use crate::command::{PIPELINE, action};

const NOW: i64 = 1_790_000_000_000;

/// An entry is made, chained and given to the kernel. What the disk does later is no part of it.
pub(crate) fn entry() -> anyhow::Result<Once> {
    check()?;
    let (folder, mut journal) = journal()?;
    let event = event()?;
    Ok(Box::new(move || {
        // The journal's folder lives as long as the act.
        let _ = &folder;
        journal.event(Timestamp::from_millis(NOW), event.clone()).is_ok()
    }))
}

/// Entries that are written this way hold.
fn check() -> anyhow::Result<()> {
    let (folder, mut journal) = journal()?;
    for _ in 0..3 {
        journal.event(Timestamp::from_millis(NOW), event()?)?;
    }
    let report = audit::verify(folder.path(), None, None)?;
    // The first says that the journal was opened.
    ensure!(report.first_bad.is_none() && report.entries == 4, "the journal does not hold: {report:?}");
    Ok(())
}

fn journal() -> anyhow::Result<(tempfile::TempDir, BareJournal)> {
    let folder = tempfile::tempdir().context("make a folder for a journal")?;
    let journal = BareJournal::open(folder.path(), Timestamp::from_millis(NOW))?;
    Ok((folder, journal))
}

/// A command that was denied.
fn event() -> anyhow::Result<Event> {
    let fields = [
        ("target", json!("bench")),
        ("decision", json!("denied")),
        ("error_code", json!("denied.command")),
        ("reason", json!("no rule permits this command on this host")),
        ("action_digest", json!(action(PIPELINE)?.digest().to_string())),
    ];
    Ok(Event {
        event: "tool_call",
        principal: Some(PrincipalId::parse("agent")?),
        origin: Origin {
            client_ip: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            transport: "http",
            agent: Some("bench 1.0".to_owned()),
            ..Origin::default()
        },
        tool: Some(ToolName::parse("ssh_execute")?),
        fields: fields.map(|(name, value)| (name.to_owned(), value)).into_iter().collect::<Map<_, _>>(),
    })
}
