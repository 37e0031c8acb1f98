//! Who makes hosts show the leased secret again and again is stopped, until an operator has looked.

use std::sync::Arc;
use std::time::Duration;

use gateway::NotActing;
use model::ErrorCode;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::fakes::Script;
use crate::harness::{Harness, RULES};

async fn leak(harness: &Harness, principal: &str) -> String {
    harness.shell.follow(Script::Leaks(|secret| secret.as_bytes().to_vec()));
    let answer =
        harness.call_as(principal, "ssh_execute", json!({"host": "web1", "command": "uptime"})).await;
    answer.structured["code"].as_str().unwrap_or("shown").to_owned()
}

#[tokio::test]
async fn repeated_leaks_freeze_the_principal_until_an_operator_lifts_it() {
    let harness = Harness::new(RULES).await;
    for _ in 0..3 {
        assert_eq!(leak(&harness, "agent").await, "secret_in_output");
    }
    let sent = harness.shell.sent().len();
    assert_eq!(leak(&harness, "agent").await, "denied.lockdown");
    for tool in ["get_credential", "ssh_execute", "ssh_plan", "explain", "release_credential"] {
        for arguments in crate::unauthorised::samples(tool) {
            let answer = harness.call(tool, arguments).await;
            assert_eq!(answer.structured["code"], "denied.lockdown", "{tool}");
            assert!(
                answer.text.contains("frozen") && answer.text.contains("portcullis reload"),
                "{}",
                answer.text
            );
        }
    }
    assert!(harness.resource("agent", "portcullis://hosts").await.is_none());
    assert!(!harness.call("whoami", json!({})).await.is_error);
    assert_eq!(harness.shell.sent().len(), sent, "nothing reached a host");
    assert_eq!(leak(&harness, "other").await, "secret_in_output", "others go on");

    let frozen: Vec<_> = harness.journal().into_iter().filter(|e| e["event"] == "principal_frozen").collect();
    assert_eq!((frozen.len(), &frozen[0]["principal"]), (1, &json!("agent")));

    harness.reload(RULES);
    assert_eq!(leak(&harness, "agent").await, "denied.lockdown", "a swap of the policy alone lifts nothing");
    assert_eq!(harness.gateway.thaw().iter().map(|who| who.as_str()).collect::<Vec<_>>(), ["agent"]);
    assert_eq!(leak(&harness, "agent").await, "secret_in_output");
}

#[tokio::test]
async fn leaks_far_apart_freeze_nobody() {
    let harness = Harness::new(RULES).await;
    for _ in 0..6 {
        assert_eq!(leak(&harness, "agent").await, "secret_in_output");
        for _ in 0..31 {
            harness.let_a_minute_pass();
        }
    }
}

#[tokio::test]
async fn who_leaks_as_another_principal_is_frozen_itself() {
    let rules =
        "[[rule]]\nname = 'try'\nallow = ['operator:impersonate']\nprincipals = ['other']\ntargets = ['*']\n";
    let harness = Harness::new(&format!("{RULES}{rules}")).await;
    harness.shell.follow(Script::Leaks(|secret| secret.as_bytes().to_vec()));
    let arguments = json!({"host": "web1", "command": "uptime"});
    let acting = harness.gateway.impersonate(&harness.who("other"), "agent").await.expect("permitted");
    for _ in 0..3 {
        harness.call_by(acting.clone(), "ssh_execute", arguments.clone()).await.expect("a recorded answer");
    }
    let fourth = harness.call_by(acting, "ssh_execute", arguments).await.unwrap();
    assert_eq!(fourth.structured["code"], "denied.lockdown");
    assert_eq!(leak(&harness, "other").await, "denied.lockdown");
    assert_eq!(leak(&harness, "agent").await, "secret_in_output", "the agent did nothing");
    // It is told why, also about somebody who does not exist, and not that it lacks a rule.
    for whom in ["agent", "stranger"] {
        let refused = harness.gateway.impersonate(&harness.who("other"), whom).await;
        let Err(NotActing::Denied { code, reason, hint }) = refused else { panic!("as {whom}: no denial") };
        assert_eq!(code, ErrorCode::DeniedLockdown);
        assert!(reason.contains("`other` is frozen") && hint.unwrap().contains("portcullis reload"));
    }
}

/// A client that has left is no reason to close the journal under its call.
#[tokio::test]
async fn the_end_waits_for_calls_that_nobody_waits_for() {
    let harness = Arc::new(Harness::new(RULES).await);
    assert!(harness.gateway.settled(Duration::ZERO).await, "nothing is under way");
    harness.shell.follow(Script::Hangs);
    let cancel = CancellationToken::new();
    let waiting = {
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
    waiting.abort();
    assert!(!harness.gateway.settled(Duration::from_millis(50)).await, "it is still under way");
    cancel.cancel();
    assert!(harness.gateway.settled(Duration::from_secs(10)).await);
    let ends = harness.journal().iter().filter(|e| e["error_code"] == "call.cancelled").count();
    assert_eq!(ends, 1, "its record was written before the wait ended");
}
