//! `ssh_execute true` over MCP on a pooled connection, against `ssh` with a ControlMaster, to one sshd on loopback.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use model::Clock;
use serde_json::json;
use tokio::process::{Child, Command};

use super::load::median;
use super::stage::{Durability, Stage, StageHost};
use super::{BenchOptions, Figure};

/// Calls of each kind in a round.
const CALLS: usize = 20;

/// Measures with `durability = "process"` and `"auto"`, and the bare fsync beside them.
pub(super) async fn measure(options: &BenchOptions, clock: &Arc<dyn Clock>) -> anyhow::Result<Vec<Figure>> {
    let Some(sshd) =
        ["/usr/sbin/sshd", "/usr/local/sbin/sshd"].into_iter().find(|path| Path::new(path).exists())
    else {
        return Ok(vec![Figure::not_measured(
            "ssh_execute true, pooled",
            "there is no sshd on this machine",
        )]);
    };
    let server = Server::start(Path::new(sshd)).await?;
    let process = Bench::start(&server, Durability::Process).await?;
    let auto = Bench::start(&server, Durability::Auto).await?;
    let master = Master::start(&server).await?;
    let (mut in_process, mut in_auto, mut by_ssh, mut syncs) = (vec![], vec![], vec![], vec![]);
    let (mut process, mut auto) = (process, auto);
    for _ in 0..options.rounds {
        for _ in 0..CALLS {
            in_process.push(process.call(clock).await?);
            in_auto.push(auto.call(clock).await?);
            by_ssh.push(master.call(clock).await?);
            syncs.push(bare_sync(server.folder.path(), clock)?);
        }
    }
    let millis = |duration: Duration| duration.as_secs_f64() * 1e3;
    let (ours, theirs) = (median(in_process), median(by_ssh));
    Ok(vec![
        Figure::plain("ssh with ControlMaster, `true`, median", millis(theirs), "ms"),
        Figure::plain("ssh_execute true, pooled, durability process, median", millis(ours), "ms"),
        Figure::at_most(
            "ssh_execute against ssh with ControlMaster",
            ours.as_secs_f64() / theirs.as_secs_f64(),
            "times",
            0.5,
        ),
        Figure::plain("ssh_execute true, pooled, durability auto, median", millis(median(in_auto)), "ms"),
        Figure::plain("bare write and fsync, median", millis(median(syncs)), "ms"),
    ])
}

/// A gateway with this host, and an agent connected to it.
struct Bench {
    client: mcp::client::Client,
    _gateway: super::process::Measured,
    _stage: Stage,
}

impl Bench {
    async fn start(server: &Server, durability: Durability) -> anyhow::Result<Self> {
        let stage = Stage::new(durability, Some(server.host()))?;
        let (gateway, address) = stage.serve().await?;
        let client = mcp::client::Client::connect(address, "/mcp", Some(stage.api_key())).await?;
        let mut bench = Self { client, _gateway: gateway, _stage: stage };
        let reply = bench.client.call_tool("ssh_execute", &arguments()).await?;
        ensure!(!reply.is_error, "the first call failed: {}", reply.text);
        Ok(bench)
    }

    async fn call(&mut self, clock: &Arc<dyn Clock>) -> anyhow::Result<Duration> {
        let begun = clock.boot();
        let reply = self.client.call_tool("ssh_execute", &arguments()).await?;
        let took = clock.boot().since(begun);
        ensure!(!reply.is_error, "a call failed: {}", reply.text);
        Ok(took)
    }
}

fn arguments() -> serde_json::Value {
    json!({ "host": "bench", "command": "true" })
}

/// An sshd of this user, on a free loopback port, that takes one key.
struct Server {
    // Ends before its folder does.
    _sshd: Child,
    folder: tempfile::TempDir,
    port: u16,
    user: String,
}

impl Server {
    async fn start(sshd: &Path) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let at = |name: &str| folder.path().join(name);
        for key in ["host_key", "user_key"] {
            run(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(at(key)))
                .await?;
        }
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let user = String::from_utf8(Command::new("id").arg("-un").output().await?.stdout)?.trim().to_owned();
        std::fs::write(
            at("sshd_config"),
            format!(
                "ListenAddress 127.0.0.1\nPort {port}\nHostKey {}\nPidFile {}\nAuthorizedKeysFile {}\nStrictModes no\n\
                 UsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\nSetEnv HOME={}\n",
                at("host_key").display(),
                at("sshd.pid").display(),
                at("user_key.pub").display(),
                // A home without start files: what a shell of this user would read there is not what is measured.
                folder.path().display(),
            ),
        )?;
        if rustix::process::geteuid().is_root() {
            std::fs::create_dir_all("/run/sshd").context("make /run/sshd, which sshd wants")?;
        }
        let child = Command::new(sshd)
            .args(["-D", "-e", "-f"])
            .arg(at("sshd_config"))
            .stderr(std::fs::File::create(at("sshd.log"))?)
            .kill_on_drop(true)
            .spawn()
            .context("start sshd")?;
        let server = Self { port, user, folder, _sshd: child };
        for _ in 0..100 {
            if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                return Ok(server);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        anyhow::bail!("sshd did not answer: {}", std::fs::read_to_string(server.at("sshd.log"))?)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn host(&self) -> StageHost {
        StageHost {
            port: self.port,
            user: self.user.clone(),
            key: self.at("user_key"),
            host_key: self.at("host_key.pub"),
        }
    }
}

/// An `ssh` that keeps its connection open for others.
struct Master {
    arguments: Vec<String>,
    _master: Child,
}

impl Master {
    async fn start(server: &Server) -> anyhow::Result<Self> {
        let arguments: Vec<String> = [
            "-F",
            "none",
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "UserKnownHostsFile=/dev/null",
            "-o",
            "LogLevel=ERROR",
            "-o",
            "IdentitiesOnly=yes",
            "-o",
            "BatchMode=yes",
            "-i",
        ]
        .into_iter()
        .map(str::to_owned)
        .chain([
            server.at("user_key").display().to_string(),
            "-o".to_owned(),
            format!("ControlPath={}", server.at("master.sock").display()),
            "-p".to_owned(),
            server.port.to_string(),
            format!("{}@127.0.0.1", server.user),
        ])
        .collect();
        let master = Command::new("ssh")
            .args(["-M", "-N"])
            .args(&arguments)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("start the ssh master")?;
        for _ in 0..100 {
            if server.at("master.sock").exists() {
                return Ok(Self { arguments, _master: master });
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        anyhow::bail!("the ssh master did not connect")
    }

    async fn call(&self, clock: &Arc<dyn Clock>) -> anyhow::Result<Duration> {
        let begun = clock.boot();
        run(Command::new("ssh").args(&self.arguments).arg("true")).await?;
        Ok(clock.boot().since(begun))
    }
}

async fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command.stdin(Stdio::null()).output().await.context("start a program of OpenSSH")?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

fn bare_sync(folder: &Path, clock: &Arc<dyn Clock>) -> anyhow::Result<Duration> {
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(folder.join("sync"))?;
    let begun = clock.boot();
    file.write_all(&[b'x'; 512])?;
    file.sync_data()?;
    Ok(clock.boot().since(begun))
}
