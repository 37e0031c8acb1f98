//! One client on standard input and output.

use std::process::Stdio;

use serde_json::{Value, json};
use testkit::{Era, HttpScript, HttpUpstream, McpFailure, McpStdio, TestCa, UpstreamServer};

use super::{LOCAL, Place, THEIR_TOOLS, allow, in_path, lines, program, stdio_upstream, text};

const OLD: Era = Era::Legacy("2025-03-26");

fn names(tools: &[Value]) -> Vec<&str> {
    tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect()
}

fn error(failure: McpFailure) -> (i64, String, Value) {
    match failure {
        McpFailure::Rpc { code, message, data, .. } => (code, message, data),
        other @ (McpFailure::Http { .. } | McpFailure::Broken(_)) => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_sees_and_calls_what_is_listed_and_everything_it_tries_is_recorded() {
    let listed = ["given_up", "slow", "echo", "environment", "nowhere", "*", "refuse"];
    let place = Place::new(&format!("{}{LOCAL}{}", stdio_upstream(), allow(&listed)));
    let client = McpStdio::connect(place.tokio("proxy"), OLD).await.unwrap();
    let capabilities = client.hello()["capabilities"].as_object().unwrap();
    assert_eq!(capabilities.keys().collect::<Vec<_>>(), ["tools"], "tools and nothing else");
    assert_eq!(client.hello()["protocolVersion"], "2025-03-26");
    assert!(client.hello()["instructions"].is_null());

    let tools = client.list_tools().await.unwrap();
    assert_eq!(names(&tools), ["echo", "environment", "slow", "refuse", "given_up"], "in its order");
    assert!(tools.iter().all(|tool| tool["x-vendor"]["z"] == 1), "definitions as they are: {tools:?}");
    let heard = client.call("echo", json!({ "message": "hello" })).await.unwrap();
    assert_eq!(heard.structured()["heard"]["message"], "hello");
    for blocked in ["die", "Echo", "echo ", "ECHO", "", "e\u{301}cho", "echo\u{0}", "**"] {
        let refused = error(client.call(blocked, json!({ "x": "arg-secret" })).await.unwrap_err());
        let shown = blocked.replace('\0', "\u{fffd}");
        assert_eq!(refused, (-32601, format!("tool '{shown}' is not in the allowed list"), Value::Null));
    }
    // Listed, but the server has none of that name.
    assert!(client.call("nowhere", json!({})).await.unwrap().is_error());
    // The server's own error keeps its number.
    assert_eq!(error(client.call("refuse", json!({})).await.unwrap_err()).0, -32602);

    for (method, list) in [
        ("resources/list", "resources"),
        ("prompts/list", "prompts"),
        ("resources/templates/list", "resourceTemplates"),
    ] {
        assert_eq!(client.request(method, &json!({})).await.unwrap()[list], json!([]), "{method}");
    }
    for (method, params) in [
        ("resources/read", json!({ "uri": "note://open/a" })),
        ("prompts/get", json!({ "name": "greet" })),
        ("resources/subscribe", json!({ "uri": "note://open/a" })),
        ("resources/unsubscribe", json!({ "uri": "note://open/a" })),
        ("nothing/known", json!({})),
    ] {
        assert!(client.request(method, &params).await.is_err(), "{method}");
    }
    assert_eq!(client.request("ping", &json!({})).await.unwrap(), json!({}));

    // Progress comes, with the client's own token.
    let params = json!({ "name": "slow", "arguments": {}, "_meta": { "progressToken": "mine" } });
    client.request("tools/call", &params).await.unwrap();
    let told = client.take_others();
    assert!(told.iter().any(|message| message["params"]["progressToken"] == "mine"), "{told:?}");

    // The program has the environment that it had, but for what is ours.
    let environment = client.call("environment", json!({})).await.unwrap();
    assert_eq!(environment.structured()["code"], "secret_in_output", "A_TOKEN is in it: {environment:?}");

    // What is no message is answered, and ends nothing.
    client.raw(b"this is no message").await.unwrap();
    assert_eq!(client.list_tools().await.unwrap().len(), 5);
    assert!(client.take_garbage().is_empty(), "nothing but the protocol on standard output");
    let (status, log) = client.close().await;
    assert_eq!(status.code(), Some(0), "{log}");

    let record = lines(&log);
    let called = |name: &str| {
        let of = |line: &&Value| line["event"] == "tool_call" && line["tool_name"] == name;
        record.iter().filter(of).map(|line| line["allowed"].as_bool().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(
        (called("echo"), called("die"), called("echo "), called("")),
        (vec![true], vec![false], vec![false], vec![false])
    );
    assert_eq!(
        (called("e\u{301}cho"), called("slow"), called("nowhere")),
        (vec![false], vec![true], vec![false])
    );
    let list = record.iter().find(|line| line["event"] == "tools_list").unwrap();
    assert_eq!((&list["tools_upstream"], &list["tools_returned"]), (&json!(THEIR_TOOLS), &json!(5)));
    for line in &record {
        assert_eq!((&line["session_id"], &line["upstream"]), (&json!("1"), &json!("python3")), "{line}");
        assert_ne!(line["event"], "agent_connected", "never on standard input and output");
    }
    assert!(!log.contains("arg-secret") && !log.contains("hunter2"), "no arguments, no secrets: {log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_that_everybody_tries_first_works_as_before() {
    let server = program(&UpstreamServer::Everything.command());
    let place = Place::new(&format!("{server}{LOCAL}{}", allow(&["echo", "get-sum"])));
    for era in [OLD, Era::Legacy("2025-06-18"), Era::Modern] {
        let client = McpStdio::connect(place.tokio("proxy"), era).await.unwrap();
        assert_eq!(names(&client.list_tools().await.unwrap()), ["echo", "get-sum"]);
        assert!(
            client.call("echo", json!({ "message": "hi there" })).await.unwrap().text().contains("hi there")
        );
        assert!(client.call("get-sum", json!({ "a": 3, "b": 4 })).await.unwrap().text().contains('7'));
        assert_eq!(error(client.call("get-env", json!({})).await.unwrap_err()).0, -32601);
        let (status, log) = client.close().await;
        assert_eq!(status.code(), Some(0), "{log}");
        let record = lines(&log);
        let env = record.iter().find(|line| line["tool_name"] == "get-env").unwrap();
        assert_eq!((&env["allowed"], &env["upstream"]), (&json!(false), &json!("node")));
    }
}

#[test]
fn a_server_that_cannot_be_had_is_exit_2_with_the_reason() {
    let none = "[upstream]\nurl = \"stdio\"\ncommand = [\"no-such-program-4711\"]\n";
    let gone = format!("[upstream]\nurl = \"stdio\"\ncommand = [\"{}\", \"7\"]\n", in_path("false"));
    for (upstream, why) in [(none, "no-such-program-4711"), (gone.as_str(), "exit status: 1")] {
        let place = Place::new(&format!("{upstream}{LOCAL}{}", allow(&["echo"])));
        let ran = place.run("proxy");
        let told = text(&ran.stderr);
        assert_eq!((ran.status.code(), text(&ran.stdout).as_str()), (Some(2), ""), "{told}");
        let line = told.lines().find(|line| line.starts_with("Error: ")).unwrap();
        let start = "Error: proxy runtime error: failed to connect to upstream MCP server: ";
        assert!(line.starts_with(start) && line.contains(why), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_runs_where_the_proxy_was_started_and_a_signal_ends_both() {
    let script = UpstreamServer::ScriptedLegacy.command();
    let place = Place::new("");
    std::fs::copy(&script[1], place.path("server.py")).unwrap();
    let words = [script[0].clone(), "server.py".to_owned(), "legacy".to_owned()];
    place.write(&format!("{}{LOCAL}{}", program(&words), allow(&["process", "environment"])));
    for signal in ["TERM", "INT"] {
        let mut command = place.tokio("proxy");
        command.env_remove("A_TOKEN");
        let client = McpStdio::connect(command, OLD).await.unwrap();
        let environment = client.call("environment", json!({})).await.unwrap().text();
        let inherited = environment.contains("\"INHERITED\": \"yes\"");
        assert!(inherited && !environment.contains("PORTCULLIS"), "{environment}");
        let server = client.call("process", json!({})).await.unwrap().text();
        let pid = client.pid().unwrap().to_string();
        std::process::Command::new("kill").args([&format!("-{signal}"), &pid]).status().unwrap();
        let (status, log) = client.close().await;
        assert_eq!(status.code(), Some(0), "{signal}: {log}");
        assert!(!std::path::Path::new(&format!("/proc/{server}")).exists(), "the server ended, too");
    }
}

#[test]
fn what_it_writes_goes_with_it_and_it_needs_no_folder_of_its_own() {
    let place = Place::new(&format!("{}{LOCAL}{}", stdio_upstream(), allow(&["echo"])));
    let given = tempfile::tempdir().unwrap();
    // As in a unit that may write nowhere: what is in memory is left.
    for (variable, folder) in [("RUNTIME_DIRECTORY", given.path()), ("TMPDIR", "/proc".as_ref())] {
        let ran = place.command("proxy").env(variable, folder).stdin(Stdio::null()).output().unwrap();
        // A client that says nothing is a client that is done.
        let told = text(&ran.stderr);
        assert_eq!((ran.status.code(), text(&ran.stdout).as_str()), (Some(0), ""), "{told}");
    }
    assert_eq!(std::fs::read_dir(given.path()).unwrap().count(), 0, "nothing is left behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_over_https_gets_its_token_once_and_none_where_there_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let ca = TestCa::new();
    let (cert, key) = ca.server(&["localhost"]).write(folder.path(), "server");
    let authority = folder.path().join("ca.pem");
    std::fs::write(&authority, ca.pem()).unwrap();
    for token in [Some("tok-4711-secret"), None] {
        let tls = Some((cert.as_path(), key.as_path()));
        let server = HttpUpstream::scripted(HttpScript { token, tls, ..HttpScript::default() });
        let auth = token.map(|token| format!("[upstream.auth]\ntype = \"bearer\"\ntoken = \"{token}\"\n"));
        let place = Place::new(&format!(
            "[upstream]\nurl = \"{}\"\n{}{LOCAL}{}",
            server.url("localhost"),
            auth.unwrap_or_default(),
            allow(&["echo"])
        ));
        let mut command = place.tokio("proxy");
        command.env("SSL_CERT_FILE", &authority);
        let client = McpStdio::connect(command, OLD).await.unwrap();
        assert!(!client.call("echo", json!({ "a": 1 })).await.unwrap().is_error());
        let (status, log) = client.close().await;
        assert_eq!(status.code(), Some(0), "{log}");
        assert!(!log.contains("tok-4711-secret"));
        assert_eq!(
            lines(&log).iter().find(|line| line["tool_name"] == "echo").unwrap()["upstream"],
            "localhost"
        );
        for (_, headers) in server.requests() {
            let sent = headers.get("authorization").and_then(Value::as_str);
            assert_eq!(sent, token.map(|token| format!("Bearer {token}")).as_deref());
        }

        // Another authority's server is nobody.
        let stranger = place.command("proxy").stdin(Stdio::null()).output();
        let stranger = stranger.unwrap();
        assert_eq!(stranger.status.code(), Some(2), "{}", text(&stranger.stderr));
    }
}
