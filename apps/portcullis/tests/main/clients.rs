//! The clients that people use, on the real gateway.

use serde_json::json;
use testkit::{Era, Server, ThirdParty, UpstreamServer};

use crate::environment::Installed;
use crate::site::{Site, verify};
use crate::upstreams::{client, ready, serve};

fn run_all(with: impl Fn(ThirdParty) + Sync) {
    std::thread::scope(|scope| {
        let threads = ThirdParty::ALL.map(|client| {
            scope.spawn({
                let with = &with;
                move || with(client)
            })
        });
        let failed: Vec<_> = threads.into_iter().filter_map(|thread| thread.join().err()).collect();
        assert!(failed.is_empty(), "{} of the clients failed", failed.len());
    });
}

fn lists_and_calls(site: &Site, client: ThirdParty, server: &Server) {
    let listed = client.list(server);
    assert!(listed.succeeded && !listed.unauthorised, "{client:?}: {}", listed.output);
    if let Some(tools) = &listed.tools {
        for tool in ["get_credential", "ssh_execute", "whoami"] {
            assert!(tools.iter().any(|listed| listed == tool), "{client:?}: {tools:?}");
        }
    } else {
        assert_eq!(client, ThirdParty::ClaudeCode, "{}", listed.output);
    }
    if client.calls() {
        let called = client.call(server, "ssh_execute", &json!({ "host": "web1", "command": "id -un" }));
        assert!(called.succeeded, "{client:?}: {}", called.output);
        let answer = called.answer.as_ref().unwrap().to_string();
        assert!(answer.contains(site.sshd.user()), "{client:?}: {answer}");
    }
}

/// How many commands the journal has for agents that came this way.
fn executed(site: &Site, transport: &str) -> usize {
    let journal = site.journal();
    journal
        .iter()
        .filter(|e| e["event"] == "ssh_executed" && e["phase"] == "complete" && e["transport"] == transport)
        .count()
}

#[test]
fn over_http_with_a_key() {
    let site = Site::new();
    let gateway = site.serve();
    let server = Server::Http { url: gateway.mcp(), key: site.installed.key().to_owned() };
    run_all(|client| lists_and_calls(&site, client, &server));
    assert!(gateway.terminate().success());
    assert_eq!(executed(&site, "http"), 5);
    site.verify();
}

#[test]
fn over_stdio() {
    let site = Site::new();
    let gateway = site.serve();
    let server = Server::stdio(&site.stdio_command(&["--as", "agent"]));
    run_all(|client| lists_and_calls(&site, client, &server));
    assert!(gateway.terminate().success());
    assert_eq!(executed(&site, "stdio"), 5);
    site.verify();
}

#[test]
fn a_wrong_key_is_told_and_nothing_is_called() {
    let site = Site::new();
    let gateway = site.serve();
    let other = site.installed.run(&["key", "new", "nobody", "--json"]).json();
    let server = Server::Http { url: gateway.mcp(), key: other["key"].as_str().unwrap().to_owned() };
    run_all(|client| {
        let listed = client.list(&server);
        assert!(!listed.succeeded && listed.unauthorised, "{client:?}: {}", listed.output);
        if client.calls() {
            let called = client.call(&server, "ssh_execute", &json!({ "host": "web1", "command": "id -un" }));
            assert!(!called.succeeded, "{client:?}: {}", called.output);
        }
    });
    assert!(gateway.terminate().success());
    let journal = site.journal();
    assert!(
        !journal.iter().any(|entry| entry["transport"] == "http" && entry["event"] != "auth_failure"),
        "{journal:#?}"
    );
    assert_eq!(site.sshd.logins(), 0);
}

/// The clients that people use, and the servers that people use, with the gateway between them.
#[tokio::test(flavor = "multi_thread")]
async fn servers_that_others_made_are_used_by_clients_that_others_made() {
    let shared = tempfile::tempdir().unwrap();
    std::fs::write(shared.path().join("note.txt"), "a note").unwrap();
    let shared = shared.path().to_str().unwrap();
    let installed = Installed::new();
    installed.edit("portcullis.toml", "calls_per_minute = 120", "calls_per_minute = 100000");
    for (server, name, more) in [
        (UpstreamServer::Everything, "everything", None),
        (UpstreamServer::Filesystem, "files", Some(shared)),
        (UpstreamServer::FastMcp, "fast", None),
    ] {
        let declared = server.declared(name, more.as_slice());
        let keys = "tools = \"*\"\npin = \"off\"\nsandbox = \"off\"\n";
        installed.append("portcullis.toml", &format!("{declared}{keys}"));
    }
    let rule = "\n[[rule]]\nname = \"all of them\"\nallow = [\"upstream:everything\", \"upstream:files\", \"upstream:fast\"]\n\
                principals = [\"group:agents\"]\ntargets = [\"*\"]\n";
    installed.append("policy/ops.toml", rule);
    let gateway = serve(&installed);
    let calls = [
        ("everything", "echo", json!({ "message": "it passes" }), "it passes"),
        ("files", "read_text_file", json!({ "path": format!("{shared}/note.txt") }), "a note"),
        ("fast", "add", json!({ "a": 2, "b": 40 }), "42"),
    ];
    let all = client(&installed, &gateway, "", Era::Modern).await;
    for (upstream, tool, ..) in &calls {
        ready(&all, &format!("{upstream}__{tool}")).await;
    }
    let server = |path: &str| Server::Http {
        url: format!("{}{path}", gateway.mcp()),
        key: installed.key().to_owned(),
    };
    run_all(|client| {
        let among_others = client.list(&server(""));
        assert!(among_others.succeeded, "{client:?}: {}", among_others.output);
        for (upstream, tool, arguments, expected) in &calls {
            let prefixed = format!("{upstream}__{tool}");
            let alone = client.list(&server(&format!("/{upstream}")));
            assert!(alone.succeeded, "{client:?} {upstream}: {}", alone.output);
            for (listed, name) in [(&among_others, prefixed.as_str()), (&alone, *tool)] {
                let sees = listed.tools.as_ref().is_none_or(|tools| tools.iter().any(|tool| tool == name));
                assert!(sees, "{client:?} {name}: {}", listed.output);
            }
            if client.calls() {
                for (path, name) in [(String::new(), prefixed.as_str()), (format!("/{upstream}"), *tool)] {
                    let called = client.call(&server(&path), name, arguments);
                    let answer = called.answer.as_ref().map(ToString::to_string).unwrap_or_default();
                    assert!(
                        called.succeeded && answer.contains(expected),
                        "{client:?} {path} {name}: {}",
                        called.output
                    );
                }
            }
        }
    });
    assert!(gateway.terminate().success());
    let journal = crate::site::journal_of(&installed);
    let calls = journal.iter().filter(|entry| {
        entry["phase"] == "complete" && entry["tool"].as_str().is_some_and(|tool| tool.contains("__"))
    });
    assert_eq!(calls.count(), 5 * 3 * 2, "each client that calls, each server, both ways");
    verify(&installed);
}
