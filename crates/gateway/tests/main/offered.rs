//! Completion, and what is seen after a reload.

use gateway::{Completing, CompletionOf, Endpoint};

use crate::harness::{Harness, RULES};

async fn complete(
    harness: &Harness,
    principal: &str,
    template: &str,
    argument: &str,
    written: &str,
) -> Vec<String> {
    let of = CompletionOf::Template(template.to_owned());
    let asked = Completing { of, argument: argument.to_owned(), written: written.to_owned() };
    harness.gateway.complete(harness.who(principal).with(asked)).await.unwrap().into_inner()
}

#[tokio::test]
async fn only_what_a_principal_sees_is_completed() {
    let harness = Harness::new(RULES).await;
    let host = "portcullis://host/{alias}";
    assert_eq!(complete(&harness, "agent", host, "alias", "").await, ["web1", "web2"]);
    assert_eq!(complete(&harness, "agent", host, "alias", "web2").await, ["web2"]);
    assert!(complete(&harness, "agent", host, "alias", "vault").await.is_empty(), "it sees no such host");
    assert!(complete(&harness, "nobody", host, "alias", "").await.is_empty());
    assert!(complete(&harness, "agent", host, "other", "").await.is_empty());
    assert!(complete(&harness, "agent", "portcullis://no/{such}", "such", "").await.is_empty());
    let skill = "skill://{tool}/SKILL.md";
    assert_eq!(complete(&harness, "agent", skill, "tool", "ssh_").await, ["ssh_execute", "ssh_plan"]);
    assert_eq!(complete(&harness, "nobody", skill, "tool", "ssh_").await, ["ssh_plan"]);
    harness.end().await;
    let completions = harness.journal().into_iter().filter(|entry| entry["event"] == "completion");
    assert_eq!(completions.count(), 8, "each is on record");
}

#[tokio::test]
async fn a_reload_changes_what_is_seen_for_those_whom_it_concerns() {
    let harness = Harness::new(RULES).await;
    let watched = ["portcullis://hosts".to_owned(), "portcullis://host/vault1".to_owned()];
    let see = |principal: &str| harness.gateway.view(&harness.who(principal).with(Endpoint::All), &watched);
    let changes = harness.gateway.changes();
    let (agent, nobody) = (see("agent"), see("nobody"));
    assert_eq!(agent.watched["portcullis://host/vault1"], None, "what is not visible is not there");
    harness.reload(&RULES.replace("targets = [\"tag:web\"]", "targets = [\"*\"]"));
    assert!(changes.has_changed().unwrap());
    let now = see("agent");
    assert_eq!(now.tools, agent.tools);
    assert_ne!(now.resources, agent.resources);
    assert_ne!(now.watched["portcullis://hosts"], agent.watched["portcullis://hosts"]);
    assert!(now.watched["portcullis://host/vault1"].is_some());
    assert_eq!(see("nobody"), nobody, "whom it does not concern sees no difference");
    harness.reload("");
    assert_ne!(see("agent").tools, agent.tools);
}
