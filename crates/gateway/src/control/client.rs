//! The command line's end of the control socket.

use std::io;
use std::path::{Path, PathBuf};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use super::{Act, ControlRequest, Reply, socket_path};

/// Longest answer line.
const MOST_REPLY: u64 = 64 * 1024 * 1024;

/// A connection to the owner of a state folder.
#[derive(Debug)]
pub struct ControlClient {
    stream: BufReader<UnixStream>,
    path: PathBuf,
}

/// The owner did not answer.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The socket cannot be used.
    #[error("the control socket `{}` cannot be used: {source}", .path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The gateway ended before it answered.
    #[error("the gateway behind `{}` ended the connection before it answered", .path.display())]
    Gone {
        /// The socket.
        path: PathBuf,
    },
    /// What came is no answer.
    #[error("what answered on `{}` is no gateway: {source}", .path.display())]
    NoReply {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
}

impl ControlClient {
    /// Connects to the owner of this state folder; `None` if there is none.
    pub async fn connect(state: &Path) -> Result<Option<Self>, ControlError> {
        let path = socket_path(state);
        match UnixStream::connect(&path).await {
            Ok(stream) => Ok(Some(Self { stream: BufReader::new(stream), path })),
            Err(error)
                if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) =>
            {
                Ok(None)
            }
            Err(source) => Err(ControlError::Io { path, source }),
        }
    }

    /// Makes the connection one that speaks MCP, as this user's principal or as another; the reply says why not.
    pub async fn attach(
        mut self,
        as_principal: Option<String>,
    ) -> Result<Result<BufReader<UnixStream>, Reply>, ControlError> {
        let mut request = ControlRequest::new(Act::Attach, serde_json::Map::new());
        request.as_principal = as_principal;
        let reply = self.ask(&request).await?;
        Ok(if reply.answer.is_error { Err(reply) } else { Ok(self.stream) })
    }

    /// Asks, and waits for the answer as long as it takes.
    pub async fn ask(&mut self, request: &ControlRequest) -> Result<Reply, ControlError> {
        let broken = |source| ControlError::Io { path: self.path.clone(), source };
        let line = request.write().map_err(|error| broken(io::Error::other(error)))?;
        if line.len() > super::server::MOST_REQUEST {
            return Err(broken(io::Error::other("the request is too long")));
        }
        match self.stream.write_all(&line).await {
            // The gateway may have closed after an answer that explains why.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(broken(error)),
            Ok(()) | Err(_) => {}
        }
        let mut answer = Vec::new();
        let path = self.path.clone();
        match (&mut self.stream).take(MOST_REPLY).read_until(b'\n', &mut answer).await {
            Err(error) if error.kind() != io::ErrorKind::ConnectionReset => {
                Err(ControlError::Io { path, source: error })
            }
            Ok(_) | Err(_) if answer.last() != Some(&b'\n') => Err(ControlError::Gone { path }),
            Ok(_) | Err(_) => Reply::read(&answer).map_err(|source| ControlError::NoReply { path, source }),
        }
    }
}
