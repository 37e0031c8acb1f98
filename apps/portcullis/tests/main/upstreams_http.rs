//! Third-party servers over HTTP behind the real binary: both eras, sessions, TLS, and servers that mean no good.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::{Era, HttpClient, HttpScript, HttpUpstream, McpHttp, Portcullis, TestCa, wait_until};

use crate::environment::Installed;
use crate::site::{ends, journal_of, verify};
use crate::upstreams::{ALL, RULES, client, private, ready, serve};

pub(crate) const LEGACY: HttpScript<'_> = HttpScript {
    modern: false,
    two_endpoints: None,
    token: None,
    tokens: None,
    issuer: None,
    tls: None,
    client_ca: None,
    port: None,
};
const MODERN: HttpScript<'_> = HttpScript { modern: true, ..LEGACY };

/// A gateway with these upstreams, each as its keys have it.
pub(crate) fn site(upstreams: &[String]) -> Installed {
    let installed = Installed::new();
    installed.edit("portcullis.toml", "calls_per_minute = 120", "calls_per_minute = 100000");
    installed.append("portcullis.toml", &upstreams.concat());
    installed.write("policy/ops.toml", RULES);
    installed
}

pub(crate) fn upstream(server: &HttpUpstream, name: &str, more: &str) -> String {
    format!("{}{ALL}\n{more}\n", server.toml(name))
}

/// Waits until the upstream of a client answers.
pub(crate) async fn works_again(client: &McpHttp, gateway: &Portcullis) {
    for _ in 0..600 {
        if !client.call("echo", json!({})).await.unwrap().is_error() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it does not come back: {}", gateway.log());
}

pub(crate) async fn health(gateway: &Portcullis) -> u16 {
    HttpClient::new(&gateway.url(), None).send("GET", "/health", &[], "").await.unwrap().status
}

async fn both(installed: &Installed, gateway: &Portcullis) -> (McpHttp, McpHttp) {
    let old = client(installed, gateway, "/old", Era::Modern).await;
    let new = client(installed, gateway, "/new", Era::Legacy("2025-06-18")).await;
    ready(&old, "echo").await;
    ready(&new, "echo").await;
    (old, new)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_over_http_is_asked_as_its_era_wants_with_our_credential_and_never_the_callers() {
    let token = Some("tok-4711-secret");
    let old = HttpUpstream::scripted(HttpScript { token, ..LEGACY });
    let new = HttpUpstream::scripted(HttpScript { token, ..MODERN });
    let auth = "auth = { bearer = { file = \"token\" } }\nheaders = { X-Team = \"blue\" }";
    let installed = site(&[upstream(&old, "old", auth), upstream(&new, "new", auth)]);
    // Stored as some stores do, with the word before it: it must not be sent twice.
    installed.write("token", "Bearer tok-4711-secret\n");
    private(&installed.path("token"));
    let gateway = serve(&installed);
    let (to_old, to_new) = both(&installed, &gateway).await;
    for (client, modern) in [(&to_old, false), (&to_new, true)] {
        let arguments = json!({ "z": 1, "text": "h\u{e9}", "a": [1, 2] });
        let heard = client.call("echo", arguments.clone()).await.unwrap();
        assert_eq!(heard.structured()["heard"], arguments);
        assert!(heard.text().contains("\"z\":1,\"text\""), "as it was written: {}", heard.text());

        let params = json!({ "name": "stream", "arguments": {}, "_meta": { "progressToken": "mine" } });
        let streamed = client.request("tools/call", &params).await.unwrap();
        assert_eq!(streamed["content"][0]["text"], "streamed");
        let told = client.take_notifications();
        let steps = told.iter().filter(|message| message["params"]["progressToken"] == "mine").count();
        assert!(steps >= 3, "{told:?}");

        // The headers hold the secret: what tells of it is withheld.
        let head = client.call("head", json!({})).await.unwrap();
        assert_eq!(head.structured()["code"], "secret_in_output", "{head:?}");
        let server = if modern { &new } else { &old };
        let (method, headers) = server.requests().pop().unwrap();
        assert_eq!((method.as_str(), &headers["x-team"]), ("POST", &json!("blue")));
        let session = headers["mcp-session-id"].as_str().unwrap_or_default().len();
        let said = (&headers["mcp-protocol-version"], &headers["mcp-method"], &headers["mcp-name"], session);
        let null = Value::Null;
        if modern {
            assert_eq!(said, (&json!("2026-07-28"), &json!("tools/call"), &json!("head"), 0));
        } else {
            assert_eq!(said, (&json!("2025-06-18"), &null, &null, 16));
        }
    }
    let sent = format!("{:?} {:?}", old.requests(), new.requests());
    assert!(!sent.contains(installed.key()), "the caller's own key ends at the gateway");
    assert!(sent.contains("Bearer tok-4711-secret") && !sent.contains("Bearer Bearer"));
    assert!(!gateway.log().contains("tok-4711-secret"));
    assert_eq!(gateway.terminate().code(), Some(0));
    assert!(old.requests().iter().any(|(method, _)| method == "DELETE"), "the session is ended");
    assert!(!serde_json::to_string(&journal_of(&installed)).unwrap().contains("tok-4711-secret"));
    verify(&installed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_over_http_that_misbehaves_harms_nothing_but_the_call() {
    let (old, new, elsewhere) =
        (HttpUpstream::scripted(LEGACY), HttpUpstream::scripted(MODERN), HttpUpstream::scripted(LEGACY));
    let installed =
        site(&[upstream(&old, "old", "timeout = \"5s\""), upstream(&new, "new", "timeout = \"5s\"")]);
    let gateway = serve(&installed);
    let (to_old, to_new) = both(&installed, &gateway).await;
    for client in [&to_old, &to_new] {
        for (tool, arguments, code) in [
            ("die", json!({}), "upstream.down"),
            ("cut", json!({}), "upstream.down"),
            ("redirect", json!({ "to": elsewhere.url("127.0.0.1") }), "target.protocol"),
            ("status", json!({ "status": 503 }), "target.protocol"),
            ("status", json!({ "status": 202 }), "target.protocol"),
            ("page", json!({}), "target.protocol"),
            ("oversized", json!({}), "target.protocol"),
            ("endless", json!({}), "target.protocol"),
            ("chatter", json!({}), "target.protocol"),
            ("hang", json!({}), "target.timeout"),
        ] {
            let answer = client.call(tool, arguments).await.unwrap();
            assert_eq!(answer.structured()["code"], code, "{tool}: {answer:?}");
            assert_eq!(answer.structured()["retry"], false, "{tool}: it may have been carried out");
            assert!(!client.call("echo", json!({})).await.unwrap().is_error(), "after {tool}");
        }
        assert_eq!(client.call("confuse", json!({})).await.unwrap().text(), "for you");
        let mut gone = "0".to_owned();
        for _ in 0..100 {
            gone = client.call("gone", json!({})).await.unwrap().text();
            if gone.parse::<u32>().unwrap() >= 3 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(gone.parse::<u32>().unwrap() >= 3, "who reads no more hangs up: {gone}");
    }
    assert_eq!(elsewhere.requests(), [], "nobody was sent elsewhere");
    assert_eq!(gateway.terminate().code(), Some(0));
    let journal = journal_of(&installed);
    assert_eq!(journal.iter().filter(|entry| entry["event"] == "upstream_started").count(), 2);
    assert!(ends(&journal).values().all(|ends| *ends == 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_session_is_made_anew_and_nobody_notices() {
    let old = HttpUpstream::scripted(LEGACY);
    let installed = site(&[upstream(&old, "old", "")]);
    let gateway = serve(&installed);
    let client = client(&installed, &gateway, "/old", Era::Modern).await;
    ready(&client, "grow").await;
    assert_eq!(client.call("forget", json!({})).await.unwrap().text(), "forgotten");
    let client = Arc::new(client);
    let mut calls = tokio::task::JoinSet::new();
    for n in 0..8 {
        let client = Arc::clone(&client);
        calls.spawn(async move { (n, client.call("slow", json!({ "who": n })).await.unwrap().text()) });
    }
    while let Some(call) = calls.join_next().await {
        let (n, text) = call.unwrap();
        assert_eq!(text, format!("slept for {n}"));
    }
    assert_eq!(gateway.terminate().code(), Some(0));
    let journal = journal_of(&installed);
    assert_eq!(journal.iter().filter(|entry| entry["event"] == "upstream_started").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_over_http_says_unasked_is_heard_in_both_eras() {
    let (old, new) = (HttpUpstream::scripted(LEGACY), HttpUpstream::scripted(MODERN));
    let installed = site(&[upstream(&old, "old", ""), upstream(&new, "new", "")]);
    let gateway = serve(&installed);
    let (to_old, to_new) = both(&installed, &gateway).await;
    for client in [&to_old, &to_new] {
        client.call("grow", json!({})).await.unwrap();
        ready(client, "grown").await;
    }
    drop(gateway);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_over_http_that_goes_away_is_down_alone_and_comes_back_by_itself() {
    let (mut old, new) = (HttpUpstream::scripted(LEGACY), HttpUpstream::scripted(MODERN));
    let installed = site(&[upstream(&old, "old", "required = true"), upstream(&new, "new", "")]);
    let gateway = serve(&installed);
    let (to_old, to_new) = both(&installed, &gateway).await;
    let slow = to_new.call("slow", json!({ "seconds": 1, "who": "me" }));
    old.kill();
    let gone = async {
        for _ in 0..200 {
            let answer = to_old.call("echo", json!({})).await.unwrap();
            assert_eq!(answer.structured()["code"], "upstream.down", "{answer:?}");
            if answer.text().contains("cannot be reached") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("nobody says why");
    };
    let (slept, ()) = tokio::join!(slow, gone);
    assert_eq!(health(&gateway).await, 503, "it is required");
    assert_eq!(slept.unwrap().text(), "slept for me");
    let _again = HttpUpstream::scripted(HttpScript { port: Some(old.port()), ..LEGACY });
    works_again(&to_old, &gateway).await;
    assert_eq!(health(&gateway).await, 200);
    drop(gateway);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_whom_we_believe_or_not_where_it_may_be_is_sent_nothing() {
    let (ours, theirs) = (TestCa::new(), TestCa::new());
    let folder = tempfile::tempdir().unwrap();
    let issue = |ca: &TestCa, file: &str, name: &str| ca.server(&[name]).write(folder.path(), file);
    let (cert, key) = issue(&ours, "right", "127.0.0.1");
    let (named, named_key) = issue(&ours, "named", "other.example");
    let (forged, forged_key) = issue(&theirs, "forged", "127.0.0.1");
    let authority = folder.path().join("ca.pem");
    std::fs::write(&authority, ours.pem()).unwrap();
    let tls = |cert, key| HttpScript { tls: Some((cert, key)), ..MODERN };
    let wants_ours = HttpScript { client_ca: Some(&authority), ..tls(&cert, &key) };
    let (right, wrong_name, wrong_authority, unshown) = (
        HttpUpstream::scripted(wants_ours),
        HttpUpstream::scripted(tls(&named, &named_key)),
        HttpUpstream::scripted(tls(&forged, &forged_key)),
        HttpUpstream::scripted(wants_ours),
    );
    let (blocked, elsewhere, locked) = (
        HttpUpstream::scripted(MODERN),
        HttpUpstream::scripted(MODERN),
        HttpUpstream::scripted(HttpScript { token: Some("right-token"), ..MODERN }),
    );
    let installed = site(&[]);
    installed.write("ca.pem", ours.pem());
    let own = ours.client(&["gateway.example"]);
    installed.write("own.pem", &own.cert);
    installed.write("own.key", &own.key);
    private(&installed.path("own.key"));
    let ca = "ca = \"ca.pem\"";
    let identity = format!("{ca}\nclient_cert = \"own.pem\"\nclient_key = \"own.key\"");
    installed.write("token", "wrong-token");
    private(&installed.path("token"));
    for (server, name, more) in [
        (&right, "new", identity.as_str()),
        (&wrong_name, "wrong-name", ca),
        (&wrong_authority, "wrong-authority", ca),
        (&unshown, "unshown", ca),
        (&blocked, "blocked", "networks = { block = [\"127.0.0.0/8\"] }"),
        (&elsewhere, "elsewhere", "networks = { allow = [\"10.0.0.0/8\"] }"),
        (&locked, "locked", "auth = { bearer = { file = \"token\" } }"),
    ] {
        installed.append("portcullis.toml", &upstream(server, name, more));
    }
    let gateway = serve(&installed);
    let client = client(&installed, &gateway, "/new", Era::Modern).await;
    ready(&client, "echo").await;
    assert!(!client.call("echo", json!({})).await.unwrap().is_error());
    for (name, why) in [
        ("wrong-name", "TLS failed"),
        ("wrong-authority", "TLS failed"),
        ("blocked", "unless `networks` of the upstream says so"),
        ("elsewhere", "unless `networks` of the upstream says so"),
        ("locked", "refuses the gateway's credential"),
    ] {
        wait_until(&format!("{name} is told: {}", gateway.log()), Duration::from_secs(30), || {
            gateway.log().lines().any(|line| line.contains(name) && line.contains(why))
        });
    }
    wait_until("a server that wants a certificate is down", Duration::from_secs(30), || {
        gateway.log().lines().any(|line| line.contains("unshown") && line.contains("does not run"))
    });
    for server in [&wrong_name, &wrong_authority, &unshown, &blocked, &elsewhere] {
        assert_eq!(server.requests(), [], "nothing was sent");
    }
    assert!(!gateway.log().contains("wrong-token"));
    drop(gateway);
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_over_http_that_others_made_work_behind_the_gate() {
    they_work(HttpUpstream::everything(), HttpUpstream::fast_mcp()).await;
}

/// These servers, for clients of both eras.
pub(crate) async fn they_work(everything: HttpUpstream, fast: HttpUpstream) {
    let installed = site(&[upstream(&everything, "everything", ""), upstream(&fast, "fast", "")]);
    let gateway = serve(&installed);
    for era in [Era::Modern, Era::Legacy("2025-11-25")] {
        let all = client(&installed, &gateway, "", era).await;
        for (tool, arguments, expected) in [
            ("everything__echo", json!({ "message": "hello" }), "hello"),
            ("everything__get-sum", json!({ "a": 2, "b": 40 }), "42"),
            ("fast__add", json!({ "a": 2, "b": 40 }), "42"),
        ] {
            ready(&all, tool).await;
            let answer = all.call(tool, arguments).await.unwrap();
            assert!(!answer.is_error() && answer.text().contains(expected), "{tool}: {answer:?}");
        }
    }
    assert_eq!(gateway.terminate().code(), Some(0));
    verify(&installed);
}

/// The head of a modern request repeats the address of a resource and the name of a prompt: a server that checks it is satisfied.
#[tokio::test(flavor = "multi_thread")]
async fn resources_and_prompts_pass_over_http_in_both_eras() {
    let (everything, fast) = (HttpUpstream::everything(), HttpUpstream::fast_mcp());
    let installed = site(&[upstream(&everything, "everything", ""), upstream(&fast, "fast", "")]);
    let more = "\n[[rule]]\nname = \"what they have\"\nallow = [\"resource:everything/**\", \"resource:fast/**\", \"prompt:everything/*\", \"prompt:fast/*\"]\nprincipals = [\"group:agents\"]\ntargets = [\"*\"]\n";
    installed.append("policy/ops.toml", more);
    let gateway = serve(&installed);
    for (name, tool) in [("everything", "echo"), ("fast", "add")] {
        for era in [Era::Modern, Era::Legacy("2025-11-25")] {
            let own = client(&installed, &gateway, &format!("/{name}"), era).await;
            ready(&own, tool).await;
            let listed = own.request("resources/list", &json!({})).await.unwrap();
            let uri = &listed["resources"][0]["uri"];
            let read = own.request("resources/read", &json!({ "uri": uri })).await.unwrap();
            assert_eq!(&read["contents"][0]["uri"], uri, "{read}");
            let listed = own.request("prompts/list", &json!({})).await.unwrap();
            let prompt = &listed["prompts"][0]["name"];
            let wanted = json!({ "name": prompt, "arguments": { "name": "Ada" } });
            let given = own.request("prompts/get", &wanted).await.unwrap();
            assert!(given["messages"][0]["content"]["text"].is_string(), "{given}");
        }
    }
    drop(gateway);
}
