//! Whoever has no business here: every route there is, and every message that is none.

use mcp::{ROUTES, RouteOf};
use serde_json::{Value, json};
use testkit::{Era, HttpAnswer, HttpClient, McpFailure, Portcullis, UpstreamServer};

use crate::environment::Installed;
use crate::site::Site;

const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "FROB"];
const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{"name":"x","version":"1"}}}}"#;
const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"x","version":"1"}}}"#;

/// Words that stand for data: of the host, the tools, the principals, the gateway itself.
const DATA: [&str; 7] = ["web1", "ssh_execute", "agent", "operator", "keystore", "serverInfo", "portcullis/"];

/// Keys that are none, or nobody's.
fn wrong_keys(key: &str) -> Vec<Vec<(&'static str, String)>> {
    let other = format!("{}{}", &key[..key.len() - 1], if key.ends_with('A') { 'B' } else { 'A' });
    vec![
        vec![],
        vec![("x-api-key", String::new())],
        vec![("x-api-key", other.clone())],
        vec![("x-api-key", key[..11].to_owned())],
        vec![("x-api-key", format!("{key}x"))],
        vec![("authorization", format!("Bearer {other}"))],
        vec![("authorization", format!("Basic {key}"))],
        vec![("x-api-key", key.to_owned()), ("authorization", format!("Bearer {other}"))],
    ]
}

struct Knock<'a> {
    http: HttpClient,
    metrics: HttpClient,
    key: &'a str,
}

impl<'a> Knock<'a> {
    fn at(gateway: &Portcullis, key: &'a str) -> Self {
        let metrics = format!("http://{}", gateway.metrics().unwrap());
        Self { http: HttpClient::new(&gateway.url(), None), metrics: HttpClient::new(&metrics, None), key }
    }

    async fn send(&self, on: RouteOf, method: &str, path: &str, more: &[(&str, String)]) -> HttpAnswer {
        let client = match on {
            RouteOf::Mcp => &self.http,
            RouteOf::Metrics => &self.metrics,
        };
        let mut headers = vec![
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
            ("mcp-protocol-version", "2026-07-28"),
            ("mcp-method", "tools/list"),
        ];
        headers.extend(more.iter().map(|(name, value)| (*name, value.as_str())));
        client.send(method, path, &headers, LIST).await.unwrap()
    }

    fn known(&self, more: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
        let more = more.iter().map(|(name, value)| (*name, (*value).to_owned()));
        std::iter::once(("x-api-key", self.key.to_owned())).chain(more).collect()
    }
}

fn with_metrics() -> Site {
    let site = Site::new();
    site.installed.edit("portcullis.toml", "metrics = \"off\"", "metrics = \"127.0.0.1:0\"");
    let upstream = UpstreamServer::ScriptedLegacy.toml("an-upstream");
    site.installed.append("portcullis.toml", &format!("{upstream}tools = []\n"));
    site
}

fn no_data(answer: &HttpAnswer, what: &str) {
    let said = format!("{:?}{}", answer.headers, answer.text());
    for word in DATA {
        assert!(!said.contains(word), "{what}: `{word}` in {said}");
    }
}

#[tokio::test]
async fn every_route_is_closed_to_strangers() {
    let site = with_metrics();
    let gateway = site.serve();
    let knock = Knock::at(&gateway, site.installed.key());
    let mut failures = 0;
    for (on, methods, path, open) in ROUTES {
        for method in METHODS {
            for keys in wrong_keys(knock.key) {
                let answer = knock.send(*on, method, path, &keys).await;
                let what = format!("{method} {path} with {keys:?}: {} {}", answer.status, answer.text());
                // With a key `/health` would tell more, so a wrong one there is a failure, too.
                failures += usize::from(*path == "/health" && methods.contains(&method) && !keys.is_empty());
                match (*open, methods.contains(&method)) {
                    (true, true) => assert_eq!(answer.status, 200, "{what}"),
                    (true, false) => assert_eq!(answer.status, 405, "{what}"),
                    (false, _) => {
                        failures += 1;
                        assert!(answer.status == 401 || (failures > 60 && answer.status == 429), "{what}");
                    }
                }
                if *path == "/health" && method == "GET" {
                    assert_eq!(answer.text(), r#"{"status":"ok"}"#, "{what}");
                }
                no_data(&answer, &what);
            }
        }
    }
    assert!(failures > 200, "{failures} attempts");
    // The same with the right key is let in, whatever strangers did: a test of a closed door needs one that opens.
    for (on, methods, path, _) in ROUTES {
        let method = methods[0];
        let answer = knock.send(*on, method, path, &knock.known(&[])).await;
        assert_eq!(answer.status, 200, "{method} {path}: {}", answer.text());
    }
    assert!(gateway.terminate().success());
    let journal = site.journal();
    assert!(journal.iter().any(|entry| entry["event"] == "auth_failure"));
    assert!(
        !journal.iter().any(|entry| entry["phase"] == "intent"
            && entry["transport"] == "http"
            && entry["event"] != "tools_list"),
        "{journal:#?}"
    );
    site.verify();
}

#[tokio::test]
async fn every_route_wants_its_own_name() {
    let site = with_metrics();
    let gateway = site.serve();
    let knock = Knock::at(&gateway, site.installed.key());
    let strange: [(&'static str, &str); 7] = [
        ("host", "evil.example"),
        ("host", "localhost.evil.example"),
        ("host", "10.0.0.1"),
        ("host", "127.0.0.1@evil.example"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("origin", "http://localhost.evil.example"),
    ];
    for (on, _, path, _) in ROUTES {
        for method in METHODS {
            for header in strange {
                let answer = knock.send(*on, method, path, &knock.known(&[header])).await;
                let what = format!("{method} {path} with {header:?}: {} {}", answer.status, answer.text());
                if *path == "/health" {
                    assert!([200, 405].contains(&answer.status), "{what}");
                } else {
                    assert!([400, 403].contains(&answer.status), "{what}");
                }
                no_data(&answer, &what);
            }
        }
    }
}

#[tokio::test]
async fn what_is_no_route_is_not_there() {
    let site = with_metrics();
    let gateway = site.serve();
    let knock = Knock::at(&gateway, site.installed.key());
    let elsewhere = [
        (RouteOf::Mcp, "/metrics"),
        (RouteOf::Mcp, "/"),
        (RouteOf::Mcp, "/mcp/"),
        (RouteOf::Mcp, "/mcp/nothing"),
        (RouteOf::Mcp, "/mcp/ssh/more"),
        (RouteOf::Mcp, "/MCP"),
        (RouteOf::Mcp, "//mcp"),
        (RouteOf::Mcp, "/mcp/../mcp"),
        (RouteOf::Mcp, "/mcp%2Fssh"),
        (RouteOf::Mcp, "/console"),
        (RouteOf::Mcp, "/health/x"),
        (RouteOf::Metrics, "/mcp"),
        (RouteOf::Metrics, "/health"),
        (RouteOf::Metrics, "/metrics/"),
    ];
    for (on, path) in elsewhere {
        for method in METHODS {
            for headers in [vec![], knock.known(&[])] {
                let answer = knock.send(on, method, path, &headers).await;
                let what = format!("{method} {path}: {} {}", answer.status, answer.text());
                assert!([401, 404].contains(&answer.status), "{what}");
                no_data(&answer, &what);
            }
        }
    }
}

#[test]
fn a_listener_that_others_reach_needs_authentication() {
    let cases = [
        ("127.0.0.1:0\"", "0.0.0.0:0\"", true, "0.0.0.0:0"),
        ("127.0.0.1:0\"", "[::]:0\"", true, "[::]:0"),
        // Behind a proxy the way is safe, but nobody could say who they are.
        (
            "http = \"127.0.0.1:0\"",
            "http = \"0.0.0.0:0\"\nbehind_proxy = true\ntrusted_proxies = [\"127.0.0.1/32\"]",
            false,
            "no principal",
        ),
    ];
    for (from, to, with_key, told) in cases {
        let installed = Installed::new();
        installed.edit("portcullis.toml", from, to);
        if !with_key {
            let text = installed.read("portcullis.toml");
            let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("api_key")).collect();
            installed.write("portcullis.toml", &lines.join("\n"));
        }
        for verb in ["serve", "check"] {
            let ran = installed.run(&[verb]);
            assert_eq!(ran.exit, 1, "{to}: {ran:?}");
            assert!(ran.err.contains(told) && ran.err.contains("portcullis.toml:"), "{to}: {ran:?}");
        }
        assert!(!installed.path("state/control.sock").exists());
    }
}

/// Messages that are none, with an answer that says so.
const MALFORMED: [&str; 12] = [
    "",
    "x",
    "{",
    "null",
    "[]",
    "{}",
    r#"{"jsonrpc":"1.0","id":1,"method":"tools/list"}"#,
    r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"tools/list"}"#,
    r#"{"jsonrpc":"2.0","id":{},"method":"tools/list"}"#,
    r#"{"jsonrpc":"2.0","id":1,"method":7}"#,
    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/list\",\"params\":\"\u{0}\"}",
    r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":[]}"#,
];

fn deep() -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}{}}}"#,
        "[".repeat(5000),
        "]".repeat(5000)
    )
}

#[tokio::test]
async fn a_malformed_message_ends_only_its_own_request() {
    let site = Site::new();
    let gateway = site.serve();
    for era in Era::ALL {
        let client = site.http(&gateway, era).await;
        let headers = client.headers(&json!({ "method": "tools/list" }));
        for bad in MALFORMED.map(str::to_owned).into_iter().chain([deep()]) {
            let answer = client.raw(&headers, bad.clone()).await.unwrap();
            assert!(
                (400..500).contains(&answer.status),
                "{era:?} {bad:.80}: {} {}",
                answer.status,
                answer.text()
            );
            assert!(!client.call("whoami", json!({})).await.unwrap().is_error(), "after {bad:.80}");
        }
    }
    let client = site.stdio(Era::Modern).await;
    let slow = client.call("ssh_execute", json!({ "host": "web1", "command": "sleep 1 && echo whole" }));
    let others = async {
        for bad in MALFORMED.map(str::to_owned).into_iter().chain([deep()]) {
            client.raw(bad.as_bytes()).await.unwrap();
            assert!(!client.call("whoami", json!({})).await.unwrap().is_error(), "after {bad:.80}");
        }
    };
    let (slow, ()) = tokio::join!(slow, others);
    assert_eq!(slow.unwrap().structured()["stdout"], "whole\n");
    let answers = client.take_others();
    assert!(answers.iter().all(|answer| answer["error"]["code"].is_i64()), "{answers:?}");
    assert!(answers.len() >= 8, "{answers:?}");
    assert_eq!(client.take_garbage(), Vec::<String>::new());
}

#[tokio::test]
async fn batches_and_oversized_bodies_are_refused_in_every_era() {
    let site = Site::new();
    let gateway = site.serve();
    let calls = |id: u64| json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": { "name": "ssh_execute", "arguments": { "host": "web1", "command": "count-act batched" } } });
    for era in Era::ALL {
        let client = site.http(&gateway, era).await;
        let headers = client.headers(&calls(1));
        let batch = Value::from(vec![calls(1), calls(2)]).to_string();
        let answer = client.raw(&headers, batch.clone()).await.unwrap();
        assert_eq!(answer.status, 400, "{era:?}: {}", answer.text());
        let error: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(error["error"]["code"], -32600, "{era:?}: {error}");

        let mut large = calls(1);
        large["params"]["arguments"]["command"] = "x".repeat(5 << 20).into();
        match client.raw(&headers, large.to_string()).await {
            Ok(answer) => assert_eq!(answer.status, 413, "{era:?}: {}", answer.text()),
            // The answer can be lost when the server closes on a client that still sends.
            Err(failure) => assert!(matches!(failure, McpFailure::Broken(_)), "{failure}"),
        }
        assert!(!client.call("whoami", json!({})).await.unwrap().is_error());

        let stdio = site.stdio(era).await;
        stdio.raw(batch.as_bytes()).await.unwrap();
        assert!(!stdio.call("whoami", json!({})).await.unwrap().is_error());
        let others = stdio.take_others();
        assert_eq!(others.len(), 1, "{others:?}");
        assert_eq!(others[0]["error"]["code"], -32600, "{others:?}");
    }
    let knock = HttpClient::new(&gateway.url(), None);
    let declared = [
        ("x-api-key", site.installed.key()),
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
    ];
    let answer = knock
        .send("POST", "/mcp", &declared, INITIALIZE.replace("\"x\"", &format!("\"{}\"", "x".repeat(5 << 20))))
        .await;
    assert!(answer.is_err() || answer.is_ok_and(|answer| answer.status == 413));
    assert_eq!(site.sshd.acts(), Vec::<String>::new());
}
