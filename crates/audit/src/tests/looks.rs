//! Calls that only look at the gateway: intent and end are one write.

use model::Tier;

use super::faults::Faults;
use super::{
    answer, check_anchored, entries, events, executed, file, origin, permit, policy, principal, tool,
};
use crate::{Journal, Pending};

fn look(journal: &Journal) -> Pending {
    let mut pending = journal.pending(&principal(), origin(), &tool());
    pending.only_looks();
    pending
}

#[tokio::test]
async fn a_look_has_its_intent_and_its_end_side_by_side_before_its_answer() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::for_test(dir.path()).unwrap();
    let mut pending = look(&journal);
    let before = std::fs::read(file(dir.path(), 1)).unwrap();
    let intended = journal.begin(&mut pending, permit(Tier::Read), policy).await.unwrap();
    assert_eq!(std::fs::read(file(dir.path(), 1)).unwrap(), before, "nothing is written yet");
    journal.complete(pending, &executed(), answer()).await.unwrap();
    let found: Vec<_> = entries(dir.path()).into_iter().skip(1).collect();
    let id = intended.id().to_string();
    assert_eq!(found.iter().map(|entry| entry.phase.as_str()).collect::<Vec<_>>(), ["intent", "complete"]);
    assert!(found.iter().all(|entry| entry.text("id") == Some(id.as_str())));
    journal.shutdown().await.unwrap();
    assert_eq!(check_anchored(dir.path()).orphans, 0);
}

#[tokio::test]
async fn what_says_that_it_looks_and_is_more_than_a_read_has_its_intent_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::for_test(dir.path()).unwrap();
    let mut pending = look(&journal);
    journal.begin(&mut pending, permit(Tier::LowAccess), policy).await.unwrap();
    assert_eq!(entries(dir.path()).last().unwrap().phase, "intent");
    drop(pending);
    journal.shutdown().await.unwrap();
}

#[tokio::test]
async fn nothing_is_done_as_part_of_a_look() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::for_test(dir.path()).unwrap();
    let mut pending = look(&journal);
    let intended = journal.begin(&mut pending, permit(Tier::Read), policy).await.unwrap();
    assert!(journal.begin_part(&intended, "shell_probe").await.is_err());
    journal.complete(pending, &executed(), answer()).await.unwrap();
    journal.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_dropped_look_is_on_record_with_its_intent() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::for_test(dir.path()).unwrap();
    let mut pending = look(&journal);
    journal.begin(&mut pending, permit(Tier::Read), policy).await.unwrap();
    drop(pending);
    journal.shutdown().await.unwrap();
    assert_eq!(events(dir.path()), ["journal_opened", "tool_call", "call_dropped", "journal_closed"]);
    assert_eq!(check_anchored(dir.path()).orphans, 0);
}

#[tokio::test]
async fn a_look_that_cannot_be_recorded_has_no_answer() {
    let dir = tempfile::tempdir().unwrap();
    let faults = Faults::default();
    let journal = faults.open(dir.path());
    let mut pending = look(&journal);
    journal.begin(&mut pending, permit(Tier::Read), policy).await.unwrap();
    let before = std::fs::read(file(dir.path(), 1)).unwrap();
    // Room for the intent, and not for the end.
    faults.set(|plan| plan.room = Some(800));
    assert!(journal.complete(pending, &executed(), answer()).await.is_err());
    assert_eq!(std::fs::read(file(dir.path(), 1)).unwrap(), before, "all of it or nothing");
    faults.set(|plan| plan.room = None);
    journal.shutdown().await.unwrap();
    let closed = entries(dir.path()).into_iter().find(|entry| entry.event == "ssh_executed").unwrap();
    assert_eq!((closed.phase.as_str(), closed.text("error_code")), ("closed", Some("audit.unavailable")));
    assert_eq!(check_anchored(dir.path()).orphans, 0);
}
