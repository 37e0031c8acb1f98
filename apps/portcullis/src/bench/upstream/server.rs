//! The MCP server that everything is measured before: it says back what it is told, in either era, and keeps nothing.

use std::io::Write as _;

use anyhow::Context;
use axum::body::Bytes;
use axum::http::{StatusCode, header::CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use crate::bench::echo::listen;

/// The tool's name.
pub(super) const TOOL: &str = "echo";

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    method: Option<&'a str>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Call<'a> {
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}

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

/// `None` for what wants no answer.
fn answer(body: &[u8]) -> Option<String> {
    let Ok(message) = serde_json::from_slice::<Message<'_>>(body) else {
        return Some(r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"no JSON"}}"#.to_owned());
    };
    let id = message.id?.get();
    let result = match message.method? {
        "tools/call" => {
            let call = message.params.and_then(|params| serde_json::from_str::<Call<'_>>(params.get()).ok());
            let told = call.and_then(|call| call.arguments).map_or("{}", RawValue::get);
            let text = Value::from(told);
            format!(
                r#"{{"resultType":"complete","content":[{{"type":"text","text":{text}}}],"isError":false}}"#
            )
        }
        "initialize" => json!({
            "protocolVersion": "2025-11-25",
            "capabilities": { "tools": {} },
            "serverInfo": { "name": "bench", "version": "1" },
        })
        .to_string(),
        "server/discover" => json!({
            "resultType": "complete",
            "supportedVersions": [wire::LATEST.as_str()],
            "capabilities": { "tools": {} },
            "_meta": { "io.modelcontextprotocol/serverInfo": { "name": "bench", "version": "1" } },
            "ttlMs": 0,
            "cacheScope": "private",
        })
        .to_string(),
        "tools/list" => json!({
            "resultType": "complete",
            "tools": [{
                "name": TOOL,
                "description": "Says what it was told.",
                "inputSchema": { "type": "object", "properties": { "text": { "type": "string" } } },
            }],
            "ttlMs": 0,
            "cacheScope": "private",
        })
        .to_string(),
        "ping" => "{}".to_owned(),
        _ => {
            return Some(format!(
                r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32601,"message":"no such method"}}}}"#
            ));
        }
    };
    Some(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#))
}
