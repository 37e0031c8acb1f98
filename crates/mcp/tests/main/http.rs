//! A raw HTTP/1.1 client, which can say everything that a good one would not.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use gateway::{SystemClock, SystemEntropy};
use mcp::{Front, FrontConfig, Gate, HostRules, HttpLimits, Parts, SessionLimits};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::gate::TestGate;

pub(crate) struct Served {
    pub(crate) front: Front,
    pub(crate) gate: Arc<TestGate>,
}

pub(crate) fn config() -> FrontConfig {
    FrontConfig {
        http: vec!["127.0.0.1:0".parse().unwrap()],
        metrics: Some("127.0.0.1:0".parse().unwrap()),
        tls: None,
        trusted_proxies: None,
        hosts: HostRules::default(),
        has_principals: true,
        lanes: 2,
        alone: None,
        limits: HttpLimits::default(),
        sessions: SessionLimits::default(),
    }
}

pub(crate) fn parts(gate: &Arc<TestGate>) -> Parts {
    Parts {
        gate: Arc::clone(gate) as Arc<dyn Gate>,
        clock: Arc::new(SystemClock::new(&SystemEntropy).unwrap()),
        entropy: Arc::new(SystemEntropy),
        metrics: Arc::new(|| "portcullis_test 1\n".to_owned()),
    }
}

pub(crate) async fn serve(config: FrontConfig) -> Served {
    let gate = TestGate::new();
    let front = Front::start(config, parts(&gate)).await.unwrap();
    Served { front, gate }
}

impl Served {
    pub(crate) fn address(&self) -> SocketAddr {
        self.front.addresses()[0]
    }

    pub(crate) async fn connect(&self) -> Connection<TcpStream> {
        Connection::new(TcpStream::connect(self.address()).await.unwrap())
    }

    /// One request on a connection of its own.
    pub(crate) async fn send(&self, request: &Request) -> Response {
        self.connect().await.ask(request).await
    }
}

#[derive(Clone)]
pub(crate) struct Request {
    line: String,
    headers: Vec<(String, String)>,
    body: String,
}

pub(crate) const MODERN_META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{"name":"test","version":"1"}}"#;

impl Request {
    /// A request with nothing but a good `Host`.
    pub(crate) fn bare(method: &str, path: &str) -> Self {
        Self { line: format!("{method} {path} HTTP/1.1"), headers: Vec::new(), body: String::new() }
            .with("Host", "localhost")
    }

    /// A request of principal `a` that takes both forms of answers.
    pub(crate) fn new(method: &str, path: &str) -> Self {
        Self::bare(method, path)
            .with("X-API-Key", "key-a")
            .with("Accept", "application/json, text/event-stream")
    }

    /// A message of principal `a`.
    pub(crate) fn post(body: &str) -> Self {
        Self::new("POST", "/mcp").with("Content-Type", "application/json").body(body)
    }

    /// A modern request with its headers; `params` without braces, `name` for `Mcp-Name`.
    pub(crate) fn modern(method: &str, params: &str, name: Option<&str>) -> Self {
        let comma = if params.is_empty() { "" } else { "," };
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":7,"method":"{method}","params":{{{params}{comma}{MODERN_META}}}}}"#
        );
        let request = Self::post(&body).with("MCP-Protocol-Version", "2026-07-28").with("Mcp-Method", method);
        match name {
            Some(name) => request.with("Mcp-Name", name),
            None => request,
        }
    }

    /// A modern call.
    pub(crate) fn call(tool: &str) -> Self {
        Self::modern("tools/call", &format!(r#""name":"{tool}","arguments":{{"x":1}}"#), Some(tool))
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
        self
    }

    pub(crate) fn replace(self, name: &str, value: &str) -> Self {
        self.without(name).with(name, value)
    }

    pub(crate) fn body(mut self, body: &str) -> Self {
        self.body = body.to_owned();
        self
    }

    pub(crate) fn path(mut self, path: &str) -> Self {
        let mut words: Vec<&str> = self.line.split(' ').collect();
        words[1] = path;
        self.line = words.join(" ");
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut text = format!("{}\r\n", self.line);
        for (name, value) in &self.headers {
            text += &format!("{name}: {value}\r\n");
        }
        let counted = self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        if !counted {
            text += &format!("Content-Length: {}\r\n", self.body.len());
        }
        text += "\r\n";
        text += &self.body;
        text.into_bytes()
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The messages of an event stream.
    pub(crate) fn events(&self) -> Vec<Value> {
        let mut events = Vec::new();
        let mut reader = wire::SseReader::new(1 << 20);
        reader
            .feed(self.body.as_bytes(), |event| events.push(serde_json::from_slice(&event.data).unwrap()))
            .unwrap();
        events
    }

    /// The status, and the code of the error in the body.
    pub(crate) fn error(&self) -> (u16, i64) {
        (self.status, self.json()["error"]["code"].as_i64().unwrap_or_else(|| panic!("{self:?}")))
    }
}

pub(crate) struct Connection<S> {
    stream: S,
    unread: Vec<u8>,
}

const PATIENCE: Duration = Duration::from_secs(20);

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, unread: Vec::new() }
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    pub(crate) async fn ask(&mut self, request: &Request) -> Response {
        self.write(&request.bytes()).await;
        self.response().await
    }

    /// Reads a whole response.
    pub(crate) async fn response(&mut self) -> Response {
        timeout(PATIENCE, self.read_response()).await.expect("a response in time")
    }

    /// Reads the head of a response, and leaves the body.
    pub(crate) async fn head(&mut self) -> Response {
        timeout(PATIENCE, self.read_head()).await.expect("a response in time")
    }

    /// Reads until the body holds this.
    pub(crate) async fn until(&mut self, text: &str) {
        let found = async {
            while !String::from_utf8_lossy(&self.unread).contains(text) {
                assert!(self.more().await, "the connection ended before `{text}`");
            }
        };
        timeout(PATIENCE, found).await.expect("it in time");
    }

    /// Whether the other side closes the connection within this time.
    pub(crate) async fn closes_within(&mut self, time: Duration) -> bool {
        let mut byte = [0; 1024];
        timeout(time, async { while matches!(self.stream.read(&mut byte).await, Ok(count) if count > 0) {} })
            .await
            .is_ok()
    }

    async fn more(&mut self) -> bool {
        matches!(self.stream.read_buf(&mut self.unread).await, Ok(count) if count > 0)
    }

    async fn read_head(&mut self) -> Response {
        let end = loop {
            if let Some(end) = self.unread.windows(4).position(|window| window == b"\r\n\r\n") {
                break end;
            }
            assert!(self.more().await, "no head: {:?}", String::from_utf8_lossy(&self.unread));
        };
        let head: Vec<u8> = self.unread.drain(..end + 4).collect();
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.trim_end().lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(n, v)| (n.to_owned(), v.to_owned()))
            .collect();
        Response { status, headers, body: String::new() }
    }

    async fn read_response(&mut self) -> Response {
        let mut response = self.read_head().await;
        let mut body = Vec::new();
        if response.header("transfer-encoding") == Some("chunked") {
            loop {
                let end = loop {
                    match self.unread.windows(2).position(|window| window == b"\r\n") {
                        Some(end) => break end,
                        None => assert!(self.more().await),
                    }
                };
                let line: Vec<u8> = self.unread.drain(..end + 2).collect();
                let length = usize::from_str_radix(std::str::from_utf8(&line).unwrap().trim(), 16).unwrap();
                while self.unread.len() < length + 2 {
                    assert!(self.more().await);
                }
                body.extend(self.unread.drain(..length));
                self.unread.drain(..2);
                if length == 0 {
                    break;
                }
            }
        } else {
            let length = response.header("content-length").map_or(0, |length| length.parse().unwrap());
            while self.unread.len() < length {
                assert!(self.more().await);
            }
            body.extend(self.unread.drain(..length));
        }
        response.body = String::from_utf8(body).unwrap();
        response
    }
}
