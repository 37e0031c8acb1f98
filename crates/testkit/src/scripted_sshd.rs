//! An SSH server that logs people in as it is told to: PyPI's asyncssh, at the version pinned in `servers/`.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::daemon::Daemon;
use crate::keys::{KeyKind, KeyPair};
use crate::machine::{tools, wait_until};

/// What never comes of a channel that sticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sticks {
    /// The answer to its opening.
    Open,
    /// The answer to its command, which is not run.
    Reply,
    /// Anything after that answer: the command is not run, and the channel is never closed.
    End,
    /// Its close, although output and exit status of the command come.
    Close,
}

/// How it is to behave; see [`ScriptedSshd::options`].
#[derive(Debug, Clone)]
pub struct ScriptedSshdOptions {
    orders: Value,
    host_key: KeyKind,
}

/// A running asyncssh server; ends when dropped.
pub struct ScriptedSshd {
    daemon: Daemon,
    port: u16,
    host_key: KeyPair,
    client_key: KeyPair,
    _folder: TempDir,
}

impl ScriptedSshdOptions {
    /// The methods it has, of `password`, `keyboard-interactive` and `publickey`; all of them if none is named.
    #[must_use]
    pub fn methods(self, methods: &[&str]) -> Self {
        self.order("methods", json!(methods))
    }

    /// What keyboard-interactive asks, round by round: each question, and whether the answer is shown. Every answer must
    /// be the password. One question, `Password: `, if nothing is said.
    #[must_use]
    pub fn rounds(self, rounds: &[&[(&str, bool)]]) -> Self {
        self.order("rounds", json!(rounds))
    }

    /// Takes user certificates that this key has signed.
    #[must_use]
    pub fn authority(self, key: &KeyPair) -> Self {
        self.order("authority", json!(format!("{}.pub", key.path().display())))
    }

    /// Lets everybody in who asks.
    #[must_use]
    pub fn open(self) -> Self {
        self.order("open", json!(true))
    }

    /// Asks for another password once the right one was given.
    #[must_use]
    pub fn password_expired(self) -> Self {
        self.order("change", json!(true))
    }

    /// The kind of the server's own key.
    #[must_use]
    pub fn host_key(mut self, kind: KeyKind) -> Self {
        self.host_key = kind;
        self
    }

    /// Signs every key exchange with this algorithm, whatever was agreed on.
    #[must_use]
    pub fn signs_with(self, algorithm: &str) -> Self {
        self.order("signs_with", json!(algorithm))
    }

    /// What it calls itself, as `OpenSSH_9.2p1`.
    #[must_use]
    pub fn software(self, name: &str) -> Self {
        self.order("software", json!(name))
    }

    /// The session channel with this number, counted from 1 over all connections, never gets further than that; all others
    /// do as ever. The log then says `sticks` and what.
    #[must_use]
    pub fn sticks(self, channel: u32, what: Sticks) -> Self {
        let what = match what {
            Sticks::Open => "open",
            Sticks::Reply => "reply",
            Sticks::End => "end",
            Sticks::Close => "close",
        };
        self.order("sticks", json!([channel, what]))
    }

    /// Starts the server; it listens when this returns.
    pub fn start(mut self) -> ScriptedSshd {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let host_key = KeyPair::make(&folder.path().join("host_key"), self.host_key, "");
        let client_key = KeyPair::make(&folder.path().join("client_key"), KeyKind::Ed25519, "");
        self.orders["host_key"] = json!(host_key.path());
        self.orders["keys"] = json!(format!("{}.pub", client_key.path().display()));
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("servers/ssh_server.py");
        let mut command = Command::new(tools().join("python-servers/bin/python"));
        command.arg(script).arg(self.orders.to_string());
        let mut daemon = Daemon::spawn(&mut command, &folder.path().join("log"));
        let mut port = None;
        wait_until("the asyncssh server did not listen", Duration::from_secs(30), || {
            assert!(daemon.ended().is_none(), "the asyncssh server ended: {}", daemon.log());
            port = daemon.log().lines().find_map(|line| line.strip_prefix("listening ")?.parse().ok());
            port.is_some()
        });
        let port = port.expect("it listens");
        ScriptedSshd { daemon, port, host_key, client_key, _folder: folder }
    }

    fn order(mut self, name: &str, value: Value) -> Self {
        self.orders[name] = value;
        self
    }
}

impl ScriptedSshd {
    /// The account that may log in.
    pub const USER: &str = "scripted";
    /// Its password.
    pub const PASSWORD: &str = "canary-scripted-password";

    /// Everything that can be chosen.
    pub fn options() -> ScriptedSshdOptions {
        let orders = json!({
            "user": Self::USER,
            "password": Self::PASSWORD,
            "methods": ["password", "keyboard-interactive", "publickey"],
            "rounds": [[["Password: ", false]]],
        });
        ScriptedSshdOptions { orders, host_key: KeyKind::Ed25519 }
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The key that may log in.
    pub fn client_key(&self) -> &KeyPair {
        &self.client_key
    }

    /// The line of a known_hosts file that names this server's key.
    pub fn known_hosts_line(&self) -> String {
        format!("[127.0.0.1]:{} {}", self.port, self.host_key.public_key())
    }

    /// How often it was dialled.
    pub fn connections(&self) -> usize {
        self.log().lines().filter(|line| *line == "connection").count()
    }

    /// What it says happened so far.
    pub fn log(&self) -> String {
        self.daemon.log()
    }
}
