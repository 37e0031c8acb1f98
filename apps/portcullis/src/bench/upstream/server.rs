//! The MCP server that everything is measured before: it says back what it is told, in either era, and keeps nothing.

use std::io::Write as _;

use anyhow::Context;
use axum::body::Bytes;
use axum::http::{StatusCode, header::CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use mcp::mirror::answer;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use crate::bench::echo::listen;

/// Serves over HTTP until it is killed; prints its address first.
pub(in crate::bench) async fn http() -> anyhow::Result<()> {
    let (listener, address) = listen().await?;
    writeln!(std::io::stdout(), "{address}")?;
    let router = axum::Router::new().route("/mcp", post(|body: Bytes| async move { over_http(&body) }));
    axum::serve(listener, router).await.context("serve MCP")
}

/// Serves over standard input and output until that ends.
pub(in crate::bench) async fn stdio() -> anyhow::Result<()> {
    let (mut lines, mut out) = (BufReader::new(tokio::io::stdin()), tokio::io::stdout());
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line).await? > 0 {
        if let Some(mut answer) = answer(&line) {
            answer.push('\n');
            out.write_all(answer.as_bytes()).await?;
            out.flush().await?;
        }
        line.clear();
    }
    Ok(())
}

fn over_http(body: &[u8]) -> Response {
    match answer(body) {
        Some(answer) => ([(CONTENT_TYPE, "application/json")], answer).into_response(),
        None => StatusCode::ACCEPTED.into_response(),
    }
}
