//! Legacy sessions over HTTP.

use std::sync::atomic::Ordering;
use std::time::Duration;

use mcp::{FrontConfig, SessionLimits};

use crate::gate::{structured, until};
use crate::http::{Request, Served, config, serve};

fn initialize(version: &str) -> Request {
    Request::post(&format!(
        r#"{{"jsonrpc":"2.0","id":"i","method":"initialize","params":{{"protocolVersion":"{version}","capabilities":{{}},"clientInfo":{{"name":"t","version":"1"}}}}}}"#
    ))
}

fn legacy(session: &str, method: &str, params: &str) -> Request {
    Request::post(&format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#))
        .with("Mcp-Session-Id", session)
}

fn call(session: &str, tool: &str) -> Request {
    legacy(session, "tools/call", &format!(r#"{{"name":"{tool}","arguments":{{}}}}"#))
}

async fn begin(served: &Served) -> String {
    let response = served.send(&initialize("2025-11-25")).await;
    response.header("mcp-session-id").unwrap().to_owned()
}

#[tokio::test]
async fn every_legacy_version_has_its_handshake() {
    let served = serve(config()).await;
    for (asked, given) in [
        ("2025-11-25", "2025-11-25"),
        ("2025-06-18", "2025-06-18"),
        ("2025-03-26", "2025-03-26"),
        ("2024-11-05", "2025-11-25"),
        ("2026-07-28", "2025-11-25"),
    ] {
        let response = served.send(&initialize(asked)).await;
        assert_eq!(response.status, 200);
        let message = response.json();
        assert_eq!(message["result"]["protocolVersion"], given, "{asked}");
        assert_eq!(message["result"]["serverInfo"]["name"], "portcullis");
        assert_eq!(message["result"].get("resultType"), None);
        let session = response.header("mcp-session-id").unwrap();
        let initialized = Request::post(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        assert_eq!(served.send(&initialized.with("Mcp-Session-Id", session)).await.status, 202);
        let called = served.send(&call(session, "echo").with("MCP-Protocol-Version", given)).await;
        assert_eq!(structured(&called.json())["principal"], "a");
        assert_eq!(served.send(&legacy(session, "ping", "{}")).await.json()["result"], serde_json::json!({}));
        assert_eq!(
            served.send(&legacy(session, "logging/setLevel", r#"{"level":"info"}"#)).await.status,
            200
        );
        assert_eq!(served.send(&legacy(session, "logging/setLevel", "{}")).await.error(), (200, -32602));
        assert_eq!(served.send(&legacy(session, "completion/complete", "{}")).await.error(), (200, -32602));
        assert_eq!(served.send(&legacy(session, "subscriptions/listen", "{}")).await.error(), (200, -32601));
        assert_eq!(
            served.send(&legacy(session, "resources/read", r#"{"uri":"x"}"#)).await.error(),
            (200, -32002)
        );
        assert!(
            served.send(&legacy(session, "tools/list", "{}")).await.json()["result"].get("ttlMs").is_none()
        );
    }
    let session = begin(&served).await;
    let other = served.send(&call(&session, "echo").with("MCP-Protocol-Version", "2025-03-26")).await;
    assert_eq!(other.error(), (400, -32600));
    let twice = served.send(&initialize("2025-11-25").with("Mcp-Session-Id", &session)).await;
    assert_eq!(twice.error(), (400, -32600));
}

#[tokio::test]
async fn a_session_is_nothing_to_anybody_else() {
    let served = serve(config()).await;
    let session = begin(&served).await;
    let answer = served
        .send(&Request::post(r#"{"jsonrpc":"2.0","id":9,"result":{}}"#).with("Mcp-Session-Id", &session))
        .await;
    assert_eq!(answer.status, 202);
    let requests = [
        call(&session, "echo"),
        Request::new("GET", "/mcp").with("Mcp-Session-Id", &session),
        Request::new("DELETE", "/mcp").with("Mcp-Session-Id", &session),
        Request::post(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#)
            .with("Mcp-Session-Id", &session),
    ];
    for request in &requests {
        let stolen = served.send(&request.clone().replace("X-API-Key", "key-b")).await;
        let unknown = served.send(&request.clone().replace("Mcp-Session-Id", &"0".repeat(64))).await;
        assert_eq!(
            (stolen.status, &stolen.body),
            (404, &unknown.body),
            "the same as for a session that is not there"
        );
        assert_eq!(served.send(&request.clone().replace("X-API-Key", "wrong")).await.status, 401);
    }
    until("every misuse is recorded", || served.gate.misused.load(Ordering::SeqCst) == requests.len()).await;
    assert_eq!(served.gate.calls.load(Ordering::SeqCst), 0);
    assert_eq!(served.send(&call(&session, "echo")).await.status, 200, "and it still is its principal's");
    let ended = served.send(&Request::new("DELETE", "/mcp").with("Mcp-Session-Id", &session)).await;
    assert_eq!(ended.status, 204);
    assert_eq!(served.send(&call(&session, "echo")).await.status, 404);
}

#[tokio::test]
async fn sessions_exist_only_after_authentication_and_are_bounded() {
    let sessions = SessionLimits { total: 3, per_principal: 2, ..SessionLimits::default() };
    let served = serve(FrontConfig { sessions, ..config() }).await;
    for _ in 0..10 {
        let stranger = served.send(&initialize("2025-11-25").replace("X-API-Key", "wrong")).await;
        assert_eq!((stranger.status, stranger.header("mcp-session-id")), (401, None));
    }
    assert_eq!(served.gate.connected.load(Ordering::SeqCst), 0);
    let first = begin(&served).await;
    let second = begin(&served).await;
    let third = begin(&served).await;
    assert_eq!(served.gate.connected.load(Ordering::SeqCst), 3);
    assert_eq!(served.send(&call(&first, "echo")).await.status, 404, "it made room for the third");
    assert_eq!(served.send(&call(&second, "echo")).await.status, 200);
    assert_eq!(served.send(&call(&third, "echo")).await.status, 200);
    let b = initialize("2025-11-25").replace("X-API-Key", "key-b");
    assert_eq!(served.send(&b).await.status, 200);
    let full = served.send(&b.clone().replace("X-API-Key", "key-b")).await;
    assert_eq!((full.status, full.header("retry-after")), (429, Some("1")));
    served.front.retain_sessions(|principal, _| principal.as_str() != "a");
    assert_eq!(served.send(&call(&third, "echo")).await.status, 404);
}

#[tokio::test]
async fn a_thousand_handshakes_hold_no_more_than_one_principals_share() {
    let sessions = SessionLimits { per_principal: 3, ..SessionLimits::default() };
    let served = serve(FrontConfig { sessions, ..config() }).await;
    let mut connection = served.connect().await;
    let mut ids = Vec::new();
    for _ in 0..1000 {
        let response = connection.ask(&initialize("2025-11-25")).await;
        ids.push(response.header("mcp-session-id").unwrap().to_owned());
    }
    let mut alive = 0;
    for id in &ids {
        alive += usize::from(connection.ask(&legacy(id, "ping", "{}")).await.status == 200);
    }
    assert_eq!(alive, 3);
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 1000, "no id comes twice");
}

#[tokio::test]
async fn idle_sessions_end() {
    let sessions = SessionLimits { idle: Duration::from_millis(1500), ..SessionLimits::default() };
    let served = serve(FrontConfig { sessions, ..config() }).await;
    let session = begin(&served).await;
    assert_eq!(served.send(&call(&session, "echo")).await.status, 200);
    tokio::time::sleep(Duration::from_millis(1700)).await;
    assert_eq!(served.send(&call(&session, "echo")).await.status, 404);
}

#[tokio::test]
async fn going_away_cancels_nothing_but_a_notification_does() {
    let served = serve(config()).await;
    let session = begin(&served).await;
    for accept in ["application/json", "text/event-stream"] {
        let cancelled = served.gate.cancelled.load(Ordering::SeqCst);
        let waiting = served.gate.waiting.load(Ordering::SeqCst);
        let mut connection = served.connect().await;
        connection.write(&call(&session, "wait").replace("Accept", accept).bytes()).await;
        until("the call waits", || served.gate.waiting.load(Ordering::SeqCst) == waiting + 1).await;
        drop(connection);
        let again = served.send(&call(&session, "echo")).await;
        assert_eq!(again.error(), (400, -32600), "the id is still under way");
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(served.gate.cancelled.load(Ordering::SeqCst), cancelled);
        let cancel = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#;
        let cancel = Request::post(cancel).with("Mcp-Session-Id", &session);
        assert_eq!(served.send(&cancel).await.status, 202);
        until("it is cancelled", || served.gate.cancelled.load(Ordering::SeqCst) == cancelled + 1).await;
    }
}

#[tokio::test]
async fn calls_of_a_session_are_bounded() {
    let sessions = SessionLimits { calls: 1, ..SessionLimits::default() };
    let served = serve(FrontConfig { sessions, ..config() }).await;
    let session = begin(&served).await;
    let mut connection = served.connect().await;
    connection.write(&call(&session, "wait").bytes()).await;
    until("the call waits", || served.gate.waiting.load(Ordering::SeqCst) == 1).await;
    let second = r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#;
    let refused = served.send(&Request::post(second).with("Mcp-Session-Id", &session)).await;
    assert_eq!(refused.error(), (429, -32603));
    served.gate.release.add_permits(1);
    assert_eq!(connection.response().await.status, 200);
}

#[tokio::test]
async fn the_listening_stream_stays_open_until_one_side_is_done() {
    let limits = mcp::HttpLimits { keep_alive: Duration::from_millis(50), ..mcp::HttpLimits::default() };
    let sessions = SessionLimits { streams: 1, ..SessionLimits::default() };
    let served = serve(FrontConfig { limits, sessions, ..config() }).await;
    let session = begin(&served).await;
    let listen = Request::new("GET", "/mcp").with("Mcp-Session-Id", &session);
    assert_eq!(served.send(&listen.clone().replace("Accept", "application/json")).await.status, 406);

    let mut stream = served.connect().await;
    stream.write(&listen.bytes()).await;
    assert_eq!(stream.head().await.header("content-type"), Some("text/event-stream"));
    stream.until(": \n\n\r\n4\r\n: \n\n").await;
    assert_eq!(served.send(&listen).await.status, 429, "one at a time");
    served.gate.changed.send_modify(|times| *times += 1);
    stream.until("notifications/tools/list_changed").await;
    stream.until("notifications/resources/list_changed").await;
    let ended = served.send(&Request::new("DELETE", "/mcp").with("Mcp-Session-Id", &session)).await;
    assert_eq!(ended.status, 204);
    stream.until("\r\n0\r\n\r\n").await;

    let session = begin(&served).await;
    let mut stream = served.connect().await;
    stream.write(&Request::new("GET", "/mcp").with("Mcp-Session-Id", &session).bytes()).await;
    stream.head().await;
    served.front.shutdown(Duration::from_secs(10)).await;
    stream.until("\r\n0\r\n\r\n").await;
}
