//! Beyond the rate: counted before the answer leaves, written as one entry a second, never lost in order.

use std::sync::Arc;
use std::time::Duration;

use guard::Guard;
use model::Clock as _;
use serde_json::json;

use super::{call, check, entries, origin, principal, tool};
use crate::test_util::{TestClock, TestEntropy, test_config};
use crate::{Entry, Journal, Origin};

fn ask(journal: &Journal, origin: Origin) -> bool {
    let pending = journal.pending(&principal(), origin, &tool());
    journal.sum_up(pending, Guard::new().admit_own(())).is_ok()
}

fn sums(dir: &std::path::Path) -> Vec<Entry> {
    entries(dir).into_iter().filter(|entry| entry.event == "over_rate").collect()
}

fn counted(sums: &[Entry]) -> u64 {
    sums.iter().map(|entry| entry.members["fields"]["count"].as_u64().unwrap()).sum()
}

#[tokio::test]
async fn however_often_a_principal_asks_it_gets_one_entry_a_second() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(TestClock::default());
    let journal =
        Journal::open(test_config(dir.path()), Arc::clone(&clock) as _, Arc::new(TestEntropy::default()))
            .unwrap();
    let start = clock.boot();
    for _ in 0..10_000 {
        assert!(ask(&journal, origin()));
    }
    call(&journal).await;
    journal.shutdown().await.unwrap();
    // The clock moves a millisecond whenever somebody looks at it.
    let seconds = clock.boot().since(start).as_secs();
    let written = sums(dir.path());
    assert!((1..=seconds + 2).contains(&u64::try_from(written.len()).unwrap()), "{} entries", written.len());
    assert_eq!(counted(&written), 10_000, "the end writes what is owed");
    let entry = &written[0].members;
    assert_eq!((&entry["phase"], &entry["error_code"]), (&json!("closed"), &json!("denied.rate")));
    assert_eq!((&entry["principal"], &entry["client_ip"]), (&json!("claude-ops"), &json!("10.0.0.7")));
    assert_eq!(check(dir.path()).first_bad, None);
    assert!(!ask(&journal, origin()), "after the end nothing is answered");
}

#[tokio::test]
async fn a_sum_is_written_while_nothing_else_happens() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::for_test(dir.path()).unwrap();
    assert!(ask(&journal, origin()));
    for _ in 0..300 {
        if !sums(dir.path()).is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the sum was never written");
}
