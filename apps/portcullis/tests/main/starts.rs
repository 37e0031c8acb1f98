//! What is started comes from the operator's files, whoever asks and however (CVE-2026-42271, CVE-2026-30623).

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;

use serde_json::{Value, json};
use testkit::{Era, UpstreamServer};

use crate::environment::Installed;
use crate::site::journal_of;
use crate::upstreams::{ALL, RULES, client, names, ready, serve};

#[tokio::test(flavor = "multi_thread")]
async fn programs_that_are_started_are_named_in_the_operators_files_alone() {
    let installed = Installed::new();
    installed.append("portcullis.toml", &format!("{}{ALL}\n", UpstreamServer::ScriptedLegacy.toml("old")));
    installed.write("policy/ops.toml", RULES);
    let marker = installed.path("started-by-a-caller");
    let wanted = json!({
        "name": "mine",
        "upstream": "old",
        "command": ["/usr/bin/env", "touch", marker],
        "args": [marker],
        "env": { "PATH": "/bin" },
        "url": "http://169.254.169.254/",
    });
    let gateway = serve(&installed);
    let agent = client(&installed, &gateway, "", Era::Modern).await;
    ready(&agent, "old__echo").await;
    // Those that only show what they were told may do so; the others of that server hang or die, which is not asked for here.
    let ours = names(&agent).await.into_iter().filter(|name| !name.contains("__"));
    let made_up =
        ["upstream_add", "test_connection", "operator:upstream-add", "operator:reload", "old__echo"];
    for tool in ours.chain(made_up.map(str::to_owned)) {
        let answer = agent.call(&tool, wanted.clone()).await.unwrap();
        assert!(answer.is_error() || tool == "old__echo", "{tool}: {answer:?}");
    }

    let mut operator = UnixStream::connect(installed.path("state/control.sock")).unwrap();
    let mut replies = BufReader::new(operator.try_clone().unwrap()).lines();
    for verb in [
        "upstream-list",
        "upstream-tools",
        "upstream-diff",
        "upstream-accept",
        "upstream-add",
        "upstream-test",
        "reload",
        "health",
        "target-test",
    ] {
        writeln!(operator, "{}", json!({ "verb": verb, "arguments": wanted })).unwrap();
        let reply: Value = serde_json::from_str(&replies.next().unwrap().unwrap()).unwrap();
        assert_ne!(reply["exit"], 0, "{verb}: {reply}");
    }
    assert_eq!(gateway.terminate().code(), Some(0));
    assert!(!marker.exists());
    let journal = journal_of(&installed);
    let started: Vec<&Value> = journal.iter().filter(|entry| entry["event"] == "upstream_started").collect();
    assert_eq!(started.len(), 1, "{started:?}");
}
