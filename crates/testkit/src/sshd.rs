//! A real OpenSSH server on a loopback port.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::account::{Account, Closed};
use crate::daemon::Daemon;
use crate::keys::{KeyKind, KeyPair};
use crate::machine::{free_port, is_root, program, run, wait_until};

/// Login shells that a target's account may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shell {
    /// GNU bash, the default.
    Bash,
    /// dash, Debian's `/bin/sh`.
    Dash,
    /// The `ash` in busybox.
    BusyboxAsh,
    /// zsh: not POSIX, but near enough for our quoting.
    Zsh,
    /// fish: a shell that is not POSIX.
    Fish,
    /// tcsh, the csh of today: not POSIX either.
    Tcsh,
    /// No shell at all: every command ends with status 1.
    Nologin,
}

/// How a server is to be; see [`Sshd::options`].
#[derive(Debug, Clone)]
pub struct SshdOptions {
    password_login: bool,
    key_login: bool,
    password: Option<String>,
    host_key: KeyKind,
    client_key: KeyKind,
    shell: Shell,
    lines: Vec<String>,
}

/// A running OpenSSH server with one account, its password and a client key; ends when dropped.
pub struct Sshd {
    daemon: Daemon,
    port: u16,
    host_key: KeyPair,
    client_key: KeyPair,
    account: Account,
    folder: TempDir,
}

impl SshdOptions {
    /// Takes passwords, refuses keys.
    #[must_use]
    pub fn password_only(mut self) -> Self {
        (self.password_login, self.key_login) = (true, false);
        self
    }

    /// Takes keys, refuses passwords.
    #[must_use]
    pub fn key_only(mut self) -> Self {
        (self.password_login, self.key_login) = (false, true);
        self
    }

    /// This password instead of a random one.
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }

    /// The kind of the server's own key.
    #[must_use]
    pub fn host_key(mut self, kind: KeyKind) -> Self {
        self.host_key = kind;
        self
    }

    /// The kind of the key that may log in.
    #[must_use]
    pub fn client_key(mut self, kind: KeyKind) -> Self {
        self.client_key = kind;
        self
    }

    /// The account's login shell (root only; else it is what it is).
    #[must_use]
    pub fn shell(mut self, shell: Shell) -> Self {
        self.shell = shell;
        self
    }

    /// At most so many channels at a time on a connection; the next is refused.
    #[must_use]
    pub fn max_sessions(self, sessions: u32) -> Self {
        self.line(&format!("MaxSessions {sessions}"))
    }

    /// Environment variables that the client may set.
    #[must_use]
    pub fn accept_env(self, pattern: &str) -> Self {
        self.line(&format!("AcceptEnv {pattern}"))
    }

    /// Any other line of `sshd_config`; it wins over what would stand there otherwise.
    #[must_use]
    pub fn line(mut self, line: &str) -> Self {
        self.lines.push(line.to_owned());
        self
    }

    /// Starts the server; it answers when this returns.
    pub fn start(&self) -> Sshd {
        assert!(
            is_root() || !self.password_login || self.key_login,
            "an OpenSSH server that checks passwords needs root: run `cargo xtask test` as root"
        );
        let folder =
            tempfile::Builder::new().prefix("portcullis-sshd-").tempdir().expect("a temporary folder");
        // The account must reach its shell and the counting command in there.
        open(folder.path(), 0o755);
        let account = Account::claim(&self.shell_path(folder.path()), self.password.as_deref());
        let host_key = KeyPair::make(&folder.path().join("host_key"), self.host_key, "");
        let client_key = KeyPair::make(&folder.path().join("client_key"), self.client_key, "");
        fs::write(folder.path().join("authorized_keys"), client_key.public_line())
            .expect("a file in our folder");
        make_commands(folder.path(), &account);
        if is_root() {
            fs::create_dir_all("/run/sshd").expect("root can make the folder that sshd wants");
        }
        let (daemon, port) = (0..10)
            .find_map(|_| {
                let port = free_port();
                self.write_config(folder.path(), &account);
                Some((listen(folder.path(), port)?, port))
            })
            .expect("sshd found none of ten ports free");
        Sshd { daemon, port, host_key, client_key, account, folder }
    }

    fn shell_path(&self, folder: &Path) -> PathBuf {
        // busybox looks at the name it is called by.
        let linked = |name: &str, to: &str| {
            let link = folder.join(name);
            symlink(program(to), &link).expect("a link in our folder");
            link
        };
        match self.shell {
            Shell::Bash => PathBuf::from("/bin/bash"),
            Shell::Dash => program("dash"),
            Shell::BusyboxAsh => linked("ash", "busybox"),
            Shell::Zsh => program("zsh"),
            Shell::Fish => program("fish"),
            Shell::Tcsh => program("tcsh"),
            Shell::Nologin => program("nologin"),
        }
    }

    fn write_config(&self, folder: &Path, account: &Account) {
        let yes = |on| if on { "yes" } else { "no" };
        let at = folder.display();
        // The first value of a keyword counts, so the caller's lines come first.
        let mut text = self.lines.join("\n");
        text.push_str(&format!(
            "\nHostKey {at}/host_key\nPidFile none\nUsePAM no\nStrictModes no\nUseDNS no\nPrintMotd no\nPrintLastLog no\n\
             PasswordAuthentication {}\nPubkeyAuthentication {}\nKbdInteractiveAuthentication no\n\
             AuthorizedKeysFile {at}/authorized_keys\nAllowUsers {}\nPermitRootLogin yes\n\
             MaxStartups 500:30:1000\nMaxSessions 10\nLogLevel VERBOSE\nSubsystem sftp internal-sftp\n\
             SetEnv PATH={at}/bin:/usr/local/bin:/usr/bin:/bin\n",
            yes(self.password_login && is_root()),
            yes(self.key_login),
            account.name(),
        ));
        fs::write(folder.join("sshd_config"), text).expect("a file in our folder");
        run(Command::new(program("sshd")).args(["-t", "-f"]).arg(folder.join("sshd_config")));
    }
}

impl Sshd {
    /// A server that takes the account's password and its key.
    pub fn start() -> Self {
        Self::options().start()
    }

    /// Everything that can be chosen.
    pub fn options() -> SshdOptions {
        SshdOptions {
            password_login: true,
            key_login: true,
            password: None,
            host_key: KeyKind::Ed25519,
            client_key: KeyKind::Ed25519,
            shell: Shell::Bash,
            lines: Vec::new(),
        }
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

    /// The account's password; there is none unless the tests run as root.
    pub fn password(&self) -> &str {
        self.account.password().expect("password logins need root: run `cargo xtask test` as root")
    }

    /// Closes the account (root only); another test finds it open again.
    pub fn close_account(&self, closed: Closed) {
        self.account.close(closed);
    }

    /// The account's home folder.
    pub fn home(&self) -> &Path {
        self.account.home()
    }

    /// The key that may log in.
    pub fn client_key(&self) -> &KeyPair {
        &self.client_key
    }

    /// The server's own key.
    pub fn host_key(&self) -> &KeyPair {
        &self.host_key
    }

    /// The line of a known_hosts file that names this server's key.
    pub fn known_hosts_line(&self) -> String {
        format!("[127.0.0.1]:{} {}", self.port, self.host_key.public_key())
    }

    /// A folder of this server that the account can read but not write.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What the server logged so far (level VERBOSE).
    pub fn log(&self) -> String {
        self.daemon.log()
    }

    /// How many logins it has accepted.
    pub fn logins(&self) -> usize {
        self.log().lines().filter(|line| line.starts_with("Accepted ") && line.contains(" for ")).count()
    }

    /// What `count-act TOKEN`, a command in the account's `PATH`, was called with so far, in order.
    pub fn acts(&self) -> Vec<String> {
        let acts = fs::read_to_string(self.folder.path().join("acts")).unwrap_or_default();
        acts.lines().map(str::to_owned).collect()
    }

    /// The words that `note-words ...`, another command in the account's `PATH`, got so far, call by call, its own name left
    /// out. Nothing but the kernel stands between these and what the account's shell made of a line.
    pub fn noted(&self) -> Vec<Vec<String>> {
        let noted =
            fs::read_to_string(self.folder.path().join("noted")).expect("shells pass on what is UTF-8");
        let mut parts = noted.split_terminator('\0').map(str::to_owned);
        let mut calls = Vec::new();
        while let Some(count) = parts.next() {
            let count: usize = count.parse().expect("a call begins with the number of its words");
            calls.push(parts.by_ref().take(count).collect());
        }
        calls
    }

    /// Cuts every connection; the server goes on listening.
    pub fn sever(&self) {
        self.daemon.kill_descendants();
        self.account.kill_processes();
    }

    /// Ends the server with all connections; its port then refuses.
    pub fn stop(&mut self) {
        self.daemon.kill();
        self.account.kill_processes();
    }

    /// Starts it again on the same port, after [`Sshd::stop`] or a change of its key.
    pub fn restart(&mut self) {
        self.stop();
        self.daemon = listen(self.folder.path(), self.port).expect("sshd listens on its old port again");
    }

    /// Gives the server another key of that kind, as an impostor or a reinstalled machine would have.
    pub fn change_host_key(&mut self, kind: KeyKind) {
        self.stop();
        for name in ["host_key", "host_key.pub"] {
            fs::remove_file(self.folder.path().join(name)).expect("the old key was there");
        }
        self.host_key = KeyPair::make(&self.folder.path().join("host_key"), kind, "");
        self.restart();
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Starts sshd and waits until it listens; `None` when somebody else has the port.
fn listen(folder: &Path, port: u16) -> Option<Daemon> {
    let log = folder.join("sshd.log");
    let before = fs::read(&log).map_or(0, |text| text.len());
    let mut daemon = Daemon::spawn(
        Command::new(program("sshd"))
            .args(["-D", "-e", "-o", &format!("ListenAddress=127.0.0.1:{port}"), "-f"])
            .arg(folder.join("sshd_config")),
        &log,
    );
    let mut taken = false;
    wait_until("sshd neither listened nor ended", Duration::from_secs(20), || {
        let said = daemon.log();
        let said = said.get(before..).unwrap_or_default();
        taken = said.contains("Address already in use");
        let listens = said.contains(&format!("Server listening on 127.0.0.1 port {port}"));
        assert!(listens || taken || daemon.ended().is_none(), "sshd ended at once: {said}");
        listens || taken
    });
    (!taken).then_some(daemon)
}

/// What the account may call. `count-act TOKEN` appends a line, on disk before it returns; `note-words ...` appends how many
/// words it was given, and each of them, with a NUL behind each.
fn make_commands(folder: &Path, account: &Account) {
    let bin = folder.join("bin");
    fs::create_dir(&bin).expect("a folder in our folder");
    open(&bin, 0o755);
    for (command, file, body) in [
        ("count-act", "acts", "printf '%s\\n' \"$1\" >>'FILE' && exec sync 'FILE'"),
        ("note-words", "noted", "printf '%s\\0' \"$#\" \"$@\" >>'FILE'"),
    ] {
        let file = folder.join(file);
        fs::write(&file, "").expect("a file in our folder");
        account.give(&file);
        let script = format!("#!/bin/sh\n{}\n", body.replace("FILE", &file.display().to_string()));
        fs::write(bin.join(command), script).expect("a file in our folder");
        open(&bin.join(command), 0o755);
    }
}

fn open(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("our own file's mode can be set");
}
