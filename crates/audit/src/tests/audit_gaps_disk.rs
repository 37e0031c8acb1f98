//! Audit gaps: the disk is full, writes are short, fsync fails, files cannot be made.

use model::Tier;

use super::faults::Faults;
use super::{
    answer, call, check, check_anchored, event, events, executed, file, origin, permit, policy, principal,
    tool,
};
use crate::{BeginError, Durability, JournalConfig, test_util::test_config};

#[tokio::test]
async fn disk_full_refuses_the_intent_and_the_chain_goes_on_afterwards() {
    let dir = tempfile::tempdir().unwrap();
    let faults = Faults::default();
    let journal = faults.open(dir.path());
    call(&journal).await;
    let good = std::fs::read(file(dir.path(), 1)).unwrap();
    for room in [0, 1, 100, 400] {
        faults.set(|plan| plan.room = Some(room));
        let mut pending = journal.pending(&principal(), origin(), &tool());
        let refused = journal.begin(&mut pending, permit(Tier::Dangerous), policy).await;
        assert!(matches!(refused, Err(BeginError::Journal(_))), "{refused:?}");
        assert!(!journal.healthy());
        assert_eq!(std::fs::read(file(dir.path(), 1)).unwrap(), good, "half a line was cut back");
        let refused = journal.begin(&mut pending, permit(Tier::Dangerous), policy).await;
        assert!(matches!(refused, Err(BeginError::Journal(_))), "no second intent for one call");
        drop(pending);
    }
    faults.set(|plan| plan.room = None);
    call(&journal).await;
    assert!(journal.healthy());
    journal.shutdown().await.unwrap();
    let report = check_anchored(dir.path());
    assert_eq!((report.first_bad, report.orphans), (None, 0));
    let events = events(dir.path());
    assert!(events.contains(&"journal_recovered".to_owned()), "{events:?}");
    assert_eq!(events.iter().filter(|event| *event == "call_dropped").count(), 4, "what was owed is written");
}

#[tokio::test]
async fn disk_full_withholds_the_answer_and_says_so_later() {
    let dir = tempfile::tempdir().unwrap();
    let faults = Faults::default();
    let journal = faults.open(dir.path());
    let mut pending = journal.pending(&principal(), origin(), &tool());
    journal.begin(&mut pending, permit(Tier::Dangerous), policy).await.unwrap();
    faults.set(|plan| plan.room = Some(10));
    assert!(journal.complete(pending, &executed(), answer()).await.is_err(), "no answer without its record");
    faults.set(|plan| plan.room = None);
    journal.event(event("config_reloaded")).await.unwrap();
    journal.shutdown().await.unwrap();
    let closed = super::entries(dir.path()).into_iter().find(|entry| entry.event == "ssh_executed").unwrap();
    assert_eq!((closed.phase.as_str(), closed.text("error_code")), ("closed", Some("audit.unavailable")));
    assert_eq!(check(dir.path()).orphans, 0);
}

#[tokio::test]
async fn a_disk_that_works_again_heals_without_being_asked() {
    let dir = tempfile::tempdir().unwrap();
    let faults = Faults::default();
    let journal = faults.open(dir.path());
    faults.set(|plan| plan.write_fails = true);
    journal.event(event("config_reloaded")).await.unwrap_err();
    assert!(!journal.healthy() && journal.failure().is_some());
    faults.set(|plan| plan.write_fails = false);
    tokio::time::timeout(std::time::Duration::from_secs(10), async {
        while !journal.healthy() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn older_entries_that_reach_a_full_disk_do_not_make_it_healthy() {
    let dir = tempfile::tempdir().unwrap();
    let faults = Faults::default();
    let journal = faults.open(dir.path());
    // Its completion is in the kernel, and is still to be synced.
    call(&journal).await;
    let before = faults.syncs();
    faults.set(|plan| plan.room = Some(0));
    journal.event(event("config_reloaded")).await.unwrap_err();
    tokio::time::timeout(std::time::Duration::from_secs(10), async {
        while faults.syncs() == before {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
    for _ in 0..20 {
        assert!(!journal.healthy());
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    faults.set(|plan| plan.room = None);
    journal.event(event("config_reloaded")).await.unwrap();
    assert!(journal.healthy());
}

#[tokio::test]
async fn short_writes_are_finished() {
    let dir = tempfile::tempdir().unwrap();
    let faults = Faults::default();
    let journal = faults.open(dir.path());
    faults.set(|plan| plan.short = Some(7));
    call(&journal).await;
    journal.shutdown().await.unwrap();
    assert_eq!(check_anchored(dir.path()).first_bad, None);
}

#[tokio::test]
async fn fsync_error_moves_the_chain_to_a_new_file_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let faults = Faults::default();
    let journal = faults.open(dir.path());
    call(&journal).await;
    faults.set(|plan| plan.sync_failures = 1);
    call(&journal).await;
    call(&journal).await;
    assert!(journal.healthy());
    journal.shutdown().await.unwrap();
    let report = check_anchored(dir.path());
    assert_eq!((report.first_bad.clone(), report.files, report.orphans), (None, 2, 0), "{report:?}");
    let events = events(dir.path());
    assert_eq!(events.iter().filter(|event| *event == "journal_moved").count(), 1, "the move is recorded");
    assert_eq!(events.iter().filter(|event| *event == "ssh_executed").count(), 3);
}

#[tokio::test]
async fn fsync_error_whose_old_file_lost_its_tail_is_still_complete() {
    let dir = tempfile::tempdir().unwrap();
    let faults = Faults::default();
    let journal = faults.open(dir.path());
    call(&journal).await;
    let synced = std::fs::metadata(file(dir.path(), 1)).unwrap().len();
    faults.set(|plan| plan.sync_failures = 1);
    call(&journal).await;
    journal.shutdown().await.unwrap();
    // What a power cut after the failed sync can leave: the tail gone, in part, or full of zeros.
    let whole = std::fs::read(file(dir.path(), 1)).unwrap();
    for tail in [&b""[..], &whole[usize::try_from(synced).unwrap()..][..50], &[0; 4096]] {
        let lost = [&whole[..usize::try_from(synced).unwrap()], tail].concat();
        // The completion of the first call was in the kernel only; the intent of the second brought it to disk.
        std::fs::write(file(dir.path(), 1), lost).unwrap();
        let report = check_anchored(dir.path());
        assert_eq!(report.first_bad, None, "{report:?}");
        assert_eq!(report.abandoned_bytes, u64::try_from(tail.len()).unwrap());
    }
}

#[tokio::test]
async fn fsync_error_without_a_way_out_refuses_and_nothing_acts() {
    let dir = tempfile::tempdir().unwrap();
    let faults = Faults::default();
    let journal = faults.open(dir.path());
    faults.set(|plan| (plan.sync_failures, plan.create_fails) = (1, true));
    let mut pending = journal.pending(&principal(), origin(), &tool());
    assert!(journal.begin(&mut pending, permit(Tier::Dangerous), policy).await.is_err());
    let mut read = journal.pending(&principal(), origin(), &tool());
    assert!(
        journal.begin(&mut read, permit(Tier::Read), policy).await.is_err(),
        "an untrusted file takes nothing"
    );
    drop((pending, read));
    faults.set(|plan| plan.create_fails = false);
    call(&journal).await;
    journal.shutdown().await.unwrap();
    let report = check_anchored(dir.path());
    assert_eq!((report.first_bad, report.orphans), (None, 0));
}

#[tokio::test]
async fn a_write_that_cannot_be_cut_back_is_continued_in_a_new_file() {
    let dir = tempfile::tempdir().unwrap();
    let faults = Faults::default();
    let journal = faults.open(dir.path());
    call(&journal).await;
    faults.set(|plan| (plan.room, plan.truncate_fails) = (Some(300), true));
    let mut pending = journal.pending(&principal(), origin(), &tool());
    assert!(journal.begin(&mut pending, permit(Tier::Dangerous), policy).await.is_err());
    drop(pending);
    faults.set(|plan| plan.room = None);
    call(&journal).await;
    journal.shutdown().await.unwrap();
    let report = check_anchored(dir.path());
    assert_eq!((report.first_bad, report.orphans, report.files), (None, 0, 2));
    assert!(report.abandoned_bytes > 0);
}

#[tokio::test]
async fn rotation_that_fails_keeps_to_the_old_file() {
    let dir = tempfile::tempdir().unwrap();
    let faults = Faults::default();
    let journal = faults.open_with(JournalConfig { max_file_bytes: 500, ..test_config(dir.path()) });
    faults.set(|plan| plan.create_fails = true);
    call(&journal).await;
    call(&journal).await;
    assert!(!file(dir.path(), 2).exists());
    faults.set(|plan| plan.create_fails = false);
    call(&journal).await;
    assert!(file(dir.path(), 2).exists());
    journal.shutdown().await.unwrap();
    assert_eq!(check_anchored(dir.path()).first_bad, None);
}

#[tokio::test]
async fn durability_decides_what_waits_for_the_disk() {
    for (durability, tier, waits) in [
        (Durability::Auto, Tier::Read, false),
        (Durability::Auto, Tier::LowAccess, true),
        (Durability::Auto, Tier::Sudo, true),
        (Durability::Process, Tier::Sudo, false),
        (Durability::Disk, Tier::Read, true),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let faults = Faults::default();
        let journal = faults.open_with(JournalConfig { durability, ..test_config(dir.path()) });
        let before = faults.syncs();
        let mut pending = journal.pending(&principal(), origin(), &tool());
        journal.begin(&mut pending, permit(tier), policy).await.unwrap();
        assert_eq!(faults.syncs() > before, waits, "{durability:?} {tier:?}");
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        assert!(faults.syncs() > before, "on disk within 100 ms in any case: {durability:?} {tier:?}");
        drop(pending);
        journal.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn many_requests_share_one_sync() {
    let dir = tempfile::tempdir().unwrap();
    let faults = Faults::default();
    let journal = faults.open(dir.path());
    faults.set(|plan| plan.sync_takes = std::time::Duration::from_millis(30));
    let before = faults.syncs();
    let calls: Vec<_> = (0..200)
        .map(|_| {
            let journal = journal.clone();
            tokio::spawn(async move { call(&journal).await })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
    let syncs = faults.syncs() - before;
    assert!(syncs < 50, "{syncs} syncs for 200 intents");
    journal.shutdown().await.unwrap();
    assert_eq!(check_anchored(dir.path()).first_bad, None);
}
