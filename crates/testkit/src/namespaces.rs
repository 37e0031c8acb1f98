//! Networks and mounts of a test's own: for root, and for everybody where the kernel lets everybody have user namespaces.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use crate::machine::{is_root, program};

/// Namespaces for network and mounts. They end when this is dropped, and with the test, however it ends.
pub struct Namespaces {
    /// Keeps them while its standard input is open.
    holder: Child,
}

impl Namespaces {
    /// Prepares them with a shell script. In there everybody may listen on every port.
    pub fn new(script: &str) -> Self {
        let script = format!(
            "set -e\nip link set lo up\necho 0 >/proc/sys/net/ipv4/ip_unprivileged_port_start || test \"$(id -u)\" = 0\n\
             {script}\necho ready\nexec cat >/dev/null"
        );
        let mut holder = unshare()
            .args(["--mount", "sh", "-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare starts");
        let mut said = String::new();
        let out = holder.stdout.take().expect("piped");
        BufReader::new(out).read_line(&mut said).expect("what the script says can be read");
        assert_eq!(said, "ready\n", "{}", refused());
        Self { holder }
    }

    /// The beginning of a command in there, as the test's own user; its paths must be absolute.
    pub fn command(&self) -> Command {
        let mut command = Command::new(program("nsenter"));
        if !is_root() {
            command.args(["--user", "--preserve-credentials"]);
        }
        command.args(["--net", "--mount", "--target", &self.holder.id().to_string(), "--"]);
        command
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// Runs the test with this whole name again, alone in a process that has a network of its own and every right over it. `true`
/// is for that process; `false` for the caller, once the test has passed in there.
pub fn in_own_network(test: &str) -> bool {
    const VARIABLE: &str = "PORTCULLIS_TEST_IN_OWN_NETWORK";
    if std::env::var(VARIABLE).is_ok_and(|inside| inside == test) {
        return true;
    }
    let ran = unshare()
        .args(["sh", "-c", "ip link set lo up && exec \"$0\" --exact \"$1\" --nocapture"])
        .arg(std::env::current_exe().expect("a running test knows its own file"))
        .arg(test)
        .env(VARIABLE, test)
        .output()
        .expect("unshare starts");
    let said = String::from_utf8_lossy(&[ran.stdout, ran.stderr].concat()).into_owned();
    assert!(said.contains("running 1 test\n"), "`{test}` did not begin: {}: {said}", refused());
    assert!(ran.status.success() && said.contains("1 passed"), "in a network of its own: {said}");
    false
}

/// A network of its own. Who is not root gets it in a user namespace, and keeps the rights over it.
fn unshare() -> Command {
    let mut command = Command::new(program("unshare"));
    if !is_root() {
        command.args(["--user", "--map-current-user", "--keep-caps"]);
    }
    command.arg("--net");
    command
}

fn refused() -> &'static str {
    "no namespaces: they need root, or a kernel that lets everybody have user namespaces; run `cargo xtask test` as root, best in a \
     container or virtual machine"
}
