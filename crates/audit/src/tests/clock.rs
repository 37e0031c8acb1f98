//! Audit gaps: a clock that jumps.

use std::sync::Arc;

use super::{call, check_anchored, entries};
use crate::Journal;
use crate::test_util::{TestClock, TestEntropy, test_config};

#[tokio::test]
async fn clock_jump_is_recorded_and_order_stays_with_the_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(TestClock::default());
    let journal =
        Journal::open(test_config(dir.path()), clock.clone(), Arc::new(TestEntropy::default())).unwrap();
    call(&journal).await;
    clock.set_wall(-3_600_000);
    call(&journal).await;
    clock.set_wall(7_200_000);
    call(&journal).await;
    journal.shutdown().await.unwrap();
    assert_eq!(check_anchored(dir.path()).first_bad, None);
    let jumps: Vec<i64> = entries(dir.path())
        .iter()
        .filter(|entry| entry.event == "clock_jump")
        .map(|entry| entry.members["fields"]["by_ms"].as_i64().unwrap())
        .collect();
    assert_eq!(jumps.len(), 2);
    assert!((jumps[0] + 3_600_000).abs() < 1000 && (jumps[1] - 7_200_000).abs() < 1000, "{jumps:?}");
}
