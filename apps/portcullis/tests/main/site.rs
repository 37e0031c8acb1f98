//! A configured gateway in front of a real OpenSSH server, with everybody who may ask it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use testkit::{Era, McpHttp, McpStdio, Portcullis, Sshd, ToolAnswer};

use crate::environment::{Installed, Ran};

/// The binary under test.
pub(crate) fn binary() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_portcullis"))
}

/// What agents and the operator may do on `web1` in most tests.
pub(crate) const RULES: &str = r#"
[[rule]]
name = "operators run the gateway"
allow = ["operator:*"]
principals = ["group:operators"]
targets = ["*"]

[[rule]]
name = "look"
allow = ["ssh_execute"]
principals = ["group:agents", "group:operators"]
targets = ["tag:web"]
commands = ["id -un", "echo **", "sleep <int>", "count-act *", "cat **"]

[[rule]]
name = "may use the web credentials"
allow = ["get_credential"]
principals = ["group:agents", "group:operators"]
targets = ["tag:web"]
credentials = ["keystore:prod/*"]
"#;

/// An installed configuration, and the host `web1` that it declares.
pub(crate) struct Site {
    pub(crate) sshd: Sshd,
    pub(crate) installed: Installed,
}

impl Site {
    /// With a server whose account has a random password.
    pub(crate) fn new() -> Self {
        Self::of(Sshd::options().password_only().start())
    }

    /// `init`, the account's password in the keystore, the host in the inventory and in known_hosts, and [`RULES`].
    pub(crate) fn of(sshd: Sshd) -> Self {
        let site = Self::of_server(sshd);
        site.keep("prod/web1", site.sshd.password());
        site
    }

    fn of_server(sshd: Sshd) -> Self {
        let installed = Installed::new();
        installed.edit("portcullis.toml", "calls_per_minute = 120", "calls_per_minute = 100000");
        installed.write("known_hosts", &format!("{}\n", sshd.known_hosts_line()));
        installed.append("inventory.toml", &host("web1", sshd.port()));
        installed.write("policy/ops.toml", RULES);
        Self { sshd, installed }
    }

    /// The same with the server's client key, for servers that take no password.
    pub(crate) fn of_key(sshd: Sshd) -> Self {
        let site = Self::of_server(sshd);
        site.keep("prod/web1", site.sshd.client_key().pem().trim_end());
        site
    }

    /// Puts a secret of the server's account into the keystore.
    pub(crate) fn keep(&self, reference: &str, secret: &str) {
        let arguments = ["secret", "set", reference, "--username", self.sshd.user()];
        let set = self.installed.run_with_input(&arguments, &format!("{secret}\n"));
        assert_eq!(set.exit, 0, "{set:?}");
    }

    /// Starts the gateway.
    pub(crate) fn serve(&self) -> Portcullis {
        self.serve_with(&[])
    }

    /// Starts the gateway with more global arguments.
    pub(crate) fn serve_with(&self, more: &[&str]) -> Portcullis {
        self.serve_with_env(more, &[])
    }

    /// Starts the gateway with more global arguments and variables.
    pub(crate) fn serve_with_env(&self, more: &[&str], variables: &[(&str, &OsStr)]) -> Portcullis {
        Portcullis::serve_with_env(&binary(), &self.installed.path("portcullis.toml"), more, variables)
    }

    /// A client over HTTP with the agent's key.
    pub(crate) async fn http(&self, gateway: &Portcullis, era: Era) -> McpHttp {
        McpHttp::connect(&gateway.mcp(), Some(self.installed.key()), era).await.unwrap()
    }

    /// A client over `stdio`, acting as the agent, whether or not a gateway runs.
    pub(crate) async fn stdio(&self, era: Era) -> McpStdio {
        McpStdio::connect(self.stdio_command(&["--as", "agent"]), era).await.unwrap()
    }

    /// `portcullis --config FILE stdio ...`.
    pub(crate) fn stdio_command(&self, more: &[&str]) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(binary());
        command.arg("--config").arg(self.installed.path("portcullis.toml")).arg("stdio").args(more);
        command.env_remove("PORTCULLIS_CONFIG");
        command
    }

    /// The journal's entries, in order.
    pub(crate) fn journal(&self) -> Vec<Value> {
        journal_of(&self.installed)
    }

    /// Offline verification, which must find the journal whole, without open calls.
    pub(crate) fn verify(&self) -> Value {
        verify(&self.installed)
    }
}

/// An inventory entry on loopback, with the credential `keystore:prod/NAME`.
pub(crate) fn host(name: &str, port: u16) -> String {
    format!(
        "[hosts.{name}]\naddress = \"127.0.0.1\"\nport = {port}\ntags = [\"web\"]\n\
         credential = \"keystore:prod/{name}\"\ncredentials = [\"keystore:prod/*\"]"
    )
}

/// The journal must be whole, and every call in it must have ended.
pub(crate) fn verify(installed: &Installed) -> Value {
    let ran: Ran = installed.run(&["audit", "verify", "--json"]);
    assert_eq!(ran.exit, 0, "{ran:?}");
    let report = ran.json();
    assert_eq!(report["ok"], true, "{report}");
    report
}

/// The journal's entries, in order.
pub(crate) fn journal_of(installed: &Installed) -> Vec<Value> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(installed.path("state/journal"))
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "jsonl"));
    files.sort();
    let texts = files.iter().map(|file| std::fs::read_to_string(file).unwrap());
    texts
        .flat_map(|text| text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<_>>())
        .collect()
}

/// How many ends each intent has: every one must have exactly one.
pub(crate) fn ends(journal: &[Value]) -> BTreeMap<String, usize> {
    let id = |entry: &Value| entry["id"].as_str().unwrap_or_default().to_owned();
    let with = |phase| journal.iter().filter(move |entry| entry["phase"] == phase);
    let mut ends: BTreeMap<String, usize> = with("intent").map(|entry| (id(entry), 0)).collect();
    for entry in with("complete").chain(with("closed")) {
        if let Some(count) = ends.get_mut(&id(entry)) {
            *count += 1;
        }
    }
    ends
}

/// A client over one of the ways in.
pub(crate) enum Client {
    Http(McpHttp),
    Stdio(McpStdio),
    Socket(Socket),
}

impl Client {
    pub(crate) async fn tools(&mut self) -> Vec<String> {
        let tools = match self {
            Self::Http(client) => client.list_tools().await.unwrap(),
            Self::Stdio(client) => client.list_tools().await.unwrap(),
            Self::Socket(client) => client.ask("tools/list", &json!({}))["tools"].as_array().unwrap().clone(),
        };
        tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
    }

    pub(crate) async fn call(&mut self, tool: &str, arguments: Value) -> ToolAnswer {
        match self {
            Self::Http(client) => client.call(tool, arguments).await.unwrap(),
            Self::Stdio(client) => client.call(tool, arguments).await.unwrap(),
            Self::Socket(client) => {
                ToolAnswer(client.ask("tools/call", &json!({ "name": tool, "arguments": arguments })))
            }
        }
    }

    /// Every byte it was sent, standard error of a child included; ends it.
    pub(crate) async fn end(self) -> Vec<u8> {
        match self {
            Self::Http(client) => client.received(),
            Self::Stdio(client) => {
                let (mut received, garbage) = (client.received(), client.take_garbage());
                assert_eq!(garbage, Vec::<String>::new(), "standard output is the protocol's alone");
                let (status, said) = client.close().await;
                assert!(status.success(), "{status}: {said}");
                received.extend(said.into_bytes());
                received
            }
            Self::Socket(client) => client.received,
        }
    }
}

/// A client of the agent socket itself, byte by byte.
pub(crate) struct Socket {
    to: UnixStream,
    from: BufReader<UnixStream>,
    received: Vec<u8>,
    id: u64,
}

impl Socket {
    pub(crate) fn connect(path: &Path) -> Self {
        let to = UnixStream::connect(path).unwrap();
        let from = BufReader::new(to.try_clone().unwrap());
        Self { to, from, received: Vec::new(), id: 0 }
    }

    /// A request of 2026-07-28, and its result.
    pub(crate) fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.id += 1;
        let mut params = params.clone();
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": { "name": "socket", "version": "1" },
        });
        let request = json!({ "jsonrpc": "2.0", "id": self.id, "method": method, "params": params });
        writeln!(self.to, "{request}").unwrap();
        loop {
            let mut line = String::new();
            assert_ne!(self.from.read_line(&mut line).unwrap(), 0, "the gateway hung up on `{method}`");
            self.received.extend(line.as_bytes());
            let message: Value = serde_json::from_str(&line).unwrap();
            if message["id"] == self.id {
                assert!(message.get("result").is_some(), "{message}");
                return message["result"].clone();
            }
        }
    }
}
