//! `record_commands`: what an agent wrote lies open only where the operator said so.

use audit::RecordCommands;
use guard::Guard;
use serde_json::{Value, json};

use crate::harness::{Harness, RULES};

/// What agents write when nobody has told them better: a password on the command line.
const WRITTEN: [&str; 4] =
    ["mysql -phunter2", "uptime; mysql -phunter2", "mysql -phunter2 $(", "bash -c 'mysql -phunter2'"];

async fn refusals(harness: &Harness) -> Vec<Value> {
    for tool in ["ssh_execute", "ssh_plan", "no_such_tool"] {
        for command in WRITTEN {
            harness.call(tool, json!({"host": "web1", "command": command})).await;
            harness.call(tool, json!({"host": "nowhere", "command": command})).await;
        }
    }
    harness.call("ssh_execute", json!({"host": "web1", "command": "uptime", "timeout": "hunter2"})).await;
    harness.journal()
}

#[tokio::test]
async fn a_refused_command_lies_open_nowhere_unless_commands_are_clear() {
    for commands in [RecordCommands::Sealed as fn(_) -> _, |_| RecordCommands::Never] {
        let harness = Harness::with(RULES, Guard::new(), commands).await;
        let entries = refusals(&harness).await;
        let text = String::from_utf8(harness.journal_bytes()).unwrap();
        assert!(!text.contains("hunter2"), "{}", text.lines().find(|line| line.contains("hunter2")).unwrap());
        let denied: Vec<_> = entries.iter().filter(|e| e["error_code"] == "denied.command").collect();
        assert!(denied.len() >= WRITTEN.len() && denied.iter().all(|e| e["reason"].is_null()), "{denied:?}");
        assert!(entries.iter().any(|e| e["error_code"] == "target.unknown" && e["reason"].is_string()));
    }
}

#[tokio::test]
async fn a_command_that_was_not_understood_is_sealed_like_any_other() {
    let harness = Harness::new(RULES).await;
    harness.call("ssh_execute", json!({"host": "web1", "command": "mysql -phunter2 $("})).await;
    let last = harness.journal().pop().unwrap();
    assert_eq!((&last["phase"], &last["error_code"]), (&json!("closed"), &json!("denied.command")));
    assert!(last["command"]["sealed"].is_string(), "{last}");
}

#[tokio::test]
async fn where_commands_are_clear_the_reason_is_too() {
    let harness = Harness::with(RULES, Guard::new(), |_| RecordCommands::Clear).await;
    let entries = refusals(&harness).await;
    let denied: Vec<_> = entries.iter().filter(|e| e["error_code"] == "denied.command").collect();
    assert!(!denied.is_empty() && denied.iter().all(|e| e["reason"].is_string()), "{denied:?}");
}
