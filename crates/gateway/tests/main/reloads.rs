//! What a reload does to calls under way.

use std::time::Duration;

use model::Answer;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::fakes::Script;
use crate::harness::{Harness, RULES};

/// Begins a call that hangs, changes what is in force while it does, and gives it two seconds to be ended before its
/// caller goes away.
async fn through_a_reload(harness: &Harness, principal: &str, reload: impl FnOnce(&Harness)) -> Answer {
    harness.shell.follow(Script::Hangs);
    let (gone, before) = (CancellationToken::new(), harness.shell.sent().len());
    let command = json!({ "host": "web1", "command": "uptime" });
    let call = harness.call_with(principal, "ssh_execute", command, gone.clone());
    let (answer, ()) = tokio::join!(call, async {
        while harness.shell.sent().len() == before {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        reload(harness);
        tokio::time::sleep(Duration::from_secs(2)).await;
        gone.cancel();
    });
    answer.expect("a recorded answer")
}

fn code(answer: &Answer) -> &str {
    answer.structured["code"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn a_call_that_the_new_rules_do_not_permit_is_ended_and_recorded() {
    let harness = Harness::new(RULES).await;
    let rules = RULES.replace(r#"commands = ["uptime", "df -h"]"#, r#"commands = ["df -h"]"#);
    let answer = through_a_reload(&harness, "agent", |harness| harness.reload(&rules)).await;
    assert_eq!(code(&answer), "denied.policy_changed", "{}", answer.text);
    assert!(answer.text.contains("ended by a reload"), "{}", answer.text);
    harness.end().await;
    let entries = harness.journal();
    let last = entries.iter().rev().find(|entry| entry["event"] == "ssh_executed").unwrap();
    assert_eq!((&last["phase"], &last["error_code"]), (&json!("complete"), &json!("denied.policy_changed")));
}

#[tokio::test]
async fn whatever_made_it_permitted_may_go() {
    let forbid =
        "\n[[rule]]\nname = \"never\"\nforbid = [\"*\"]\nprincipals = [\"*\"]\ntargets = [\"web1\"]\n";
    let approval = RULES.replacen(
        "commands",
        "approval = { by = [\"group:oncall\"], count = 1, within = \"15m\" }\ncommands",
        1,
    );
    type Change<'a> = Box<dyn FnOnce(&Harness) + 'a>;
    let changes: Vec<(&str, Change<'_>)> = vec![
        ("forbids", Box::new(|harness| harness.reload(&format!("{RULES}{forbid}")))),
        ("approval", Box::new(|harness| harness.reload(&approval))),
        (
            "not known",
            Box::new(|harness| harness.reload_with(RULES, |live| live.directory = harness.without("agent"))),
        ),
        (
            "not declared",
            Box::new(|harness| {
                harness.reload_with(RULES, |live| live.inventory = model::Inventory::default())
            }),
        ),
        (
            "192.0.2.1",
            Box::new(|harness| {
                harness.reload_with(RULES, |live| live.network.block = vec!["192.0.2.0/24".parse().unwrap()])
            }),
        ),
    ];
    for (word, change) in changes {
        let harness = Harness::new(RULES).await;
        let answer = through_a_reload(&harness, "agent", change).await;
        assert_eq!(code(&answer), "denied.policy_changed", "{word}: {}", answer.text);
        assert!(answer.text.contains(word), "{word}: {}", answer.text);
    }
}

#[tokio::test]
async fn a_call_that_is_permitted_still_goes_on() {
    let harness = Harness::new(RULES).await;
    let more = format!(
        "{RULES}\n[[rule]]\nname = \"never\"\nforbid = [\"*\"]\nprincipals = [\"other\"]\ntargets = [\"*\"]\n"
    );
    let answer = through_a_reload(&harness, "agent", |harness| harness.reload(&more)).await;
    assert_eq!(code(&answer), "call.cancelled", "its caller ended it: {}", answer.text);
}
