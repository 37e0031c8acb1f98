//! Any number of clients over HTTP.

use std::process::Stdio;

use serde_json::{Value, json};
use testkit::{Era, McpFailure, McpHttp, UpstreamServer};

use super::{Place, Proxy, THEIR_TOOLS, allow, http, in_path, lines, program, stdio_upstream};

const OLD: Era = Era::Legacy("2025-03-26");
const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-03-26","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;

/// The status of an `initialize` with these headers.
async fn knock(proxy: &Proxy<'_>, path: &str, headers: &[(&str, &str)]) -> u16 {
    let mut all =
        vec![("content-type", "application/json"), ("accept", "application/json, text/event-stream")];
    all.extend(headers);
    proxy.ask("POST", path, &all, INITIALIZE).await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn without_authentication_this_machine_alone_is_served_and_no_other_host() {
    let (port, listen) = http("");
    let place = Place::new(&format!("{}{listen}{}", stdio_upstream(), allow(&["echo"])));
    let mut proxy = place.serve(port);
    proxy.becomes(200).await;
    let health = proxy.ask("GET", "/health", &[("host", "probe.example")], "").await;
    assert_eq!((health.status, health.text().as_str()), (200, "{\"status\":\"ok\"}"));
    assert_eq!(health.headers["content-type"], "application/json");
    assert_eq!(proxy.ask("POST", "/health", &[], "").await.status, 405);

    assert_eq!(knock(&proxy, "/mcp", &[]).await, 200);
    // A client that still sends what another proxy wanted is let in as before.
    assert_eq!(knock(&proxy, "/mcp", &[("authorization", "Basic eDp5")]).await, 200);
    assert_eq!(knock(&proxy, "/mcp", &[("host", "evil.example")]).await, 403);
    assert_eq!(knock(&proxy, "/mcp", &[("origin", "https://evil.example")]).await, 403);
    for elsewhere in ["/", "/mcp/anything", "/mcp/protected", "/mcp/ssh", "/metrics"] {
        assert_eq!(knock(&proxy, elsewhere, &[]).await, 404, "{elsewhere}");
    }
    let connected = |ip: &str| std::net::TcpStream::connect((ip, port)).is_ok();
    let others = std::fs::read_to_string("/proc/net/fib_trie").unwrap_or_default();
    let other = others
        .lines()
        .filter_map(|line| line.trim().strip_prefix("|-- "))
        .find(|ip| !ip.starts_with("127.") && !ip.ends_with(".0") && !ip.ends_with(".255") && connected(ip));
    assert_eq!((connected("127.0.0.1"), other), (true, None), "on no other address");

    let client = McpHttp::connect(&proxy.mcp(), None, OLD).await.unwrap();
    let tools = client.list_tools().await.unwrap();
    assert_eq!(tools.len(), 1);
    assert_eq!(tools[0]["name"], "echo");
    assert!(!client.call("echo", json!({})).await.unwrap().is_error());
    match client.call("die", json!({})).await.unwrap_err() {
        McpFailure::Rpc { code, message, .. } => {
            assert_eq!((code, message.as_str()), (-32601, "tool 'die' is not in the allowed list"));
        }
        other @ (McpFailure::Http { .. } | McpFailure::Broken(_)) => panic!("{other:?}"),
    }
    let second = McpHttp::connect(&proxy.mcp(), None, Era::Modern).await.unwrap();
    assert!(!second.call("echo", json!({})).await.unwrap().is_error());

    proxy.signal("TERM");
    assert_eq!(proxy.wait(), Some(0), "{}", place.read("trace.log"));
    let record = proxy.record();
    let of = |event: &str| record.iter().filter(|line| line["event"] == event).cloned().collect::<Vec<_>>();
    let sessions: Vec<_> = of("agent_connected").iter().map(|line| line["session_id"].clone()).collect();
    assert_eq!(sessions, ["1", "2", "3"], "{record:?}");
    assert!(of("agent_connected").iter().all(|line| line["method"] == "none" && line["identity"].is_null()));
    let calls = of("tool_call");
    let told =
        |line: &Value| (line["tool_name"].clone(), line["allowed"].clone(), line["session_id"].clone());
    assert_eq!(told(&calls[0]), (json!("echo"), json!(true), json!("3")));
    assert_eq!(told(&calls[1]), (json!("die"), json!(false), json!("3")));
    assert_eq!(told(&calls[2]), (json!("echo"), json!(true), json!("0")), "a modern client has no session");
    assert_eq!(
        (&of("tools_list")[0]["tools_upstream"], &of("tools_list")[0]["tools_returned"]),
        (&json!(THEIR_TOOLS), &json!(1))
    );
    assert!(lines(&place.read("trace.log")).is_empty(), "the record is on standard output alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bearer_token_lets_in_and_everything_else_is_401_and_recorded() {
    let (port, listen) = http("[listen.auth]\ntype = \"bearer\"\ntoken = \"s3cret token\"\n");
    let place = Place::new(&format!("{}{listen}{}", stdio_upstream(), allow(&["echo"])));
    let mut proxy = place.serve_with(port, &["--allow-host", "mcp.example"]);
    proxy.becomes(200).await;
    let cases = [
        (None, "missing Authorization header"),
        (Some("Basic eDp5"), "Authorization header is not a Bearer token"),
        (Some("Bearer s3cret"), "invalid token"),
        (Some("Bearer Bearer s3cret token"), "invalid token"),
    ];
    for (header, reason) in cases {
        let headers: Vec<_> = header.iter().map(|value| ("authorization", *value)).collect();
        let refused = proxy.ask("POST", "/mcp", &headers, INITIALIZE).await;
        assert_eq!(refused.status, 401, "{header:?}");
        assert!(refused.headers["www-authenticate"].to_str().unwrap().starts_with("Bearer"));
        let line = proxy.recorded(|line| line["reason"] == reason);
        assert_eq!((&line["event"], &line["method"]), (&json!("agent_auth_rejected"), &json!("bearer")));
        assert_eq!((&line["session_id"], line["count"].as_u64()), (&json!("0"), Some(1)));
    }
    for scheme in ["Bearer", "bearer"] {
        assert_eq!(knock(&proxy, "/mcp", &[("authorization", &format!("{scheme} s3cret token"))]).await, 200);
    }
    let client = McpHttp::connect(&proxy.mcp(), Some("s3cret token"), OLD).await.unwrap();
    assert!(!client.call("echo", json!({})).await.unwrap().is_error());
    // A session is its principal's, and needs the token every time.
    let session = client.session().unwrap();
    assert_eq!(knock(&proxy, "/mcp", &[("mcp-session-id", session)]).await, 401);
    let line = proxy.recorded(|line| line["event"] == "agent_connected");
    assert_eq!(line["method"], "bearer");
    // Other machines reach it: by an address, by its own name, by names that are given.
    let token = ("authorization", "Bearer s3cret token");
    assert_eq!(knock(&proxy, "/mcp", &[token, ("host", "192.0.2.7:3000")]).await, 200);
    assert_eq!(knock(&proxy, "/mcp", &[token, ("host", "mcp.example:3000")]).await, 200);
    let own = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    assert_eq!(knock(&proxy, "/mcp", &[token, ("host", own.trim())]).await, 200);
    for other in ["evil.example", "mcp.example.evil.example", "sub.mcp.example"] {
        assert_eq!(knock(&proxy, "/mcp", &[token, ("host", other)]).await, 403, "{other}");
    }
    proxy.signal("INT");
    assert_eq!(proxy.wait(), Some(0));
    let told = format!("{}{}", place.read("audit.log"), place.read("trace.log"));
    assert!(!told.contains("s3cret"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_in_the_list_come_in_and_others_are_403_and_recorded() {
    for (list, status) in [("[\"127.0.0.0/8\"]", 200), ("[\"192.0.2.0/24\", \"::1/128\"]", 403)] {
        let (port, listen) = http(&format!("[listen.auth]\ntype = \"ip_allowlist\"\nallow = {list}\n"));
        let place = Place::new(&format!("{}{listen}{}", stdio_upstream(), allow(&["echo"])));
        let mut proxy = place.serve(port);
        proxy.becomes(200).await;
        assert_eq!(knock(&proxy, "/mcp", &[]).await, status);
        assert_eq!(knock(&proxy, "/mcp", &[("authorization", "Bearer of-another")]).await, status);
        assert_eq!(knock(&proxy, "/mcp", &[("x-forwarded-for", "192.0.2.1")]).await, status);
        if status == 403 {
            let line = proxy.recorded(|line| line["event"] == "agent_auth_rejected");
            assert_eq!(line["reason"], "source IP 127.0.0.1 is not in the allowlist");
            assert_eq!(line["method"], "ip_allowlist");
        } else {
            assert_eq!(proxy.recorded(|line| line["event"] == "agent_connected")["method"], "ip_allowlist");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_honest_before_while_and_after_the_server_is_there() {
    let script = UpstreamServer::ScriptedLegacy.command();
    let (port, listen) = http("");
    let place = Place::new("");
    let server = place.path("server.py");
    std::fs::copy(&script[1], &server).unwrap();
    let words = [script[0].clone(), "server.py".to_owned(), "legacy".to_owned()];
    place.write(&format!("{}{listen}{}", program(&words), allow(&["echo", "die"])));
    let mut proxy = place.serve(port);
    proxy.becomes(200).await;
    let client = McpHttp::connect(&proxy.mcp(), None, OLD).await.unwrap();
    std::fs::remove_file(&server).unwrap();
    assert!(client.call("die", json!({})).await.unwrap().is_error());
    proxy.becomes(503).await;
    assert_eq!(proxy.health().await.unwrap().1, "{\"status\":\"starting\"}");
    let down = client.call("echo", json!({})).await.unwrap();
    assert_eq!(down.structured()["code"], "upstream.down", "{down:?}");
    std::fs::copy(&script[1], &server).unwrap();
    proxy.becomes(200).await;
    assert!(!client.call("echo", json!({})).await.unwrap().is_error(), "the same client goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_server_is_not_there_nobody_is_served_and_if_it_never_comes_it_is_exit_2() {
    let (port, listen) = http("");
    let mute = format!("[upstream]\nurl = \"stdio\"\ncommand = [\"{}\", \"60\"]\n", in_path("sleep"));
    let place = Place::new(&format!("{mute}{listen}{}", allow(&["echo"])));
    let mut proxy = place.serve(port);
    proxy.becomes(503).await;
    assert_eq!(proxy.health().await.unwrap(), (503, "{\"status\":\"starting\"}".to_owned()));
    assert_eq!(knock(&proxy, "/mcp", &[]).await, 503);
    proxy.signal("TERM");
    assert_eq!(proxy.wait(), Some(0));

    let none = "[upstream]\nurl = \"stdio\"\ncommand = [\"no-such-program-4711\"]\n";
    place.write(&format!("{none}{listen}{}", allow(&["echo"])));
    let mut proxy = place.serve(port);
    assert_eq!(proxy.wait(), Some(2));
    let log = place.read("trace.log");
    assert!(log.contains("Error: proxy runtime error: failed to connect to upstream MCP server: "), "{log}");
    assert!(log.contains("no-such-program-4711"), "{log}");

    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    place.write(&format!(
        "{}[listen]\ntransport = \"http\"\nport = {port}\n{}",
        stdio_upstream(),
        allow(&["echo"])
    ));
    let ran = place.run("proxy");
    assert_eq!(ran.status.code(), Some(2));
    assert!(super::text(&ran.stderr).contains("Error: proxy runtime error: cannot listen on"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_nobody_reads_holds_up_no_call_and_its_gap_is_told() {
    let (port, listen) = http("");
    let place = Place::new(&format!("{}{listen}{}", stdio_upstream(), allow(&["echo"])));
    let mut command = place.command("proxy");
    let trace = std::fs::File::create(place.path("trace.log")).unwrap();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(trace);
    let mut proxy = Proxy { place: &place, child: command.spawn().unwrap(), port };
    let mut stdout = proxy.child.stdout.take().unwrap();
    proxy.becomes(200).await;
    let client = McpHttp::connect(&proxy.mcp(), None, OLD).await.unwrap();
    let warned = "audit log channel full; entries are being dropped";
    for _ in 0..20_000 {
        assert!(client.call("blocked", json!({})).await.is_err());
        if place.read("trace.log").contains(warned) {
            break;
        }
    }
    assert!(place.read("trace.log").contains(warned));
    let reading = tokio::task::spawn_blocking(move || {
        let mut text = String::new();
        std::io::Read::read_to_string(&mut stdout, &mut text).map(|_| text).unwrap()
    });
    // What comes after the gap says how large it was.
    for _ in 0..50 {
        assert!(client.call("blocked", json!({})).await.is_err());
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    proxy.signal("TERM");
    assert_eq!(proxy.wait(), Some(0));
    let record = lines(&reading.await.unwrap());
    let gaps = record.iter().filter(|line| line["event"] == "entries_dropped");
    assert!(gaps.map(|line| line["lines"].as_u64().unwrap()).sum::<u64>() > 0, "{}", record.len());
}
