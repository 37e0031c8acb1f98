//! A small client for our own use: the demo's agent and the benchmark's load. One connection, the newest revision.

pub mod legacy;

use std::net::SocketAddr;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HOST};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value, json};
use tokio::net::TcpStream;

/// One connection to a gateway on loopback.
pub struct Client {
    sender: SendRequest<Full<Bytes>>,
    address: SocketAddr,
    path: String,
    api_key: Option<String>,
    next_id: u64,
}

/// What came back for a tool call.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// The structured form.
    pub structured: Value,
    /// The text form.
    pub text: String,
    /// Whether the tool said that it failed.
    pub is_error: bool,
    /// Every byte of the answer's body.
    pub bytes: Bytes,
}

/// Why no answer came.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No connection, or it broke.
    #[error("the connection to the gateway failed")]
    Connection(#[source] std::io::Error),
    /// HTTP went wrong.
    #[error("the gateway did not answer as HTTP asks")]
    Http(#[source] hyper::Error),
    /// The gateway refused the request as a whole.
    #[error("the gateway answered {status}: {body}")]
    Refused {
        /// HTTP status.
        status: StatusCode,
        /// The body, shortened.
        body: String,
    },
    /// The answer is not what MCP says it must be.
    #[error("the gateway's answer is not MCP: {0}")]
    Protocol(String),
}

impl Client {
    /// Connects; `path` is `/mcp` or an endpoint below it.
    pub async fn connect(
        address: SocketAddr,
        path: &str,
        api_key: Option<&str>,
    ) -> Result<Self, ClientError> {
        let stream = TcpStream::connect(address).await.map_err(ClientError::Connection)?;
        stream.set_nodelay(true).map_err(ClientError::Connection)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(ClientError::Http)?;
        tokio::spawn(connection);
        Ok(Self { sender, address, path: path.to_owned(), api_key: api_key.map(str::to_owned), next_id: 0 })
    }

    /// Calls a tool.
    pub async fn call_tool(&mut self, name: &str, arguments: &Value) -> Result<Reply, ClientError> {
        let params =
            Map::from_iter([("name".to_owned(), json!(name)), ("arguments".to_owned(), arguments.clone())]);
        let (result, bytes) = self.request("tools/call", Some(name), params).await?;
        let texts = result.get("content").and_then(Value::as_array).into_iter().flatten();
        let text: Vec<&str> = texts.filter_map(|item| item.get("text").and_then(Value::as_str)).collect();
        Ok(Reply {
            text: text.join("\n"),
            structured: result.get("structuredContent").cloned().unwrap_or(Value::Null),
            is_error: result.get("isError").and_then(Value::as_bool).unwrap_or(false),
            bytes,
        })
    }

    /// The names of the tools that are listed, and the answer's bytes.
    pub async fn list_tools(&mut self) -> Result<(Vec<String>, Bytes), ClientError> {
        let (result, bytes) = self.request("tools/list", None, Map::new()).await?;
        let tools = result.get("tools").and_then(Value::as_array).into_iter().flatten();
        Ok((tools.filter_map(|tool| tool.get("name")?.as_str().map(str::to_owned)).collect(), bytes))
    }

    /// Sends a request and returns its result, with every byte of the body.
    pub async fn request(
        &mut self,
        method: &str,
        name: Option<&str>,
        params: Map<String, Value>,
    ) -> Result<(Value, Bytes), ClientError> {
        let request = self.build(method, name, params)?;
        self.sender.ready().await.map_err(ClientError::Http)?;
        let response = self.sender.send_request(request).await.map_err(ClientError::Http)?;
        let status = response.status();
        let body = response.into_body().collect().await.map_err(ClientError::Http)?.to_bytes();
        let shortened = || String::from_utf8_lossy(&body).chars().take(300).collect::<String>();
        if !status.is_success() {
            return Err(ClientError::Refused { status, body: shortened() });
        }
        let message: Value = serde_json::from_slice(&body).map_err(|_| ClientError::Protocol(shortened()))?;
        match message.get("result") {
            Some(result) => Ok((result.clone(), body)),
            None => Err(ClientError::Protocol(shortened())),
        }
    }

    /// The request that a tool call sends, for load that sends it many times.
    pub fn prepare(&mut self, name: &str, arguments: &Value) -> Result<Request<Full<Bytes>>, ClientError> {
        let params =
            Map::from_iter([("name".to_owned(), json!(name)), ("arguments".to_owned(), arguments.clone())]);
        self.build("tools/call", Some(name), params)
    }

    fn build(
        &mut self,
        method: &str,
        name: Option<&str>,
        mut params: Map<String, Value>,
    ) -> Result<Request<Full<Bytes>>, ClientError> {
        self.next_id += 1;
        let version = wire::LATEST.as_str();
        params.insert(
            "_meta".to_owned(),
            json!({
                "io.modelcontextprotocol/protocolVersion": version,
                "io.modelcontextprotocol/clientCapabilities": {},
                "io.modelcontextprotocol/clientInfo": { "name": "portcullis", "version": env!("CARGO_PKG_VERSION") },
            }),
        );
        let body =
            json!({ "jsonrpc": "2.0", "id": self.next_id, "method": method, "params": params }).to_string();
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(&self.path)
            .header(HOST, self.address.to_string())
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/json, text/event-stream")
            .header(wire::name::PROTOCOL_VERSION, version)
            .header(wire::name::METHOD, method);
        if let Some(name) = name {
            request = request.header(wire::name::NAME, name);
        }
        if let Some(key) = &self.api_key {
            request = request.header("x-api-key", key);
        }
        request.body(Full::new(Bytes::from(body))).map_err(|wrong| ClientError::Protocol(wrong.to_string()))
    }
}
