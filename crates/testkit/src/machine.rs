//! What is on this machine: programs, rights, ports.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Whether this process is root: only root can start an sshd that checks passwords.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Fails the test with what is missing, unless it runs as root. A test that cannot show anything must not pass.
///
/// `what` is what root is needed for: "a network of the test's own".
pub(crate) fn require_root(what: &str) {
    assert!(is_root(), "{}", wants_root(what));
}

fn wants_root(what: &str) -> String {
    format!(
        "missing right: root, for {what}: run `cargo xtask test` as root, best in a container or virtual machine"
    )
}

/// A TCP port on 127.0.0.1 that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("no free port on 127.0.0.1");
    listener.local_addr().expect("a bound socket has an address").port()
}

/// Where `cargo xtask test` keeps Node.js and the third-party clients.
pub fn tools() -> PathBuf {
    let tools = std::env::var_os("PORTCULLIS_TOOLS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools"), PathBuf::from);
    for made in ["python/made-from", "npm/made-from"] {
        assert!(
            tools.join(made).exists(),
            "the third-party clients are not installed in `{}`: run `cargo xtask test` (or `cargo xtask tools`) once, \
             or set PORTCULLIS_TOOLS to a folder where it ran",
            tools.display()
        );
    }
    tools
}

/// How many rounds a kill -9 test does: `cargo xtask test --kill-rounds N`, else this small number.
pub fn kill_rounds(ordinarily: u32) -> u32 {
    std::env::var("PORTCULLIS_KILL_ROUNDS").map_or(ordinarily, |rounds| {
        rounds.parse().unwrap_or_else(|_| panic!("PORTCULLIS_KILL_ROUNDS is `{rounds}`, which is no number"))
    })
}

/// Tries `met` every few milliseconds; panics with `what` when it did not come true in time.
pub fn wait_until(what: &str, limit: Duration, met: impl FnMut() -> bool) {
    assert!(comes_true(limit, met), "waited {limit:?} in vain: {what}");
}

/// Whether `met` comes true in time.
pub(crate) fn comes_true(limit: Duration, mut met: impl FnMut() -> bool) -> bool {
    const PAUSE: Duration = Duration::from_millis(5);
    (0..=(limit.as_millis() / PAUSE.as_millis())).any(|_| {
        let done = met();
        if !done {
            std::thread::sleep(PAUSE);
        }
        done
    })
}

/// A program by name, in `PATH` and where Debian keeps servers.
pub(crate) fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|file| fs::metadata(file).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0))
        .unwrap_or_else(|| panic!("`{name}` is not installed: run `cargo xtask test`, which installs it"))
}

/// Runs a short command to its end; panics with what it said when it fails.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("cannot start {:?}: {error}", command.get_program()));
    assert!(
        output.status.success(),
        "{command:?} ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Random bytes that nobody can guess: for passwords of accounts on a shared machine.
pub(crate) fn random_hex(bytes: usize) -> String {
    use std::io::Read as _;
    let mut raw = vec![0; bytes];
    fs::File::open("/dev/urandom")
        .and_then(|mut f| f.read_exact(&mut raw))
        .expect("/dev/urandom gives bytes");
    hex::encode(raw)
}

#[cfg(test)]
mod tests {
    use super::{is_root, require_root, wants_root};

    #[test]
    fn a_test_that_needs_root_fails_without_it_and_says_what_is_missing() {
        let told = wants_root("a network of its own");
        assert!(told.contains("missing right: root, for a network of its own"), "{told}");
        assert!(told.contains("run `cargo xtask test` as root"), "{told}");
        let passed = std::panic::catch_unwind(|| require_root("this test")).is_ok();
        assert_eq!(passed, is_root());
    }
}
