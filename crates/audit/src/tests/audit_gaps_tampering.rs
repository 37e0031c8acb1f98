//! Audit gaps: truncation, reordering, removal, changes, and tails cut off are found, offline.

use std::path::Path;

use super::{call, check, check_anchored, entries, events, file, folder, journal_of, open_rotating, reopen};
use crate::chain::ChainHead;
use crate::{Damage, JournalError, PublicKey, verify};

fn lines(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap().lines().map(ToOwned::to_owned).collect()
}

fn write(path: &Path, lines: &[String]) {
    std::fs::write(path, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
}

fn damage(dir: &Path) -> (String, u64, u64, Damage) {
    let bad = check_anchored(dir).first_bad.expect("the change is found");
    (bad.file, bad.line, bad.seq, bad.what)
}

#[tokio::test]
async fn an_untouched_journal_is_clean_and_anchored_to_its_end() {
    let dir = journal_of(3).await;
    let report = check_anchored(dir.path());
    assert_eq!((report.first_bad.clone(), report.entries, report.orphans), (None, 8, 0), "{report:?}");
    assert_eq!((report.complete_up_to.unwrap().0, report.anchored), (8, Some(8)));
    let alone = check(dir.path());
    assert_eq!((alone.first_bad, alone.anchored, alone.complete_up_to.unwrap().0), (None, None, 8));
}

#[tokio::test]
async fn any_changed_byte_is_found() {
    let dir = journal_of(2).await;
    let path = file(dir.path(), 1);
    let whole = std::fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= [1, 32][at % 2];
        std::fs::write(&path, &changed).unwrap();
        let line = u64::try_from(whole[..at].iter().filter(|b| **b == b'\n').count()).unwrap() + 1;
        match check(dir.path()) {
            // Without its newline the last line is an unfinished one, and only the head knows better.
            report if report.torn_tail => {
                assert!(check_anchored(dir.path()).first_bad.is_some(), "byte {at}")
            }
            report => assert_eq!(report.first_bad.expect("the change is found").line, line, "byte {at}"),
        }
    }
}

#[tokio::test]
async fn reordered_and_removed_lines_are_found() {
    let dir = journal_of(3).await;
    let path = file(dir.path(), 1);
    let whole = lines(&path);
    let mut swapped = whole.clone();
    swapped.swap(3, 4);
    write(&path, &swapped);
    assert_eq!(damage(dir.path()), ("000001.jsonl".into(), 4, 4, Damage::OutOfOrder { found: 5 }));
    let mut removed = whole.clone();
    removed.remove(2);
    write(&path, &removed);
    assert_eq!(damage(dir.path()), ("000001.jsonl".into(), 3, 3, Damage::OutOfOrder { found: 4 }));
    let mut first = whole.clone();
    first.remove(0);
    write(&path, &first);
    assert_eq!(damage(dir.path()), ("000001.jsonl".into(), 1, 1, Damage::OutOfOrder { found: 2 }));
    let mut doubled = whole.clone();
    doubled.insert(3, whole[2].clone());
    write(&path, &doubled);
    assert_eq!(damage(dir.path()), ("000001.jsonl".into(), 4, 4, Damage::OutOfOrder { found: 3 }));
    let mut foreign = whole;
    foreign.insert(3, "{\"seq\":4}".to_owned());
    write(&path, &foreign);
    assert_eq!(damage(dir.path()), ("000001.jsonl".into(), 4, 4, Damage::Form));
}

#[tokio::test]
async fn a_tail_cut_off_is_found_with_a_head_and_said_to_be_possible_without() {
    let dir = journal_of(3).await;
    let path = file(dir.path(), 1);
    let whole = lines(&path);
    for keep in 1..whole.len() {
        write(&path, &whole[..keep]);
        let last = u64::try_from(keep).unwrap();
        let (heads, _, seq, what) = damage(dir.path());
        assert_eq!((heads.as_str(), seq, what), ("heads.jsonl", 8, Damage::TailCut { last }));
        let alone = check(dir.path());
        assert_eq!((alone.first_bad, alone.anchored, alone.complete_up_to.unwrap().0), (None, None, last));
    }
    // Cut within a line: the same as a crash, but the head knows better.
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 10]).unwrap();
    assert!(check(dir.path()).torn_tail);
    assert!(matches!(damage(dir.path()).3, Damage::TailCut { .. }));
}

#[tokio::test]
async fn a_journal_written_anew_with_right_hashes_is_found_by_its_heads() {
    let dir = journal_of(3).await;
    let path = file(dir.path(), 1);
    let mut chain = ChainHead::GENESIS;
    let mut forged = Vec::new();
    for line in lines(&path) {
        let entry = crate::Entry::parse(&line).unwrap();
        let ts = model::Timestamp::parse(&entry.ts).unwrap();
        let open = line.find("\"id\"").unwrap();
        let close = line.find(",\"prev\"").unwrap();
        chain.extend(ts, &line.get(open..close).unwrap().replace("ssh_executed", "tools_list"), &mut forged);
    }
    std::fs::write(&path, forged).unwrap();
    assert_eq!(check(dir.path()).first_bad, None, "a chain alone cannot tell");
    assert_eq!(damage(dir.path()).3, Damage::Rewritten);
}

#[tokio::test]
async fn missing_files_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open_rotating(dir.path(), 2000);
    for _ in 0..12 {
        call(&journal).await;
    }
    journal.shutdown().await.unwrap();
    let report = check_anchored(dir.path());
    assert!(report.files >= 4 && report.first_bad.is_none(), "{report:?}");
    let away = dir.path().join("away");
    for (number, what) in [(1, Damage::MissingFile), (2, Damage::MissingFile)] {
        std::fs::rename(file(dir.path(), number), &away).unwrap();
        assert_eq!(damage(dir.path()).3, what);
        std::fs::rename(&away, file(dir.path(), number)).unwrap();
    }
    std::fs::rename(file(dir.path(), report.files), &away).unwrap();
    assert!(matches!(damage(dir.path()).3, Damage::TailCut { .. }), "the last file");
    // A file in the place of another.
    std::fs::copy(file(dir.path(), 2), file(dir.path(), 3)).unwrap();
    assert!(damage(dir.path()).3 != Damage::MissingFile);
    std::fs::remove_dir_all(folder(dir.path())).unwrap();
    std::fs::create_dir(folder(dir.path())).unwrap();
    assert_eq!(damage(dir.path()).3, Damage::Empty);
}

#[tokio::test]
async fn heads_of_another_key_and_changed_heads_are_found() {
    let dir = journal_of(2).await;
    let heads = dir.path().join("heads.jsonl");
    let other = crate::SigningKey::from_seed(&[8; 32]).public();
    let wrong = verify(&folder(dir.path()), Some(&other), Some(&heads)).unwrap();
    assert_eq!(wrong.first_bad.unwrap().what, Damage::HeadSignature);
    let unchecked = verify(&folder(dir.path()), None, Some(&heads)).unwrap();
    assert_eq!((unchecked.first_bad, unchecked.anchored), (None, None), "without a key nothing is anchored");
    let whole = std::fs::read_to_string(&heads).unwrap();
    for (from, to) in [("\"ts\":\"2026", "\"ts\":\"2025"), ("\"seq\":", "\"seq\":1")] {
        std::fs::write(&heads, whole.replace(from, to)).unwrap();
        assert_eq!(damage(dir.path()).3, Damage::HeadSignature, "{from}");
    }
    std::fs::write(&heads, format!("{whole}nonsense\n")).unwrap();
    assert_eq!(damage(dir.path()).3, Damage::HeadForm);
    std::fs::write(&heads, format!("{whole}{{\"seq\":9")).unwrap();
    assert_eq!(check_anchored(dir.path()).first_bad, None, "half a head vouches for nothing");
    let backwards: Vec<String> = lines(&heads).into_iter().rev().collect();
    write(&heads, &backwards);
    assert!(check_anchored(dir.path()).first_bad.is_some() || backwards.len() < 2);
}

/// A full disk or a crash leaves half a head; the next one must not be written onto it.
#[tokio::test]
async fn half_a_head_is_cut_off_before_the_next() {
    let dir = journal_of(1).await;
    let heads = dir.path().join("heads.jsonl");
    let whole = std::fs::read_to_string(&heads).unwrap();
    std::fs::write(&heads, format!("{whole}{{\"seq\":9,\"hash")).unwrap();
    let journal = reopen(dir.path());
    call(&journal).await;
    journal.shutdown().await.unwrap();
    let now = std::fs::read_to_string(&heads).unwrap();
    assert!(now.starts_with(&whole) && now.len() > whole.len() && now.ends_with('\n'), "{now}");
    let report = check_anchored(dir.path());
    assert_eq!(report.first_bad, None);
    assert_eq!(report.anchored, report.complete_up_to.map(|(seq, _)| seq), "the new head counts");
}

#[tokio::test]
async fn what_cannot_be_read_is_an_error_and_no_clean_report() {
    let dir = journal_of(1).await;
    let missing: Result<_, JournalError> = verify(&dir.path().join("nowhere"), None, None);
    assert!(missing.unwrap_err().to_string().contains("nowhere"));
    assert!(verify(&folder(dir.path()), None, Some(&dir.path().join("no-heads"))).is_err());
    assert!(PublicKey::load(&dir.path().join("no-key")).is_err());
}

#[tokio::test]
async fn a_start_on_a_journal_whose_tail_was_cut_off_records_it_once() {
    let dir = journal_of(3).await;
    reopen(dir.path()).shutdown().await.unwrap();
    assert!(!events(dir.path()).contains(&"journal_tail_cut".to_owned()), "an orderly end cuts nothing");
    let path = file(dir.path(), 1);
    let whole = lines(&path);
    let last = u64::try_from(whole.len()).unwrap();
    write(&path, &whole[..whole.len() - 3]);
    reopen(dir.path()).shutdown().await.unwrap();
    let entry = entries(dir.path()).into_iter().find(|entry| entry.event == "journal_tail_cut").unwrap();
    let fields = &entry.members["fields"];
    assert_eq!((fields["head"].as_u64(), fields["last"].as_u64()), (Some(last), Some(last - 3)), "{fields}");
    assert!(check_anchored(dir.path()).first_bad.is_some(), "what was signed is still missing");
    reopen(dir.path()).shutdown().await.unwrap();
    assert_eq!(events(dir.path()).iter().filter(|event| *event == "journal_tail_cut").count(), 1);
}

#[tokio::test]
async fn a_start_on_a_journal_that_was_written_anew_records_it() {
    let (dir, other) = (journal_of(3).await, journal_of(3).await);
    std::fs::copy(file(other.path(), 1), file(dir.path(), 1)).unwrap();
    reopen(dir.path()).shutdown().await.unwrap();
    assert!(events(dir.path()).contains(&"journal_tail_cut".to_owned()));
}
