//! Streams of legacy servers: those that break off and are taken up, and servers with two endpoints, which say everything on one.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use testkit::{Era, HttpScript, HttpUpstream, wait_until};

use crate::site::{journal_of, verify};
use crate::upstreams::{client, private, ready, serve};
use crate::upstreams_http::{LEGACY, site, they_work, upstream, works_again};

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_breaks_off_is_taken_up_where_it_was() {
    let old = HttpUpstream::scripted(LEGACY);
    let installed = site(&[upstream(&old, "old", "timeout = \"20s\"")]);
    let gateway = serve(&installed);
    let client = client(&installed, &gateway, "/old", Era::Modern).await;
    ready(&client, "resume").await;
    for rounds in [0, 1, 5] {
        let answer = client.call("resume", json!({ "rounds": rounds })).await.unwrap();
        assert_eq!(answer.text(), "taken up", "after {rounds} more: {answer:?}");
    }
    let places = |head: &serde_json::Value| head.get("last-event-id").is_some();
    assert_eq!(
        old.requests().iter().filter(|(method, head)| method == "GET" && places(head)).count(),
        1 + 2 + 6
    );
    let lost = client.call("resume", json!({ "lost": true })).await.unwrap();
    assert_eq!(lost.structured()["code"], "upstream.down", "{lost:?}");
    assert_eq!(lost.structured()["retry"], false, "it may have been carried out");
    let started = journal_of(&installed).iter().filter(|entry| entry["event"] == "upstream_started").count();
    assert_eq!(started, 1);
    // Nobody is there who could take it up: that is not as if nothing had been sent.
    let vanished = client.call("resume", json!({ "vanish": true })).await.unwrap();
    assert_eq!(vanished.structured()["code"], "upstream.down", "{vanished:?}");
    assert_eq!(vanished.structured()["retry"], false, "it may have been carried out: {vanished:?}");
    assert_eq!(gateway.terminate().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_with_two_endpoints_that_others_made_work_behind_the_gate() {
    let fast = HttpUpstream::fast_mcp_with_two_endpoints();
    they_work(HttpUpstream::everything_with_two_endpoints(), fast).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_two_endpoints_is_found_remembered_and_posted_to_where_it_is_itself() {
    let old =
        HttpUpstream::scripted(HttpScript { two_endpoints: Some(""), token: Some("tok-4711-two"), ..LEGACY });
    let thief = HttpUpstream::scripted(LEGACY);
    let elsewhere = thief.url("127.0.0.1");
    let evil = HttpUpstream::scripted(HttpScript { two_endpoints: Some(&elsewhere), ..LEGACY });
    let auth = "auth = { bearer = { file = \"token\" } }";
    let installed = site(&[upstream(&old, "old", auth), upstream(&evil, "evil", auth)]);
    installed.write("token", "tok-4711-two");
    private(&installed.path("token"));
    let gateway = serve(&installed);
    let to_old = Arc::new(client(&installed, &gateway, "/old", Era::Modern).await);
    ready(&to_old, "echo").await;
    let mut calls = tokio::task::JoinSet::new();
    for who in 0..8 {
        let to_old = Arc::clone(&to_old);
        calls.spawn(async move {
            (who, to_old.call("echo", json!({ "who": who, "seconds": 0.1 })).await.unwrap().text())
        });
    }
    while let Some(call) = calls.join_next().await {
        let (who, text) = call.unwrap();
        assert!(text.contains(&format!("\"who\": {who}")), "each gets its own answer: {text}");
    }
    let posted = |path: &str| {
        old.requests().iter().filter(|(method, head)| method == "POST" && head[":path"] == path).count()
    };
    let tried = posted("/mcp");
    assert!(tried > 0, "Streamable HTTP comes first");
    let died = to_old.call("die", json!({})).await.unwrap();
    assert_eq!(died.structured()["code"], "upstream.down", "{died:?}");
    works_again(&to_old, &gateway).await;
    assert_eq!(posted("/mcp"), tried, "what it is is remembered");
    assert!(old.requests().iter().all(|(_, head)| head["authorization"] == "Bearer tok-4711-two"));

    wait_until("the other is told", Duration::from_secs(60), || {
        gateway.log().lines().any(|line| line.contains("evil") && line.contains("endpoint that is elsewhere"))
    });
    assert_eq!(thief.requests(), [], "nobody was sent elsewhere");
    assert_eq!(gateway.terminate().code(), Some(0));
    verify(&installed);
}
