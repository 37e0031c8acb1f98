//! Accounts of this machine that tests log into.
//!
//! Tests run at the same time and a password belongs to an account, so each server takes an account of its own
//! from a pool and holds it by a file lock: a killed test gives it back too.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::daemon::kill_all_of;
use crate::machine::{is_root, program, random_hex, run};

const RUN: &str = "/run/portcullis-test";
const HOMES: &str = "/var/lib/portcullis-test";
const POOL: u32 = 200;
const COMMENT: &str = "Portcullis tests";

/// Why an account lets nobody in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// Its last day is over.
    Expired,
    /// Its password was locked.
    Locked,
}

/// A user of this machine that belongs to one test server.
pub struct Account {
    name: String,
    password: Option<String>,
    home: PathBuf,
    /// User and group of a test account; `None` until it is certain that it is one.
    ids: Option<(u32, u32)>,
    _held: Option<File>,
}

impl Account {
    /// Takes a free account (root) with that shell and password, a random one if none is given; as anybody else: the
    /// account of the test itself, whose password nobody knows.
    pub(crate) fn claim(shell: &Path, password: Option<&str>) -> Self {
        if !is_root() {
            return Self::own();
        }
        fs::create_dir_all(RUN).expect("root can make a folder in /run");
        let (number, held) = (0..POOL)
            .find_map(|number| lock(&format!("account-{number}")).map(|held| (number, held)))
            .expect("more test servers at a time than there are test accounts");
        let mut account = Self {
            name: format!("portcullis-test-{number}"),
            password: Some(password.map_or_else(|| random_hex(12), str::to_owned)),
            home: Path::new(HOMES).join(number.to_string()),
            ids: None,
            _held: Some(held),
        };
        account.set_up(shell);
        account
    }

    /// The user name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The password, if it is a test account.
    pub fn password(&self) -> Option<&str> {
        self.password.as_deref()
    }

    /// The home folder; empty at first for a test account.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Makes `path` belong to this account.
    pub(crate) fn give(&self, path: &Path) {
        if let Some((uid, gid)) = self.ids {
            chown(path, Some(uid), Some(gid)).expect("root can give a file away");
        }
    }

    /// Ends every process of a test account.
    pub(crate) fn kill_processes(&self) {
        if let Some((uid, _)) = self.ids {
            kill_all_of(uid);
        }
    }

    fn own() -> Self {
        let home = std::env::var_os("HOME").map_or_else(|| PathBuf::from("/"), PathBuf::from);
        let name = run(Command::new(program("id")).arg("-un")).trim().to_owned();
        Self { name, password: None, home, ids: None, _held: None }
    }

    fn set_up(&mut self, shell: &Path) {
        // One change of /etc/passwd at a time.
        let changes = File::create(format!("{RUN}/changes")).expect("root can make a lock file");
        changes.lock().expect("a lock file can be locked");
        match entry(&self.name) {
            None => {
                run(Command::new(program("useradd"))
                    .args([
                        "--no-create-home",
                        "--user-group",
                        "--no-log-init",
                        "--comment",
                        "Portcullis tests",
                    ])
                    .arg("--home-dir")
                    .arg(&self.home)
                    .arg("--shell")
                    .arg(shell)
                    .arg(&self.name));
            }
            Some(entry) if entry[6] != shell.to_str().unwrap() => {
                run(Command::new(program("usermod")).arg("--shell").arg(shell).arg(&self.name));
            }
            Some(_) => {}
        }
        let entry = entry(&self.name).expect("the account was just made");
        // Everything of this user is about to be killed and removed.
        assert_eq!(entry[4], COMMENT, "`{}` exists and is not an account of the tests", self.name);
        let id = |field: &str| field.parse().expect("ids in /etc/passwd are numbers");
        self.ids = Some((id(&entry[2]), id(&entry[3])));
        self.kill_processes();
        self.reopen();
        self.set_password();
        let _ = fs::remove_dir_all(&self.home);
        fs::create_dir_all(&self.home).expect("root can make a home folder");
        fs::set_permissions(HOMES, fs::Permissions::from_mode(0o755)).expect("root can open its folder");
        fs::set_permissions(&self.home, fs::Permissions::from_mode(0o700))
            .expect("root can close a home folder");
        self.give(&self.home.clone());
    }

    /// Closes it: nobody can log in any more, whatever they know.
    pub(crate) fn close(&self, closed: Closed) {
        let mut usermod = Command::new(program("usermod"));
        match closed {
            Closed::Expired => usermod.args(["--expiredate", "2020-01-01"]),
            Closed::Locked => usermod.arg("--lock"),
        };
        run(usermod.arg(&self.name));
    }

    /// A killed test may have left it expired; a new password unlocks it by itself.
    fn reopen(&self) {
        let shadow = fs::read_to_string("/etc/shadow").expect("root can read /etc/shadow");
        let own = shadow.lines().find(|line| line.split(':').next() == Some(&self.name));
        if own.and_then(|line| line.split(':').nth(7)).is_some_and(|expiry| !expiry.is_empty()) {
            run(Command::new(program("usermod")).args(["--expiredate", ""]).arg(&self.name));
        }
    }

    fn set_password(&self) {
        // A quick hash: the account lives on loopback for a second, and every login of the suite pays for it.
        let mut chpasswd = Command::new(program("chpasswd"))
            .args(["--crypt-method", "SHA256", "--sha-rounds", "1000"])
            .stdin(Stdio::piped())
            .spawn()
            .expect("chpasswd starts");
        let line = format!("{}:{}\n", self.name, self.password.as_deref().unwrap());
        chpasswd.stdin.take().unwrap().write_all(line.as_bytes()).expect("chpasswd reads its input");
        assert!(chpasswd.wait().expect("chpasswd ends").success(), "chpasswd refused `{}`", self.name);
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.kill_processes();
    }
}

fn lock(name: &str) -> Option<File> {
    let file = File::create(format!("{RUN}/{name}")).expect("root can make a lock file");
    file.try_lock().ok().map(|()| file)
}

fn entry(name: &str) -> Option<Vec<String>> {
    let passwd = fs::read_to_string("/etc/passwd").expect("/etc/passwd can be read");
    let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
    Some(line.split(':').map(str::to_owned).collect())
}
