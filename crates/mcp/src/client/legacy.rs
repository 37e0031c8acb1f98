//! A client of 2025-11-25, as far as a benchmark needs one: greeting, list, and the request of a call.

use std::net::SocketAddr;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderValue};
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::ClientError;

const VERSION: &str = "2025-11-25";

struct Greeted<'a> {
    sender: SendRequest<Full<Bytes>>,
    address: SocketAddr,
    path: &'a str,
    api_key: Option<&'a str>,
    session: Option<HeaderValue>,
}

/// Greets, looks for the tool whose name ends like this (proxies put something before it), and makes the request that
/// calls it. No two requests of a session may have the same `id`.
pub async fn prepare(
    address: SocketAddr,
    path: &str,
    api_key: Option<&str>,
    tool: &str,
    arguments: &Value,
    id: &Value,
) -> Result<Request<Full<Bytes>>, ClientError> {
    let stream = TcpStream::connect(address).await.map_err(ClientError::Connection)?;
    stream.set_nodelay(true).map_err(ClientError::Connection)?;
    let (sender, driver) = handshake(TokioIo::new(stream)).await.map_err(ClientError::Http)?;
    tokio::spawn(driver);
    let mut client = Greeted { sender, address, path, api_key, session: None };
    let hello = json!({
        "protocolVersion": VERSION, "capabilities": {}, "clientInfo": { "name": "portcullis", "version": env!("CARGO_PKG_VERSION") },
    });
    client.ask("initialize", hello).await?;
    client.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).await?;
    let list = client.ask("tools/list", json!({})).await?;
    let tools = list.pointer("/result/tools").and_then(Value::as_array).into_iter().flatten();
    let name = tools.filter_map(|listed| listed.get("name")?.as_str()).find(|name| name.ends_with(tool));
    let name = name.ok_or_else(|| ClientError::Protocol(format!("`{tool}` is not listed")))?;
    client.build(&json!({
        "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": { "name": name, "arguments": arguments },
    }))
}

impl Greeted<'_> {
    async fn ask(&mut self, method: &str, params: Value) -> Result<Value, ClientError> {
        let message = json!({ "jsonrpc": "2.0", "id": method, "method": method, "params": params });
        self.send(&message).await?.ok_or_else(|| ClientError::Protocol(format!("`{method}` has no answer")))
    }

    async fn send(&mut self, message: &Value) -> Result<Option<Value>, ClientError> {
        let request = self.build(message)?;
        self.sender.ready().await.map_err(ClientError::Http)?;
        let answer = self.sender.send_request(request).await.map_err(ClientError::Http)?;
        if let Some(session) = answer.headers().get(wire::name::SESSION_ID) {
            self.session = Some(session.clone());
        }
        let status = answer.status();
        let body = answer.into_body().collect().await.map_err(ClientError::Http)?.to_bytes();
        let body = String::from_utf8_lossy(&body);
        if !status.is_success() {
            return Err(ClientError::Refused { status, body: body.chars().take(300).collect() });
        }
        // One message, or events the last of which is the answer.
        let events = body.lines().filter_map(|line| line.strip_prefix("data:"));
        let event = events.rev().find(|data| data.contains("\"id\""));
        Ok(serde_json::from_str(event.unwrap_or(&body)).ok())
    }

    fn build(&self, message: &Value) -> Result<Request<Full<Bytes>>, ClientError> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(self.path)
            .header(HOST, self.address.to_string())
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/json, text/event-stream");
        if let Some(session) = &self.session {
            request = request.header(wire::name::SESSION_ID, session);
        }
        if message.get("method").is_some_and(|method| method != "initialize") {
            request = request.header(wire::name::PROTOCOL_VERSION, VERSION);
        }
        if let Some(key) = self.api_key {
            request = request.header("x-api-key", key);
        }
        let body = Full::new(Bytes::from(message.to_string()));
        request.body(body).map_err(|wrong| ClientError::Protocol(wrong.to_string()))
    }
}
