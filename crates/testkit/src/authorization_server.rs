//! An OAuth authorization server for client credentials: one that others made, or one that means no good.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::daemon::Daemon;
use crate::machine::{free_port, tools, wait_until};

/// A server on loopback; ends when dropped. Its client is `gateway`.
pub struct AuthorizationServer {
    port: u16,
    daemon: Daemon,
    folder: tempfile::TempDir,
}

impl AuthorizationServer {
    /// The client's secret.
    pub const SECRET: &'static str = "s3cret+of%the:gateway";

    /// One that is made with `authlib` from PyPI; its tokens are good for so many seconds.
    pub fn honest(life: u64) -> Self {
        Self::start("honest", life, "")
    }

    /// One that does what the word says: see `servers/authorization_server.py`. It would like the secret to be sent elsewhere.
    pub fn hostile(mode: &str, elsewhere: &str) -> Self {
        Self::start(mode, 60, elsewhere)
    }

    fn start(mode: &str, life: u64, elsewhere: &str) -> Self {
        let (port, folder) = (free_port(), tempfile::tempdir().expect("a temporary folder"));
        let mut command = Command::new(tools().join("python-fastmcp/bin/python"));
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("servers/authorization_server.py");
        command.arg(script).args([&port.to_string(), mode, &life.to_string()]);
        command.env("SECRET", Self::SECRET).env("ELSEWHERE", elsewhere);
        command.env("LOG", folder.path().join("requests")).env("TOKENS", folder.path().join("tokens"));
        std::fs::write(folder.path().join("tokens"), "").expect("the folder is ours");
        let mut daemon = Daemon::spawn(&mut command, &folder.path().join("log"));
        wait_until("the authorization server did not listen", Duration::from_secs(60), || {
            assert!(daemon.ended().is_none(), "the authorization server ended: {}", daemon.log());
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        Self { port, daemon, folder }
    }

    /// What it calls itself.
    pub fn issuer(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The file with the tokens that are good, one on a line.
    pub fn tokens_file(&self) -> PathBuf {
        self.folder.path().join("tokens")
    }

    /// The tokens that are good.
    pub fn tokens(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.tokens_file()).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// No token that was given is good any more.
    pub fn revoke(&self) {
        std::fs::write(self.tokens_file(), "").expect("the folder is ours");
    }

    /// Every request: method and path, and what was asked, without the secret.
    pub fn requests(&self) -> Vec<(String, Value)> {
        let log = std::fs::read_to_string(self.folder.path().join("requests")).unwrap_or_default();
        let request = |line: &str| {
            let (what, asked) = line.split_once(' ')?;
            Some((what.to_owned(), serde_json::from_str(asked).ok()?))
        };
        log.lines().filter_map(request).collect()
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        self.daemon.kill();
    }
}
