//! MCP clients, ours and others', against a server made by others.

use serde_json::json;
use testkit::{Era, HttpClient, McpFailure, McpHttp, McpStdio, ReferenceServer, Server, ThirdParty};

#[tokio::test]
async fn our_http_client_speaks_every_version() {
    let server = ReferenceServer::start();
    for era in Era::ALL {
        let client = McpHttp::connect(server.url(), Some(ReferenceServer::KEY), era).await.unwrap();
        let tools = client.list_tools().await.unwrap();
        assert_eq!(tools.iter().map(|t| t["name"].as_str().unwrap()).collect::<Vec<_>>(), ["whoami", "echo"]);
        let answer = client.call("echo", json!({ "text": "hi" })).await.unwrap();
        assert_eq!((answer.text().as_str(), answer.is_error()), ("hi", false), "{era:?}");
        assert_eq!(answer.structured(), &json!({ "result": "hi" }));
        assert_eq!(client.session().is_some(), era != Era::Modern);
        let unknown = client.request("no/such/method", &json!({})).await.unwrap_err();
        assert!(matches!(unknown, McpFailure::Rpc { code: -32601, .. }), "{unknown}");
    }
}

#[tokio::test]
async fn our_http_client_tells_a_wrong_key() {
    let server = ReferenceServer::start();
    for (key, era) in [(Some("wrong"), Era::Modern), (None, Era::Legacy("2025-11-25"))] {
        let refused = McpHttp::connect(server.url(), key, era).await.err().unwrap();
        assert_eq!(refused.status(), Some(401), "{refused}");
    }
    let raw = HttpClient::new(server.url(), None);
    assert_eq!(raw.send("DELETE", "/mcp", &[], "").await.unwrap().status, 401);
}

#[tokio::test]
async fn our_stdio_client_speaks_every_version() {
    for era in Era::ALL {
        let client = McpStdio::connect(ReferenceServer::command(), era).await.unwrap();
        assert_eq!(client.list_tools().await.unwrap().len(), 2);
        let (one, two) =
            tokio::join!(client.call("echo", json!({ "text": "1" })), client.call("whoami", json!({})));
        assert_eq!((one.unwrap().text().as_str(), two.unwrap().is_error()), ("1", false), "{era:?}");
        assert!(client.take_garbage().is_empty());
        let (status, stderr) = client.close().await;
        assert!(status.success(), "{status}: {stderr}");
    }
}

#[tokio::test]
async fn a_dead_child_answers_nobody() {
    let mut command = tokio::process::Command::new("sh");
    command.args(["-c", "echo not json; read -r _"]);
    let refused = McpStdio::connect(command, Era::Modern).await.err().unwrap();
    assert!(matches!(refused, McpFailure::Broken(_)), "{refused}");
}

#[test]
fn every_third_party_client_lists_and_calls() {
    let server = ReferenceServer::start();
    for at in [server.with_key(ReferenceServer::KEY), Server::stdio(&ReferenceServer::command())] {
        for client in ThirdParty::ALL {
            let listed = client.list(&at);
            assert!(listed.succeeded, "{client:?} {at:?}: {}", listed.output);
            if !client.calls() {
                continue;
            }
            assert_eq!(listed.tools.unwrap(), ["whoami", "echo"], "{client:?}: {}", listed.output);
            let called = client.call(&at, "echo", &json!({ "text": "hi" }));
            assert!(called.succeeded, "{client:?} {at:?}: {}", called.output);
            assert_eq!(called.answer.unwrap()["content"][0]["text"], "hi", "{client:?}");
        }
    }
}

#[test]
fn every_third_party_client_tells_a_wrong_key() {
    let server = ReferenceServer::start();
    for client in ThirdParty::ALL {
        let refused = client.list(&server.with_key("wrong"));
        assert!(!refused.succeeded && refused.unauthorised, "{client:?}: {}", refused.output);
    }
}
