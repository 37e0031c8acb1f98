//! The agent socket: MCP for local users, told apart by what the kernel says of the peer.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use gateway::control::user_name;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Gate;
use crate::measure::{self, Connected};
use crate::stream::{StreamLimits, local_identity, serve_stream};

/// Serves everybody who connects, at most `connections` at once, until `closing`; then lets what is under way end.
pub async fn serve_socket(
    listener: UnixListener,
    gate: Arc<dyn Gate>,
    limits: StreamLimits,
    connections: usize,
    closing: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(connections));
    let tasks = TaskTracker::new();
    while let Some(accepted) = closing.run_until_cancelled(listener.accept()).await {
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "the agent socket could not accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            measure::connection_refused("full");
            continue;
        };
        let (gate, closing) = (Arc::clone(&gate), closing.clone());
        tasks.spawn(async move {
            let _counted = Connected::new("socket");
            if let Err(error) = converse(stream, gate, limits, closing).await {
                tracing::debug!(%error, "a connection to the agent socket broke");
            }
            drop(place);
        });
    }
    tasks.close();
    tasks.wait().await;
}

async fn converse(
    stream: UnixStream,
    gate: Arc<dyn Gate>,
    limits: StreamLimits,
    closing: CancellationToken,
) -> io::Result<()> {
    let identity = local_identity(&gate, user_name(stream.peer_cred()?.uid()), "socket");
    let (reader, writer) = stream.into_split();
    serve_stream(reader, writer, gate, identity, "socket", limits, closing).await
}
