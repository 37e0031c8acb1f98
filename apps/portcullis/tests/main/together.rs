//! Many clients at once on one gateway: nothing is lost, nothing is done twice, and the journal stays whole.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};
use testkit::{Era, ToolAnswer};

use crate::site::{Site, ends};

const CALLS: usize = 12;

fn act(token: &str) -> Value {
    json!({ "host": "web1", "command": format!("count-act {token}") })
}

/// `portcullis call` as the agent; returns its exit code and its answer.
fn cli(site: &Site, tool: &str, arguments: &Value) -> (i32, Value) {
    let words: Vec<String> = arguments
        .as_object()
        .unwrap()
        .iter()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap()))
        .collect();
    let mut all = vec!["call", tool, "--as", "agent", "--json"];
    all.extend(words.iter().map(String::as_str));
    let ran = site.installed.run(&all);
    (ran.exit, ran.json())
}

#[tokio::test(flavor = "multi_thread")]
async fn three_clients_on_stdio_two_over_http_and_the_command_line_at_once() {
    let site = Arc::new(Site::new());
    let gateway = site.serve();
    let mut tasks = Vec::new();
    for (name, era) in ["a", "b", "c"].into_iter().zip(Era::ALL) {
        let client = site.stdio(era).await;
        tasks.push(tokio::spawn(async move {
            for turn in 0..CALLS {
                let ran = client.call("ssh_execute", act(&format!("stdio-{name}-{turn}"))).await.unwrap();
                assert_eq!(ran.structured()["exit_code"], 0, "{ran:?}");
                let who = client.call("whoami", json!({})).await.unwrap();
                assert_eq!(who.structured()["principal"], "agent", "{who:?}");
            }
            let (status, said) = client.close().await;
            assert!(status.success(), "{status}: {said}");
        }));
    }
    for era in [Era::Modern, Era::Legacy("2025-11-25")] {
        let client = Arc::new(site.http(&gateway, era).await);
        for turn in 0..CALLS {
            let client = Arc::clone(&client);
            tasks.push(tokio::spawn(async move {
                let token = format!("http-{}-{turn}", era.version());
                let ran = client.call("ssh_execute", act(&token)).await.unwrap();
                assert_eq!(ran.structured()["exit_code"], 0, "{ran:?}");
            }));
        }
    }
    let operators = Arc::clone(&site);
    tasks.push(tokio::task::spawn_blocking(move || {
        for turn in 0..CALLS {
            let (exit, answer) = cli(&operators, "ssh_execute", &act(&format!("call-{turn}")));
            assert_eq!((exit, &answer["exit_code"]), (0, &0.into()), "{answer}");
        }
    }));
    for task in tasks {
        task.await.unwrap();
    }
    assert!(gateway.terminate().success());

    let acts = site.sshd.acts();
    let distinct: BTreeSet<&String> = acts.iter().collect();
    assert_eq!((acts.len(), distinct.len()), (6 * CALLS, 6 * CALLS), "{acts:?}");
    let journal = site.journal();
    // Probes of the shell are parts of calls.
    let whole = journal.iter().filter(|entry| entry["phase"] == "intent" && entry.get("parent").is_none());
    assert_eq!(whole.filter(|entry| entry["tool"] == "ssh_execute").count(), 6 * CALLS);
    let ends = ends(&journal);
    assert!(ends.values().all(|ends| *ends == 1), "{ends:?}");
    assert_eq!(site.verify()["orphans"], 0);
}

/// What a try with a handle came to: done, or the code of the refusal.
fn outcome(answer: &ToolAnswer) -> String {
    match answer.is_error() {
        false => "done".to_owned(),
        true => answer.structured()["code"].as_str().unwrap_or("no code").to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handle_that_many_try_at_once_is_used_once() {
    const HANDLES: usize = 6;
    let site = Arc::new(Site::new());
    let gateway = site.serve();
    let http = Arc::new(site.http(&gateway, Era::Modern).await);
    let clients = [
        Arc::new(site.stdio(Era::Modern).await),
        Arc::new(site.stdio(Era::Legacy("2025-11-25")).await),
        Arc::new(site.stdio(Era::Legacy("2025-03-26")).await),
    ];
    for round in 0..HANDLES {
        let taken =
            http.call("get_credential", json!({ "safe": "prod", "object_name": "web1" })).await.unwrap();
        let handle = taken.structured()["handle"].as_str().unwrap().to_owned();
        let token = format!("raced-{round}");
        let with_handle =
            json!({ "host": "web1", "command": format!("count-act {token}"), "secret_handle": handle });
        let mut tries = Vec::new();
        for client in &clients {
            for _ in 0..2 {
                let (client, arguments) = (Arc::clone(client), with_handle.clone());
                tries.push(tokio::spawn(async move {
                    outcome(&client.call("ssh_execute", arguments).await.unwrap())
                }));
            }
        }
        for _ in 0..2 {
            let (client, arguments) = (Arc::clone(&http), with_handle.clone());
            tries.push(tokio::spawn(async move {
                outcome(&client.call("ssh_execute", arguments).await.unwrap())
            }));
        }
        let operators = Arc::clone(&site);
        tries.push(tokio::task::spawn_blocking(move || {
            let (exit, answer) = cli(&operators, "ssh_execute", &with_handle);
            let refused = answer["code"].as_str().unwrap_or("no code").to_owned();
            if exit == 0 { "done".to_owned() } else { refused }
        }));
        let mut outcomes = Vec::new();
        for tried in tries {
            outcomes.push(tried.await.unwrap());
        }
        outcomes.sort();
        let done = outcomes.iter().filter(|outcome| *outcome == "done").count();
        let refused = outcomes.iter().filter(|outcome| *outcome == "handle_already_consumed").count();
        assert_eq!((done, refused), (1, outcomes.len() - 1), "{outcomes:?}");
        let acts = site.sshd.acts();
        assert_eq!(acts.iter().filter(|act| **act == token).count(), 1, "{acts:?}");
    }
    drop(clients);
    assert!(gateway.terminate().success());
    site.verify();
    let used =
        site.journal().into_iter().filter(|e| e["event"] == "ssh_executed" && e["handle_id"].is_string());
    let done: Vec<Value> = used.filter(|entry| entry["exit_code"] == 0).collect();
    assert_eq!(done.len(), HANDLES, "{done:#?}");
}
