//! Child processes under measurement, and what the kernel says of them.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// A child that ends with its owner.
pub(super) struct Measured {
    child: Child,
    pid: u32,
}

impl Measured {
    /// Starts our own binary with these arguments; its log goes to `log`.
    pub(super) fn start(arguments: &[&str], log: &Path) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("find our own binary")?;
        Self::spawn(program.as_os_str(), arguments, log)
    }

    /// Starts our own binary as a server of this role, which prints its address first.
    pub(super) async fn serving(
        role: &str,
        at: Option<&str>,
        folder: &Path,
    ) -> anyhow::Result<(Self, SocketAddr)> {
        let mut arguments = vec!["bench", "--role", role];
        arguments.extend(at.into_iter().flat_map(|at| ["--at", at]));
        let mut server = Self::start(&arguments, &folder.join(format!("{role}.log")))?;
        let address =
            server.first_line().await?.parse().with_context(|| format!("the address of the {role}"))?;
        Ok((server, address))
    }

    /// Starts another program; the first word is its name.
    pub(super) fn program(words: &[String], log: &Path) -> anyhow::Result<Self> {
        let (program, arguments) = words.split_first().context("a command without words")?;
        Self::spawn(program.as_ref(), arguments, log)
    }

    fn spawn(program: &OsStr, arguments: &[impl AsRef<OsStr>], log: &Path) -> anyhow::Result<Self> {
        let log = std::fs::File::create(log).context("create a log file")?;
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .context("start a child")?;
        let pid = child.id().context("a child without a process id")?;
        Ok(Self { child, pid })
    }

    /// The first line that the child prints.
    pub(super) async fn first_line(&mut self) -> anyhow::Result<String> {
        let stdout = self.child.stdout.take().context("the child's output was read before")?;
        let mut line = String::new();
        let mut reader = BufReader::new(stdout);
        match tokio::time::timeout(Duration::from_secs(20), reader.read_line(&mut line)).await {
            Ok(Ok(1..)) => Ok(line.trim().to_owned()),
            Ok(Ok(0)) => bail!("the child ended at once"),
            Ok(Err(error)) => Err(error).context("read the child's output"),
            Err(_) => bail!("the child said nothing for 20 s"),
        }
    }

    /// CPU time of all its threads so far, user and system.
    pub(super) fn cpu(&self) -> anyhow::Result<Duration> {
        ticks(self.pid)
    }

    /// Resident memory in bytes.
    pub(super) fn memory(&self) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid))
            .context("read the child's memory")?;
        let line =
            status.lines().find(|line| line.starts_with("VmRSS:")).context("no VmRSS in /proc/PID/status")?;
        let kib: u64 = line.split_ascii_whitespace().nth(1).context("an empty VmRSS")?.parse()?;
        Ok(kib * 1024)
    }
}

/// CPU time of a child that runs to its end by itself, with what it left. Its stderr must be short: it is read afterwards.
///
/// The kernel keeps the count of who has ended until somebody waits for them.
pub(super) async fn cpu_to_the_end(child: Child) -> anyhow::Result<(Duration, Output)> {
    let pid = child.id().context("a child without a process id")?;
    let id = i32::try_from(pid).ok().and_then(Pid::from_raw).context("an odd process id")?;
    let ended = move || waitid(WaitId::Pid(id), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
    tokio::task::spawn_blocking(ended).await?.context("wait for a child")?;
    let spent = scheduled(pid).map_or_else(|| ticks(pid), Ok)?;
    Ok((spent, child.wait_with_output().await.context("read what a child left")?))
}

/// CPU time of a process's first thread, to the nanosecond, where the kernel keeps it. For programs of one thread.
fn scheduled(pid: u32) -> Option<Duration> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/schedstat")).ok()?;
    let nanos = text.split_ascii_whitespace().next()?.parse().ok()?;
    (nanos > 0).then_some(Duration::from_nanos(nanos))
}

/// CPU time of all threads of a process, user and system, in ticks of the kernel: mostly a hundredth of a second.
fn ticks(pid: u32) -> anyhow::Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).context("read the child's CPU time")?;
    // The name in the second field may hold blanks, so counting starts behind its closing parenthesis.
    let (_, fields) = stat.rsplit_once(')').context("an unexpected /proc/PID/stat")?;
    let mut ticks = fields.split_ascii_whitespace().skip(11).take(2).map(str::parse::<u64>);
    let (Some(Ok(user)), Some(Ok(system))) = (ticks.next(), ticks.next()) else {
        bail!("an unexpected /proc/PID/stat");
    };
    let per_second = rustix::param::clock_ticks_per_second();
    Ok(Duration::from_secs(user + system) / u32::try_from(per_second).unwrap_or(100))
}

/// Killed and gone, so that what is removed next is not written to any more.
impl Drop for Measured {
    fn drop(&mut self) {
        let _ = self.child.start_kill();
        for _ in 0..1000 {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
