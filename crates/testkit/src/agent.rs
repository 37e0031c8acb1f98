//! A real ssh-agent.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::daemon::Daemon;
use crate::keys::KeyPair;
use crate::machine::{program, run, wait_until};

/// A running ssh-agent; ends when dropped.
pub struct SshAgent {
    socket: PathBuf,
    daemon: Daemon,
    _folder: TempDir,
}

impl SshAgent {
    /// Starts one that holds `key`.
    pub fn start(key: &KeyPair) -> Self {
        let folder =
            tempfile::Builder::new().prefix("portcullis-agent-").tempdir().expect("a temporary folder");
        let socket = folder.path().join("agent.sock");
        let daemon = Daemon::spawn(
            Command::new(program("ssh-agent")).arg("-D").arg("-a").arg(&socket),
            &folder.path().join("log"),
        );
        wait_until("ssh-agent did not open its socket", Duration::from_secs(10), || socket.exists());
        let agent = Self { socket, daemon, _folder: folder };
        agent.add(key);
        agent
    }

    /// Its socket, for `SSH_AUTH_SOCK`.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Hands it another key.
    pub fn add(&self, key: &KeyPair) {
        run(Command::new(program("ssh-add")).env("SSH_AUTH_SOCK", &self.socket).arg("-q").arg(key.path()));
    }

    /// Makes it forget all keys.
    pub fn forget_all(&self) {
        run(Command::new(program("ssh-add")).env("SSH_AUTH_SOCK", &self.socket).arg("-q").arg("-D"));
    }

    /// Ends it; its socket then refuses.
    pub fn stop(&mut self) {
        self.daemon.kill();
    }
}
