//! An operator starts an upstream anew.

use serde_json::json;
use testkit::{Era, UpstreamServer};

use super::{ALL, client, ready, serve, site};
use crate::site::{journal_of, verify};

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_upstream_is_another_process_at_once_and_others_go_on() {
    let server = UpstreamServer::ScriptedLegacy;
    let installed = site(&[(server, "old", ALL), (UpstreamServer::ScriptedModern, "new", ALL)]);
    installed.append(
        "portcullis.toml",
        "[[upstream]]\nname = \"gone\"\ncommand = [\"/nonexistent/server\"]\ntools = []\nsandbox = \"off\"\n",
    );
    let gateway = serve(&installed);
    let all = client(&installed, &gateway, "", Era::Modern).await;
    let process = async |tool: &str| all.call(tool, json!({})).await.unwrap().text();
    for tool in ["old__process", "new__process"] {
        ready(&all, tool).await;
    }
    let (before, other) = (process("old__process").await, process("new__process").await);
    let restarted = installed.run(&["upstream", "restart", "old", "--json"]);
    assert_eq!(restarted.exit, 0, "{restarted:?}");
    assert_eq!(restarted.json()["ready"], true, "{restarted:?}");
    assert_ne!(process("old__process").await, before, "it is another one");
    assert_eq!(process("new__process").await, other, "nothing happened to this one");
    let running = std::path::Path::new("/proc").join(&before).exists();
    assert!(!running, "the one before has ended");

    let unknown = installed.run(&["upstream", "restart", "nothing"]);
    assert!(unknown.exit == 2 && unknown.err.contains("there is no upstream `nothing`"), "{unknown:?}");
    let gone = installed.run(&["upstream", "restart", "gone"]);
    assert_eq!(gone.exit, 2, "{gone:?}");
    assert!(gone.out.contains("`/nonexistent/server` cannot be started"), "{gone:?}");
    assert_eq!(gateway.terminate().code(), Some(0));
    let journal = journal_of(&installed);
    let asked = journal.iter().filter(|entry| {
        entry["event"] == "upstream_ended" && entry["reason"] == "an operator starts it anew"
    });
    assert_eq!(asked.count(), 1);
    assert!(journal.iter().any(|entry| entry["tool"] == "operator:upstream-restart"));
    verify(&installed);
}
