//! Credentials from a program that the operator names.

use std::collections::BTreeMap;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use async_trait::async_trait;
use broker::{Credential, CredentialSource, Fetch, SECRET_MAX, VersionKey, without_newline};
use model::{CredentialRef, ErrorCode, Failure, Fault};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use zeroize::Zeroizing;

use crate::Environment;
use crate::assemble::assemble;
use crate::names::{components, invalid};

/// The longest time a program may take, whatever the configuration says.
pub(crate) const TIMEOUT_MAX: Duration = Duration::from_secs(55);

/// How much of what the program writes to standard error is kept for the operator.
const STDERR_MAX: usize = 2 * 1024;

/// A program that prints a secret. No shell: every argument is one argument.
///
/// An argument that is exactly `{safe}`, `{object}` or `{safe}/{object}` stands for that part of the name. The program
/// gets `PATH`, `HOME` and the variables configured for it, nothing on standard input, and must print
/// the secret and nothing else; one trailing newline is dropped.
pub struct CommandSource {
    argv: Vec<String>,
    variables: BTreeMap<String, String>,
    timeout: Duration,
    environment: Environment,
    versions: VersionKey,
}

impl CommandSource {
    /// A source that runs `argv`; `timeout` counts up to 55 seconds.
    pub fn new(
        argv: Vec<String>,
        variables: BTreeMap<String, String>,
        timeout: Duration,
        environment: Environment,
        versions: VersionKey,
    ) -> Self {
        Self { argv, variables, timeout: timeout.min(TIMEOUT_MAX), environment, versions }
    }

    fn command(&self, name: &CredentialRef) -> Result<Command, Failure> {
        let mut words = self.argv.iter();
        let program = words.next().ok_or_else(|| down(name, "it has no program"))?;
        let mut command = Command::new(program);
        for word in words {
            command.arg(fill_in(word, name));
        }
        command.env_clear();
        for passed in ["PATH", "HOME"] {
            if let Some(value) = (self.environment)(passed) {
                command.env(passed, value);
            }
        }
        command.envs(&self.variables);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.process_group(0).kill_on_drop(true);
        Ok(command)
    }
}

#[async_trait]
impl CredentialSource for CommandSource {
    async fn fetch(&self, fetch: Fetch<'_>) -> Result<Credential, Failure> {
        let name = fetch.credential;
        let (safe, objects) = components(name)?;
        if objects.iter().chain(std::iter::once(&safe)).any(|part| part.starts_with('-')) {
            return Err(invalid(
                name,
                "no part of it may begin with `-`: the program could take it for an option",
            ));
        }
        let mut child = self
            .command(name)?
            .spawn()
            .map_err(|error| down(name, format!("it cannot be started: {error}")))?;
        let group = Group::of(&child);
        let printed = match tokio::time::timeout(self.timeout, run(&mut child)).await {
            Ok(Ok(printed)) => printed,
            Ok(Err(error)) => return Err(down(name, error)),
            Err(_) => return Err(down(name, format!("it took longer than {} s", self.timeout.as_secs()))),
        };
        group.disarm();
        let Printed { status, stdout, stderr } = printed;
        if !status.success() {
            return Err(failed(name, &format!("it ended with {status}{}", said(&stderr, &stdout))));
        }
        assemble(name, &self.versions, None, None, without_newline(stdout), None)
    }
}

struct Printed {
    status: ExitStatus,
    stdout: Zeroizing<Vec<u8>>,
    stderr: Zeroizing<Vec<u8>>,
}

async fn run(child: &mut Child) -> std::io::Result<Printed> {
    let (Some(mut stdout), Some(mut stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(std::io::Error::other("it has no output"));
    };
    let stderr = async { Ok(read_some(&mut stderr).await) };
    let (stdout, stderr) = tokio::try_join!(read_whole(&mut stdout), stderr)?;
    Ok(Printed { status: child.wait().await?, stdout, stderr })
}

/// Everything, or an error as soon as it is too much. The buffer never moves, so that no copy stays behind.
async fn read_whole(from: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(SECRET_MAX + 64));
    let mut bounded = from.take(u64::try_from(SECRET_MAX).unwrap_or(0) + 1);
    while bounded.read_buf(&mut *bytes).await? > 0 {}
    if bytes.len() > SECRET_MAX {
        return Err(std::io::Error::other("it printed more than 64 KiB"));
    }
    // The copy into a vector of the right size keeps a small secret from occupying the whole buffer.
    Ok(Zeroizing::new(bytes.to_vec()))
}

/// The beginning; the rest is read and dropped, so that the program does not wait for its reader.
async fn read_some(from: &mut (impl AsyncRead + Unpin)) -> Zeroizing<Vec<u8>> {
    let mut kept = Zeroizing::new(Vec::with_capacity(STDERR_MAX));
    let mut chunk = Zeroizing::new([0; 1024]);
    while let Ok(n @ 1..) = from.read(&mut *chunk).await {
        let room = STDERR_MAX.saturating_sub(kept.len());
        kept.extend_from_slice(chunk.get(..n.min(room)).unwrap_or_default());
    }
    kept
}

/// What the program said on standard error, for the operator, unless it holds what it printed.
fn said(stderr: &[u8], stdout: &[u8]) -> String {
    let printed = stdout.trim_ascii();
    let holds_it = !printed.is_empty() && stderr.windows(printed.len()).any(|window| window == printed);
    let text: String = String::from_utf8_lossy(stderr)
        .trim()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(500)
        .collect();
    match (text.is_empty(), holds_it) {
        (true, _) => String::new(),
        (false, true) => ", and its standard error holds what it printed".to_owned(),
        (false, false) => format!(": {text}"),
    }
}

/// Everything the program started; killed unless the program has been waited for.
struct Group(Option<rustix::process::Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw))
    }

    fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}

fn fill_in(word: &str, name: &CredentialRef) -> String {
    match word {
        "{safe}" => name.safe().to_owned(),
        "{object}" => name.object().to_owned(),
        "{safe}/{object}" => format!("{}/{}", name.safe(), name.object()),
        _ => word.to_owned(),
    }
}

fn down(name: &CredentialRef, why: impl std::fmt::Display) -> Failure {
    Failure::new(
        ErrorCode::CredentialSourceDown,
        format!("the program of source `{}` did not answer", name.source()),
    )
    .with_fault(Fault::Us)
    .with_internal(why.to_string())
}

fn failed(name: &CredentialRef, why: &str) -> Failure {
    Failure::new(
        ErrorCode::CredentialRefused,
        format!("the program of source `{}` gave no `{name}`", name.source()),
    )
    .with_internal(why)
}
