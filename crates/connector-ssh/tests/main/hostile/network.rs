//! A host in a network of its own, whose packets can be dropped.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use connector_ssh::SshSettings;
use model::ErrorCode;
use testkit::Sshd;

use crate::rig::{Call, Rig, acted};

/// A network namespace with a server in it, and a cable to it. Names and addresses are this process's own: other tests
/// may have islands at the same time.
struct Island {
    name: String,
    /// The server's address.
    there: String,
    cable: String,
    server: Child,
}

const PORT: u16 = 2222;

impl Island {
    /// The same server again, in there.
    fn with(sshd: &Sshd) -> Self {
        let own = std::process::id();
        let (name, near, cable) = (format!("portcullis-{own}"), format!("pc{own}a"), format!("pc{own}b"));
        let network = format!("10.{}.{}", 200 + own / 250 % 50, own % 250);
        let there = format!("{network}.2");
        ip(&["netns", "add", &name]);
        ip(&["link", "add", &near, "type", "veth", "peer", "name", &cable, "netns", &name]);
        ip(&["addr", "add", &format!("{network}.1/30"), "dev", &near]);
        ip(&["link", "set", &near, "up"]);
        ip(&["-n", &name, "addr", "add", &format!("{there}/30"), "dev", &cable]);
        ip(&["-n", &name, "link", "set", &cable, "up"]);
        let server = Command::new("ip")
            .args(["netns", "exec", &name, "/usr/sbin/sshd", "-D", "-e"])
            .args(["-o", &format!("ListenAddress={there}:{PORT}"), "-f"])
            .arg(sshd.folder().join("sshd_config"))
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let island = Self { name, there, cable, server };
        testkit::wait_until("the server in the namespace does not answer", Duration::from_secs(20), || {
            std::net::TcpStream::connect((island.there.as_str(), PORT)).is_ok()
        });
        island
    }

    /// From now on every packet is lost, in both directions, and nobody is told.
    fn cut(&self) {
        ip(&["-n", &self.name, "link", "set", &self.cable, "down"]);
    }
}

impl Drop for Island {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
        // The cable goes with the namespace.
        let _ = Command::new("ip").args(["netns", "delete", &self.name]).status();
    }
}

fn ip(arguments: &[&str]) {
    let done = Command::new("ip").args(arguments).output().unwrap();
    assert!(done.status.success(), "ip {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_whose_packets_are_dropped_is_given_up_and_nobody_else_is() {
    testkit::require_root("a network of the test's own");
    let (sshd, other) = (Sshd::start(), Sshd::start());
    let island = Island::with(&sshd);
    let known = format!("[{}]:{PORT} {}", island.there, sshd.host_key().public_key());
    let rig = Rig::new(&island.there, PORT, sshd.user(), &known);
    let (watchdog, connect_timeout) = (Duration::from_millis(500), Duration::from_millis(500));
    rig.connector.configure(SshSettings { watchdog, connect_timeout, ..rig.settings.clone() });
    let beside = rig.beside("web2", &other);
    beside.exec(&mut Call::new("true", other.password())).await.unwrap();
    let line = "sh -c 'count-act on; sleep 300'";
    let mut call = Call { timeout: Duration::from_secs(100), ..Call::new(line, sshd.password()) };
    let (failure, ()) = tokio::join!(async { rig.exec(&mut call).await.unwrap_err() }, async {
        acted(&sshd, 1).await;
        island.cut();
        for _ in 0..5 {
            beside.exec(&mut Call::new("true", other.password())).await.unwrap();
        }
    });
    assert_eq!(failure.code(), ErrorCode::TargetUnreachable, "{failure:?}");
    assert!(failure.message().contains("whether it still runs there is not known"), "{failure:?}");
    let again = rig.exec(&mut Call::new("true", sshd.password())).await.unwrap_err();
    assert_eq!(again.code(), ErrorCode::TargetUnreachable, "{again:?}");
    assert_eq!(other.logins(), 1, "the other host's connection was kept all the time");
}
