//! One installed gateway in front of one real host that counts what is done to it.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use serde_json::json;
use testkit::{Era, McpFailure, McpHttp, McpStdio, Portcullis, Sshd, TinyDisk, ToolAnswer, wait_until};

use super::book::Book;
use crate::environment::Installed;

/// The gateway's folder, the host, and the key of the agent that is let onto it.
pub(crate) struct Rig {
    pub(crate) installed: Installed,
    pub(crate) sshd: Sshd,
    key: String,
}

const POLICY: &str = r#"
[[rule]]
name = "operators run the gateway"
allow = ["operator:*"]
principals = ["group:operators"]
targets = ["gateway"]

[[rule]]
name = "acts that count"
allow = ["ssh_execute"]
principals = ["group:agents"]
targets = ["tag:web"]
commands = ["count-act ok-*", "cat <path:/>"]

[[rule]]
name = "handles"
allow = ["get_credential"]
principals = ["group:agents"]
targets = ["tag:web"]
credentials = ["keystore:prod/*"]
"#;

impl Rig {
    /// Installed and configured, not started.
    pub(crate) fn new() -> Self {
        Self::within(Installed::new())
    }

    /// The same, with the state folder on a file system of its own, so small that it can be filled.
    pub(crate) fn on_a_tiny_disk() -> (Self, TinyDisk) {
        let installed = Installed::new();
        let state = installed.path("state");
        std::fs::create_dir_all(&state).unwrap();
        let disk = TinyDisk::mount(&state, 4096);
        (Self::within(installed), disk)
    }

    fn within(installed: Installed) -> Self {
        let sshd = Sshd::start();
        let told = installed.run(&["key", "new", "load", "--json"]).json();
        // An address of its own: nobody takes its port while the gateway is down.
        installed.edit("portcullis.toml", "127.0.0.1:0", &format!("{}:8443", address()));
        // In clear, so that an act on the host can be told from every other by its token.
        installed.edit("portcullis.toml", "record_commands = \"sealed\"", "record_commands = \"clear\"");
        installed.edit("portcullis.toml", "calls_per_minute = 120", "calls_per_minute = 100000");
        installed.append(
            "portcullis.toml",
            &format!(
                "[[principal]]\nid = \"load\"\ngroups = [\"agents\"]\n{}",
                told["toml"].as_str().unwrap()
            ),
        );
        installed.write("policy/ops.toml", POLICY);
        // The same host twice: with the password that handles stand for, and with a key.
        let host = format!(
            "address = \"127.0.0.1\"\nport = {}\nuser = \"{}\"\ntags = [\"web\"]",
            sshd.port(),
            sshd.user()
        );
        let key = sshd.client_key().path().display().to_string();
        installed.append(
            "inventory.toml",
            &format!(
                "[hosts.web1]\n{host}\ncredential = \"keystore:prod/web\"\ncredentials = [\"keystore:prod/*\"]\n\
                 [hosts.web2]\n{host}\ncredential = {{ key = \"{key}\" }}"
            ),
        );
        installed.write("known_hosts", &format!("{}\n", sshd.known_hosts_line()));
        let set = installed
            .run_with_input(&["secret", "set", "prod/web", "--username", sshd.user()], sshd.password());
        assert_eq!(set.exit, 0, "{set:?}");
        let check = installed.run(&["check"]);
        assert_eq!(check.exit, 0, "{check:?}");
        Self { installed, sshd, key: told["key"].as_str().unwrap().to_owned() }
    }

    pub(crate) fn binary() -> &'static Path {
        Path::new(env!("CARGO_BIN_EXE_portcullis"))
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.installed.path("portcullis.toml")
    }

    /// Starts the gateway; it answers when this returns.
    pub(crate) fn serve(&self) -> Portcullis {
        Portcullis::serve(Self::binary(), &self.config(), &[])
    }

    /// A client with the agent's key.
    pub(crate) async fn client(&self, gateway: &Portcullis, era: Era) -> Result<Arc<McpHttp>, McpFailure> {
        McpHttp::connect(&gateway.mcp(), Some(&self.key), era).await.map(Arc::new)
    }

    /// A client of `portcullis stdio`, as the agent.
    pub(crate) async fn stdio(&self) -> McpStdio {
        let mut command = tokio::process::Command::new(Self::binary());
        command.arg("--config").arg(self.config()).args(["stdio", "--as", "load"]);
        command.env_remove("PORTCULLIS_CONFIG");
        McpStdio::connect(command, Era::Modern).await.unwrap()
    }

    /// A pipe on the host. `cat` of it runs until what [`Rig::reader`] gave is dropped.
    pub(crate) fn pipe(&self, name: &str) -> PathBuf {
        let path = self.sshd.folder().join(name);
        let made = std::process::Command::new("mkfifo").args(["-m", "0644"]).arg(&path).status().unwrap();
        assert!(made.success());
        path
    }

    /// Waits until the command reads from the pipe; what is written there is what it says.
    pub(crate) fn reader(pipe: &Path) -> File {
        let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap();
        let mut open = None;
        wait_until("the command reads from the pipe", Duration::from_secs(30), || {
            open = File::options().write(true).custom_flags(flags).open(pipe).ok();
            open.is_some()
        });
        open.unwrap()
    }

    /// Nobody holds the lock of the state folder.
    pub(crate) fn assert_nobody_owns_the_state(&self) {
        for lock in ["state/lock", "state/journal/lock"] {
            let file = File::options().write(true).open(self.installed.path(lock)).unwrap();
            assert!(file.try_lock().is_ok(), "somebody still holds {lock}");
        }
    }

    /// The journal ends in the first half of a line, as when the machine loses its power.
    pub(crate) fn leave_half_a_line(&self) {
        let path = self.installed.path("state/journal/000001.jsonl");
        let text = std::fs::read(&path).unwrap();
        let last = text.strip_suffix(b"\n").unwrap().rsplit(|byte| *byte == b'\n').next().unwrap();
        let mut file = File::options().append(true).open(&path).unwrap();
        file.write_all(&last[..last.len() / 2]).unwrap();
    }

    /// Everything that was acted is in the book, and `audit verify` finds nothing wrong and nothing open.
    pub(crate) fn assert_sound(&self, book: &mut Book) {
        let acts = self.sshd.acts();
        book.read_on();
        book.assert_covers(&acts);
        book.assert_all_ended_once();
        self.assert_verified();
    }

    /// `audit verify` finds nothing wrong, nothing open and nothing torn.
    pub(crate) fn assert_verified(&self) {
        let ran = self.installed.run(&["audit", "verify", "--json"]);
        assert_eq!(ran.exit, 0, "{ran:?}");
        let report = ran.json();
        assert_eq!(
            (&report["ok"], &report["orphans"], &report["torn_tail"]),
            (&json!(true), &json!(0), &json!(false)),
            "{report}"
        );
    }
}

/// The code in a refusal, or `ok`.
pub(crate) fn code(answer: &ToolAnswer) -> &str {
    if answer.is_error() { answer.structured()["code"].as_str().unwrap_or("no code") } else { "ok" }
}

/// A loopback address that no other test has.
fn address() -> String {
    static NEXT: AtomicU8 = AtomicU8::new(0);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    format!("127.{}.{high}.{low}", 64 + NEXT.fetch_add(1, Ordering::Relaxed) % 128)
}
