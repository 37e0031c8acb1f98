//! How much an upstream is sent, and when nothing is: places, rates, and what fails again and again.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::{Era, HttpClient, HttpScript, HttpUpstream, McpHttp, Portcullis, UpstreamServer, wait_until};

use crate::environment::Installed;
use crate::site::{ends, journal_of, verify};
use crate::upstreams::{ALL, RULES, client, ready, serve};
use crate::upstreams_http::{health, works_again};

/// A gateway with one upstream and a second principal, whose key comes with it.
fn site(upstream: &str) -> (Installed, String) {
    let installed = Installed::new();
    installed.edit("portcullis.toml", "calls_per_minute = 120", "calls_per_minute = 100000");
    installed.edit("portcullis.toml", "metrics = \"off\"", "metrics = \"127.0.0.1:0\"");
    installed.append("portcullis.toml", upstream);
    installed.write("policy/ops.toml", RULES);
    let told = installed.run(&["key", "new", "second", "--json"]).json();
    let (key, hash) = (told["key"].as_str().unwrap(), told["hash"].as_str().unwrap());
    let second = format!(
        "\n[[principal]]\nid = \"second\"\ngroups = [\"agents\"]\napi_key = {{ hash = \"{hash}\", algorithm = \"blake3\" }}\n"
    );
    installed.append("portcullis.toml", &second);
    (installed, key.to_owned())
}

async fn metrics(gateway: &Portcullis) -> String {
    let client = HttpClient::new(&format!("http://{}", gateway.metrics().unwrap()), None);
    client.send("GET", "/metrics", &[], "").await.unwrap().text()
}

fn failed_as<'j>(journal: &'j [Value], code: &str) -> Vec<&'j Value> {
    journal.iter().filter(|entry| entry["error_code"] == code).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_principal_never_takes_all_places_of_an_upstream() {
    let keys = format!("{ALL}\nmax_concurrent = 4\n");
    let (installed, key) = site(&format!("{}{keys}", UpstreamServer::ScriptedLegacy.toml("old")));
    let gateway = serve(&installed);
    let greedy = Arc::new(client(&installed, &gateway, "/old", Era::Modern).await);
    ready(&greedy, "slow").await;
    let mut calls = tokio::task::JoinSet::new();
    for who in 0..4 {
        let greedy = Arc::clone(&greedy);
        calls.spawn(async move { greedy.call("slow", json!({ "who": who, "seconds": 50 })).await.unwrap() });
    }
    // Half of them are refused at once, the others are under way.
    for _ in 0..2 {
        let refused = calls.join_next().await.unwrap().unwrap();
        assert_eq!(refused.structured()["code"], "upstream.busy", "{refused:?}");
        assert_eq!(refused.structured()["retry"], true, "nothing was sent");
        assert!(refused.text().contains("as one principal may have"), "{refused:?}");
    }
    let other = McpHttp::connect(&format!("{}/old", gateway.mcp()), Some(&key), Era::Modern).await.unwrap();
    assert!(!other.call("echo", json!({})).await.unwrap().is_error(), "there is a place for others");
    let shown = metrics(&gateway).await;
    let counted = |name: &str, labels: &str, count: u32| {
        let line = format!("portcullis_upstream_{name}_total{{upstream=\"old\",{labels}}} {count}");
        assert!(shown.contains(&line), "{line}: {shown}");
    };
    counted("refused", "cause=\"share\"", 2);
    counted("calls", "outcome=\"answered\"", 1);
    calls.shutdown().await;
    works_again(&greedy, &gateway).await;
    assert_eq!(gateway.terminate().code(), Some(0));
    let journal = journal_of(&installed);
    assert!(failed_as(&journal, "upstream.busy").len() >= 2, "each is recorded");
    assert!(ends(&journal).values().all(|ends| *ends == 1));
    verify(&installed);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_is_sent_as_many_calls_in_a_minute_as_it_may_have_and_a_principal_as_rules_say() {
    let upstream = UpstreamServer::ScriptedLegacy.toml("old");
    let (installed, key) = site(&format!("{upstream}{ALL}\ncalls_per_minute = 3\n"));
    installed.edit(
        "policy/ops.toml",
        "name = \"everything of these\"",
        "name = \"everything of these\"\nlimits = { calls_per_minute = 40 }",
    );
    let gateway = serve(&installed);
    let first = client(&installed, &gateway, "/old", Era::Modern).await;
    ready(&first, "echo").await;
    let second = McpHttp::connect(&format!("{}/old", gateway.mcp()), Some(&key), Era::Modern).await.unwrap();
    for client in [&first, &second, &first] {
        assert!(!client.call("echo", json!({})).await.unwrap().is_error());
    }
    let refused = second.call("echo", json!({})).await.unwrap();
    assert_eq!(refused.structured()["code"], "upstream.busy", "{refused:?}");
    assert!(refused.text().contains("3 calls within a minute"), "{refused:?}");
    assert!(refused.structured()["hint"].as_str().unwrap().contains("call again in"), "{refused:?}");
    let mut denied = Value::Null;
    for _ in 0..60 {
        denied = first.call("echo", json!({})).await.unwrap().structured().clone();
        if denied["code"] == "denied.rate" {
            break;
        }
        assert_eq!(denied["code"], "upstream.busy", "{denied:?}");
    }
    assert_eq!(denied["code"], "denied.rate", "a call that its upstream is not sent is a call all the same");
    let still = second.call("echo", json!({})).await.unwrap();
    assert_eq!(still.structured()["code"], "upstream.busy", "one's rate is not another's: {still:?}");
    assert!(metrics(&gateway).await.contains("cause=\"rate\""));
    assert_eq!(gateway.terminate().code(), Some(0));
    assert!(!failed_as(&journal_of(&installed), "upstream.busy").is_empty());
    verify(&installed);
}

/// It answers again and again, but not well: it is left alone and asked; when it answers, one call decides; when it answers
/// nothing, it is started anew.
#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_fails_again_and_again_is_left_alone_until_it_answers() {
    let server = HttpUpstream::scripted(HttpScript { modern: true, ..HttpScript::default() });
    let (installed, _) = site(&format!("{}{ALL}\nrequired = true\n", server.toml("new")));
    let gateway = serve(&installed);
    let client = client(&installed, &gateway, "/new", Era::Modern).await;
    ready(&client, "echo").await;
    let event = |wanted: &str| {
        let journal = journal_of(&installed);
        journal.into_iter().filter(|entry| entry["event"] == wanted).collect::<Vec<_>>()
    };
    for _ in 0..5 {
        let failed = client.call("status", json!({ "status": 502 })).await.unwrap();
        assert_eq!(failed.structured()["code"], "target.protocol", "{failed:?}");
    }
    wait_until("its own question is answered", Duration::from_secs(60), || {
        event("upstream_resumed").len() == 1
    });
    assert_eq!(health(&gateway).await, 200);

    server.sulk(true);
    let failed = client.call("echo", json!({})).await.unwrap();
    assert_eq!(failed.structured()["code"], "target.protocol", "the call that decides: {failed:?}");
    let calls = || server.requests().iter().filter(|(_, head)| head["mcp-method"] == "tools/call").count();
    let before = calls();
    let refused = client.call("echo", json!({})).await.unwrap();
    assert_eq!(refused.structured()["code"], "upstream.down", "{refused:?}");
    assert_eq!(refused.structured()["retry"], true, "nothing was sent");
    assert!(refused.text().contains("is sent no calls at the moment") && refused.text().contains("502"));
    assert_eq!(health(&gateway).await, 503, "it is required");
    let listed = installed.run(&["upstream", "list", "--json"]).json();
    assert!(listed["upstreams"][0]["down"].as_str().unwrap().contains("502"), "{listed}");
    assert!(metrics(&gateway).await.contains("portcullis_upstream_up{upstream=\"new\"} 0"));
    assert_eq!(calls(), before);
    assert_eq!(crate::upstreams::names(&client).await.len(), 19, "its tools stay listed");

    wait_until("it is given up", Duration::from_secs(60), || event("upstream_ended").len() == 1);
    assert!(event("upstream_ended")[0]["reason"].as_str().unwrap().contains("answers nothing"));
    server.sulk(false);
    works_again(&client, &gateway).await;
    assert_eq!(health(&gateway).await, 200);
    let shown = metrics(&gateway).await;
    assert!(shown.contains("portcullis_upstream_up{upstream=\"new\"} 1"), "{shown}");
    assert!(
        shown.contains("portcullis_upstream_events_total{upstream=\"new\",event=\"upstream_paused\"} 2"),
        "{shown}"
    );
    assert_eq!(gateway.terminate().code(), Some(0));
    assert_eq!(event("upstream_paused").len(), 2);
    assert!(event("upstream_paused")[0]["reason"].as_str().unwrap().contains("5 calls in a row"));
    verify(&installed);
}
