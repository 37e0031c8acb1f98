//! A host in a network of its own, whose packets can be dropped.

use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use connector_ssh::SshSettings;
use model::ErrorCode;
use testkit::Sshd;

use crate::rig::{Call, Rig, acted, key};

/// Another network with a server in it, and a cable to it from the test's own.
struct Island {
    /// Keeps the network while its standard input is open.
    holder: Child,
    server: Child,
}

const HERE: &str = "10.77.9.1";
const THERE: &str = "10.77.9.2";
const PORT: u16 = 2222;

impl Island {
    /// The same server again, in there.
    fn with(sshd: &Sshd) -> Self {
        let mut holder = Command::new("unshare")
            .args(["--net", "sh", "-c", "echo; exec cat >/dev/null"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        holder.stdout.take().unwrap().read_exact(&mut [0]).unwrap();
        ip(&[
            "link",
            "add",
            "near",
            "type",
            "veth",
            "peer",
            "name",
            "far",
            "netns",
            &holder.id().to_string(),
        ]);
        ip(&["addr", "add", &format!("{HERE}/30"), "dev", "near"]);
        ip(&["link", "set", "near", "up"]);
        let inside = |words: &[&str]| done(enter(&holder).arg("ip").args(words));
        inside(&["addr", "add", &format!("{THERE}/30"), "dev", "far"]);
        inside(&["link", "set", "far", "up"]);
        // Its sessions are processes of their own, which must not outlive it.
        let server = enter(&holder)
            .args(["unshare", "--pid", "--fork", "--kill-child"])
            .args(["/usr/sbin/sshd", "-D", "-e", "-o", &format!("ListenAddress={THERE}:{PORT}"), "-f"])
            .arg(sshd.folder().join("sshd_config"))
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let island = Self { holder, server };
        testkit::wait_until("the server in there does not answer", Duration::from_secs(20), || {
            std::net::TcpStream::connect((THERE, PORT)).is_ok()
        });
        island
    }

    /// From now on every packet is lost, in both directions, and nobody is told.
    fn cut(&self) {
        done(enter(&self.holder).args(["ip", "link", "set", "far", "down"]));
    }
}

impl Drop for Island {
    fn drop(&mut self) {
        for child in [&mut self.server, &mut self.holder] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn enter(holder: &Child) -> Command {
    let mut command = Command::new("nsenter");
    command.args(["--net", "--target", &holder.id().to_string(), "--"]);
    command
}

fn ip(words: &[&str]) {
    done(Command::new("ip").args(words));
}

fn done(command: &mut Command) {
    let ran = command.output().unwrap();
    assert!(ran.status.success(), "{command:?}: {}", String::from_utf8_lossy(&ran.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_whose_packets_are_dropped_is_given_up_and_nobody_else_is() {
    let own = "hostile::network::a_host_whose_packets_are_dropped_is_given_up_and_nobody_else_is";
    if !testkit::in_own_network(own) {
        return;
    }
    let (sshd, other) = (Sshd::start(), Sshd::start());
    let island = Island::with(&sshd);
    let known = format!("[{THERE}]:{PORT} {}", sshd.host_key().public_key());
    let rig = Rig::new(THERE, PORT, sshd.user(), &known);
    let (watchdog, connect_timeout) = (Duration::from_millis(500), Duration::from_millis(500));
    rig.connector.configure(SshSettings { watchdog, connect_timeout, ..rig.settings.clone() });
    let with_key = |line, sshd: &Sshd| Call { material: key, ..Call::new(line, &sshd.client_key().pem()) };
    let beside = rig.beside("web2", &other);
    beside.exec(&mut with_key("true", &other)).await.unwrap();
    let line = "sh -c 'count-act on; sleep 300'";
    let mut call = Call { timeout: Duration::from_secs(100), ..with_key(line, &sshd) };
    let (failure, ()) = tokio::join!(async { rig.exec(&mut call).await.unwrap_err() }, async {
        acted(&sshd, 1).await;
        island.cut();
        for _ in 0..5 {
            beside.exec(&mut with_key("true", &other)).await.unwrap();
        }
    });
    assert_eq!(failure.code(), ErrorCode::TargetUnreachable, "{failure:?}");
    assert!(failure.message().contains("whether it still runs there is not known"), "{failure:?}");
    let again = rig.exec(&mut with_key("true", &sshd)).await.unwrap_err();
    assert_eq!(again.code(), ErrorCode::TargetUnreachable, "{again:?}");
    assert_eq!(other.logins(), 1, "the other host's connection was kept all the time");
}
