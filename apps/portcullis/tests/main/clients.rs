//! The clients that people use, on the real gateway.

use serde_json::json;
use testkit::{Server, ThirdParty};

use crate::site::Site;

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
