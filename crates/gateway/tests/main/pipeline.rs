//! The order of things: record before act, record before answer, and a no on every error.

use std::sync::Arc;
use std::time::Duration;

use gateway::{Endpoint, NotActing, Unlisted};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::fakes::Script;
use crate::harness::{Harness, RULES};

#[tokio::test]
async fn the_whole_way_takes_a_handle_runs_a_command_and_spends_the_handle() {
    let harness = Harness::new(RULES).await;
    let issued = harness.call("get_credential", json!({"safe": "PROD", "object_name": "root"})).await;
    let handle = issued.structured["handle"].as_str().unwrap().to_owned();
    assert_eq!(issued.text, format!("Handle: {handle}\nUsername: root\nAddress: 192.0.2.1"));

    let arguments = json!({"host": "web1", "command": "uptime", "secret_handle": handle});
    let answer = harness.call("ssh_execute", arguments.clone()).await;
    assert_eq!(answer.text, "Host: web1\nCommand: uptime\nExit code: 0\n\n--- stdout ---\nfine\n");
    assert_eq!(harness.shell.sent(), ["uptime"]);

    let again = harness.call("ssh_execute", arguments).await;
    assert_eq!(again.structured["code"], "handle_already_consumed");
    assert_eq!(again.structured["reason"], "Handle already consumed");
    assert_eq!(harness.shell.sent().len(), 1, "nothing was run with the spent handle");
}

#[tokio::test]
async fn an_intent_is_written_before_the_act_and_a_completion_before_the_answer() {
    let harness = Harness::new(RULES).await;
    harness.call("ssh_execute", json!({"host": "web1", "command": "uptime"})).await;
    let entries = harness.journal();
    let of_call: Vec<_> = entries.iter().filter(|entry| entry["tool"] == "ssh_execute").collect();
    assert_eq!(
        of_call.iter().map(|e| e["phase"].as_str().unwrap()).collect::<Vec<_>>(),
        ["intent", "complete"]
    );
    assert_eq!(of_call[0]["id"], of_call[1]["id"]);
    assert_eq!(of_call[1]["event"], "ssh_executed");
    assert_eq!(of_call[1]["exit_code"], 0);
}

#[tokio::test]
async fn a_denial_is_one_closed_entry_and_reaches_no_host() {
    let harness = Harness::new(RULES).await;
    for command in ["reboot", "uptime; reboot", "uptime $(reboot)", "uptime > /etc/passwd"] {
        let answer = harness.call("ssh_execute", json!({"host": "web1", "command": command})).await;
        assert!(answer.is_error, "{command}");
        assert_eq!(answer.structured["status"], "denied", "{command}");
        assert_eq!(answer.structured["code"], "denied.command", "{command}");
    }
    assert_eq!(harness.shell.sent(), Vec::<String>::new());
    let entries = harness.journal();
    let closed = entries.iter().filter(|e| e["tool"] == "ssh_execute" && e["phase"] == "closed").count();
    assert_eq!(closed, 4);
}

#[tokio::test]
async fn a_failed_dial_gives_the_handle_back() {
    let harness = Harness::new(RULES).await;
    let issued = harness.call("get_credential", json!({"safe": "PROD", "object_name": "root"})).await;
    let arguments =
        json!({"host": "web1", "command": "uptime", "secret_handle": issued.structured["handle"]});
    harness.shell.follow(Script::Unreachable);
    let failed = harness.call("ssh_execute", arguments.clone()).await;
    assert_eq!(failed.structured["code"], "target.unreachable");
    assert_eq!(failed.structured["fault"], "network");
    harness.shell.follow(Script::Says(b"back\n".to_vec()));
    assert!(!harness.call("ssh_execute", arguments).await.is_error);
}

#[tokio::test]
async fn nobody_is_told_to_try_again_with_a_handle_that_is_used_up() {
    let harness = Harness::new(RULES).await;
    harness.shell.follow(Script::Breaks);
    let own = harness.call("ssh_execute", json!({"host": "web1", "command": "uptime"})).await;
    assert_eq!(
        (&own.structured["code"], &own.structured["retry"]),
        (&json!("target.unreachable"), &json!(true))
    );
    let issued = harness.call("get_credential", json!({"safe": "PROD", "object_name": "root"})).await;
    let arguments =
        json!({"host": "web1", "command": "uptime", "secret_handle": issued.structured["handle"]});
    let broken = harness.call("ssh_execute", arguments.clone()).await;
    assert_eq!(
        (&broken.structured["code"], &broken.structured["retry"]),
        (&json!("target.unreachable"), &json!(false))
    );
    assert!(broken.text.contains("take a new one with `get_credential`"), "{}", broken.text);
    let again = harness.call("ssh_execute", arguments).await;
    assert_eq!(again.structured["code"], "handle_already_consumed");
}

#[tokio::test]
async fn a_handle_of_another_principal_is_as_unknown_as_none() {
    let harness = Harness::new(RULES).await;
    let issued = harness.call("get_credential", json!({"safe": "PROD", "object_name": "root"})).await;
    let arguments =
        json!({"host": "web1", "command": "uptime", "secret_handle": issued.structured["handle"]});
    let theirs = harness.call_as("other", "ssh_execute", arguments).await;
    let none =
        json!({"host": "web1", "command": "uptime", "secret_handle": format!("secret://{}", "A".repeat(43))});
    let unknown = harness.call_as("other", "ssh_execute", none).await;
    assert_eq!(theirs.structured["code"], "handle_unknown");
    assert_eq!(theirs.text, unknown.text);
}

#[tokio::test]
async fn a_handle_does_not_work_on_a_host_it_was_not_issued_for() {
    let harness = Harness::new(RULES).await;
    let narrowed = json!({"safe": "PROD", "object_name": "root", "target": "web1"});
    let issued = harness.call("get_credential", narrowed).await;
    assert_eq!(issued.structured["targets"], json!(["web1"]));
    let elsewhere =
        json!({"host": "web2", "command": "uptime", "secret_handle": issued.structured["handle"]});
    assert_eq!(harness.call("ssh_execute", elsewhere).await.structured["code"], "handle_not_for_this_target");
    let here = json!({"host": "web1", "command": "uptime", "secret_handle": issued.structured["handle"]});
    assert!(!harness.call("ssh_execute", here).await.is_error, "a wrong target does not spend the handle");
}

#[tokio::test]
async fn a_rule_with_approval_ends_in_approval_required_and_says_that_nobody_can_approve() {
    let harness = Harness::new(RULES).await;
    let answer =
        harness.call("ssh_execute", json!({"host": "web1", "command": "systemctl restart nginx"})).await;
    assert!(answer.is_error);
    assert_eq!(answer.structured["status"], "approval_required");
    assert_eq!(answer.structured["code"], "approval.required");
    assert!(answer.structured["hint"].as_str().unwrap().contains("no approver is configured"));
    assert_eq!(harness.shell.sent(), Vec::<String>::new());
}

#[tokio::test]
async fn a_dry_run_says_what_the_call_would_and_sends_nothing() {
    let harness = Harness::new(RULES).await;
    for (command, decision) in
        [("uptime", "allow"), ("reboot", "deny"), ("systemctl restart nginx", "approval")]
    {
        let plan = harness.call("ssh_plan", json!({"host": "web1", "command": command})).await;
        assert_eq!(plan.structured["decision"], decision, "{command}");
        let asked = json!({"tool": "ssh_execute", "arguments": {"host": "web1", "command": command}});
        assert_eq!(harness.call("explain", asked).await.structured["decision"], decision, "{command}");
    }
    assert_eq!(harness.shell.sent(), Vec::<String>::new());
}

#[tokio::test]
async fn over_its_rate_a_principal_is_denied_and_others_are_not() {
    let harness = Harness::new(RULES).await;
    let mut denied = None;
    for _ in 0..200 {
        let answer = harness.call("whoami", json!({})).await;
        if answer.is_error {
            denied = Some(answer);
            break;
        }
    }
    assert_eq!(denied.expect("120 calls a minute").structured["code"], "denied.rate");
    assert!(!harness.call_as("other", "whoami", json!({})).await.is_error);
}

/// One agent with a key must not fill the disk: beyond its rate whatever it asks is one entry a second.
#[tokio::test]
async fn the_journal_grows_by_the_rate_and_one_sum_a_second_at_most() {
    let harness = Harness::new(RULES).await;
    let begun = harness.journal().len();
    for _ in 0..300 {
        harness.call("no_such_tool", json!({})).await;
        harness.call("ssh_execute", json!({"host": "web1", "command": "reboot"})).await;
        let _ = harness.gateway.list_tools(harness.who("agent").with(Endpoint::All)).await;
        let _ = harness.gateway.list_resources(harness.who("agent")).await;
        harness.gateway.agent_connected(harness.who("agent")).await;
        harness.gateway.session_misused(harness.who("agent")).await;
    }
    let listed = harness.gateway.list_tools(harness.who("agent").with(Endpoint::All)).await;
    assert_eq!(listed.err(), Some(Unlisted::OverRate));
    harness
        .gateway
        .list_tools(harness.who("other").with(Endpoint::All))
        .await
        .expect("others have their own");
    harness.end().await;
    let entries = harness.journal();
    assert!(entries.len() - begun <= 120 + 10, "{} entries for 1800 requests", entries.len() - begun);
    let counted = |event: &'static str| {
        entries.iter().filter(move |e| e["event"] == event && e["principal"] == "agent")
    };
    let sums: u64 = counted("over_rate").map(|sum| sum["fields"]["count"].as_u64().unwrap()).sum();
    assert_eq!(sums, 1801 - 120, "nothing is lost");
    assert!(counted("tools_list").count() > 0 && counted("agent_connected").count() > 0);
}

#[tokio::test]
async fn guesses_spend_the_budget_too() {
    let harness = Harness::new(RULES).await;
    for (tool, arguments) in
        [("no_such_tool", json!({})), ("ssh_execute", json!({"host": "guess", "command": "id"}))]
    {
        harness.let_a_minute_pass();
        let mut codes = Vec::new();
        for _ in 0..125 {
            codes.push(harness.call(tool, arguments.clone()).await.structured["code"].clone());
        }
        assert_ne!(codes[0], "denied.rate", "{tool}");
        assert_eq!(codes[124], "denied.rate", "{tool}");
    }
}

#[tokio::test]
async fn the_record_of_a_call_as_another_principal_names_who_acts() {
    let rules =
        "[[rule]]\nname = 'try'\nallow = ['operator:impersonate']\nprincipals = ['other']\ntargets = ['*']\n";
    let harness = Harness::new(&format!("{RULES}{rules}")).await;
    for (who, whom) in [("nobody", "agent"), ("other", "stranger")] {
        let refused = harness.gateway.impersonate(&harness.who(who), whom).await.err();
        assert_eq!(refused, Some(NotActing::NotAllowed), "{who} as {whom}");
    }
    let acting = harness.gateway.impersonate(&harness.who("other"), "agent").await.expect("permitted");
    let answer = harness.call_by(acting, "ssh_execute", json!({"host": "web1", "command": "uptime"})).await;
    assert!(!answer.expect("a recorded answer").is_error);
    let entries = harness.journal();
    let made: Vec<_> = entries.iter().filter(|e| e["tool"] == "ssh_execute").collect();
    assert_eq!(made.len(), 2, "an intent and its completion");
    assert!(made.iter().all(|e| e["principal"] == "agent" && e["actor"] == "other"), "{made:?}");
}

#[tokio::test]
async fn denials_spend_the_budget_too() {
    let harness = Harness::new(RULES).await;
    let mut codes = Vec::new();
    for _ in 0..125 {
        let answer = harness.call("ssh_execute", json!({"host": "web1", "command": "reboot"})).await;
        codes.push(answer.structured["code"].as_str().unwrap().to_owned());
    }
    assert_eq!(codes.first().unwrap(), "denied.command");
    assert_eq!(codes.last().unwrap(), "denied.rate");
}

/// Dry runs answer what policy would say, so they are as dear as the calls they stand for, and as much on record.
#[tokio::test]
async fn dry_runs_spend_the_budget_and_are_recorded() {
    for (tool, arguments) in [
        ("explain", json!({"tool": "ssh_execute", "arguments": {"host": "web1", "command": "reboot"}})),
        ("ssh_plan", json!({"host": "web1", "command": "reboot"})),
    ] {
        let harness = Harness::new(RULES).await;
        let mut answers = Vec::new();
        for _ in 0..125 {
            answers.push(harness.call(tool, arguments.clone()).await);
        }
        let told = answers.iter().filter(|answer| answer.structured["decision"] == "deny").count();
        assert_eq!(answers.last().unwrap().structured["code"], "denied.rate", "{tool}");
        let recorded = harness.journal();
        let completions =
            recorded.iter().filter(|entry| entry["phase"] == "complete" && entry["tool"] == tool);
        assert!(told > 0 && completions.count() == told, "{tool}: {told} were told");
    }
}

#[tokio::test]
async fn a_host_that_is_not_visible_is_not_found() {
    let harness = Harness::new(RULES).await;
    let hidden = harness.call("ssh_execute", json!({"host": "vault1", "command": "uptime"})).await;
    let missing = harness.call("ssh_execute", json!({"host": "nosuch", "command": "uptime"})).await;
    assert_eq!(hidden.structured["code"], "target.unknown");
    assert_eq!(hidden.text.replace("vault1", "X"), missing.text.replace("nosuch", "X"));
    let broken = harness.call("ssh_execute", json!({"host": "vault1", "command": "$("})).await;
    assert_eq!(
        broken.structured["code"], "target.unknown",
        "a command is looked at only on a host that is seen"
    );
}

#[tokio::test]
async fn a_credential_tells_nothing_of_hosts_that_are_not_visible() {
    // `vault1` admits all of `vault:PROD/*`, and nobody here has a rule for it.
    let rules = RULES.replace("vault:PROD/*", "vault:PROD/web");
    let harness = Harness::new(&rules).await;
    let mut answers = Vec::new();
    for (object, target) in
        [("root", None), ("root", Some("vault1")), ("nothing", None), ("nothing", Some("none"))]
    {
        let mut arguments = json!({"safe": "PROD", "object_name": object, "source": "vault"});
        if let Some(target) = target {
            arguments["target"] = json!(target);
        }
        let answer = harness.call("get_credential", arguments).await;
        assert!(answer.is_error);
        let text = format!("{}{}", answer.text, answer.structured);
        assert!(target.is_some() || !text.contains("vault1"), "{text}");
        answers.push((answer.structured["code"].clone(), text.replace("vault1", "T").replace("none", "T")));
    }
    // A host that is not visible is told apart from none by nothing, with a credential that it admits or another.
    assert_eq!(answers[1].0, "target.unknown");
    assert_eq!(answers[1], answers[3]);
    assert_eq!(answers[0].0, answers[2].0);
}

#[tokio::test]
async fn wrong_arguments_are_named() {
    let harness = Harness::new(RULES).await;
    let answer = harness.call("ssh_execute", json!({"host": "web1", "command": 5})).await;
    assert!(answer.is_error);
    assert_eq!(answer.structured["code"], "input.invalid");
    assert_eq!(answer.structured["reason"], "argument `command` is wrong");
    assert!(answer.structured["hint"].as_str().unwrap().starts_with("expected text"));
}

#[tokio::test]
async fn a_changed_policy_stops_what_the_old_one_permitted() {
    let harness = Harness::new(RULES).await;
    assert!(!harness.call("ssh_execute", json!({"host": "web1", "command": "uptime"})).await.is_error);
    harness.reload("");
    let answer = harness.call("ssh_execute", json!({"host": "web1", "command": "uptime"})).await;
    assert!(answer.is_error);
    assert_eq!(harness.shell.sent().len(), 1);
}

#[tokio::test]
async fn a_cancelled_call_ends_and_is_recorded() {
    let harness = Arc::new(Harness::new(RULES).await);
    harness.shell.follow(Script::Hangs);
    let cancel = CancellationToken::new();
    let running = {
        let (harness, cancel) = (Arc::clone(&harness), cancel.clone());
        tokio::spawn(async move {
            harness
                .call_with("agent", "ssh_execute", json!({"host": "web1", "command": "uptime"}), cancel)
                .await
        })
    };
    while harness.shell.sent().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    cancel.cancel();
    let answer = running.await.unwrap().unwrap();
    assert_eq!(answer.structured["code"], "call.cancelled");
    let entries = harness.journal();
    assert!(entries.iter().any(|e| e["phase"] == "complete" && e["error_code"] == "call.cancelled"));
}

#[tokio::test]
async fn a_defect_in_a_connector_ends_its_call_only_and_leaves_a_closed_record() {
    let harness = Harness::new(RULES).await;
    harness.shell.follow(Script::Panics);
    let arguments = json!({"host": "web1", "command": "uptime"});
    let ended = harness.call_with("agent", "ssh_execute", arguments.clone(), CancellationToken::new()).await;
    assert!(ended.is_none(), "an answer without a record");
    harness.shell.follow(Script::Says(b"fine\n".to_vec()));
    assert!(!harness.call("ssh_execute", arguments).await.is_error);
    let entries = harness.journal();
    let intents: Vec<_> =
        entries.iter().filter(|e| e["phase"] == "intent").map(|e| e["id"].clone()).collect();
    for id in intents {
        let ends = entries.iter().filter(|e| e["id"] == id && e["phase"] != "intent").count();
        assert_eq!(ends, 1, "every intent has exactly one end");
    }
}

#[tokio::test]
async fn resources_show_what_policy_could_permit_and_nothing_else() {
    let harness = Harness::new(RULES).await;
    let hosts = harness.resource("agent", "portcullis://hosts").await.unwrap();
    assert!(hosts.contains("web1") && hosts.contains("web2"));
    assert!(!hosts.contains("vault1"));
    assert!(harness.resource("agent", "portcullis://host/vault1").await.is_none());
    assert!(harness.resource("agent", "portcullis://host/web1").await.unwrap().contains("192.0.2.1"));
    assert!(
        harness.resource("agent", "skill://ssh_execute/SKILL.md").await.unwrap().contains("secret_handle")
    );
    assert!(harness.resource("nobody", "skill://ssh_execute/SKILL.md").await.is_none());
    assert!(harness.resource("agent", "file:///etc/passwd").await.is_none());
}
