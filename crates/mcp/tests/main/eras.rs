//! Both eras on one endpoint, and what is neither.

use std::sync::atomic::Ordering;
use std::time::Duration;

use mcp::client::{Client, ClientError};
use serde_json::json;

use crate::gate::{structured, until};
use crate::http::{Request, config, serve};

#[tokio::test]
async fn a_modern_request_stands_alone() {
    let served = serve(config()).await;
    let response = served.send(&Request::call("echo")).await;
    assert_eq!(response.status, 200);
    assert_eq!(response.header("content-type"), Some("application/json"));
    assert_eq!(response.header("mcp-session-id"), None);
    let message = response.json();
    assert_eq!(message["id"], 7);
    assert_eq!(message["result"]["resultType"], "complete");
    assert_eq!(message["result"]["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "portcullis");
    assert_eq!(
        structured(&message),
        &json!({ "principal": "a", "arguments": "{\"x\":1}", "endpoint": "All" })
    );
    assert_eq!(message["result"]["content"][0]["text"], structured(&message).to_string());

    let discover = served.send(&Request::modern("server/discover", "", None)).await.json();
    let result = &discover["result"];
    assert_eq!(result["supportedVersions"], json!(["2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26"]));
    assert_eq!((&result["ttlMs"], &result["cacheScope"]), (&json!(0), &json!("private")));
    assert_eq!(
        result["capabilities"],
        json!({
            "tools": { "listChanged": true }, "resources": { "listChanged": true, "subscribe": true },
            "prompts": {}, "completions": {}, "logging": {},
        })
    );

    let ignored = Request::call("echo").with("Mcp-Session-Id", "x").with("Last-Event-ID", "1");
    assert_eq!(served.send(&ignored).await.status, 200);
    for method in ["GET", "DELETE"] {
        let request = Request::new(method, "/mcp").with("MCP-Protocol-Version", "2026-07-28");
        assert_eq!(served.send(&request).await.status, 405, "{method}");
        assert_eq!(served.send(&request.with("Mcp-Session-Id", "x")).await.status, 405, "{method}");
        assert_eq!(served.send(&Request::new(method, "/mcp")).await.status, 405, "{method}");
    }
}

#[tokio::test]
async fn what_contradicts_itself_is_refused_before_anything_happens() {
    let served = serve(config()).await;
    let call = Request::call("echo");
    let legacy_body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    for (request, expected) in [
        (call.clone().replace("Mcp-Name", "other"), (400, -32020)),
        (call.clone().without("Mcp-Name"), (400, -32020)),
        (call.clone().with("Mcp-Name", "echo"), (400, -32020)),
        (call.clone().replace("Mcp-Method", "tools/list"), (400, -32020)),
        (call.clone().without("Mcp-Method"), (400, -32020)),
        (call.clone().without("MCP-Protocol-Version"), (400, -32020)),
        (call.clone().replace("MCP-Protocol-Version", "2025-11-25"), (400, -32020)),
        (call.clone().with("MCP-Protocol-Version", "2026-07-28"), (400, -32020)),
        (Request::post(legacy_body).with("MCP-Protocol-Version", "2026-07-28"), (400, -32602)),
        (Request::post(legacy_body).with("MCP-Protocol-Version", "2024-11-05"), (400, -32022)),
        (Request::post(legacy_body), (400, -32600)),
        (Request::post(r#"{"jsonrpc":"2.0","id":1,"method":"server/discover"}"#), (400, -32602)),
        (Request::modern("initialize", "", None), (404, -32601)),
        (Request::modern("ping", "", None), (404, -32601)),
        (Request::modern("no/such", "", None), (404, -32601)),
        (Request::modern("subscriptions/listen", "", None), (200, -32602)),
        (Request::modern("resources/subscribe", r#""uri":"a:b""#, None), (404, -32601)),
        (Request::modern("tools/call", r#""name":7"#, Some("7")), (200, -32602)),
        (Request::modern("tools/call", r#""name":"echo","arguments":[]"#, Some("echo")), (200, -32602)),
        (Request::post(&format!("[{legacy_body}]")), (400, -32600)),
        (Request::post("{"), (400, -32700)),
        (Request::post("\u{feff}{}"), (400, -32700)),
        (Request::post(r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/list"}"#), (400, -32600)),
        (Request::post(r#"{"jsonrpc":"2.0","id":1,"Method":"ping"}"#), (400, -32600)),
        (
            Request::post(&format!(
                r#"{{"jsonrpc":"2.0","id":1,"method":"x","params":{}1{}}}"#,
                "{\"a\":".repeat(70),
                "}".repeat(70)
            )),
            (400, -32600),
        ),
        (Request::call("unrecorded"), (200, -32603)),
    ] {
        let response = served.send(&request).await;
        assert_eq!(response.error(), expected, "{}\n{response:?}", String::from_utf8_lossy(&request.bytes()));
    }
    let unknown = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}}"#,
        r#"{"_meta":{"io.modelcontextprotocol/protocolVersion":"1999-01-01","io.modelcontextprotocol/clientCapabilities":{}}}"#
    );
    let response = served.send(&Request::post(&unknown).with("MCP-Protocol-Version", "1999-01-01")).await;
    assert_eq!(response.error(), (400, -32022));
    assert_eq!(response.json()["error"]["data"]["requested"], "1999-01-01");
    assert_eq!(served.gate.calls.load(Ordering::SeqCst), 1, "only the unrecorded one was called");
    let arguments = r#""name":"echo","arguments":{"a":{"b":1,"b":2}}"#;
    assert_eq!(
        served.send(&Request::modern("tools/call", arguments, Some("echo"))).await.error(),
        (400, -32600)
    );
}

#[tokio::test]
async fn media_types_and_methods_are_checked() {
    let served = serve(config()).await;
    let call = Request::call("echo");
    for (request, expected) in [
        (call.clone().replace("Content-Type", "text/plain"), 415),
        (call.clone().without("Content-Type"), 415),
        (call.clone().with("Content-Type", "application/json"), 415),
        (call.clone().replace("Content-Type", "application/json; charset=latin-1"), 415),
        (call.clone().replace("Content-Type", "Application/JSON; charset=UTF-8"), 200),
        (call.clone().with("Content-Encoding", "gzip"), 415),
        (call.clone().replace("Accept", "text/html"), 406),
        (call.clone().replace("Accept", "application/json;q=0"), 406),
        (call.clone().replace("Accept", "*/*"), 200),
        (call.clone().without("Accept"), 200),
        (Request::new("PUT", "/mcp"), 405),
        (Request::new("OPTIONS", "/mcp"), 405),
    ] {
        let response = served.send(&request).await;
        assert_eq!(response.status, expected, "{}", String::from_utf8_lossy(&request.bytes()));
    }
    let events = served.send(&call.replace("Accept", "text/event-stream")).await;
    assert_eq!(events.header("content-type"), Some("text/event-stream"));
    assert_eq!(structured(&events.events()[0])["principal"], "a");
}

#[tokio::test]
async fn endpoints_list_their_own_tools_in_pages_of_one_order() {
    let served = serve(config()).await;
    let names = |path: &str| {
        let request = Request::modern("tools/list", "", None).path(path);
        let served = &served;
        async move {
            let message = served.send(&request).await.json();
            let tools = message["result"]["tools"].as_array().unwrap().clone();
            assert!(
                tools
                    .iter()
                    .all(|tool| tool["inputSchema"]["type"] == "object" && tool["annotations"].is_object())
            );
            tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        }
    };
    let all = names("/mcp").await;
    assert!(all.is_sorted() && all.contains(&"whoami".to_owned()));
    assert_eq!(names("/mcp/credentials").await, names("/mcp/cyberark").await);
    assert!(!names("/mcp/credentials").await.contains(&"ssh_execute".to_owned()));
    let called = served.send(&Request::call("echo").path("/mcp/ssh")).await.json();
    assert_eq!(structured(&called)["endpoint"], "Ssh");

    let (mut cursor, mut seen) = (String::new(), Vec::new());
    loop {
        let message = served.send(&Request::modern("resources/list", &cursor, None)).await.json();
        let page = message["result"]["resources"].as_array().unwrap();
        seen.extend(page.iter().map(|resource| resource["uri"].as_str().unwrap().to_owned()));
        match message["result"]["nextCursor"].as_str() {
            Some(next) => cursor = format!(r#""cursor":"{next}""#),
            None => break,
        }
    }
    assert_eq!(seen, (0..250).map(|n| format!("test://{n}")).collect::<Vec<_>>());
    let wrong = served.send(&Request::modern("resources/list", r#""cursor":"nonsense""#, None)).await;
    assert_eq!(wrong.error(), (200, -32602));
}

#[tokio::test]
async fn resources_are_read_by_their_address() {
    let served = serve(config()).await;
    let read = |uri: &str| Request::modern("resources/read", &format!(r#""uri":"{uri}""#), Some(uri));
    let one = served.send(&read("test://1")).await.json();
    assert_eq!(
        one["result"]["contents"],
        json!([{ "uri": "test://1", "mimeType": "text/plain", "text": "one" }])
    );
    assert_eq!(served.send(&read("test://none")).await.error(), (200, -32602));
    let templates = served.send(&Request::modern("resources/templates/list", "", None)).await.json();
    assert!(!templates["result"]["resourceTemplates"].as_array().unwrap().is_empty());
    assert_eq!(
        served.send(&Request::modern("prompts/list", "", None)).await.json()["result"]["prompts"],
        json!([])
    );
}

#[tokio::test]
async fn a_modern_client_cancels_by_going_away() {
    let served = serve(config()).await;
    for accept in ["application/json", "text/event-stream"] {
        let (waiting, cancelled) =
            (served.gate.waiting.load(Ordering::SeqCst), served.gate.cancelled.load(Ordering::SeqCst));
        let mut connection = served.connect().await;
        connection.write(&Request::call("wait").replace("Accept", accept).bytes()).await;
        until("the call waits", || served.gate.waiting.load(Ordering::SeqCst) == waiting + 1).await;
        drop(connection);
        until("it is cancelled", || served.gate.cancelled.load(Ordering::SeqCst) == cancelled + 1).await;
    }
}

#[tokio::test]
async fn progress_is_told_to_who_asks_for_it() {
    let served = serve(config()).await;
    let params = r#""name":"progress","arguments":{}"#;
    let body = Request::modern("tools/call", params, Some("progress"));
    assert_eq!(structured(&served.send(&body).await.json())["progressed"], false);
    let text = String::from_utf8(body.bytes()).unwrap();
    let with_token = text
        .split("\r\n\r\n")
        .nth(1)
        .unwrap()
        .replace(r#""_meta":{"#, r#""_meta":{"progressToken":"t\u00e9","#);
    let events = served.send(&body.body(&with_token)).await.events();
    let (result, notices) = events.split_last().unwrap();
    assert_eq!(structured(result)["progressed"], true);
    let told: Vec<_> = notices.iter().map(|notice| notice["params"]["progress"].as_f64().unwrap()).collect();
    assert_eq!(told, [10.0, 20.0]);
    assert!(
        notices
            .iter()
            .all(|n| n["params"]["progressToken"] == "té" && n["method"] == "notifications/progress")
    );
}

#[tokio::test]
async fn notifications_are_taken_and_answered_with_nothing() {
    let served = serve(config()).await;
    let body = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#;
    let modern = Request::post(body).with("MCP-Protocol-Version", "2026-07-28");
    let taken = served.send(&modern.clone().with("Mcp-Method", "notifications/cancelled")).await;
    assert_eq!((taken.status, taken.body.as_str()), (202, ""));
    assert_eq!(served.send(&modern.clone()).await.error(), (400, -32020));
    assert_eq!(served.send(&modern.with("Mcp-Method", "x")).await.error(), (400, -32020));
    assert_eq!(served.send(&Request::post(body)).await.error(), (400, -32600), "legacy, without a session");
    let response =
        Request::post(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#).with("MCP-Protocol-Version", "2026-07-28");
    assert_eq!(served.send(&response).await.error(), (400, -32600));
}

#[tokio::test]
async fn a_shutdown_lets_calls_end_and_then_ends_them() {
    let served = serve(config()).await;
    let mut patient = served.connect().await;
    patient.write(&Request::call("wait").bytes()).await;
    until("the call waits", || served.gate.waiting.load(Ordering::SeqCst) == 1).await;
    let (address, gate) = (served.address(), served.gate.clone());
    let ending = tokio::spawn(async move { served.front.shutdown(Duration::from_secs(20)).await });
    until("nobody else comes in", || std::net::TcpStream::connect(address).is_err()).await;
    gate.release.add_permits(1);
    assert_eq!(structured(&patient.response().await.json())["waited"], true);
    ending.await.unwrap();

    let served = serve(config()).await;
    let mut stubborn = served.connect().await;
    stubborn.write(&Request::call("wait").bytes()).await;
    until("the call waits", || served.gate.waiting.load(Ordering::SeqCst) == 1).await;
    served.front.shutdown(Duration::from_millis(50)).await;
    assert_eq!(structured(&stubborn.response().await.json())["cancelled"], true);
}

#[tokio::test]
async fn our_own_client_speaks_as_others_do() {
    let served = serve(config()).await;
    let mut client = Client::connect(served.address(), "/mcp/credentials", Some("key-a")).await.unwrap();
    let (tools, bytes) = client.list_tools().await.unwrap();
    assert!(tools.contains(&"get_credential".to_owned()) && !tools.contains(&"ssh_execute".to_owned()));
    assert!(bytes.starts_with(b"{\"jsonrpc\""));
    let reply = client.call_tool("echo", &json!({ "x": "é" })).await.unwrap();
    assert_eq!((reply.is_error, &reply.structured["arguments"]), (false, &json!("{\"x\":\"é\"}")));
    assert!(client.call_tool("other", &json!({})).await.unwrap().is_error);
    assert!(matches!(client.call_tool("unrecorded", &json!({})).await, Err(ClientError::Protocol(_))));
    let prepared = client.prepare("echo", &json!({})).unwrap();
    assert_eq!(prepared.headers()["mcp-name"], "echo");
    let mut stranger = Client::connect(served.address(), "/mcp", None).await.unwrap();
    match stranger.list_tools().await {
        Err(ClientError::Refused { status, .. }) => assert_eq!(status, 401),
        other => panic!("{other:?}"),
    }
}
