//! A client of 2025-11-25, as far as a benchmark needs one: greeting, list, and the request of a call.

use std::net::SocketAddr;

use anyhow::{Context, bail};
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderValue};
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::server;
use crate::bench::load::VARIED;

const VERSION: &str = "2025-11-25";

struct Greeted {
    sender: SendRequest<Full<Bytes>>,
    address: SocketAddr,
    path: String,
    key: Option<String>,
    session: Option<HeaderValue>,
}

/// Greets, looks the tool up (proxies name it as they like), and makes the request that calls it.
pub(super) async fn prepare(
    address: SocketAddr,
    path: &str,
    key: Option<&str>,
) -> anyhow::Result<Request<Full<Bytes>>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, driver) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(driver);
    let (path, key) = (path.to_owned(), key.map(str::to_owned));
    let mut client = Greeted { sender, address, path, key, session: None };
    let hello = json!({ "protocolVersion": VERSION, "capabilities": {}, "clientInfo": { "name": "bench", "version": "1" } });
    client.ask("initialize", hello).await?.context("no answer to the greeting")?;
    client.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).await?;
    let list = client.ask("tools/list", json!({})).await?.context("no list of tools")?;
    let tools = list.pointer("/result/tools").and_then(Value::as_array).into_iter().flatten();
    let names = tools.filter_map(|tool| tool.get("name")?.as_str());
    let name =
        names.into_iter().find(|name| name.ends_with(server::TOOL)).context("it does not list the tool")?;
    client.build(&json!({
        // No two requests of a session may have the same.
        "jsonrpc": "2.0", "id": VARIED, "method": "tools/call",
        "params": { "name": name, "arguments": { "text": VARIED } },
    }))
}

impl Greeted {
    async fn ask(&mut self, method: &str, params: Value) -> anyhow::Result<Option<Value>> {
        self.send(&json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params })).await
    }

    async fn send(&mut self, message: &Value) -> anyhow::Result<Option<Value>> {
        let request = self.build(message)?;
        self.sender.ready().await?;
        let answer = self.sender.send_request(request).await?;
        if let Some(session) = answer.headers().get("mcp-session-id") {
            self.session = Some(session.clone());
        }
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        let body = String::from_utf8_lossy(&body);
        if !status.is_success() {
            bail!("{status}: {body}");
        }
        // One message, or events the last of which is the answer.
        let event =
            body.lines().filter_map(|line| line.strip_prefix("data:")).rfind(|data| data.contains("\"id\""));
        Ok(serde_json::from_str(event.unwrap_or(&body)).ok())
    }

    fn build(&self, message: &Value) -> anyhow::Result<Request<Full<Bytes>>> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(&self.path)
            .header(HOST, self.address.to_string())
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/json, text/event-stream");
        if let Some(session) = &self.session {
            request = request.header("mcp-session-id", session);
        }
        if message.get("method").is_some_and(|method| method != "initialize") {
            request = request.header(wire::name::PROTOCOL_VERSION, VERSION);
        }
        if let Some(key) = &self.key {
            request = request.header("x-api-key", key);
        }
        Ok(request.body(Full::new(Bytes::from(message.to_string())))?)
    }
}
