//! The owner's end of the control socket.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use model::{Answer, ErrorCode, Failure};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use zeroize::Zeroizing;

use super::{Act, ControlRequest, Reply, Verbs, socket_path, user_name};
use crate::owner::Owner;

/// How many operators and attached clients can be connected at once; more wait.
const MOST_CONNECTIONS: usize = 256;
/// Longest request line.
pub(super) const MOST_REQUEST: usize = 1024 * 1024;
/// How long a connection may be silent between requests, and how long writing an answer may take.
const SILENCE: Duration = Duration::from_secs(30);

/// The listening control socket. Its file goes when the value does.
pub struct ControlServer {
    listener: UnixListener,
    path: PathBuf,
}

impl ControlServer {
    /// Binds the socket of the owned state folder, mode 0600. A socket that a killed owner left is replaced: who holds
    /// the lock is the only one.
    pub fn bind(owner: &Owner) -> io::Result<Self> {
        let path = socket_path(owner.state());
        remove(&path)?;
        let listener = UnixListener::bind(&path)?;
        // The folder admits nobody else, so nobody can have connected before this line.
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        Ok(Self { listener, path })
    }

    /// Answers until `stop`, then until the requests in flight are answered.
    pub async fn run(self, verbs: Arc<dyn Verbs>, stop: CancellationToken) {
        let connections = Arc::new(Semaphore::new(MOST_CONNECTIONS));
        let tracker = TaskTracker::new();
        while let Some(Ok(place)) = stop.run_until_cancelled(Arc::clone(&connections).acquire_owned()).await {
            match stop.run_until_cancelled(self.listener.accept()).await {
                None => break,
                Some(Err(error)) => {
                    tracing::warn!(%error, "the control socket could not accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                Some(Ok((stream, _))) => {
                    let (verbs, stop) = (Arc::clone(&verbs), stop.clone());
                    tracker.spawn(async move {
                        if let Err(error) = converse(stream, verbs.as_ref(), &stop).await {
                            tracing::debug!(%error, "a control connection ended");
                        }
                        drop(place);
                    });
                }
            }
        }
        tracker.close();
        tracker.wait().await;
    }
}

impl Drop for ControlServer {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.path) {
            tracing::debug!(%error, "the control socket's file could not be removed");
        }
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

async fn converse(mut stream: UnixStream, verbs: &dyn Verbs, stop: &CancellationToken) -> io::Result<()> {
    let uid = stream.peer_cred()?.uid();
    if uid != rustix::process::geteuid().as_raw() && uid != 0 {
        tracing::warn!(
            uid,
            "a user who is not the gateway's own connected to the control socket and was refused"
        );
        return Ok(());
    }
    let os_user = user_name(uid);
    while let Some(next) = stop.run_until_cancelled(timeout(SILENCE, read_line(&mut stream))).await {
        let (reply, more) = match next.unwrap_or(Ok(Line::End))? {
            Line::End => return Ok(()),
            Line::TooLong => (Reply::failed(&too_long()), false),
            Line::Whole(line) => match ControlRequest::read(line) {
                Err(failure) => (Reply::failed(&failure), true),
                Ok(request) if request.act == Act::Attach => {
                    return attach(stream, verbs, &os_user, request.as_principal.as_deref(), stop).await;
                }
                Ok(request) => match attended(&mut stream, verbs, &os_user, request).await {
                    Some(reply) => (reply, true),
                    None => return Ok(()),
                },
            },
        };
        tell(&mut stream, &reply).await?;
        if !more {
            return Ok(());
        }
    }
    Ok(())
}

/// From here on the connection speaks MCP.
async fn attach(
    mut stream: UnixStream,
    verbs: &dyn Verbs,
    os_user: &str,
    as_principal: Option<&str>,
    stop: &CancellationToken,
) -> io::Result<()> {
    match verbs.attach(os_user, as_principal).await {
        Err(failure) => tell(&mut stream, &Reply::failed(&failure)).await,
        Ok(identity) => {
            let attached = Answer {
                text: "attached".to_owned(),
                structured: json!({}),
                is_error: false,
                ..Answer::default()
            };
            tell(&mut stream, &Reply::new(attached)).await?;
            verbs.converse(stream, identity, stop.clone()).await;
            Ok(())
        }
    }
}

async fn tell(stream: &mut UnixStream, reply: &Reply) -> io::Result<()> {
    let line = reply.write().map_err(io::Error::other)?;
    timeout(SILENCE, stream.write_all(&line)).await?
}

/// Answers while the operator is there; a call whose operator has gone is cancelled, and still runs to its record.
async fn attended(
    stream: &mut UnixStream,
    verbs: &dyn Verbs,
    os_user: &str,
    request: ControlRequest,
) -> Option<Reply> {
    let cancel = CancellationToken::new();
    let answer = verbs.answer(os_user, request, cancel.clone());
    tokio::pin!(answer);
    // Requests come one after another, so the next byte before the answer is either the end or a broken client.
    let mut byte = [0; 1];
    tokio::select! {
        biased;
        reply = &mut answer => return Some(reply),
        _ = stream.read(&mut byte) => cancel.cancel(),
    }
    answer.await;
    None
}

enum Line {
    Whole(Zeroizing<Vec<u8>>),
    TooLong,
    End,
}

/// Reads one line without reading ahead in another buffer, which could keep a secret.
async fn read_line(stream: &mut UnixStream) -> io::Result<Line> {
    let mut line = Zeroizing::new(Vec::with_capacity(64 * 1024));
    loop {
        if stream.read_buf(&mut *line).await? == 0 {
            return Ok(Line::End);
        }
        if line.len() > MOST_REQUEST {
            return Ok(Line::TooLong);
        }
        if line.last() == Some(&b'\n') {
            return Ok(Line::Whole(line));
        }
    }
}

fn too_long() -> Failure {
    Failure::new(ErrorCode::InputInvalid, format!("the request is longer than {MOST_REQUEST} bytes"))
}
