//! An MCP client over Streamable HTTP, for both eras.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::Response;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use rustls::ClientConfig;
use serde_json::{Value, json};

use crate::http::{Connection, HttpAnswer, HttpClient};
use crate::message::{self, Era, McpFailure, ToolAnswer};

/// A connected MCP client. Requests may run at the same time; dropping one disconnects it.
pub struct McpHttp {
    http: HttpClient,
    key: Option<String>,
    era: Era,
    session: Option<String>,
    hello: Value,
    next: AtomicU64,
    notifications: Mutex<Vec<Value>>,
    received: Mutex<Vec<u8>>,
    capabilities: Value,
    answerer: Option<Answerer>,
}

/// What a client says to a question of the server: the text of the member `result` or `error` of its answer, with its key.
/// `None`: it does not answer.
pub type Answerer = Box<dyn Fn(&Value) -> Option<String> + Send + Sync>;

impl McpHttp {
    /// Opens as a client of that era does (`server/discover`, or `initialize` and `initialized`), with this API key.
    pub async fn connect(url: &str, key: Option<&str>, era: Era) -> Result<Self, McpFailure> {
        Self::connect_with(url, key, era, None).await
    }

    /// The same for a client that can be asked something: what it declares, and how it answers the questions of a legacy
    /// server. A modern one is asked by results.
    pub async fn connect_able(
        url: &str,
        key: Option<&str>,
        era: Era,
        capabilities: Value,
        answerer: Answerer,
    ) -> Result<Self, McpFailure> {
        Self::begin(url, key, era, None, capabilities, Some(answerer)).await
    }

    /// The same over TLS.
    pub async fn connect_with(
        url: &str,
        key: Option<&str>,
        era: Era,
        tls: Option<Arc<ClientConfig>>,
    ) -> Result<Self, McpFailure> {
        Self::begin(url, key, era, tls, json!({}), None).await
    }

    async fn begin(
        url: &str,
        key: Option<&str>,
        era: Era,
        tls: Option<Arc<ClientConfig>>,
        capabilities: Value,
        answerer: Option<Answerer>,
    ) -> Result<Self, McpFailure> {
        let mut client = Self {
            http: HttpClient::new(url, tls),
            key: key.map(str::to_owned),
            era,
            session: None,
            hello: Value::Null,
            next: AtomicU64::new(1),
            notifications: Mutex::new(Vec::new()),
            received: Mutex::new(Vec::new()),
            capabilities,
            answerer,
        };
        match era {
            Era::Modern => client.hello = client.request("server/discover", &json!({})).await?,
            Era::Legacy(version) => {
                let mut params = message::initialize(version);
                params["capabilities"] = client.capabilities.clone();
                let body = message::request(era, 0, "initialize", &params);
                let (response, session) = client.post(&body, 0).await?;
                (client.hello, client.session) = (response, session);
                client.notify("notifications/initialized", &json!({})).await?;
            }
        }
        Ok(client)
    }

    /// What the server said when the client opened.
    pub fn hello(&self) -> &Value {
        &self.hello
    }

    /// The session of a legacy client, if the server gave one.
    pub fn session(&self) -> Option<&str> {
        self.session.as_deref()
    }

    /// All tools, over all pages.
    pub async fn list_tools(&self) -> Result<Vec<Value>, McpFailure> {
        let (mut tools, mut params) = (Vec::new(), json!({}));
        loop {
            let page = self.request("tools/list", &params).await?;
            tools.extend(page["tools"].as_array().cloned().unwrap_or_default());
            match page.get("nextCursor") {
                Some(cursor) if !cursor.is_null() => params = json!({ "cursor": cursor }),
                _ => return Ok(tools),
            }
        }
    }

    /// Calls a tool.
    pub async fn call(&self, tool: &str, arguments: Value) -> Result<ToolAnswer, McpFailure> {
        self.request("tools/call", &json!({ "name": tool, "arguments": arguments })).await.map(ToolAnswer)
    }

    /// Sends a request and waits for its result.
    pub async fn request(&self, method: &str, params: &Value) -> Result<Value, McpFailure> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let mut params = params.clone();
        if self.era == Era::Modern {
            params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = self.capabilities.clone();
        }
        let body = message::request(self.era, id, method, &params);
        Ok(self.post(&body, id).await?.0)
    }

    /// Sends a notification; the server must accept it.
    pub async fn notify(&self, method: &str, params: &Value) -> Result<(), McpFailure> {
        let body = message::notification(self.era, method, params);
        let answer = self.raw(&self.headers(&body), body.to_string()).await?;
        match answer.status {
            202 => Ok(()),
            status => Err(McpFailure::Http { status, body: answer.text() }),
        }
    }

    /// Hears what the server says unasked, as a client of its era does: on the session's stream, or by
    /// `subscriptions/listen` for these `notifications`. Goes on until the server ends it; what comes is kept as
    /// notifications.
    pub async fn listen(&self, notifications: &Value) -> Result<(), McpFailure> {
        if self.era == Era::Modern {
            let params = json!({ "notifications": notifications });
            return self.request("subscriptions/listen", &params).await.map(|_| ());
        }
        let owned = self.headers(&Value::Null);
        let headers: Vec<_> = owned.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let opened = self.http.open("GET", self.http.path(), &headers, Bytes::new()).await;
        let (connection, response) = opened.map_err(McpFailure::Broken)?;
        match response.status().as_u16() {
            // No response has this id, so it is read to its end.
            200 => self.read_stream(connection, response, u64::MAX).await.map(|_| ()),
            status => Err(McpFailure::Http { status, body: String::new() }),
        }
    }

    /// What came beside results so far, such as progress; empties the list.
    pub fn take_notifications(&self) -> Vec<Value> {
        std::mem::take(&mut self.notifications.lock().unwrap())
    }

    /// Every byte of every answer so far, with the values of its headers.
    pub fn received(&self) -> Vec<u8> {
        self.received.lock().unwrap().clone()
    }

    /// The headers that this client sends with a message.
    pub fn headers(&self, body: &Value) -> Vec<(&'static str, String)> {
        let mut headers = vec![
            ("content-type", "application/json".to_owned()),
            ("accept", "application/json, text/event-stream".to_owned()),
        ];
        headers.extend(self.key.clone().map(|key| ("x-api-key", key)));
        headers.extend(self.session.clone().map(|session| ("mcp-session-id", session)));
        if self.era == Era::Modern || self.session.is_some() || !self.hello.is_null() {
            headers.push(("mcp-protocol-version", self.era.version().to_owned()));
        }
        if self.era == Era::Modern {
            headers.push(("mcp-method", body["method"].as_str().unwrap_or_default().to_owned()));
            let name = body["params"]["name"].as_str().or_else(|| body["params"]["uri"].as_str());
            headers.extend(name.map(|name| ("mcp-name", name.to_owned())));
        }
        headers
    }

    /// Posts any bytes with any headers, as a hostile client would.
    pub async fn raw(
        &self,
        headers: &[(&'static str, String)],
        body: impl Into<Bytes>,
    ) -> Result<HttpAnswer, McpFailure> {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer =
            self.http.send("POST", self.http.path(), &headers, body).await.map_err(McpFailure::Broken)?;
        self.keep_headers(&answer.headers);
        self.keep(&answer.body);
        Ok(answer)
    }

    fn keep_headers(&self, headers: &http::HeaderMap) {
        for (name, value) in headers {
            self.keep(name.as_str().as_bytes());
            self.keep(value.as_bytes());
            self.keep(b"\n");
        }
    }

    fn keep(&self, bytes: &[u8]) {
        self.received.lock().unwrap().extend_from_slice(bytes);
    }

    async fn post(&self, body: &Value, id: u64) -> Result<(Value, Option<String>), McpFailure> {
        let owned = self.headers(body);
        let headers: Vec<_> = owned.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let bytes = Bytes::from(body.to_string());
        let opened = self.http.open("POST", self.http.path(), &headers, bytes).await;
        let (connection, response) = opened.map_err(McpFailure::Broken)?;
        self.keep_headers(response.headers());
        let header =
            |name: &str| response.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
        let (status, session) = (response.status().as_u16(), header("mcp-session-id"));
        let streamed = header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream"));
        let message = if streamed {
            self.read_stream(connection, response, id).await?
        } else {
            self.read_body(connection, response).await?
        };
        message::result(&message, status).map(|result| (result, session))
    }

    async fn read_body(
        &self,
        connection: Connection,
        response: Response<Incoming>,
    ) -> Result<Value, McpFailure> {
        let status = response.status().as_u16();
        let read = response.into_body().collect().await;
        let body =
            read.map_err(|error| McpFailure::Broken(format!("the answer broke off: {error}")))?.to_bytes();
        self.http.give_back(connection);
        self.keep(&body);
        match serde_json::from_slice::<Value>(&body) {
            Ok(message) if message.get("jsonrpc").is_some() => Ok(message),
            _ => Err(McpFailure::Http { status, body: String::from_utf8_lossy(&body).into_owned() }),
        }
    }

    /// Keeps what the server says, and answers it if it asks something.
    async fn heard(&self, message: Value) -> Result<(), McpFailure> {
        let asks = message.get("method").is_some() && message.get("id").is_some();
        let said = self.answerer.as_ref().filter(|_| asks).and_then(|answerer| answerer(&message));
        let id = message["id"].clone();
        self.notifications.lock().unwrap().push(message);
        let Some(said) = said else { return Ok(()) };
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},{said}}}"#);
        let answer = Box::pin(self.raw(&self.headers(&Value::Null), body)).await?;
        match answer.status {
            202 => Ok(()),
            status => Err(McpFailure::Http { status, body: answer.text() }),
        }
    }

    /// Reads events up to the response with this id; what comes before it is kept as a notification.
    async fn read_stream(
        &self,
        connection: Connection,
        response: Response<Incoming>,
        id: u64,
    ) -> Result<Value, McpFailure> {
        let (mut body, mut buffer) = (response.into_body(), Vec::new());
        while let Some(frame) = body.frame().await {
            let frame =
                frame.map_err(|error| McpFailure::Broken(format!("the stream broke off: {error}")))?;
            let bytes = frame.into_data().unwrap_or_default();
            self.keep(&bytes);
            buffer.extend(bytes.iter().filter(|byte| **byte != b'\r'));
            for message in events(&mut buffer)? {
                if message.get("method").is_none() && message["id"] == id {
                    if body.frame().await.is_none() {
                        self.http.give_back(connection);
                    }
                    return Ok(message);
                }
                self.heard(message).await?;
            }
        }
        Err(McpFailure::Broken("the stream ended without a response".to_owned()))
    }
}

/// Takes the complete server-sent events off the front of the buffer.
fn events(buffer: &mut Vec<u8>) -> Result<Vec<Value>, McpFailure> {
    let mut found = Vec::new();
    while let Some(end) = buffer.windows(2).position(|pair| pair == b"\n\n") {
        let event = String::from_utf8_lossy(&buffer[..end]).into_owned();
        buffer.drain(..end + 2);
        let data: Vec<&str> =
            event.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim_start).collect();
        if !data.concat().is_empty() {
            let parsed = serde_json::from_str(&data.join("\n"));
            found.push(parsed.map_err(|error| McpFailure::Broken(format!("an event is not JSON: {error}")))?);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_taken_when_complete_and_comments_are_none() {
        let mut buffer = b": hi\n\nevent: message\ndata: {\"a\":\ndata: 1}\nid: 3\n\ndata: {\"b\"".to_vec();
        assert_eq!(events(&mut buffer).unwrap(), [json!({ "a": 1 })]);
        buffer.extend_from_slice(b":2}\n\n");
        assert_eq!(events(&mut buffer).unwrap(), [json!({ "b": 2 })]);
        assert!(buffer.is_empty());
    }
}
