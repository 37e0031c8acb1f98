//! The sockets that every owner of the state serves, `serve` and `stdio` alike: operators' verbs, and MCP for local users.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use gateway::control::{Attach, ControlServer, Identity, Operators, Verbs};
use mcp::{Gate, StreamLimits, serve_socket, serve_stream};
use tokio::net::UnixStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::agent_socket::{self, Bound};
use crate::compose::Portcullis;
use crate::failure::Stop;

/// How many local users' clients can be connected at once.
const MOST_CLIENTS: usize = 256;

/// The sockets of one owner, until [`Service::stop`].
pub(crate) struct Service {
    operators: Arc<Operators>,
    tasks: TaskTracker,
    closing: CancellationToken,
    _agent_socket: Option<Bound>,
}

impl Service {
    /// Binds both and serves.
    pub(crate) fn start(portcullis: &Portcullis) -> Result<Self, Stop> {
        let gate: Arc<dyn Gate> = Arc::clone(&portcullis.gateway) as Arc<_>;
        let attach = Arc::new(Streams { gate: Arc::clone(&gate) });
        let operators =
            Operators::new(Arc::clone(&portcullis.gateway), Arc::clone(&portcullis.tray)).with_attach(attach);
        let operators = Arc::new(operators);
        let (tasks, closing) = (TaskTracker::new(), CancellationToken::new());
        let control = ControlServer::bind(portcullis.owner()).map_err(|error| {
            let path = gateway::control::socket_path(portcullis.owner().state());
            Stop::failed(format!("the control socket `{}` cannot be made: {error}", path.display()))
                .with_hint("a socket's path has at most 107 bytes: choose a shorter `state`")
        })?;
        tasks.spawn(control.run(Arc::clone(&operators) as Arc<dyn Verbs>, closing.clone()));
        let in_force = portcullis.in_force.load();
        let agent_socket = match &in_force.loaded.configuration.listen.socket {
            None => None,
            Some(socket) => {
                let (listener, bound) = agent_socket::bind(socket).map_err(|error| {
                    Stop::failed(format!(
                        "the agent socket `{}` cannot be made: {error}",
                        socket.path.display()
                    ))
                })?;
                tasks.spawn(serve_socket(
                    listener,
                    gate,
                    StreamLimits::default(),
                    MOST_CLIENTS,
                    closing.clone(),
                ));
                tracing::info!(path = %socket.path.display(), "serving MCP to local users");
                Some(bound)
            }
        };
        Ok(Self { operators, tasks, closing, _agent_socket: agent_socket })
    }

    /// What answers on the control socket, for clients in this process.
    pub(crate) fn operators(&self) -> &Arc<Operators> {
        &self.operators
    }

    /// Takes nothing new and lets what is under way end, as long as `patience` lasts.
    pub(crate) async fn stop(self, patience: Duration) {
        self.closing.cancel();
        self.tasks.close();
        if tokio::time::timeout(patience, self.tasks.wait()).await.is_err() {
            tracing::warn!("local clients were cut off: they did not end in time");
        }
    }
}

/// MCP on connections that were attached over the control socket.
struct Streams {
    gate: Arc<dyn Gate>,
}

#[async_trait]
impl Attach for Streams {
    async fn serve(&self, stream: UnixStream, identity: Identity, closing: CancellationToken) {
        let (reader, writer) = stream.into_split();
        let gate = Arc::clone(&self.gate);
        if let Err(error) =
            serve_stream(reader, writer, gate, identity, "stdio", StreamLimits::default(), closing).await
        {
            tracing::debug!(%error, "an attached connection broke");
        }
    }
}
