//! One HTTP exchange after the other, byte by byte: what a client that keeps to no library sends.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// An answer that may still be coming.
pub(crate) struct Answering {
    stream: TcpStream,
    read: String,
}

/// Who sends.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) address: SocketAddr,
    pub(crate) key: String,
    pub(crate) session: Option<String>,
}

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

impl Client {
    pub(crate) fn new(address: SocketAddr, key: &str) -> Self {
        Self { address, key: key.to_owned(), session: None }
    }

    /// A legacy client with a session.
    pub(crate) async fn begin(mut self, capabilities: Value) -> Self {
        let params = json!({ "protocolVersion": "2025-11-25", "capabilities": capabilities,
            "clientInfo": { "name": "test", "version": "1" } });
        let mut answer =
            self.post(&json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params })).await;
        answer.until("\"serverInfo\"").await;
        let session = answer.header("mcp-session-id").expect("a session");
        self.session = Some(session);
        self
    }

    /// A legacy request.
    pub(crate) async fn legacy(&self, id: u64, method: &str, params: Value) -> Answering {
        self.post(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })).await
    }

    /// A modern request of a client that can be asked everything.
    pub(crate) async fn modern(&self, method: &str, params: Value) -> Answering {
        self.modern_with(method, params, json!({ "elicitation": {}, "sampling": {}, "roots": {} })).await
    }

    /// A modern request with these capabilities.
    pub(crate) async fn modern_with(
        &self,
        method: &str,
        mut params: Value,
        capabilities: Value,
    ) -> Answering {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": capabilities,
        });
        self.post(&json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params })).await
    }

    /// Posts a message, whatever it is.
    pub(crate) async fn post(&self, message: &Value) -> Answering {
        let mut headers = "Content-Type: application/json\r\n".to_owned();
        if message["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"].is_string() {
            headers += "MCP-Protocol-Version: 2026-07-28\r\n";
            headers += &format!("Mcp-Method: {}\r\n", message["method"].as_str().unwrap_or_default());
            let name = message["params"]["name"].as_str().or_else(|| message["params"]["uri"].as_str());
            headers += &name.map(|name| format!("Mcp-Name: {name}\r\n")).unwrap_or_default();
        }
        self.send("POST", &headers, &message.to_string()).await
    }

    /// The session's listening stream.
    pub(crate) async fn listen(&self) -> Answering {
        self.send("GET", "", "").await
    }

    async fn send(&self, method: &str, headers: &str, body: &str) -> Answering {
        let session = self.session.as_ref().map(|id| format!("Mcp-Session-Id: {id}\r\n")).unwrap_or_default();
        let head = format!(
            "{method} /mcp HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-API-Key: {}\r\n\
             Accept: application/json, text/event-stream\r\n{session}{headers}Content-Length: {}\r\n\r\n",
            self.key,
            body.len()
        );
        let mut stream = TcpStream::connect(self.address).await.expect("the front listens");
        stream.write_all(head.as_bytes()).await.expect("a request is sent");
        stream.write_all(body.as_bytes()).await.expect("a body is sent");
        Answering { stream, read: String::new() }
    }
}

impl Answering {
    /// Reads until this has come.
    pub(crate) async fn until(&mut self, text: &str) {
        while !self.read.contains(text) {
            assert!(self.more().await, "`{text}` never came: {}", self.read);
        }
    }

    /// Reads to the end, and returns the messages and the status.
    pub(crate) async fn rest(mut self) -> (u16, Vec<Value>) {
        while self.more().await {}
        (self.status(), self.messages())
    }

    /// Reads to the end, and returns the last message.
    pub(crate) async fn last(self) -> Value {
        self.rest().await.1.pop().expect("a message")
    }

    /// The messages so far.
    pub(crate) fn messages(&self) -> Vec<Value> {
        let lines = self.read.lines().map(|line| line.strip_prefix("data: ").unwrap_or(line));
        lines
            .filter(|line| line.starts_with('{'))
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// The methods of the notifications so far.
    pub(crate) fn notified(&self) -> Vec<String> {
        self.messages().iter().filter_map(|message| message["method"].as_str().map(str::to_owned)).collect()
    }

    pub(crate) fn status(&self) -> u16 {
        self.read.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
    }

    fn header(&self, name: &str) -> Option<String> {
        let line = self.read.lines().find(|line| line.to_lowercase().starts_with(&format!("{name}:")))?;
        line.split_once(": ").map(|(_, value)| value.trim().to_owned())
    }

    async fn more(&mut self) -> bool {
        let mut piece = [0; 4096];
        let read = tokio::time::timeout(PATIENCE, self.stream.read(&mut piece)).await;
        let length = read.unwrap_or_else(|_| panic!("nothing more came: {}", self.read)).unwrap_or(0);
        self.read.push_str(&String::from_utf8_lossy(&piece[..length]));
        length > 0
    }
}
