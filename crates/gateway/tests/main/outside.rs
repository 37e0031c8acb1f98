//! Hosts that the inventory does not declare, reached by a rule that names their addresses.

use serde_json::json;

use crate::harness::{Harness, RULES};

const OUTSIDE: &str = r#"
[[rule]]
name = "lab machines"
allow = ["ssh_execute", "get_credential"]
principals = ["group:sre"]
targets = ["address:198.51.100.0/24", "name:*.lab.internal"]
commands = ["uptime"]
credentials = ["vault:PROD/web"]
networks = { block = ["198.51.100.66/32"] }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_host_outside_is_reached_by_its_address_on_a_handle_for_it() {
    let harness = Harness::new(&format!("{RULES}{OUTSIDE}")).await;
    let take = json!({"safe": "PROD", "object_name": "web", "target": "198.51.100.7"});
    let issued = harness.call("get_credential", take).await;
    assert_eq!(issued.structured["targets"], json!(["198.51.100.7"]), "{issued:?}");
    let handle = issued.structured["handle"].clone();
    let run = |host: &str| json!({"host": host, "command": "uptime 2>/dev/null", "secret_handle": handle});
    for elsewhere in ["198.51.100.8", "web1", "x.lab.internal"] {
        let denied = harness.call("ssh_execute", run(elsewhere)).await;
        assert!(denied.is_error, "{elsewhere}: {denied:?}");
    }
    let done = harness.call("ssh_execute", run("::ffff:198.51.100.7")).await;
    assert!(!done.is_error, "{done:?}");
    assert_eq!(done.structured["host"], "198.51.100.7");
    assert_eq!(harness.shell.sent(), ["uptime 2>/dev/null"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_no_rule_names_is_as_unknown_as_any() {
    let harness = Harness::new(&format!("{RULES}{OUTSIDE}")).await;
    let ask = async |host: &str| {
        harness.call("ssh_execute", json!({"host": host, "command": "uptime"})).await.structured
    };
    let unknown = ask("nonsense").await;
    assert_eq!(unknown["code"], "target.unknown");
    for host in ["203.0.113.9", "x.internal", "198.51.100.999"] {
        let answer = ask(host).await;
        let same = answer["reason"].as_str().unwrap().replace(host, "nonsense");
        assert_eq!(
            (&answer["code"], same.as_str()),
            (&unknown["code"], unknown["reason"].as_str().unwrap()),
            "{host}"
        );
    }
    // Without a handle there is nothing to log in with.
    assert_eq!(ask("198.51.100.7").await["status"], "failed");
    let fenced = ask("198.51.100.66").await;
    assert_eq!((&fenced["code"], &fenced["rule"]), (&json!("denied.network"), &json!("lab machines")));
    // An address of the inventory is its entry.
    let planned = harness.call("ssh_plan", json!({"host": "::ffff:192.0.2.1", "command": "df -h"})).await;
    assert_eq!(planned.structured["decision"], "allow", "{planned:?}");
    assert!(harness.shell.sent().is_empty());
}

/// A name may lead to a machine that the inventory knows, with rules of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_from_outside_never_leads_into_the_inventory() {
    let harness = Harness::new(&format!("{RULES}{OUTSIDE}")).await;
    let take = json!({"safe": "PROD", "object_name": "web", "target": "a.lab.internal"});
    let issued = harness.call("get_credential", take).await;
    let handle = issued.structured["handle"].clone();
    let run = json!({"host": "a.lab.internal", "command": "uptime", "secret_handle": handle});
    let done = harness.call("ssh_execute", run).await;
    assert!(!done.is_error, "{done:?}");
    let fences = harness.shell.fences();
    assert_eq!(fences.len(), 1);
    for (address, admitted) in
        [("192.0.2.1", false), ("192.0.2.3", false), ("198.51.100.66", false), ("198.51.100.7", true)]
    {
        assert_eq!(fences[0].admits_address(address.parse().unwrap()), admitted, "{address}");
    }
}
