//! The program of an upstream: no shell, an environment of its own, a session that ends as one, started by the launcher.

use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use guard::{Guard, Scanner};
use model::UpstreamName;
use nix::unistd::User;
use rustix::process::{Pid, Signal, geteuid, getpid, kill_process_group};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncWriteExt as _};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

use crate::launch::{self, Account, Files, Plan};
use crate::lines::{Line, Lines};
use crate::sandbox::{Confinement, Machine, OtherUser, SandboxSettings};
use crate::starter::Starter;

/// How long a program has to end by itself after its standard input was closed.
const GRACE: Duration = Duration::from_secs(2);
/// How long the rest of standard error is waited for, of a program that was not started.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// The longest line of standard error that is looked at, in bytes.
const STDERR_LINE: usize = 64 * 1024;
/// How many lines of standard error go into the log at most, of one start.
const STDERR_LINES: usize = 1000;

/// A program that runs, and its ends of the pipes.
pub(crate) struct Program {
    child: Child,
    group: Group,
    home: Option<TempDir>,
    refusal: Arc<OnceLock<String>>,
    errors: Option<JoinHandle<()>>,
}

/// The pipes.
pub(crate) struct Pipes {
    pub(crate) input: ChildStdin,
    pub(crate) output: ChildStdout,
    pub(crate) errors: ChildStderr,
}

/// What is started.
pub(crate) struct Wanted {
    pub(crate) upstream: UpstreamName,
    pub(crate) command: Vec<String>,
    /// Its environment, and nothing else of it.
    pub(crate) env: Vec<(String, String)>,
    /// Where it runs.
    pub(crate) folder: PathBuf,
    pub(crate) sandbox: SandboxSettings,
}

impl Program {
    /// Starts it, through the launcher: what it may do, it may do from its first instruction on.
    pub(crate) async fn start(wanted: Wanted, starter: &Starter) -> Result<(Self, Pipes), String> {
        let started = starter.run(move || spawn(wanted)).await?;
        let (mut child, home, plan) = started?;
        let group = Group::of(&child);
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(mut input), Some(output), Some(errors)) = pipes else {
            return Err("it has no pipes".to_owned());
        };
        let program = Self { child, group, home, refusal: Arc::default(), errors: None };
        // One that has ended already says why on its standard error.
        let _ = input.write_all(&plan).await;
        Ok((program, Pipes { input, output, errors }))
    }

    /// Reads its standard error from now on.
    pub(crate) fn listen(&mut self, errors: ChildStderr, upstream: UpstreamName, scanner: Arc<Scanner>) {
        let refusal = Arc::clone(&self.refusal);
        self.errors = Some(tokio::spawn(log(errors, upstream, scanner, refusal)));
    }

    /// Waits for its end; says how it ended.
    pub(crate) async fn ended(&mut self) -> String {
        match self.child.wait().await {
            Ok(status) if status.code() == Some(launch::REFUSED.into()) => {
                self.refused().await.unwrap_or_else(|| format!("it ended with {status}"))
            }
            Ok(status) => format!("it ended with {status}"),
            Err(error) => format!("it cannot be waited for: {error}"),
        }
    }

    /// Why the launcher did not become it.
    async fn refused(&mut self) -> Option<String> {
        if let Some(errors) = &mut self.errors {
            let _ = tokio::time::timeout(LAST_WORDS, errors).await;
            self.errors = None;
        }
        self.refusal.get().cloned()
    }

    /// Ends it, whose standard input is closed, with everything that it started. Says why it was never more than the launcher,
    /// if it was not.
    pub(crate) async fn end(mut self) -> Option<String> {
        let ended = tokio::time::timeout(GRACE, self.child.wait()).await;
        self.group.kill();
        // The launcher may not have come to its group yet.
        let _ = self.child.start_kill();
        let _ = self.child.wait().await;
        let home = self.home.take();
        let _ = tokio::task::spawn_blocking(|| drop(home)).await;
        match ended {
            Ok(Ok(status)) if status.code() == Some(launch::REFUSED.into()) => self.refused().await,
            Ok(_) | Err(_) => None,
        }
    }
}

/// The launcher, the folder for what it becomes, and its plan, which holds secrets.
type Spawned = (Child, Option<TempDir>, Zeroizing<Vec<u8>>);

/// What of it waits for disks and name services, and the start itself.
fn spawn(wanted: Wanted) -> Result<Spawned, String> {
    let Wanted { upstream, command, mut env, folder, sandbox } = wanted;
    let confinement = Confinement::of(&sandbox, upstream, Machine::look())?;
    let (program, arguments) = command.split_first().ok_or("it has no program")?;
    let program = found(program)?;
    let account = confinement.user.as_ref().map(account).transpose()?;
    let home = confinement.is_any().then(|| own_folder(upstream, account)).transpose()?;
    if let Some(home) = &home {
        let path = home.path().to_str().ok_or("the folder for temporary files has a name that is no text")?;
        for name in ["HOME", "TMPDIR"] {
            if !env.iter().any(|(written, _)| written == name) {
                env.push((name.to_owned(), path.to_owned()));
            }
        }
    }
    let plan = Plan {
        gateway: getpid().as_raw_nonzero().get(),
        program,
        arguments: arguments.to_vec(),
        env,
        folder,
        account,
        files: confinement.landlock.is_some().then_some(Files { read: sandbox.read, write: sandbox.write }),
        home: home.as_ref().map(|home| home.path().to_owned()),
        guarded: sandbox.guarded,
    };
    let plan = plan.to_bytes()?;
    // The file that this process runs, whatever has become of its name since.
    let mut launcher = Command::new("/proc/self/exe");
    launcher.arg0(launch::NAME).env_clear().current_dir("/");
    launcher.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let child = launcher.spawn().map_err(|error| format!("its launcher cannot be started: {error}"))?;
    Ok((child, home, plan))
}

/// The program as it is looked up by whoever starts the gateway: the child's own `PATH` may be another.
fn found(program: &str) -> Result<PathBuf, String> {
    if program.contains('/') {
        return Ok(PathBuf::from(program));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut files = std::env::split_paths(&path).map(|folder| folder.join(program));
    files.find(|file| file.is_file()).ok_or_else(|| format!("there is no `{program}` in the gateway's PATH"))
}

/// The ids of the user that it becomes.
fn account(user: &OtherUser) -> Result<Account, String> {
    let name = match user {
        OtherUser::Number(number) => return Ok(Account { uid: *number, gid: *number, own: true }),
        OtherUser::Account(name) => name,
    };
    let found =
        User::from_name(name).map_err(|error| format!("the user `{name}` cannot be looked up: {error}"))?;
    let found = found.ok_or_else(|| format!("there is no user `{name}`"))?;
    let (uid, gid) = (found.uid.as_raw(), found.gid.as_raw());
    if uid == 0 || uid == geteuid().as_raw() {
        return Err(format!("the user `{name}` is root or the gateway's own: that keeps it from nothing"));
    }
    Ok(Account { uid, gid, own: false })
}

/// A folder of its own, empty at every start and gone after it.
fn own_folder(upstream: UpstreamName, account: Option<Account>) -> Result<TempDir, String> {
    let failed = |error: std::io::Error| format!("a folder of its own cannot be made: {error}");
    let home =
        tempfile::Builder::new().prefix(&format!("portcullis-{upstream}-")).tempdir().map_err(failed)?;
    if let Some(Account { uid, gid, .. }) = account {
        chown(home.path(), Some(uid), Some(gid)).map_err(failed)?;
    }
    Ok(home)
}

/// Everything that the program started; killed when dropped.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw))
    }

    /// Once: its number can be somebody else's later.
    fn kill(&mut self) {
        if let Some(group) = self.0.take() {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Puts what the program writes to standard error into the log, guarded and bounded; the rest is read and dropped, so that
/// nothing waits for its reader.
async fn log(
    errors: impl AsyncRead + Unpin,
    upstream: UpstreamName,
    scanner: Arc<Scanner>,
    refusal: Arc<OnceLock<String>>,
) {
    let (mut lines, mut left) = (Lines::new(errors, STDERR_LINE), STDERR_LINES);
    loop {
        match lines.next().await {
            Ok(Line::Whole(line)) if left > 0 => {
                left -= 1;
                if let Some(why) = line.strip_prefix(launch::SAYS.as_bytes()) {
                    let why = Guard::new().admit_text(&scanner, &String::from_utf8_lossy(why));
                    // The program can write such a line as well: then it is about itself, and no longer than this.
                    let why: Option<String> = why.map(|why| why.into_inner().chars().take(2000).collect());
                    let why = why.unwrap_or_else(|| "why cannot be told without a secret".to_owned());
                    let _ = refusal.set(format!("it was not started: {why}"));
                    continue;
                }
                tell(line, upstream, &scanner, left);
            }
            Ok(Line::Whole(_)) => {}
            Ok(Line::TooLong) => {
                tracing::warn!(%upstream, "a line of its standard error is too long: nothing more of it is logged");
                return lines.drain().await;
            }
            Ok(Line::End) | Err(_) => return,
        }
    }
}

fn tell(line: &[u8], upstream: UpstreamName, scanner: &Scanner, left: usize) {
    match Guard::new().admit_text(scanner, &String::from_utf8_lossy(line)) {
        Some(line) => {
            let line: String = line.into_inner().chars().take(2000).collect();
            tracing::info!(%upstream, stderr = line.as_str());
        }
        None => tracing::warn!(%upstream, "a line of its standard error holds a secret, and is left out"),
    }
    if left == 0 {
        tracing::warn!(%upstream, "it has written much to standard error: no more of it is logged until it is started again");
    }
}
