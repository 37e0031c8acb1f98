//! A call's entries, from its opening to its record.

use std::time::Duration;

use model::{ErrorCode, HandleToken, RuleName, SnapshotHash, Tier};
use serde_json::json;

use super::{
    answer, call, check, check_anchored, entries, event, events, executed, journal_of, origin, permit,
    policy, principal, tool,
};
use crate::test_util::{test_config, test_seal_key};
use crate::{
    BeginError, CompletionFacts, Journal, JournalConfig, RecordCommands, SealKey, SinkConfig, SinkFormat,
    SinkTarget, UnsealError, unseal,
};

#[tokio::test]
async fn a_call_is_an_intent_and_a_completion_under_one_id() {
    let dir = journal_of(1).await;
    let entries = entries(dir.path());
    let names: Vec<_> = entries.iter().map(|e| (e.phase.as_str(), e.event.as_str())).collect();
    let expected = [
        ("closed", "journal_opened"),
        ("intent", "tool_call"),
        ("complete", "ssh_executed"),
        ("closed", "journal_closed"),
    ];
    assert_eq!(names, expected);
    let (intent, complete) = (&entries[1], &entries[2]);
    assert_eq!(intent.id, complete.id);
    for entry in [intent, complete] {
        assert_eq!(entry.text("principal"), Some("claude-ops"));
        assert_eq!(entry.text("client_ip"), Some("10.0.0.7"));
        assert_eq!(entry.text("tool"), Some("ssh_execute"));
        assert_eq!(entry.text("target"), Some("gateway"));
        assert_eq!(entry.text("decision"), Some("allowed"));
        assert_eq!(entry.text("action_digest").unwrap().len(), 64);
        assert_eq!(entry.text("snapshot").unwrap().len(), 64);
    }
    assert_eq!(complete.members["exit_code"], json!(0));
    assert!(complete.members.contains_key("duration_ms") && complete.members.contains_key("bytes_out"));
}

#[tokio::test]
async fn a_denial_is_one_closed_entry_with_its_command() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::for_test(dir.path()).unwrap();
    let pending = journal.pending(&principal(), origin(), &tool());
    let token = HandleToken::new(&[3; 32]);
    let facts = CompletionFacts {
        event: "tool_call",
        decision: "denied",
        error_code: Some(ErrorCode::DeniedCommand),
        rules: vec![RuleName::parse("look at \"web\" servers").unwrap()],
        command: Some(format!("echo {}", token.reveal())),
        reason: Some(format!("not \u{202e}permitted: {}", token.reveal())),
        ..CompletionFacts::default()
    };
    let recorded = journal.complete(pending, &facts, answer()).await.unwrap();
    assert_eq!(recorded.into_inner(), "the answer");
    journal.shutdown().await.unwrap();
    let denial = entries(dir.path()).into_iter().find(|entry| entry.event == "tool_call").unwrap();
    assert_eq!((denial.phase.as_str(), denial.text("error_code")), ("closed", Some("denied.command")));
    assert_eq!(unseal(&denial, &test_seal_key()).unwrap(), format!("echo handle:{}", token.id()));
    assert!(!denial.line.contains('\u{202e}') && !denial.line.contains(token.reveal()));
    assert_eq!(denial.text("reason").unwrap(), format!("not \u{202e}permitted: handle:{}", token.id()));
    assert_eq!(check_anchored(dir.path()).first_bad, None);
}

#[tokio::test]
async fn a_changed_policy_ends_the_call_after_its_intent() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::for_test(dir.path()).unwrap();
    let mut pending = journal.pending(&principal(), origin(), &tool());
    let refused = journal.begin(&mut pending, permit(Tier::Dangerous), || SnapshotHash::new([1; 32])).await;
    assert!(matches!(refused, Err(BeginError::PolicyChanged)));
    let denied = CompletionFacts { event: "tool_call", decision: "denied", ..CompletionFacts::default() };
    journal.complete(pending, &denied, answer()).await.unwrap();
    journal.shutdown().await.unwrap();
    assert_eq!(check(dir.path()).orphans, 0);
}

#[tokio::test]
async fn a_dropped_call_is_closed_whatever_it_had_come_to() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::for_test(dir.path()).unwrap();
    drop(journal.pending(&principal(), origin(), &tool()));
    let mut pending = journal.pending(&principal(), origin(), &tool());
    journal.begin(&mut pending, permit(Tier::Dangerous), policy).await.unwrap();
    drop(pending);
    drop(journal);
    wait_for_lock(dir.path()).await;
    assert_eq!(
        events(dir.path()),
        ["journal_opened", "call_dropped", "tool_call", "call_dropped", "journal_closed"]
    );
    assert_eq!(check_anchored(dir.path()).orphans, 0);
}

/// The writer ends by itself after the last clone; the folder's lock tells when.
async fn wait_for_lock(dir: &std::path::Path) {
    for _ in 0..500 {
        if crate::file::Folder::open(&super::folder(dir)).is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the writer did not end");
}

#[tokio::test]
async fn a_cancelled_begin_leaves_no_orphan() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::for_test(dir.path()).unwrap();
    for _ in 0..50 {
        let mut pending = journal.pending(&principal(), origin(), &tool());
        let begin = journal.begin(&mut pending, permit(Tier::Dangerous), policy);
        let _ = tokio::time::timeout(Duration::ZERO, begin).await;
        drop(pending);
    }
    journal.shutdown().await.unwrap();
    assert_eq!(check_anchored(dir.path()).orphans, 0);
}

#[tokio::test]
async fn parts_of_a_call_have_their_own_intent_and_their_parent() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::for_test(dir.path()).unwrap();
    let mut pending = journal.pending(&principal(), origin(), &tool());
    let intended = journal.begin(&mut pending, permit(Tier::Dangerous), policy).await.unwrap();
    let part = journal.begin_part(&intended, "shell_probe").await.unwrap();
    let facts = CompletionFacts { event: "shell_probe", decision: "allowed", ..CompletionFacts::default() };
    journal.complete_part(part, &facts).await.unwrap();
    journal.complete(pending, &executed(), answer()).await.unwrap();
    journal.shutdown().await.unwrap();
    let entries = entries(dir.path());
    let parts: Vec<_> = entries.iter().filter(|entry| entry.event == "shell_probe").collect();
    assert_eq!(parts.iter().map(|e| e.phase.as_str()).collect::<Vec<_>>(), ["intent", "complete"]);
    assert!(parts.iter().all(|part| part.text("parent") == Some(intended.id().to_string().as_str())));
    assert!(
        parts.iter().all(|part| !part.members.contains_key("command")),
        "the whole's command is not the part's"
    );
}

#[tokio::test]
async fn commands_are_sealed_clear_or_never_there() {
    for (record, shown) in [
        (RecordCommands::Sealed(test_seal_key()), None),
        (RecordCommands::Clear, Some(super::COMMAND)),
        (RecordCommands::Never, None),
    ] {
        let never = matches!(record, RecordCommands::Never);
        let dir = tempfile::tempdir().unwrap();
        let config = JournalConfig { record_commands: record, ..test_config(dir.path()) };
        let clock = std::sync::Arc::new(crate::test_util::TestClock::default());
        let entropy = std::sync::Arc::new(crate::test_util::TestEntropy::default());
        let journal = Journal::open(config, clock, entropy).unwrap();
        call(&journal).await;
        journal.shutdown().await.unwrap();
        let intent = entries(dir.path()).into_iter().find(|entry| entry.phase == "intent").unwrap();
        assert_eq!(intent.line.contains("nginx"), shown.is_some());
        assert_eq!(intent.text("command"), shown);
        match unseal(&intent, &test_seal_key()) {
            Ok(command) => assert_eq!(command, super::COMMAND),
            Err(error) => assert!(never && error == UnsealError::NoCommand),
        }
        let other = SealKey(zeroize::Zeroizing::new([1; 32]));
        if shown.is_none() && !never {
            assert_eq!(unseal(&intent, &other), Err(UnsealError::WrongKey));
            let mut moved = intent.clone();
            moved.id = "00".repeat(16);
            assert_eq!(
                unseal(&moved, &test_seal_key()),
                Err(UnsealError::WrongKey),
                "sealed for its own entry"
            );
        }
    }
}

#[tokio::test]
async fn what_the_guard_did_is_in_the_completion() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::for_test(dir.path()).unwrap();
    let secret = [model::Secret::new("correct horse battery".to_owned())];
    let outcome = model::Outcome {
        streams: vec![model::Stream { name: "stdout", bytes: b"correct horse battery".to_vec(), total: 21 }],
        ..model::Outcome::default()
    };
    let guarded =
        guard::Guard::new().admit(&guard::Scanner::new(&secret), 100, Ok(outcome), |_| model::Answer {
            text: String::new(),
            structured: json!({}),
            is_error: false,
            ..model::Answer::default()
        });
    let pending = journal.pending(&principal(), origin(), &tool());
    let facts = CompletionFacts {
        event: "secret_in_output",
        reason: Some("login with correct horse battery failed".to_owned()),
        vendor_code: Some("correct horse battery".to_owned()),
        ..executed()
    };
    journal.complete(pending, &facts, guarded).await.unwrap();
    journal.shutdown().await.unwrap();
    let entry = entries(dir.path()).into_iter().find(|entry| entry.event == "secret_in_output").unwrap();
    assert_eq!((&entry.members["withheld"], &entry.members["bytes_out"]), (&json!(true), &json!(0)));
    assert!(!entry.line.contains("correct horse"), "the error's text is withheld from the journal as well");
}

#[tokio::test]
async fn after_the_end_everything_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::for_test(dir.path()).unwrap();
    let mut late = journal.pending(&principal(), origin(), &tool());
    journal.shutdown().await.unwrap();
    assert!(journal.event(event("config_reloaded")).await.is_err());
    assert!(journal.begin(&mut late, permit(Tier::Read), policy).await.is_err());
    assert!(journal.complete(late, &executed(), answer()).await.is_err());
    assert!(journal.shutdown().await.is_err());
}

#[tokio::test]
async fn when_the_queue_is_full_requests_wait_and_none_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let config = JournalConfig { queue: 1, ..test_config(dir.path()) };
    let faults = super::faults::Faults::default();
    let journal = faults.open_with(config);
    let tasks: Vec<_> = (0..100)
        .map(|_| {
            let journal = journal.clone();
            tokio::spawn(async move { journal.event(event("tools_list")).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    journal.shutdown().await.unwrap();
    assert_eq!(events(dir.path()).iter().filter(|event| *event == "tools_list").count(), 100);
}

#[tokio::test]
async fn sinks_get_the_journals_own_lines_and_open_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sink.jsonl");
    let sinks = vec![SinkConfig { to: SinkTarget::File(path.clone()), format: SinkFormat::Native }];
    let journal =
        super::faults::Faults::default().open_with(JournalConfig { sinks, ..test_config(dir.path()) });
    journal.event(event("first")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    std::fs::rename(&path, dir.path().join("old")).unwrap();
    journal.reopen_sinks();
    tokio::time::sleep(Duration::from_millis(100)).await;
    journal.event(event("second")).await.unwrap();
    journal.shutdown().await.unwrap();
    let old = std::fs::read_to_string(dir.path().join("old")).unwrap();
    let new = std::fs::read_to_string(&path).unwrap();
    let whole = std::fs::read_to_string(super::file(dir.path(), 1)).unwrap();
    assert!(old.contains("\"first\"") && new.contains("\"second\"") && !new.contains("\"first\""));
    assert!(whole.ends_with(&(old + &new)));
}

#[tokio::test]
async fn a_journal_that_nobody_keeps_stays_small() {
    let dir = tempfile::tempdir().unwrap();
    let config = JournalConfig { max_file_bytes: 2000, keep_files: Some(2), ..test_config(dir.path()) };
    let journal = super::faults::Faults::default().open_with(config);
    for _ in 0..100 {
        journal.event(event("more")).await.unwrap();
    }
    journal.shutdown().await.unwrap();
    let files = crate::file::numbers(&super::folder(dir.path())).unwrap();
    assert_eq!(files.len(), 3, "the one that is written, and two before it: {files:?}");
    assert!(files[0] > 2);
}

#[tokio::test]
async fn files_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = journal_of(1).await;
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&super::folder(dir.path())), 0o700);
    assert_eq!(mode(&super::file(dir.path(), 1)), 0o600);
}
