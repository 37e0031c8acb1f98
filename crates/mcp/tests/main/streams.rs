//! MCP on byte streams: both eras, cancellation, the end of input.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mcp::{Gate, StreamLimits, serve_socket, serve_stream};
use serde_json::{Value, json};
use tokio::io::{
    AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, Lines, ReadHalf, WriteHalf,
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::gate::{TestGate, structured, until};
use crate::http::MODERN_META;

pub(crate) struct Client<S> {
    lines: Lines<BufReader<ReadHalf<S>>>,
    writer: Option<WriteHalf<S>>,
}

impl<S: AsyncRead + AsyncWrite> Client<S> {
    pub(crate) fn new(stream: S) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        Self { lines: BufReader::new(reader).lines(), writer: Some(writer) }
    }

    pub(crate) async fn say(&mut self, line: &str) {
        self.writer.as_mut().unwrap().write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    pub(crate) async fn hear(&mut self) -> Option<Value> {
        let line = tokio::time::timeout(Duration::from_secs(20), self.lines.next_line())
            .await
            .expect("a line in time");
        line.unwrap_or(None).map(|line| serde_json::from_str(&line).unwrap())
    }

    pub(crate) async fn ask(&mut self, line: &str) -> Value {
        self.say(line).await;
        self.hear().await.expect("an answer")
    }

    pub(crate) async fn done(&mut self) {
        self.writer.take().unwrap().shutdown().await.unwrap();
    }
}

pub(crate) const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":"i","method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{}}}"#;
pub(crate) const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

pub(crate) fn call(id: &str, tool: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{tool}"}}}}"#)
}

fn modern(id: &str, method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{{params}{MODERN_META}}}}}"#)
}

struct Served {
    client: Client<tokio::io::DuplexStream>,
    gate: Arc<TestGate>,
    running: JoinHandle<std::io::Result<()>>,
    closing: CancellationToken,
}

fn serve(limits: StreamLimits) -> Served {
    serve_with_buffer(limits, 64 * 1024)
}

fn serve_with_buffer(limits: StreamLimits, buffer: usize) -> Served {
    let (near, far) = tokio::io::duplex(buffer);
    let (reader, writer) = tokio::io::split(far);
    let (gate, closing) = (TestGate::new(), CancellationToken::new());
    let gate_for_stream: Arc<dyn Gate> = gate.clone();
    let serving =
        serve_stream(reader, writer, gate_for_stream, gate.identity(), "stdio", limits, closing.clone());
    Served { client: Client::new(near), gate, running: tokio::spawn(serving), closing }
}

#[tokio::test]
async fn both_eras_share_a_stream() {
    let mut served = serve(StreamLimits::default());
    let client = &mut served.client;
    let refused = client.ask(&call("1", "echo")).await;
    assert_eq!(refused["error"]["code"], -32600, "no handshake yet");
    let discovered = client.ask(&modern("2", "server/discover", "")).await;
    assert_eq!(discovered["result"]["resultType"], "complete");
    let modern_call = client.ask(&modern("\"3\"", "tools/call", r#""name":"echo","#)).await;
    assert_eq!((&modern_call["id"], &structured(&modern_call)["principal"]), (&json!("3"), &json!("local")));
    assert_eq!(client.ask(INITIALIZE).await["result"]["protocolVersion"], "2025-06-18");
    client.say(INITIALIZED).await;
    let legacy_call = client.ask(&call("4", "echo")).await;
    assert_eq!(structured(&legacy_call)["principal"], "local");
    assert_eq!(legacy_call["result"].get("resultType"), None);
    assert_eq!(
        client.ask(r#"{"jsonrpc":"2.0","id":5,"method":"server/discover"}"#).await["error"]["code"],
        -32602
    );
    assert_eq!(client.ask(&modern("6", "ping", "")).await["error"]["code"], -32601);
    client.done().await;
    assert_eq!(client.hear().await, None);
    served.running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_bad_line_ends_only_itself() {
    let mut served = serve(StreamLimits::default());
    let client = &mut served.client;
    client.ask(INITIALIZE).await;
    for (line, code) in [
        ("{", -32700),
        ("nonsense", -32700),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","id":1}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"no/such"}"#, -32601),
    ] {
        assert_eq!(client.ask(line).await["error"]["code"], code, "{line}");
    }
    client.say("").await;
    client.say("\r").await;
    client.say(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#).await;
    assert_eq!(
        client.ask("{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"ping\"}\r").await,
        json!({"jsonrpc": "2.0", "id": 2, "result": {}})
    );
}

#[tokio::test]
async fn a_line_may_be_so_long() {
    let mut served = serve(StreamLimits { line: 1000, ..StreamLimits::default() });
    let refused = served.client.ask(&"x".repeat(2000)).await;
    assert_eq!(refused["error"]["code"], -32600);
    assert_eq!(served.client.hear().await, None, "what follows cannot be told apart from it");
    served.running.await.unwrap().unwrap();
}

#[tokio::test]
async fn calls_run_beside_each_other_and_can_be_cancelled() {
    let mut served = serve(StreamLimits { requests: 2, ..StreamLimits::default() });
    let client = &mut served.client;
    client.ask(INITIALIZE).await;
    client.say(&call("1", "wait")).await;
    client.say(&call("\"one\"", "wait")).await;
    until("both wait", || served.gate.waiting.load(Ordering::SeqCst) == 2).await;
    assert_eq!(client.ask(&call("3", "echo")).await["error"]["code"], -32603, "two at once");
    client.say(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"one"}}"#).await;
    until("one is cancelled", || served.gate.cancelled.load(Ordering::SeqCst) == 1).await;
    assert_eq!(client.ask(r#"{"jsonrpc":"2.0","id":4,"method":"ping"}"#).await["id"], 4);
    assert_eq!(client.ask(&call("1", "echo")).await["error"]["code"], -32600, "the id is under way");
    served.gate.release.add_permits(1);
    assert_eq!(client.hear().await.unwrap()["id"], 1, "and nothing was heard of the cancelled one");
}

#[tokio::test]
async fn progress_is_told_on_the_stream() {
    let mut served = serve(StreamLimits::default());
    let client = &mut served.client;
    client.ask(INITIALIZE).await;
    client
        .say(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"progress","_meta":{"progressToken":5}}}"#)
        .await;
    let first = client.hear().await.unwrap();
    assert_eq!(
        (&first["method"], &first["params"]["progressToken"]),
        (&json!("notifications/progress"), &json!(5))
    );
    assert_eq!(client.hear().await.unwrap()["params"]["progress"], 20.0);
    assert_eq!(client.hear().await.unwrap()["id"], 1);
}

#[tokio::test]
async fn the_end_of_input_lets_calls_end_and_then_ends_them() {
    let mut served = serve(StreamLimits { drain: Duration::from_secs(20), ..StreamLimits::default() });
    served.client.ask(INITIALIZE).await;
    served.client.say(&call("1", "wait")).await;
    until("it waits", || served.gate.waiting.load(Ordering::SeqCst) == 1).await;
    served.client.done().await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    served.gate.release.add_permits(1);
    assert_eq!(structured(&served.client.hear().await.unwrap())["waited"], true);
    served.running.await.unwrap().unwrap();

    let mut served = serve(StreamLimits { drain: Duration::from_millis(50), ..StreamLimits::default() });
    served.client.ask(INITIALIZE).await;
    served.client.say(&call("1", "wait")).await;
    until("it waits", || served.gate.waiting.load(Ordering::SeqCst) == 1).await;
    served.closing.cancel();
    assert_eq!(structured(&served.client.hear().await.unwrap())["cancelled"], true);
    served.running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_reader_that_is_gone_ends_the_stream_and_its_calls() {
    let limits = StreamLimits { drain: Duration::from_secs(60), ..StreamLimits::default() };
    let mut served = serve_with_buffer(limits, 500);
    served.client.ask(INITIALIZE).await;
    served.client.say(&call("1", "wait")).await;
    until("it waits", || served.gate.waiting.load(Ordering::SeqCst) == 1).await;
    // Its answer is larger than what fits between.
    served.client.say(r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#).await;
    drop(served.client);
    until("it is cancelled", || served.gate.cancelled.load(Ordering::SeqCst) == 1).await;
    let _ = tokio::time::timeout(Duration::from_secs(10), served.running).await.expect("the stream ends");
}

#[tokio::test]
async fn who_is_nobody_any_more_is_put_out() {
    let (near, far) = tokio::io::duplex(1024);
    let (reader, writer) = tokio::io::split(far);
    let gate = TestGate::new();
    let gate_for_stream: Arc<dyn Gate> = gate.clone();
    let identity = mcp::local_identity(&gate_for_stream, "stranger".to_owned(), "socket");
    let serving = serve_stream(
        reader,
        writer,
        gate_for_stream,
        identity,
        "socket",
        StreamLimits::default(),
        CancellationToken::new(),
    );
    let running = tokio::spawn(serving);
    let mut client = Client::new(near);
    assert_eq!(client.ask(INITIALIZE).await["error"]["message"], "authentication failed");
    assert_eq!(client.hear().await, None);
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn the_agent_socket_serves_several_users_the_kernel_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mcp.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let (gate, closing) = (TestGate::new(), CancellationToken::new());
    let gate_for_socket: Arc<dyn Gate> = gate.clone();
    let serving = serve_socket(listener, gate_for_socket, StreamLimits::default(), 2, closing.clone());
    let serving = tokio::spawn(serving);
    let mut clients = Vec::new();
    for _ in 0..2 {
        clients.push(Client::new(tokio::net::UnixStream::connect(&path).await.unwrap()));
    }
    for client in &mut clients {
        client.ask(INITIALIZE).await;
        assert_eq!(structured(&client.ask(&call("1", "echo")).await)["principal"], "local");
    }
    assert_eq!(gate.connected.load(Ordering::SeqCst), 2);
    let mut third = Client::new(tokio::net::UnixStream::connect(&path).await.unwrap());
    assert_eq!(third.hear().await, None, "two at once");
    closing.cancel();
    for client in &mut clients {
        assert_eq!(client.hear().await, None);
    }
    tokio::time::timeout(Duration::from_secs(10), serving).await.unwrap().unwrap();
}
