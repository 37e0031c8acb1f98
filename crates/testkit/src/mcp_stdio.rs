//! An MCP client of a child process, for both eras.

use std::collections::HashMap;
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::message::{self, Era, McpFailure, ToolAnswer};

/// A connected MCP client over a child's standard input and output; the child is killed when it is dropped.
pub struct McpStdio {
    child: Child,
    input: tokio::sync::Mutex<Option<ChildStdin>>,
    era: Era,
    hello: Value,
    next: AtomicU64,
    shared: Arc<Shared>,
    stderr: JoinHandle<String>,
}

#[derive(Default)]
struct Shared {
    waiting: Mutex<Option<HashMap<u64, oneshot::Sender<Value>>>>,
    other: Mutex<Vec<Value>>,
    not_json: Mutex<Vec<String>>,
    received: Mutex<Vec<u8>>,
}

impl McpStdio {
    /// Starts `command` and opens as a client of that era does.
    pub async fn connect(mut command: Command, era: Era) -> Result<Self, McpFailure> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let shared = Arc::new(Shared { waiting: Mutex::new(Some(HashMap::new())), ..Shared::default() });
        let input = tokio::sync::Mutex::new(child.stdin.take());
        tokio::spawn(read(child.stdout.take().expect("piped"), Arc::clone(&shared)));
        let mut errors = child.stderr.take().expect("piped");
        let stderr = tokio::spawn(async move {
            let mut text = Vec::new();
            let _ = errors.read_to_end(&mut text).await;
            String::from_utf8_lossy(&text).into_owned()
        });
        let mut client =
            Self { child, input, era, hello: Value::Null, next: AtomicU64::new(1), shared, stderr };
        client.hello = match era {
            Era::Modern => client.request("server/discover", &json!({})).await?,
            Era::Legacy(version) => {
                let hello = client.request("initialize", &message::initialize(version)).await?;
                client.notify("notifications/initialized", &json!({})).await?;
                hello
            }
        };
        Ok(client)
    }

    /// What the server said when the client opened.
    pub fn hello(&self) -> &Value {
        &self.hello
    }

    /// The child's process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
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
        let (sender, receiver) = oneshot::channel();
        let ended = || McpFailure::Broken(format!("the child ended before it answered `{method}`"));
        self.shared.waiting.lock().unwrap().as_mut().ok_or_else(ended)?.insert(id, sender);
        self.raw(message::request(self.era, id, method, params).to_string().as_bytes()).await?;
        let response = receiver.await.map_err(|_| ended())?;
        message::result(&response, 0)
    }

    /// Sends a notification.
    pub async fn notify(&self, method: &str, params: &Value) -> Result<(), McpFailure> {
        self.raw(message::notification(self.era, method, params).to_string().as_bytes()).await
    }

    /// Sends any line, as a hostile client would; the newline is added.
    pub async fn raw(&self, line: &[u8]) -> Result<(), McpFailure> {
        let mut input = self.input.lock().await;
        let pipe = input.as_mut().ok_or_else(|| McpFailure::Broken("the input is closed".to_owned()))?;
        let sent = async {
            pipe.write_all(line).await?;
            pipe.write_all(b"\n").await?;
            pipe.flush().await
        };
        sent.await.map_err(|error| McpFailure::Broken(format!("the child reads no more: {error}")))
    }

    /// What came beside awaited results so far (notifications, errors without an id); empties the list.
    pub fn take_others(&self) -> Vec<Value> {
        std::mem::take(&mut self.shared.other.lock().unwrap())
    }

    /// Lines on standard output that are no JSON: there must never be any.
    pub fn take_garbage(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.not_json.lock().unwrap())
    }

    /// Every line of standard output so far.
    pub fn received(&self) -> Vec<u8> {
        self.shared.received.lock().unwrap().clone()
    }

    /// Closes the child's standard input and waits for its end; returns its status and standard error.
    pub async fn close(mut self) -> (ExitStatus, String) {
        *self.input.lock().await = None;
        let status = self.child.wait().await.expect("a child can be waited for");
        (status, self.stderr.await.unwrap_or_default())
    }

    /// Kills the child at once (SIGKILL).
    pub async fn kill(mut self) {
        let _ = self.child.kill().await;
    }
}

async fn read(output: ChildStdout, shared: Arc<Shared>) {
    let (mut output, mut line) = (BufReader::new(output), Vec::new());
    while output.read_until(b'\n', &mut line).await.is_ok_and(|read| read > 0) {
        shared.received.lock().unwrap().extend_from_slice(&line);
        let line = String::from_utf8_lossy(&std::mem::take(&mut line)).into_owned();
        let Ok(message) = serde_json::from_str::<Value>(&line) else {
            shared.not_json.lock().unwrap().push(line);
            continue;
        };
        let id = message["id"].as_u64().filter(|_| message.get("method").is_none());
        let waiting = id.and_then(|id| shared.waiting.lock().unwrap().as_mut()?.remove(&id));
        match waiting {
            // A request that nobody waits for any more was dropped by the test.
            Some(sender) => drop(sender.send(message)),
            None => shared.other.lock().unwrap().push(message),
        }
    }
    // Everybody who still waits learns that nothing comes.
    *shared.waiting.lock().unwrap() = None;
}
