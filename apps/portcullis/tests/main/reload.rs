//! Changed files taken over while everybody works.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use testkit::{Era, McpHttp, ToolAnswer, wait_until};

use crate::site::{RULES, Site, ends};

const PATIENCE: Duration = Duration::from_secs(60);

/// [`RULES`], with one rule more for the command `echo turn WORD`, and without the general `echo`.
fn rules(word: &str) -> String {
    let steady = RULES.replace("\"echo **\"", "\"echo steady\"");
    format!(
        "{steady}\n[[rule]]\nname = \"turn {word}\"\nallow = [\"ssh_execute\"]\nprincipals = [\"group:agents\"]\n\
         targets = [\"tag:web\"]\ncommands = [\"echo turn {word}\"]\n"
    )
}

fn run(command: &str) -> serde_json::Value {
    json!({ "host": "web1", "command": command })
}

/// Whether the call was done; a denial because rules changed in its midst may be tried again, anything else fails.
fn done(answer: &ToolAnswer) -> bool {
    if !answer.is_error() {
        assert_eq!(answer.structured()["exit_code"], 0, "{answer:?}");
        return true;
    }
    assert_eq!(answer.structured()["code"], "denied.policy_changed", "{answer:?}");
    false
}

/// A call that is decided, whatever else happens.
async fn decided(client: &McpHttp, command: &str) -> ToolAnswer {
    loop {
        let answer = client.call("ssh_execute", run(command)).await.unwrap();
        if answer.structured()["code"] != "denied.policy_changed" {
            return answer;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_change_under_load_and_no_call_is_lost() {
    let site = Arc::new(Site::new());
    site.installed.write("policy/ops.toml", &rules("one"));
    let gateway = site.serve();
    let (stop, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut load = Vec::new();
    for era in [Era::Modern, Era::Legacy("2025-11-25"), Era::Legacy("2025-06-18")] {
        let client = site.http(&gateway, era).await;
        let (stop, served) = (Arc::clone(&stop), Arc::clone(&served));
        load.push(tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                if done(&client.call("ssh_execute", run("echo steady")).await.unwrap()) {
                    served.fetch_add(1, Ordering::Relaxed);
                }
            }
        }));
    }
    let relayed = site.stdio(Era::Modern).await;
    let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&served));
    load.push(tokio::spawn(async move {
        while !stopped.load(Ordering::Relaxed) {
            if done(&relayed.call("ssh_execute", run("echo steady")).await.unwrap()) {
                counted.fetch_add(1, Ordering::Relaxed);
            }
        }
    }));
    let some_more = || {
        let before = served.load(Ordering::Relaxed);
        wait_until("calls under load went on", PATIENCE, || served.load(Ordering::Relaxed) >= before + 8);
    };
    let client = site.http(&gateway, Era::Modern).await;
    let asked = async |word: &str| decided(&client, &format!("echo turn {word}")).await;

    some_more();
    assert!(!asked("one").await.is_error());
    let mut last = "one".to_owned();
    for turn in ["two", "three", "four"] {
        assert_eq!(asked(turn).await.structured()["code"], "denied.command");
        site.installed.write("policy/ops.toml", &rules(turn));
        let reloaded = site.installed.run(&["reload", "--json"]);
        assert_eq!((reloaded.exit, &reloaded.json()["changed"]), (0, &true.into()), "{reloaded:?}");
        assert!(!asked(turn).await.is_error());
        assert_eq!(asked(&last).await.structured()["code"], "denied.command");
        some_more();
        turn.clone_into(&mut last);
    }

    // A broken file changes nothing, whoever asks for it.
    site.installed
        .write("policy/ops.toml", &format!("{}\n[[rule]]\nname = \"x\"\ncolour = 1\n", rules("five")));
    let line = site.installed.read("policy/ops.toml").lines().count();
    let refused = site.installed.run(&["reload"]);
    assert_eq!(refused.exit, 1, "{refused:?}");
    assert!(
        refused.err.contains(&format!("policy/ops.toml:{line}:1")) && refused.err.contains("colour"),
        "{refused:?}"
    );
    gateway.hang_up();
    wait_until("the hangup was answered in the log", PATIENCE, || gateway.log().contains("not taken over"));
    assert!(!asked("four").await.is_error());
    assert_eq!(asked("five").await.structured()["code"], "denied.command");
    some_more();

    // A hangup takes a good one over.
    site.installed.write("policy/ops.toml", &rules("five"));
    gateway.hang_up();
    let mut answer = asked("five").await;
    for _ in 0..2000 {
        if !answer.is_error() {
            break;
        }
        answer = asked("five").await;
    }
    assert!(!answer.is_error(), "the hangup had no effect: {answer:?}");
    some_more();
    stop.store(true, Ordering::Relaxed);
    for task in load {
        task.await.unwrap();
    }
    assert!(gateway.terminate().success());
    let journal = site.journal();
    let reloads = journal.iter().filter(|entry| entry["event"] == "config_reloaded").count();
    assert!(reloads >= 4, "{reloads} reloads are in the journal");
    assert!(ends(&journal).values().all(|ends| *ends == 1));
    site.verify();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_under_way_outlives_a_reload_that_still_permits_it() {
    let site = Site::new();
    let gateway = site.serve();
    let client = Arc::new(site.http(&gateway, Era::Modern).await);
    let caller = Arc::clone(&client);
    let slow = tokio::spawn(async move {
        caller.call("ssh_execute", run("count-act started && sleep 2 && echo whole")).await.unwrap()
    });
    wait_until("the slow command started", PATIENCE, || site.sshd.acts() == ["started"]);
    site.installed.append("inventory.toml", "[hosts.web2]\naddress = \"192.0.2.7\"");
    assert_eq!(site.installed.run(&["reload"]).exit, 0);
    let answer = slow.await.unwrap();
    assert_eq!(answer.structured()["stdout"], "whole\n", "{answer:?}");
    assert!(gateway.terminate().success());
    site.verify();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_is_a_strangers_and_ends_its_sessions() {
    let site = Site::new();
    let told = site.installed.run(&["key", "new", "second", "--json"]).json();
    let (key, line) = (told["key"].as_str().unwrap().to_owned(), told["toml"].as_str().unwrap().to_owned());
    let other = site.installed.run(&["key", "new", "second", "--json"]).json();
    let (new_key, new_line) = (other["key"].as_str().unwrap(), other["toml"].as_str().unwrap());
    site.installed
        .append("portcullis.toml", &format!("[[principal]]\nid = \"second\"\ngroups = [\"agents\"]\n{line}"));
    let gateway = site.serve();
    let legacy = McpHttp::connect(&gateway.mcp(), Some(&key), Era::Legacy("2025-11-25")).await.unwrap();
    let modern = McpHttp::connect(&gateway.mcp(), Some(&key), Era::Modern).await.unwrap();
    let session = legacy.session().unwrap().to_owned();
    assert!(!legacy.call("whoami", json!({})).await.unwrap().is_error());
    let mut stream = listening(&gateway.url(), &key, &session);

    // The principal stays, with another key.
    site.installed.edit("portcullis.toml", &line, new_line);
    assert_eq!(site.installed.run(&["reload"]).exit, 0);
    for failure in [
        legacy.call("whoami", json!({})).await.unwrap_err(),
        modern.call("whoami", json!({})).await.unwrap_err(),
        McpHttp::connect(&gateway.mcp(), Some(&key), Era::Legacy("2025-03-26")).await.err().unwrap(),
    ] {
        assert_eq!(failure.status(), Some(401), "{failure}");
    }
    let ended = tokio::task::spawn_blocking(move || {
        // A stream that goes on says that it lives a few times a minute.
        (0..4).any(|_| stream.read(&mut [0; 1024]).is_ok_and(|read| read == 0))
    });
    assert!(ended.await.unwrap(), "a revoked key's stream ends");
    // Nobody goes on with that session, not even under the principal's new key.
    let fresh = McpHttp::connect(&gateway.mcp(), Some(new_key), Era::Legacy("2025-11-25")).await.unwrap();
    let body = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/list" });
    let mut headers = fresh.headers(&body);
    headers.retain(|(name, _)| *name != "mcp-session-id");
    headers.push(("mcp-session-id", session));
    let answer = fresh.raw(&headers, body.to_string()).await.unwrap();
    assert_eq!(answer.status, 404, "{}", answer.text());
    assert!(!fresh.call("whoami", json!({})).await.unwrap().is_error());
    assert!(gateway.terminate().success());
    site.verify();
}

/// A `GET` stream of a session, after its headers; reading it ends at the latest after a minute.
fn listening(url: &str, key: &str, session: &str) -> TcpStream {
    let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!(
        "GET /mcp HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\nX-API-Key: {key}\r\n\
         Mcp-Session-Id: {session}\r\nMCP-Protocol-Version: 2025-11-25\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        assert_eq!(stream.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&head));
        head.extend(byte);
    }
    assert!(head.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&head));
    stream
}
