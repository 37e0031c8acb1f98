//! The bare limit: an axum handler that parses JSON and sends it back. A child process of the benchmark.

use std::io::Write;

use anyhow::Context;
use axum::Json;
use axum::routing::post;
use axum::serve::ListenerExt;
use serde_json::Value;

/// Serves until it is killed; prints its address first.
pub(crate) async fn serve() -> anyhow::Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.context("bind a loopback port")?;
    let address = listener.local_addr()?;
    writeln!(std::io::stdout(), "{address}")?;
    let router = axum::Router::new().route("/mcp", post(|Json(body): Json<Value>| async move { Json(body) }));
    let listener = listener.tap_io(|stream| {
        // Without it every answer would wait for a delayed acknowledgement.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "no TCP_NODELAY");
        }
    });
    axum::serve(listener, router).await.context("serve the echo")
}
