//! The bare limit: an axum handler that parses JSON and sends it back. A child process of the benchmark.

use std::io::Write;
use std::net::SocketAddr;

use anyhow::Context;
use axum::Json;
use axum::routing::post;
use axum::serve::{Listener, ListenerExt};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};

/// Serves until it is killed; prints its address first.
pub(crate) async fn serve() -> anyhow::Result<()> {
    let (listener, address) = listen().await?;
    writeln!(std::io::stdout(), "{address}")?;
    let router = axum::Router::new().route("/mcp", post(|Json(body): Json<Value>| async move { Json(body) }));
    axum::serve(listener, router).await.context("serve the echo")
}

/// A listener on a free port of loopback, and its address.
pub(super) async fn listen() -> anyhow::Result<(impl Listener<Io = TcpStream, Addr = SocketAddr>, SocketAddr)>
{
    let listener = TcpListener::bind("127.0.0.1:0").await.context("bind a loopback port")?;
    let address = listener.local_addr()?;
    let listener = listener.tap_io(|stream| {
        // Without it every answer would wait for a delayed acknowledgement.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "no TCP_NODELAY");
        }
    });
    Ok((listener, address))
}
