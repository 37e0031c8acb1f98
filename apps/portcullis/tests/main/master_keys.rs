//! Master keys that lie elsewhere than in a file: in a variable, with systemd, in an operator's head.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};

use crate::environment::{Installed, Ran, patiently, portcullis};

const SECRET: &str = "correct-horse-9f2c1e77";

/// A configuration whose keystore has its key there, and is not made yet.
fn with_key(location: &str) -> Installed {
    let installed = Installed::new();
    installed.edit(
        "portcullis.toml",
        "master_key = { file = \"keystore.key\" }",
        &format!("master_key = {location}"),
    );
    fs::remove_file(installed.path("keystore")).unwrap();
    installed
}

/// Runs a verb with these variables, and [`SECRET`] on standard input.
fn run(installed: &Installed, variables: &[(&str, &str)], arguments: &[&str]) -> Ran {
    let mut child = portcullis(&installed.path("."))
        .envs(variables.iter().copied())
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Most verbs end without reading it.
    let _ = child.stdin.take().unwrap().write_all(SECRET.as_bytes());
    child.wait_with_output().unwrap().into()
}

/// Makes, uses and does not find the keystore with a key from these variables.
fn comes_from(installed: &Installed, right: &[(&str, &str)], wrong: &[(&str, &str)], named: &str) {
    let set = run(installed, right, &["secret", "set", "prod/web1", "--username", "root"]);
    assert_eq!(set.exit, 0, "{set:?}");
    let tested = run(installed, right, &["secret", "test", "keystore:prod/web1", "--json"]);
    assert_eq!((tested.exit, &tested.json()["username"]), (0, &"root".into()), "{tested:?}");
    let keystore = fs::read(installed.path("keystore")).unwrap();
    for verb in
        [vec!["secret", "test", "keystore:prod/web1"], vec!["serve"], vec!["secret", "set", "prod/web2"]]
    {
        let missing = run(installed, &[], &verb);
        assert_eq!(missing.exit, 1, "{verb:?}: {missing:?}");
        assert!(missing.err.contains(named), "{verb:?}: {missing:?}");
        let other = run(installed, wrong, &verb);
        assert_eq!(other.exit, 1, "{verb:?}: {other:?}");
        assert!(other.err.contains("was not written with this master key"), "{verb:?}: {other:?}");
    }
    // Such a key is changed where it lies, which is not for us to do.
    let rotated = run(installed, right, &["secret", "rotate-master"]);
    assert_ne!(rotated.exit, 0, "{rotated:?}");
    assert_eq!(fs::read(installed.path("keystore")).unwrap(), keystore);
    let text = format!("{set:?}{tested:?}{rotated:?}");
    assert!(right.iter().all(|(_, value)| value.starts_with('/') || !text.contains(value)), "{text}");
}

#[test]
fn a_master_key_in_a_variable() {
    let installed = with_key("{ env = \"MASTER\" }");
    let (right, wrong) = ("7f".repeat(32), "80".repeat(32));
    comes_from(&installed, &[("MASTER", &right)], &[("MASTER", &wrong)], "`MASTER`");
    let malformed = run(&installed, &[("MASTER", "zz")], &["secret", "list"]);
    assert_eq!(malformed.exit, 1, "{malformed:?}");
    assert!(malformed.err.contains("MASTER"), "{malformed:?}");
}

#[test]
fn a_master_key_that_systemd_hands_over() {
    let installed = with_key("{ systemd = \"keystore-key\" }");
    let credentials = |name: &str, byte: &str| {
        let folder = installed.path(name);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("keystore-key"), byte.repeat(32)).unwrap();
        fs::set_permissions(folder.join("keystore-key"), fs::Permissions::from_mode(0o400)).unwrap();
        folder.to_str().unwrap().to_owned()
    };
    let (right, wrong) = (credentials("right", "7f"), credentials("wrong", "80"));
    comes_from(
        &installed,
        &[("CREDENTIALS_DIRECTORY", &right)],
        &[("CREDENTIALS_DIRECTORY", &wrong)],
        "keystore-key",
    );
    fs::set_permissions(format!("{right}/keystore-key"), fs::Permissions::from_mode(0o444)).unwrap();
    let open = run(&installed, &[("CREDENTIALS_DIRECTORY", &right)], &["secret", "list"]);
    assert_eq!(open.exit, 1, "a key that others can read is none: {open:?}");
}

/// A verb on a terminal of its own, as `script` makes one.
struct Typed {
    child: Child,
    keys: Option<ChildStdin>,
    screen: Arc<Mutex<Vec<u8>>>,
}

impl Typed {
    fn start(installed: &Installed, line: &str) -> Self {
        let line = format!("{} {line}", env!("CARGO_BIN_EXE_portcullis"));
        let mut child = Command::new("script")
            .args(["-q", "-e", "-c", &line, "/dev/null"])
            .current_dir(installed.path("."))
            .env_remove("PORTCULLIS_CONFIG")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (keys, mut output) = (child.stdin.take(), child.stdout.take().unwrap());
        let screen = Arc::new(Mutex::new(Vec::new()));
        let shown = Arc::clone(&screen);
        std::thread::spawn(move || {
            let mut piece = [0; 1024];
            while let Ok(length @ 1..) = output.read(&mut piece) {
                shown.lock().unwrap().extend(&piece[..length]);
            }
        });
        Self { child, keys, screen }
    }

    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.screen.lock().unwrap()).into_owned()
    }

    /// Types a line when it is asked for. Switching the echo off drops what was typed before, so that is waited for, too.
    fn answer(&mut self, question: &str, line: &str) {
        let asked = patiently(|| (self.shown().contains(question) && self.is_listening()).then_some(()));
        assert!(asked.is_some(), "it never asked: {}", self.shown());
        writeln!(self.keys.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Whether the terminal shows nothing of what is typed.
    fn is_listening(&self) -> bool {
        let children = format!("/proc/{0}/task/{0}/children", self.child.id());
        let child = fs::read_to_string(children).unwrap_or_default();
        let Some(child) = child.split_whitespace().next() else { return false };
        let Ok(terminal) = fs::File::open(format!("/proc/{child}/fd/2")) else { return false };
        rustix::termios::tcgetattr(terminal)
            .is_ok_and(|modes| !modes.local_modes.contains(rustix::termios::LocalModes::ECHO))
    }

    fn ends(mut self) -> (i32, String) {
        let status = patiently(|| self.child.try_wait().unwrap());
        let status = status.unwrap_or_else(|| panic!("it does not end: {}", self.shown()));
        drop(self.keys.take());
        (status.code().unwrap_or(-1), self.shown())
    }
}

impl Drop for Typed {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_master_key_that_an_operator_types() {
    const PASSPHRASE: &str = "a long enough passphrase";
    let installed = with_key("\"prompt\"");
    installed.write("secret.txt", SECRET);
    let set = "secret set prod/web1 --username root --address '' < secret.txt";
    let mut short = Typed::start(&installed, set);
    short.answer("Passphrase for the new", "short");
    short.answer("Once more", "short");
    let (exit, shown) = short.ends();
    assert_eq!(exit, 2, "{shown}");
    assert!(shown.contains("12 characters"), "{shown}");
    let mut mistyped = Typed::start(&installed, set);
    mistyped.answer("Passphrase for the new", PASSPHRASE);
    mistyped.answer("Once more", "a long enough passphrasr");
    let (exit, shown) = mistyped.ends();
    assert_eq!(exit, 2, "{shown}");
    assert!(shown.contains("not the same") && !installed.path("keystore").exists(), "{shown}");
    let mut made = Typed::start(&installed, set);
    made.answer("Passphrase for the new", PASSPHRASE);
    made.answer("Once more", PASSPHRASE);
    let (exit, shown) = made.ends();
    assert_eq!(exit, 0, "{shown}");

    let mut wrong = Typed::start(&installed, "secret list");
    wrong.answer("Passphrase of the keystore", "another long passphrase");
    let (exit, shown) = wrong.ends();
    assert_eq!(exit, 1, "{shown}");
    assert!(shown.contains("was not written with this master key"), "{shown}");

    // Nobody there to ask: refused, not waited for.
    let alone = installed.run(&["serve"]);
    assert_eq!(alone.exit, 1, "{alone:?}");
    assert!(alone.err.contains("passphrase"), "{alone:?}");

    // Asked once, at the start; then it serves everybody.
    let mut serving = Typed::start(&installed, "serve");
    serving.answer("Passphrase of the keystore", PASSPHRASE);
    let up = patiently(|| (installed.run(&["health"]).exit == 0).then_some(()));
    assert!(up.is_some(), "{}", serving.shown());
    let tested = installed.run(&["secret", "test", "keystore:prod/web1", "--json"]);
    assert_eq!((tested.exit, &tested.json()["username"]), (0, &"root".into()), "{tested:?}");
    assert_eq!(installed.run(&["reload"]).exit, 0);
    assert_eq!(installed.run(&["secret", "test", "keystore:prod/web1"]).exit, 0, "also after a reload");
    let pid = installed.read("state/lock").trim().to_owned();
    assert!(Command::new("kill").arg(&pid).status().unwrap().success());
    let (exit, shown) = serving.ends();
    assert_eq!(exit, 0, "{shown}");
    for file in ["keystore", "state/store.sqlite", "state/journal/000001.jsonl"] {
        let bytes = fs::read(installed.path(file)).unwrap();
        assert!(!crate::bytes::contains(&bytes, PASSPHRASE.as_bytes()), "{file}");
    }
}
