//! Who writes what callers put in, when they are many and when they go away.

use std::sync::Arc;

use model::Tier;

use super::{answer, check_anchored, entries, executed, origin, permit, policy, principal, tool};
use crate::{CompletionFacts, Journal};

#[tokio::test]
async fn who_goes_away_before_its_turn_leaves_no_entry_behind() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::for_test(dir.path()).unwrap();
    let pending = journal.pending(&principal(), origin(), &tool());
    let facts = CompletionFacts { event: "whoami", decision: "denied", ..CompletionFacts::default() };
    tokio::select! {
        biased;
        _ = journal.complete(pending, &facts, answer()) => panic!("others are let in before it is written"),
        () = std::future::ready(()) => {}
    }
    // Nothing else is written, and the journal's own thread has not been asked.
    let closed: Vec<_> = entries(dir.path()).into_iter().filter(|entry| entry.event == "whoami").collect();
    assert_eq!(closed.len(), 1, "{closed:?}");
    journal.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_callers_at_once_each_has_its_entries_and_no_two() {
    const CALLERS: usize = 64;
    const CALLS: usize = 20;
    let dir = tempfile::tempdir().unwrap();
    let journal = Arc::new(Journal::for_test(dir.path()).unwrap());
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let journal = Arc::clone(&journal);
            tokio::spawn(async move {
                for _ in 0..CALLS {
                    let mut pending = journal.pending(&principal(), origin(), &tool());
                    journal.begin(&mut pending, permit(Tier::Read), policy).await.unwrap();
                    journal.complete(pending, &executed(), answer()).await.unwrap();
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    journal.shutdown().await.unwrap();
    let written = entries(dir.path());
    let of = |phase: &str| {
        written.iter().filter(|entry| entry.phase == phase && entry.members.contains_key("tool")).count()
    };
    assert_eq!((of("intent"), of("complete")), (CALLERS * CALLS, CALLERS * CALLS));
    let report = check_anchored(dir.path());
    assert_eq!((report.first_bad, report.orphans), (None, 0));
}
