//! Operators who act as another principal: what they reach, and for how long.

use std::sync::Arc;

use gateway::control::{Act, ControlRequest, Operators, Reply, Tray, Verbs};
use serde_json::{Map, json};
use testkit::SeededEntropy;
use tokio_util::sync::CancellationToken;

use crate::harness::{Harness, RULES};

/// `other` is the local user `op`, and `agent` has every operator's right.
const OPERATORS: &str = r#"
[[rule]]
name = "try out"
allow = ["operator:impersonate"]
principals = ["other"]
targets = ["*"]

[[rule]]
name = "operate"
allow = ["operator:*"]
principals = ["agent"]
targets = ["*"]
"#;

fn operators(harness: &Harness) -> Operators {
    Operators::new(Arc::clone(&harness.gateway), Arc::new(Tray::new(Arc::new(SeededEntropy::new(3)))))
}

async fn ask(harness: &Harness, act: Act, as_principal: Option<&str>) -> Reply {
    let mut request = ControlRequest::new(act, Map::from_iter([("principal".to_owned(), json!("agent"))]));
    request.as_principal = as_principal.map(str::to_owned);
    operators(harness).answer("op", request, CancellationToken::new()).await
}

#[tokio::test]
async fn a_session_as_another_principal_ends_with_the_right_to_it() {
    let harness = Harness::new(&format!("{RULES}{OPERATORS}")).await;
    let identity = operators(&harness).identity("op", Some("agent")).await.expect("permitted");
    assert_eq!(identity().expect("permitted").principal().id.as_str(), "agent");
    harness.reload(RULES);
    assert!(identity().is_err(), "the rule is gone");
    harness.reload(&format!("{RULES}{OPERATORS}"));
    assert!(identity().is_ok());
    let forbid =
        "[[rule]]\nname = 'no'\nforbid = ['operator:impersonate']\nprincipals = ['*']\ntargets = ['*']\n";
    harness.reload(&format!("{RULES}{OPERATORS}{forbid}"));
    assert!(identity().is_err(), "a rule forbids it");
}

#[tokio::test]
async fn verbs_are_not_reached_through_another_principal() {
    let harness = Harness::new(&format!("{RULES}{OPERATORS}")).await;
    // As themselves each may use what the rules say.
    assert_eq!(ask(&harness, Act::Verb("impersonate".to_owned()), None).await.exit, 0);
    let tool = ask(&harness, Act::Tool("whoami".to_owned()), Some("agent")).await;
    assert_ne!(tool.exit, 3, "tools are what it is for: {tool:?}");
    let verb = ask(&harness, Act::Verb("impersonate".to_owned()), Some("agent")).await;
    assert_eq!(verb.exit, 3, "{verb:?}");
    assert_eq!(verb.answer.structured["code"], "denied.forbidden", "{verb:?}");
    let last = harness.journal().pop().unwrap();
    assert_eq!((&last["phase"], &last["actor"]), (&json!("closed"), &json!("other")), "{last}");
    assert_eq!(last["principal"], "agent");
}
