//! A network of our own, with names and addresses of our own, and a real OpenSSH server on port 22 of all of them.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use testkit::{Namespaces, Sshd, wait_until};

use crate::environment::Installed;

const PATIENCE: Duration = Duration::from_secs(20);

/// Its network ends with the test, however it ends.
pub(crate) struct Lab {
    server: Child,
    namespaces: Namespaces,
    pub(crate) sshd: Sshd,
}

impl Lab {
    /// With these addresses, and a name for some of them: `("10.77.1.7", "web.lab.internal")`, or an empty name.
    pub(crate) fn new(hosts: &[(&str, &str)]) -> Self {
        let sshd = Sshd::options().key_only().start();
        let file = sshd.folder().join("hosts");
        let lines: Vec<String> = hosts.iter().map(|(address, name)| format!("{address} {name}\n")).collect();
        std::fs::write(&file, format!("127.0.0.1 localhost\n{}", lines.concat())).unwrap();
        let addresses: Vec<String> =
            hosts.iter().map(|(address, _)| format!("ip addr replace {address}/32 dev lo\n")).collect();
        let script = format!("{}mount --bind '{}' /etc/hosts", addresses.concat(), file.display());
        let namespaces = Namespaces::new(&script);
        let log = std::fs::File::create(sshd.folder().join("lab.log")).unwrap();
        let mut serve = namespaces.command();
        serve.args(["/usr/sbin/sshd", "-D", "-e", "-o", "ListenAddress=0.0.0.0:22", "-f"]);
        serve.arg(sshd.folder().join("sshd_config"));
        let server = serve.stdin(Stdio::null()).stderr(log).spawn().unwrap();
        let lab = Self { server, namespaces, sshd };
        wait_until("the server of the lab does not listen", PATIENCE, || {
            lab.log().contains("Server listening on 0.0.0.0 port 22")
        });
        lab
    }

    /// Starts the gateway in there, and waits until it answers. It ends with [`Served`].
    pub(crate) fn serve<'a>(&self, installed: &'a Installed, more: &[&str]) -> Served<'a> {
        let log = std::fs::File::create(installed.path("serve.log")).unwrap();
        let mut command = self.namespaces.command();
        command.arg(env!("CARGO_BIN_EXE_portcullis")).arg("--config").arg(installed.path("portcullis.toml"));
        command.args(more).arg("serve").env_remove("PORTCULLIS_CONFIG");
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let mut served = Served { child, installed };
        wait_until("the gateway in the lab does not answer", PATIENCE, || {
            let ended = served.child.try_wait().unwrap();
            assert!(ended.is_none(), "{ended:?}: {}", installed.read("serve.log"));
            installed.path("state/control.sock").exists() && installed.run(&["health"]).exit == 0
        });
        served
    }

    /// What the server in there has logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.sshd.folder().join("lab.log")).unwrap()
    }

    /// How often it was dialled at this address, and how often somebody logged in.
    pub(crate) fn met(&self, address: &str) -> (usize, usize) {
        let log = self.log();
        let count = |word: &str| log.lines().filter(|line| line.contains(word)).count();
        (count(&format!(" on {address} port 22 ")), count("Accepted publickey for "))
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// A gateway in the lab; killed if the test does not end it.
pub(crate) struct Served<'a> {
    child: Child,
    installed: &'a Installed,
}

impl Served<'_> {
    /// Asks it to end, and waits for that.
    pub(crate) fn terminate(mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}: {}", self.installed.read("serve.log"));
    }
}

impl Drop for Served<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
