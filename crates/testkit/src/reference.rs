//! A small MCP server made by others, against which our own clients are tested.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::clients::Server;
use crate::daemon::Daemon;
use crate::machine::{free_port, tools, wait_until};

/// The Python package's server over HTTP, with the tools `whoami` and `echo` and one API key; ends when dropped.
pub struct ReferenceServer {
    url: String,
    _daemon: Daemon,
    _folder: tempfile::TempDir,
}

impl ReferenceServer {
    /// The key it takes.
    pub const KEY: &str = "reference-key";

    /// Starts it; it answers when this returns.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let port = free_port();
        let (python, script) = files();
        let mut command = std::process::Command::new(python);
        command.arg(script).args(["http", &port.to_string(), Self::KEY]);
        let mut daemon = Daemon::spawn(&mut command, &folder.path().join("log"));
        wait_until("the reference server did not listen", Duration::from_secs(60), || {
            assert!(daemon.ended().is_none(), "the reference server ended: {}", daemon.log());
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        Self { url: format!("http://127.0.0.1:{port}/mcp"), _daemon: daemon, _folder: folder }
    }

    /// Its endpoint.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The endpoint with this key, for third-party clients.
    pub fn with_key(&self, key: &str) -> Server {
        Server::Http { url: self.url.clone(), key: key.to_owned() }
    }

    /// The same server as a child process.
    pub fn command() -> tokio::process::Command {
        let (python, script) = files();
        let mut command = tokio::process::Command::new(python);
        command.arg(script).arg("stdio");
        command
    }
}

fn files() -> (PathBuf, PathBuf) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients/reference_server.py");
    (tools().join("python/bin/python"), script)
}
