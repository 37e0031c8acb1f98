//! Audit gaps: a gateway that dies at any moment leaves a journal that opens, verifies, and closes its orphans.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use model::Tier;

use super::{
    call, check, check_anchored, entries, event, events, file, folder, journal_of, open_rotating, origin,
    permit, policy, principal, reopen, tool,
};
use crate::Journal;
use crate::test_util::test_config;

/// A copy of the folder as a crash would leave it.
fn snapshot(from: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder(to.path())).unwrap();
    for entry in std::fs::read_dir(folder(from)).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), folder(to.path()).join(entry.file_name())).unwrap();
    }
    to
}

#[tokio::test]
async fn truncation_in_a_line_is_repaired_and_recorded_at_every_byte() {
    let dir = journal_of(1).await;
    let whole = std::fs::read(file(dir.path(), 1)).unwrap();
    for length in (0..whole.len()).step_by(13) {
        let crashed = snapshot(dir.path());
        std::fs::write(file(crashed.path(), 1), &whole[..length]).unwrap();
        let journal = reopen(crashed.path());
        call(&journal).await;
        journal.shutdown().await.unwrap();
        let report = check_anchored(crashed.path());
        assert_eq!((report.first_bad, report.orphans, report.torn_tail), (None, 0, false), "cut at {length}");
        let torn = length > 0 && whole[length - 1] != b'\n';
        let repaired = entries(crashed.path()).iter().any(|entry| entry.line.contains("\"repaired\""));
        assert_eq!(repaired, torn, "cut at {length}");
    }
}

#[tokio::test]
async fn a_tail_of_zeros_is_repaired_but_a_changed_line_is_refused() {
    let dir = journal_of(2).await;
    let whole = std::fs::read(file(dir.path(), 1)).unwrap();
    let zeros = snapshot(dir.path());
    std::fs::write(file(zeros.path(), 1), [&whole[..], &[0; 5000]].concat()).unwrap();
    reopen(zeros.path()).shutdown().await.unwrap();
    assert_eq!(check(zeros.path()).first_bad, None);
    for (from, to) in [("ssh_executed", "ssh_execuked"), ("\"phase\":\"intent\"", "\"phase\":\"intent\",,")] {
        let changed = snapshot(dir.path());
        let text = String::from_utf8(whole.clone()).unwrap().replacen(from, to, 1);
        std::fs::write(file(changed.path(), 1), text).unwrap();
        let refused = Journal::for_test(changed.path()).err().expect("a changed journal is not continued");
        assert!(
            refused.to_string().contains("damaged") && refused.to_string().contains("000001.jsonl` line "),
            "{refused}"
        );
        assert!(refused.hint().is_some_and(|hint| hint.contains("audit verify")), "{refused:?}");
    }
}

#[tokio::test]
async fn a_pipe_in_the_place_of_the_heads_is_refused_and_stalls_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let heads = test_config(dir.path()).heads.path;
    let pipe = || {
        let made = Command::new("mkfifo").arg(&heads).status().unwrap();
        assert!(made.success());
    };
    pipe();
    let refused = Journal::for_test(dir.path()).err().expect("nobody reads the pipe");
    assert!(refused.to_string().contains("not a regular file"), "{refused}");
    assert!(refused.to_string().contains(heads.to_str().unwrap()), "{refused}");
    // The same while the journal is open: entries are written, and it can be closed.
    std::fs::remove_file(&heads).unwrap();
    let journal = Journal::for_test(dir.path()).unwrap();
    // The first head is written by a thread of its own.
    while !std::fs::read(&heads).is_ok_and(|head| head.ends_with(b"\n")) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    std::fs::remove_file(&heads).unwrap();
    pipe();
    call(&journal).await;
    journal.shutdown().await.unwrap();
    std::fs::remove_file(&heads).unwrap();
    assert_eq!(check(dir.path()).first_bad, None);
}

#[tokio::test]
async fn orphans_are_closed_at_the_next_start_once() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::for_test(dir.path()).unwrap();
    let mut pending = journal.pending(&principal(), origin(), &tool());
    journal.begin(&mut pending, permit(Tier::Dangerous), policy).await.unwrap();
    call(&journal).await;
    let crashed = snapshot(dir.path());
    assert_eq!(check(crashed.path()).orphans, 1);
    reopen(crashed.path()).shutdown().await.unwrap();
    reopen(crashed.path()).shutdown().await.unwrap();
    let closed: Vec<_> =
        entries(crashed.path()).into_iter().filter(|entry| entry.event == "orphan_closed").collect();
    assert_eq!(closed.len(), 1);
    assert_eq!(closed[0].id, pending.id().to_string());
    assert_eq!(
        (closed[0].text("principal"), closed[0].text("tool")),
        (Some("claude-ops"), Some("ssh_execute"))
    );
    assert_eq!(check(crashed.path()).orphans, 0);
}

#[tokio::test]
async fn orphans_of_files_long_rotated_away_are_known() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open_rotating(dir.path(), 1000);
    let mut pending = journal.pending(&principal(), origin(), &tool());
    journal.begin(&mut pending, permit(Tier::Dangerous), policy).await.unwrap();
    for _ in 0..10 {
        call(&journal).await;
    }
    let crashed = snapshot(dir.path());
    assert!(file(crashed.path(), 5).exists());
    reopen(crashed.path()).shutdown().await.unwrap();
    let closed = entries(crashed.path()).into_iter().find(|entry| entry.event == "orphan_closed").unwrap();
    assert_eq!((closed.id, check(crashed.path()).orphans), (pending.id().to_string(), 0));
}

#[tokio::test]
async fn a_crash_while_a_new_file_begins_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open_rotating(dir.path(), 1500);
    for _ in 0..4 {
        call(&journal).await;
    }
    drop(journal.pending(&principal(), origin(), &tool()));
    journal.shutdown().await.unwrap();
    let last = check(dir.path()).files;
    assert!(last >= 2);
    let tail = std::fs::read(file(dir.path(), last)).unwrap();
    for left in [0, 1, tail.len() / 3] {
        let crashed = snapshot(dir.path());
        let cut = &tail[..left.min(tail.iter().position(|b| *b == b'\n').unwrap())];
        std::fs::write(file(crashed.path(), last), cut).unwrap();
        let journal = reopen(crashed.path());
        call(&journal).await;
        journal.shutdown().await.unwrap();
        let report = check(crashed.path());
        assert_eq!((report.first_bad, report.orphans), (None, 0));
    }
}

#[tokio::test]
async fn a_crash_while_a_file_repeats_another_goes_on_from_the_longer() {
    let dir = journal_of(2).await;
    let whole = std::fs::read_to_string(file(dir.path(), 1)).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    for repeated in [1, 2, 3] {
        let crashed = snapshot(dir.path());
        let text: String =
            lines[lines.len() - 3..][..repeated].iter().map(|line| format!("{line}\n")).collect();
        std::fs::write(file(crashed.path(), 2), text).unwrap();
        assert_eq!(check(crashed.path()).first_bad, None, "repeating is allowed");
        reopen(crashed.path()).shutdown().await.unwrap();
        assert!(!file(crashed.path(), 2).exists(), "what holds nothing of its own is removed");
        assert_eq!(check(crashed.path()).first_bad, None);
    }
}

#[tokio::test]
async fn two_writers_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::for_test(dir.path()).unwrap();
    let second = Journal::for_test(dir.path()).err().unwrap();
    assert!(second.to_string().contains("another process"), "{second}");
    journal.shutdown().await.unwrap();
    reopen(dir.path()).shutdown().await.unwrap();
}

const CHILD: &str = "PORTCULLIS_AUDIT_TEST_CHILD";

/// The process that is killed: calls without end, and each acknowledged intent on standard output.
#[tokio::test]
async fn child_of_the_kill_test() {
    let Some(dir) = std::env::var_os(CHILD) else { return };
    let journal = open_rotating(Path::new(&dir), 20_000);
    loop {
        let mut pending = journal.pending(&principal(), origin(), &tool());
        journal.begin(&mut pending, permit(Tier::Read), policy).await.unwrap();
        println!("intent {}", pending.id());
        journal.event(event("tools_list")).await.unwrap();
        drop(pending);
    }
}

#[test]
fn kill_9_at_any_moment_loses_no_acknowledged_intent() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = Vec::new();
    for round in 0..6 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "tests::audit_gaps_crash::child_of_the_kill_test", "--nocapture"])
            .env(CHILD, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let started = lines.by_ref().find(|line| line.contains("intent ")).expect("the child works");
        acknowledged.push(started);
        std::thread::sleep(Duration::from_millis(20 + 13 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        acknowledged.extend(lines.filter(|line| line.contains("intent ")));
        assert_eq!(check(dir.path()).first_bad, None, "round {round}");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { reopen(dir.path()).shutdown().await }).unwrap();
    let written: std::collections::BTreeSet<String> = entries(dir.path())
        .into_iter()
        .filter(|entry| entry.phase == "intent")
        .map(|entry| entry.id)
        .collect();
    // The last line may have been cut by the kill.
    for line in acknowledged {
        if let Some((_, id)) = line.split_once("intent ").filter(|(_, id)| id.len() == 32) {
            assert!(written.contains(id), "{id}");
        }
    }
    let report = check_anchored(dir.path());
    assert_eq!((report.first_bad, report.orphans), (None, 0));
    assert!(events(dir.path()).contains(&"orphan_closed".to_owned()) || written.len() < 6);
}
