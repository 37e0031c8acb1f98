//! The polite end, in the middle of calls.

use std::fs::File;
use std::io::Write as _;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use testkit::{Era, McpFailure, McpHttp, Portcullis, ToolAnswer, wait_until};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use super::book::Book;
use super::rig::{Rig, code};

const PATIENCE: Duration = Duration::from_secs(30);

type Answer = JoinHandle<Result<ToolAnswer, McpFailure>>;

/// A call that runs until its pipe is let go.
fn waiting_call(
    runtime: &Runtime,
    client: &Arc<McpHttp>,
    pipe: &Path,
    host: &str,
    handle: Option<&str>,
) -> Answer {
    let mut arguments = json!({ "host": host, "command": format!("cat {}", pipe.display()) });
    if let Some(handle) = handle {
        arguments["secret_handle"] = handle.into();
    }
    let client = Arc::clone(client);
    runtime.spawn(async move { client.call("ssh_execute", arguments).await })
}

/// The first signal: nobody new is let in.
fn ask_to_end(gateway: &Portcullis) {
    let address = gateway.url().replace("http://", "");
    let asked = Command::new("kill").args(["-TERM", &gateway.pid().to_string()]).status().unwrap();
    assert!(asked.success());
    wait_until("nobody new is let in", PATIENCE, || TcpStream::connect(&address).is_err());
}

#[test]
fn sigterm_lets_calls_end_and_writes_everything() {
    let (runtime, rig) = (Runtime::new().unwrap(), Rig::new());
    let mut book = Book::open(rig.installed.path("state/journal"));
    let gateway = rig.serve();
    let client = runtime.block_on(rig.client(&gateway, Era::Modern)).unwrap();
    let legacy = runtime.block_on(rig.client(&gateway, Era::Legacy("2025-06-18"))).unwrap();
    let issued = client.call("get_credential", json!({ "safe": "prod", "object_name": "web" }));
    let issued = runtime.block_on(issued).unwrap();
    let handle = issued.structured()["handle"].as_str();
    let pipes = ["one", "two", "three"].map(|name| rig.pipe(name));
    let calls = [
        waiting_call(&runtime, &client, &pipes[0], "web1", None),
        waiting_call(&runtime, &legacy, &pipes[1], "web2", None),
        waiting_call(&runtime, &client, &pipes[2], "web1", handle),
    ];
    let readers = pipes.each_ref().map(|pipe| Rig::reader(pipe));

    let pid = gateway.pid();
    ask_to_end(&gateway);
    assert!(runtime.block_on(rig.client(&gateway, Era::Modern)).is_err());
    for mut reader in readers {
        reader.write_all(b"said at the end\n").unwrap();
    }
    for call in calls {
        let answer = runtime.block_on(call).unwrap();
        let answer = answer.unwrap_or_else(|failure| panic!("{failure}: {}", gateway.log()));
        assert!(code(&answer) == "ok" && answer.text().contains("said at the end"), "{answer:?}");
    }
    wait_until("the gateway ends by itself", PATIENCE, || is_dead(pid));
    let log = gateway.log();
    let status = gateway.wait();
    assert!(status.success(), "{status}: {log}");
    rig.assert_nobody_owns_the_state();
    rig.assert_sound(&mut book);
    assert_eq!(book.entries.last().unwrap().event, "journal_closed");
    let verified = rig.installed.run(&["audit", "verify", "--json"]).json();
    assert_eq!(verified["anchored"].as_u64(), u64::try_from(book.entries.len()).ok(), "{verified}");

    // Nothing was left for the next start.
    drop(rig.serve());
    book.read_on();
    assert_eq!(book.count("orphan_closed"), 0);
}

#[test]
fn a_second_sigterm_does_not_wait_for_calls() {
    let (runtime, rig) = (Runtime::new().unwrap(), Rig::new());
    let mut book = Book::open(rig.installed.path("state/journal"));
    let gateway = rig.serve();
    let client = runtime.block_on(rig.client(&gateway, Era::Modern)).unwrap();
    let pipes = ["one", "two"].map(|name| rig.pipe(name));
    let calls = ["web1", "web2"]
        .iter()
        .zip(&pipes)
        .map(|(host, pipe)| waiting_call(&runtime, &client, pipe, host, None));
    let calls: Vec<Answer> = calls.collect();
    let _readers = pipes.each_ref().map(|pipe| Rig::reader(pipe));
    ask_to_end(&gateway);
    assert!(!is_dead(gateway.pid()), "it did not wait for its calls");
    let status = gateway.terminate();
    assert_eq!(status.code(), Some(2), "{status}");
    for call in calls {
        let answer = runtime.block_on(call).unwrap();
        assert!(answer.as_ref().map_or(true, ToolAnswer::is_error), "{answer:?}");
    }
    rig.assert_nobody_owns_the_state();
    let gateway = rig.serve();
    rig.assert_sound(&mut book);
    assert!(gateway.terminate().success());
}

#[test]
fn sigterm_waits_for_the_record_of_calls_whose_client_is_gone() {
    let (runtime, rig) = (Runtime::new().unwrap(), Rig::new());
    let mut book = Book::open(rig.installed.path("state/journal"));
    let gateway = rig.serve();
    let pipes: Vec<PathBuf> = (0..6).map(|number| rig.pipe(&format!("pipe-{number}"))).collect();
    let calls: Vec<Answer> = pipes
        .iter()
        .map(|pipe| {
            let client = runtime.block_on(rig.client(&gateway, Era::Modern)).unwrap();
            waiting_call(&runtime, &client, pipe, "web1", None)
        })
        .collect();
    let _readers: Vec<File> = pipes.iter().map(|pipe| Rig::reader(pipe)).collect();
    calls.iter().for_each(Answer::abort);
    assert!(gateway.terminate().success());
    rig.assert_sound(&mut book);
}

/// Gone, or only waiting for its parent to notice.
fn is_dead(pid: u32) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    state.is_empty() || state.contains(") Z ")
}
