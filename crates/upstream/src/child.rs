//! The program of an upstream: no shell, an environment of its own, a process group that ends as one.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use guard::{Guard, Scanner};
use model::UpstreamName;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncRead;
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

use crate::lines::{Line, Lines};

/// How long a program has to end by itself after its standard input was closed.
const GRACE: Duration = Duration::from_secs(2);
/// The longest line of standard error that is looked at, in bytes.
const STDERR_LINE: usize = 64 * 1024;
/// How many lines of standard error go into the log at most, of one start.
const STDERR_LINES: usize = 1000;

/// A program that runs, and its ends of the pipes.
pub(crate) struct Program {
    child: Child,
    group: Group,
}

/// The pipes.
pub(crate) struct Pipes {
    pub(crate) input: ChildStdin,
    pub(crate) output: ChildStdout,
    pub(crate) errors: ChildStderr,
}

impl Program {
    /// Starts it. Its environment is what is given here and nothing else.
    pub(crate) fn start(
        command: &[String],
        env: Vec<(String, std::ffi::OsString)>,
        folder: &Path,
    ) -> Result<(Self, Pipes), String> {
        let (program, arguments) = command.split_first().ok_or("it has no program")?;
        let mut command = Command::new(found(program)?);
        command.args(arguments).env_clear().envs(env).current_dir(folder);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.process_group(0).kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| format!("`{program}` cannot be started: {error}"))?;
        let group = Group::of(&child);
        match (child.stdin.take(), child.stdout.take(), child.stderr.take()) {
            (Some(input), Some(output), Some(errors)) => {
                Ok((Self { child, group }, Pipes { input, output, errors }))
            }
            _ => Err(format!("`{program}` has no pipes")),
        }
    }

    /// Waits for its end; says how it ended.
    pub(crate) async fn ended(&mut self) -> String {
        match self.child.wait().await {
            Ok(status) => format!("it ended with {status}"),
            Err(error) => format!("it cannot be waited for: {error}"),
        }
    }

    /// Ends it, whose standard input is closed, with everything that it started.
    pub(crate) async fn end(mut self) {
        let _ = tokio::time::timeout(GRACE, self.child.wait()).await;
        self.group.kill();
        let _ = self.child.wait().await;
    }
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

/// Everything that the program started; killed when dropped.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw))
    }

    fn kill(&self) {
        if let Some(group) = self.0 {
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
pub(crate) async fn log(errors: impl AsyncRead + Unpin, upstream: UpstreamName, scanner: Arc<Scanner>) {
    let (mut lines, mut left) = (Lines::new(errors, STDERR_LINE), STDERR_LINES);
    loop {
        match lines.next().await {
            Ok(Line::Whole(line)) if left > 0 => {
                left -= 1;
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
