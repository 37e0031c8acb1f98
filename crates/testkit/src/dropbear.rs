//! A real dropbear server: the other SSH implementation that targets run.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::account::{Account, Closed};
use crate::daemon::Daemon;
use crate::keys::{KeyKind, KeyPair};
use crate::machine::{free_port, is_root, program, run, wait_until};

/// A running dropbear with one account, its password and a client key; ends when dropped. Needs root.
pub struct Dropbear {
    daemon: Daemon,
    port: u16,
    public_key: String,
    client_key: KeyPair,
    account: Account,
    _folder: TempDir,
}

impl Dropbear {
    /// Starts one with an Ed25519 host key; it answers when this returns.
    pub fn start() -> Self {
        assert!(is_root(), "the dropbear test server needs root: run `cargo xtask test` as root");
        let folder =
            tempfile::Builder::new().prefix("portcullis-dropbear-").tempdir().expect("a temporary folder");
        let account = Account::claim(Path::new("/bin/bash"), None);
        let client_key = KeyPair::make(&folder.path().join("client_key"), KeyKind::Ed25519, "");
        authorise(&account, &client_key);
        let host_key = folder.path().join("host_key");
        let made = run(Command::new(program("dropbearkey")).args(["-t", "ed25519", "-f"]).arg(&host_key));
        let public =
            made.lines().find(|line| line.starts_with("ssh-ed25519 ")).expect("dropbearkey prints the key");
        let public_key = public.split(' ').take(2).collect::<Vec<_>>().join(" ");
        let (daemon, port) =
            (0..10).find_map(|_| listen(&host_key)).expect("dropbear found none of ten ports free");
        Self { daemon, port, public_key, client_key, account, _folder: folder }
    }

    /// Its address: `127.0.0.1`.
    pub fn host(&self) -> &'static str {
        "127.0.0.1"
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The account that may log in.
    pub fn user(&self) -> &str {
        self.account.name()
    }

    /// The account's password.
    pub fn password(&self) -> &str {
        self.account.password().expect("a test account has a password")
    }

    /// Closes the account; another test finds it open again.
    pub fn close_account(&self, closed: Closed) {
        self.account.close(closed);
    }

    /// The key that may log in.
    pub fn client_key(&self) -> &KeyPair {
        &self.client_key
    }

    /// The line of a known_hosts file that names this server's key.
    pub fn known_hosts_line(&self) -> String {
        format!("[127.0.0.1]:{} {}", self.port, self.public_key)
    }

    /// What the server logged so far.
    pub fn log(&self) -> String {
        self.daemon.log()
    }
}

/// Dropbear looks for keys in the home folder, and only if nobody else can write there.
fn authorise(account: &Account, key: &KeyPair) {
    let ssh = account.home().join(".ssh");
    let keys = ssh.join("authorized_keys");
    fs::create_dir(&ssh).expect("the home folder is new");
    fs::write(&keys, key.public_line() + "\n").expect("a file in the home folder");
    for (path, mode) in [(&ssh, 0o700), (&keys, 0o600)] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("root can set modes");
        account.give(path);
    }
}

fn listen(host_key: &Path) -> Option<(Daemon, u16)> {
    let port = free_port();
    let mut daemon = Daemon::spawn(
        Command::new(program("dropbear"))
            .args(["-F", "-E", "-p", &format!("127.0.0.1:{port}"), "-P", "/dev/null", "-r"])
            .arg(host_key),
        &host_key.with_extension("log"),
    );
    let mut ended = false;
    wait_until("dropbear neither listened nor ended", Duration::from_secs(20), || {
        ended = daemon.ended().is_some();
        ended || TcpStream::connect(("127.0.0.1", port)).is_ok()
    });
    (!ended).then_some((daemon, port))
}
