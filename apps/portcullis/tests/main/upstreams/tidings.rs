//! What upstreams say unasked, through the real binary: log messages, changes of lists and of resources.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::{Era, McpHttp, UpstreamServer};

use super::{ALL, client, ready, runs, serve, site};
use crate::site::verify;

const LEGACY: Era = Era::Legacy("2025-11-25");
const BIG: &str = "\"big\":12345678901234567890123,\"z\":1,\"a\":[1.0,1e2]";

/// The levels of the log messages that a client got.
fn levels(client: &McpHttp) -> Vec<String> {
    let told = client.take_notifications().into_iter();
    told.filter(|message| message["method"] == "notifications/message")
        .map(|message| message["params"]["level"].as_str().unwrap().to_owned())
        .collect()
}

/// Waits until a client has heard this, and gives back what it heard until then.
async fn hears(client: &McpHttp, method: &str, uri: Option<&str>) -> Value {
    let mut heard = Vec::new();
    for _ in 0..600 {
        heard.extend(client.take_notifications());
        let is = |message: &&Value| {
            message["method"] == method && uri.is_none_or(|uri| message["params"]["uri"] == uri)
        };
        if let Some(message) = heard.iter().find(is) {
            return message.clone();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("`{method}` never comes: {heard:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn log_messages_reach_whose_call_they_are_about_from_the_level_on_that_it_wants() {
    let installed =
        site(&[(UpstreamServer::ScriptedLegacy, "old", ALL), (UpstreamServer::ScriptedModern, "new", ALL)]);
    let gateway = serve(&installed);
    for upstream in ["old", "new"] {
        let path = format!("/{upstream}");
        ready(&client(&installed, &gateway, &path, Era::Modern).await, "log").await;
        let legacy = client(&installed, &gateway, &path, LEGACY).await;
        assert!(legacy.hello()["capabilities"]["logging"].is_object(), "{}", legacy.hello());
        legacy.call("log", json!({})).await.unwrap();
        assert_eq!(levels(&legacy), Vec::<String>::new(), "who wants nothing is told nothing");
        legacy.request("logging/setLevel", &json!({ "level": "warning" })).await.unwrap();
        legacy.call("log", json!({ "n": 1 })).await.unwrap();
        assert_eq!(levels(&legacy), ["error"]);

        let modern = client(&installed, &gateway, &path, Era::Modern).await;
        let params = json!({ "name": "log", "_meta": { "io.modelcontextprotocol/logLevel": "debug" } });
        modern.request("tools/call", &params).await.unwrap();
        assert_eq!(levels(&modern), ["debug", "error"]);
        for client in [&legacy, &modern] {
            let received = String::from_utf8(client.received()).unwrap();
            let written = format!("{{ \"level\":\"error\",\"logger\":\"x\",\"data\":{{{BIG}");
            assert!(received.contains(&written), "every byte: {received}");
        }
        let params = json!({ "name": "client", "_meta": { "io.modelcontextprotocol/logLevel": "error" } });
        let knows = modern.request("tools/call", &params).await.unwrap();
        let knows: Value = serde_json::from_str(knows["content"][0]["text"].as_str().unwrap()).unwrap();
        match upstream {
            "old" => {
                assert_eq!(knows["levels"], json!(["warning", "debug"]), "more, and never less: {knows}")
            }
            _ => assert_eq!(knows["meta"]["io.modelcontextprotocol/logLevel"], "error", "{knows}"),
        }

        // Of two calls under way nobody knows which one it is about.
        let other = Arc::new(client(&installed, &gateway, &path, Era::Modern).await);
        let calling = Arc::clone(&other);
        let slow = tokio::spawn(async move {
            let params = json!({ "name": "slow", "arguments": { "seconds": 1 },
                "_meta": { "progressToken": 1, "io.modelcontextprotocol/logLevel": "debug" } });
            calling.request("tools/call", &params).await
        });
        hears(&other, "notifications/progress", None).await;
        legacy.call("log", json!({})).await.unwrap();
        slow.await.unwrap().unwrap();
        assert_eq!((levels(&legacy), levels(&other)), (Vec::new(), Vec::new()));
    }
    assert_eq!(gateway.terminate().code(), Some(0));
    verify(&installed);
}

const RULES: &str = r#"
[[rule]]
name = "open notes"
allow = ["resource:old/note://open/**", "resource:new/note://open/**"]
principals = ["group:agents"]
targets = ["old", "new"]

[[rule]]
name = "closed notes"
forbid = ["resource:old/note://closed/**", "resource:new/note://closed/**"]
principals = ["*"]
targets = ["*"]
"#;

#[tokio::test(flavor = "multi_thread")]
async fn whoever_watches_a_resource_or_a_list_of_an_upstream_hears_when_it_changes() {
    let installed =
        site(&[(UpstreamServer::ScriptedLegacy, "old", ALL), (UpstreamServer::ScriptedModern, "new", ALL)]);
    installed.write("policy/notes.toml", RULES);
    let gateway = serve(&installed);
    for upstream in ["old", "new"] {
        let path = format!("/{upstream}");
        runs(&installed, &gateway, upstream, Era::Modern).await;
        let asking = client(&installed, &gateway, &path, Era::Modern).await;
        let touch = async |arguments: Value| drop(asking.call("touch", arguments).await.unwrap());
        let knows = async || {
            let knows = asking.call("client", json!({})).await.unwrap().text();
            serde_json::from_str::<Value>(&knows).unwrap()["levels"].to_string()
        };

        let legacy = Arc::new(client(&installed, &gateway, &path, LEGACY).await);
        assert_eq!(legacy.hello()["capabilities"]["resources"]["subscribe"], true, "{}", legacy.hello());
        let modern = Arc::new(client(&installed, &gateway, &path, Era::Modern).await);
        for uri in ["note://open/a", "note://closed/c"] {
            legacy.request("resources/subscribe", &json!({ "uri": uri })).await.unwrap();
        }
        let wants = json!({ "resourcesListChanged": true, "promptsListChanged": true,
            "resourceSubscriptions": ["note://open/a", "note://closed/c"] });
        let listening: Vec<_> = [&legacy, &modern]
            .map(|client| {
                let (client, wants) = (Arc::clone(client), wants.clone());
                tokio::spawn(async move { client.listen(&wants).await })
            })
            .into();
        hears(&modern, "notifications/subscriptions/acknowledged", None).await;
        // The upstream is asked for what may be read, once for all.
        let mut known = String::new();
        for _ in 0..200 {
            known = knows().await;
            if known.contains("note://open/a") {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(known.contains("note://open/a") && !known.contains("note://closed/c"), "{known}");

        // What is said before the session's stream is open is heard when it is.
        touch(json!({ "uri": "note://open/a" })).await;
        for client in [&legacy, &modern] {
            hears(client, "notifications/resources/updated", Some("note://open/a")).await;
        }
        touch(json!({ "uri": "note://closed/c" })).await;
        touch(json!({ "list": "prompts" })).await;
        for client in [&legacy, &modern] {
            let mut heard = vec![hears(client, "notifications/prompts/list_changed", None).await];
            heard.extend(client.take_notifications());
            assert!(!json!(heard).to_string().contains("closed"), "{heard:?}");
        }
        touch(json!({ "list": "resources" })).await;
        for client in [&legacy, &modern] {
            hears(client, "notifications/resources/list_changed", None).await;
        }

        // Nobody watches any more, so the upstream need not tell.
        legacy.request("resources/unsubscribe", &json!({ "uri": "note://open/a" })).await.unwrap();
        listening.iter().for_each(tokio::task::JoinHandle::abort);
        let mut known = Value::Null;
        for _ in 0..400 {
            known = serde_json::from_str::<Value>(&knows().await).unwrap();
            let last = known.as_array().unwrap().last().unwrap().as_str().unwrap().to_owned();
            if last.contains("unsubscribe") || !last.contains("note://") {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let last = known.as_array().unwrap().last().unwrap().to_string();
        assert!(last.contains("unsubscribe") || !last.contains("note://"), "{known}");
    }
    assert_eq!(gateway.terminate().code(), Some(0));
    verify(&installed);
}
