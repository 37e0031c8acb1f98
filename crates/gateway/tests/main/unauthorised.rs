//! Coverage: every tool of the registry, for principals who may not use it. A tool without sample arguments fails here.

use serde_json::{Value, json};
use tools::Catalogue;

use crate::harness::{Harness, RULES};

/// Arguments that a permitted principal could use, for every tool there is.
pub(crate) fn samples(tool: &str) -> Vec<Value> {
    match tool {
        "whoami" => vec![json!({})],
        "explain" => vec![json!({"tool": "ssh_execute", "arguments": {"host": "web1", "command": "uptime"}})],
        "ssh_plan" | "ssh_execute" => {
            vec![
                json!({"host": "web1", "command": "uptime"}),
                json!({"host": "web1", "command": "uptime | df -h"}),
            ]
        }
        "get_credential" => vec![json!({"safe": "PROD", "object_name": "root", "reason": "a test"})],
        "release_credential" => vec![json!({"handle": format!("secret://{}", "B".repeat(43))})],
        other => panic!("the tool `{other}` has no sample arguments in this test: add them"),
    }
}

/// What everybody may do on the gateway itself, unless a rule forbids it.
const BUILT_IN: &[&str] = &["whoami", "explain", "ssh_plan", "release_credential"];

#[tokio::test]
async fn every_tool_is_denied_to_a_principal_without_rules() {
    let harness = Harness::new(RULES).await;
    for tool in Catalogue::new().tools() {
        let name = tool.spec().name.as_str();
        for arguments in samples(name) {
            let answer = harness.call_as("nobody", name, arguments).await;
            if BUILT_IN.contains(&name) {
                assert_ne!(answer.structured["status"], "denied", "{name}");
            } else {
                assert!(answer.is_error, "{name}");
            }
        }
    }
    assert_eq!(harness.shell.sent(), Vec::<String>::new());
    assert_eq!(harness.source.fetches(), 0, "no credential was asked for");
}

#[tokio::test]
async fn every_tool_is_denied_where_everything_is_forbidden() {
    let forbid = "[[rule]]\nname = \"never\"\nforbid = [\"*\"]\nprincipals = [\"*\"]\ntargets = [\"*\"]\n";
    let harness = Harness::new(&format!("{RULES}\n{forbid}")).await;
    for tool in Catalogue::new().tools() {
        let name = tool.spec().name.as_str();
        for arguments in samples(name) {
            let answer = harness.call(name, arguments).await;
            assert!(answer.is_error, "{name}: {}", answer.text);
        }
    }
    assert!(harness.tools("agent").await.is_empty());
    assert_eq!(harness.shell.sent(), Vec::<String>::new());
}

#[tokio::test]
async fn a_list_shows_only_what_policy_could_permit() {
    let harness = Harness::new(RULES).await;
    let all: Vec<String> = Catalogue::new().tools().map(|tool| tool.spec().name.to_string()).collect();
    assert_eq!(harness.tools("agent").await, all);
    let mut built_in: Vec<_> = BUILT_IN.iter().map(|name| (*name).to_owned()).collect();
    built_in.sort();
    assert_eq!(harness.tools("nobody").await, built_in);
}

#[tokio::test]
async fn a_tool_that_is_not_visible_looks_like_one_that_does_not_exist() {
    let harness = Harness::new(RULES).await;
    let hidden = harness.call_as("nobody", "ssh_execute", json!({"host": "web1", "command": "uptime"})).await;
    let missing = harness.call_as("nobody", "ssh_destroy", json!({})).await;
    assert_eq!(hidden.text.replace("ssh_execute", "X"), missing.text.replace("ssh_destroy", "X"));
}

#[tokio::test]
async fn operators_verbs_are_no_tools() {
    let harness = Harness::new(RULES).await;
    for name in ["operator:impersonate", "impersonate", "operator:reload", "read_resource"] {
        let answer = harness.call(name, json!({"principal": "other", "uri": "portcullis://hosts"})).await;
        assert_eq!(answer.structured["code"], "input.invalid", "{name}");
    }
}
