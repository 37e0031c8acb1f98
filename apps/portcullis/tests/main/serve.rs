//! A running gateway, and everybody who asks it.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use serde_json::{Value, json};

use crate::environment::{Installed, portcullis};

#[test]
fn verbs_reach_the_running_gateway_and_it_ends_in_good_order() {
    let installed = Installed::new();
    for command in ["health", "reload"] {
        let ran = installed.run(&[command]);
        assert_eq!(ran.exit, 2, "{ran:?}");
        assert!(ran.err.contains("portcullis serve"), "{ran:?}");
    }
    let serving = installed.serve();
    assert_eq!(installed.run(&["health", "--json"]).json()["status"], "ok");
    assert!(installed.run(&["whoami"]).out.contains("operator"));
    let second = installed.run(&["serve"]);
    assert_eq!(second.exit, 2, "{second:?}");
    assert!(second.err.contains("owned by another process"), "{second:?}");
    serving.signal("TERM");
    assert_eq!(serving.wait(), 0, "{}", installed.read("serve.log"));
    assert!(!installed.path("state/control.sock").exists());
    let verified = installed.run(&["audit", "verify"]);
    assert_eq!(verified.exit, 0, "{verified:?}");
}

#[test]
fn a_reload_is_all_or_nothing() {
    let installed = Installed::new();
    let serving = installed.serve();
    assert!(installed.run(&["reload"]).out.contains("Nothing has changed"));
    installed.append("inventory.toml", "[hosts.web1]\naddress = \"192.0.2.1\"");
    let changed = installed.run(&["reload", "--json"]);
    assert_eq!(changed.json()["changed"], true, "{changed:?}");
    assert!(installed.run(&["target", "list"]).out.contains("web1"));

    installed.append("inventory.toml", "[hosts.web2]\nprot = 22");
    let refused = installed.run(&["reload"]);
    assert_eq!(refused.exit, 1, "{refused:?}");
    assert!(refused.err.contains("inventory.toml:") && refused.err.contains("prot"), "{refused:?}");
    // What was in force is, and the gateway can be asked although its files are broken.
    assert!(installed.run(&["target", "list"]).out.contains("web1"));
    // A hangup does the same, and a broken file does not end anything.
    serving.signal("HUP");
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(installed.run(&["health"]).exit, 0, "{}", installed.read("serve.log"));
}

#[test]
fn watched_files_are_taken_over_unasked() {
    let installed = Installed::new();
    installed.edit("portcullis.toml", "inventory = ", "watch = true\ninventory = ");
    let _serving = installed.serve();
    installed.append("inventory.toml", "[hosts.web1]\naddress = \"192.0.2.1\"");
    let listed = crate::environment::patiently(|| {
        let listed = installed.run(&["target", "list"]).out;
        listed.contains("web1").then_some(listed)
    });
    assert!(listed.is_some(), "{}", installed.read("serve.log"));
}

#[test]
fn the_first_signal_waits_for_what_is_under_way_and_the_second_does_not() {
    let installed = Installed::new();
    // A host that accepts and never says a word.
    let host = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = host.local_addr().unwrap().port();
    installed.append(
        "inventory.toml",
        &format!("[hosts.web1]\naddress = \"127.0.0.1\"\nport = {port}\ntags = [\"web\"]\ncredential = \"keystore:prod/web1\""),
    );
    installed.run_with_input(&["secret", "set", "prod/web1", "--username", "root"], "correct-horse-9f2c1e77");
    let serving = installed.serve();
    let mut client = Client::start(&installed, &["--as", "agent"]);
    let call = json!({"name": "ssh_execute", "arguments": {"host": "web1", "command": "uptime"}});
    client.send(&json!({"jsonrpc": "2.0", "id": "slow", "method": "tools/call", "params": call}));
    let (_connection, _) = host.accept().unwrap();
    serving.signal("INT");
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert!(serving.is_running(), "{}", installed.read("serve.log"));
    serving.signal("INT");
    assert_eq!(serving.wait(), 2, "{}", installed.read("serve.log"));
    // The call that was cut off is closed by the next owner, which is the client's own process if it is quicker.
    assert_eq!(installed.run(&["whoami"]).exit, 0);
    let verified = installed.run(&["audit", "verify", "--json"]);
    assert_eq!((verified.exit, verified.json()["orphans"].as_u64()), (0, Some(0)), "{verified:?}");
}

/// One MCP client over `stdio`.
struct Client {
    child: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
    id: u64,
}

impl Client {
    fn start(installed: &Installed, more: &[&str]) -> Self {
        let mut child = portcullis(&installed.path("."))
            .arg("stdio")
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (to, from) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        let mut client = Self { child, to, from, id: 0 };
        let hello = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}});
        let answer = client.ask("initialize", hello);
        assert_eq!(answer["result"]["protocolVersion"], "2025-11-25", "{answer}");
        client.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        client
    }

    fn send(&mut self, message: &Value) {
        writeln!(self.to.as_mut().unwrap(), "{message}").unwrap();
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.id += 1;
        self.send(&json!({"jsonrpc": "2.0", "id": self.id, "method": method, "params": params}));
        loop {
            let mut line = String::new();
            assert_ne!(self.from.read_line(&mut line).unwrap(), 0, "it ended: {:?}", self.child.wait());
            let message: Value = serde_json::from_str(&line).unwrap();
            if message["id"] == self.id {
                return message;
            }
        }
    }

    fn whoami(&mut self) -> String {
        let answer = self.ask("tools/call", json!({"name": "whoami", "arguments": {}}));
        answer["result"]["structuredContent"]["principal"]
            .as_str()
            .unwrap_or_else(|| panic!("{answer}"))
            .to_owned()
    }

    fn end(mut self) -> i32 {
        drop(self.to.take());
        self.child.wait().unwrap().code().unwrap_or(-1)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn clients_on_stdio_share_the_running_gateway() {
    let installed = Installed::new();
    let serving = installed.serve();
    let mut clients: Vec<Client> = (0..3).map(|_| Client::start(&installed, &[])).collect();
    for client in &mut clients {
        assert_eq!(client.whoami(), "operator");
    }
    let mut agent = Client::start(&installed, &["--as", "agent"]);
    assert_eq!(agent.whoami(), "agent");
    assert_eq!(agent.end(), 0);
    for client in clients {
        assert_eq!(client.end(), 0);
    }
    serving.signal("TERM");
    assert_eq!(serving.wait(), 0);
    assert_eq!(installed.run(&["audit", "verify"]).exit, 0);
}

#[test]
fn without_a_gateway_one_client_owns_the_state_and_the_next_takes_over() {
    let installed = Installed::new();
    let mut first = Client::start(&installed, &[]);
    let mut second = Client::start(&installed, &[]);
    assert_eq!((first.whoami(), second.whoami()), ("operator".to_owned(), "operator".to_owned()));
    // Operators' verbs reach whoever owns the state.
    assert_eq!(installed.run(&["health"]).exit, 0);
    assert_eq!(first.end(), 0);
    assert_eq!(second.whoami(), "operator");
    assert_eq!(installed.run(&["health"]).exit, 0);
    assert_eq!(second.end(), 0);
    let verified = installed.run(&["audit", "verify"]);
    assert_eq!(verified.exit, 0, "{verified:?}");
}

#[test]
fn the_agent_socket_carries_mcp_for_local_users() {
    let installed = Installed::new();
    installed.edit(
        "portcullis.toml",
        "metrics = \"off\"",
        "metrics = \"off\"\nsocket = { path = \"mcp.sock\", mode = \"0600\" }",
    );
    let serving = installed.serve();
    assert!(installed.path("mcp.sock").exists());
    let mut client = Client::start(&installed, &[]);
    assert_eq!(client.whoami(), "operator");
    assert_eq!(client.end(), 0);
    serving.signal("TERM");
    assert_eq!(serving.wait(), 0);
    assert!(!installed.path("mcp.sock").exists());
}
