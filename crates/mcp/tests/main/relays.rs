//! One stdio client over gateways that come and go.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use mcp::{Connect, Gate, Link, RelayError, StreamLimits, relay, serve_stream};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, DuplexStream};
use tokio::net::UnixStream;
use tokio_util::sync::CancellationToken;

use crate::gate::{TestGate, structured, until};
use crate::streams::{Client, INITIALIZE, INITIALIZED, call};

/// Links to gateways that this test can end.
struct Gateways {
    links: VecDeque<CancellationToken>,
    gate: Arc<TestGate>,
}

#[async_trait]
impl Connect for Gateways {
    async fn connect(&mut self) -> io::Result<Link> {
        let closing = self.links.pop_front().ok_or(io::ErrorKind::NotFound)?;
        let (near, mut middle) = tokio::io::duplex(4096);
        let (mut other_middle, far) = tokio::io::duplex(4096);
        let (reader, writer) = tokio::io::split(far);
        let (gate, identity): (Arc<dyn Gate>, _) = (self.gate.clone(), self.gate.identity());
        let limits = StreamLimits::default();
        tokio::spawn(serve_stream(
            reader,
            writer,
            gate,
            identity,
            "socket",
            limits,
            CancellationToken::new(),
        ));
        // What lies between goes, as it does when a gateway is killed.
        tokio::spawn(async move {
            let carrying = tokio::io::copy_bidirectional(&mut middle, &mut other_middle);
            closing.run_until_cancelled(carrying).await
        });
        let (reader, writer) = tokio::io::split(near);
        Ok((Box::new(reader), Box::new(writer)))
    }
}

struct Relayed {
    client: Client<DuplexStream>,
    gate: Arc<TestGate>,
    ends: Vec<CancellationToken>,
    running: tokio::task::JoinHandle<Result<(), RelayError>>,
}

fn start(links: usize) -> Relayed {
    let (near, far) = tokio::io::duplex(4096);
    let gate = TestGate::new();
    let ends: Vec<_> = (0..links).map(|_| CancellationToken::new()).collect();
    let mut gateways = Gateways { links: ends.iter().cloned().collect(), gate: gate.clone() };
    let running = tokio::spawn(async move {
        let (reader, writer) = tokio::io::split(far);
        relay(reader, writer, &mut gateways, |tool| tool == "echo", StreamLimits::default()).await
    });
    Relayed { client: Client::new(near), gate, ends, running }
}

#[tokio::test]
async fn what_is_said_goes_through_and_the_end_of_input_ends_it() {
    let mut relayed = start(1);
    relayed.client.ask(INITIALIZE).await;
    relayed.client.say(INITIALIZED).await;
    assert_eq!(structured(&relayed.client.ask(&call("1", "echo")).await)["principal"], "local");
    assert_eq!(relayed.client.ask("nonsense").await["error"]["code"], -32700);
    relayed.client.say(&call("2", "wait")).await;
    until("it waits", || relayed.gate.waiting.load(Ordering::SeqCst) == 1).await;
    relayed.client.done().await;
    relayed.gate.release.add_permits(1);
    assert_eq!(relayed.client.hear().await.unwrap()["id"], 2, "what was asked before the end is answered");
    assert_eq!(relayed.client.hear().await, None);
    relayed.running.await.unwrap().unwrap();
}

#[tokio::test]
async fn when_the_gateway_goes_calls_end_with_an_error_and_the_next_work() {
    let mut relayed = start(3);
    relayed.client.ask(INITIALIZE).await;
    relayed.client.say(INITIALIZED).await;
    for (round, end) in relayed.ends.iter().take(2).enumerate() {
        relayed.client.say(&call("\"w\"", "wait")).await;
        until("it waits", || relayed.gate.waiting.load(Ordering::SeqCst) == round + 1).await;
        end.cancel();
        let lost = relayed.client.hear().await.unwrap();
        assert_eq!((&lost["id"], &lost["error"]["code"]), (&"w".into(), &(-32603).into()));
        assert!(lost["error"]["message"].as_str().unwrap().contains("is not known"), "{lost}");
        let next = relayed.client.ask(&call("2", "echo")).await;
        assert_eq!(structured(&next)["principal"], "local", "without another handshake of the client");
    }
}

#[tokio::test]
async fn without_a_gateway_it_says_so_and_ends() {
    let mut relayed = start(1);
    relayed.client.ask(INITIALIZE).await;
    relayed.ends[0].cancel();
    assert!(matches!(relayed.running.await.unwrap(), Err(RelayError::Connect(_))));
    let mut broken = start(20);
    broken.ends.iter().for_each(CancellationToken::cancel);
    assert!(matches!(broken.running.await.unwrap(), Err(RelayError::Unsteady)));
    assert_eq!(broken.client.hear().await, None);
}

/// Local sockets whose far ends the test holds.
struct Sockets(VecDeque<UnixStream>);

#[async_trait]
impl Connect for Sockets {
    async fn connect(&mut self) -> io::Result<Link> {
        let (reader, writer) = self.0.pop_front().ok_or(io::ErrorKind::NotFound)?.into_split();
        Ok((Box::new(reader), Box::new(writer)))
    }
}

/// A relayed client, and the gateways' ends of its links. `peek` is a tool that only looks.
fn on_sockets(links: usize) -> (Client<DuplexStream>, VecDeque<BufReader<UnixStream>>) {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let (ours, theirs): (VecDeque<_>, VecDeque<_>) = (0..links).map(|_| UnixStream::pair().unwrap()).unzip();
    tokio::spawn(async move {
        let (reader, writer) = tokio::io::split(far);
        let looks = |tool: &str| tool == "peek";
        relay(reader, writer, &mut Sockets(ours), looks, StreamLimits::default()).await
    });
    (Client::new(near), theirs.into_iter().map(BufReader::new).collect())
}

/// Waits until so many bytes lie unread in a socket.
async fn lying(socket: &BufReader<UnixStream>, bytes: usize) {
    let mut buffer = vec![0; bytes];
    for _ in 0..500 {
        let there = rustix::net::recv(socket.get_ref(), &mut buffer, rustix::net::RecvFlags::PEEK);
        if there.is_ok_and(|(there, _)| there == bytes) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("{bytes} bytes never came");
}

/// Reads one line and answers it.
async fn answer(mut socket: BufReader<UnixStream>, expected: &str) -> BufReader<UnixStream> {
    let mut line = String::new();
    socket.read_line(&mut line).await.unwrap();
    assert_eq!(line.trim_end(), expected);
    let id = serde_json::from_str::<serde_json::Value>(&line).unwrap()["id"].clone();
    let reply = serde_json::json!({ "jsonrpc": "2.0", "id": id, "result": {} });
    socket.write_all(format!("{reply}\n").as_bytes()).await.unwrap();
    socket
}

#[tokio::test]
async fn what_a_lost_gateway_had_not_read_is_given_to_the_next() {
    let (mut client, mut gateways) = on_sockets(3);
    let first = gateways.pop_front().unwrap();
    let line = call("1", "act");
    client.say(&line).await;
    lying(&first, line.len() + 1).await;
    drop(first);
    let second = answer(gateways.pop_front().unwrap(), &line).await;
    assert_eq!(client.hear().await.unwrap()["id"], 1);
    // A gateway that is gone before anything is said: whether the relay has noticed does not matter.
    drop(second);
    client.say(&call("2", "act")).await;
    answer(gateways.pop_front().unwrap(), &call("2", "act")).await;
    assert_eq!(client.hear().await.unwrap()["id"], 2);
}

#[tokio::test]
async fn what_a_lost_gateway_may_have_done_is_not_done_again() {
    let (mut client, mut gateways) = on_sockets(3);
    let mut first = gateways.pop_front().unwrap();
    let (taken, left) = (call("1", "act"), call("2", "act"));
    client.say(&taken).await;
    client.say(&left).await;
    lying(&first, taken.len() + left.len() + 2).await;
    first.get_mut().read_exact(&mut vec![0; taken.len() + 1]).await.unwrap();
    drop(first);
    let lost = client.hear().await.unwrap();
    assert_eq!((&lost["id"], &lost["error"]["code"]), (&1.into(), &(-32603).into()));
    let mut second = answer(gateways.pop_front().unwrap(), &left).await;
    assert_eq!(client.hear().await.unwrap()["id"], 2);

    // Read whole, and then lost: there is no reset that could say otherwise.
    client.say(&call("3", "act")).await;
    second.read_line(&mut String::new()).await.unwrap();
    drop(second);
    assert_eq!(client.hear().await.unwrap()["error"]["code"], -32603);
    client.say(&call("4", "act")).await;
    answer(gateways.pop_front().unwrap(), &call("4", "act")).await;
    assert_eq!(client.hear().await.unwrap()["id"], 4);
}

#[tokio::test]
async fn what_only_looks_is_asked_once_more_and_not_for_ever() {
    let (mut client, mut gateways) = on_sockets(3);
    let line = call("1", "peek");
    client.say(&line).await;
    for _ in 0..2 {
        let mut gateway = gateways.pop_front().unwrap();
        let mut read = String::new();
        gateway.read_line(&mut read).await.unwrap();
        assert_eq!(read.trim_end(), line);
    }
    assert_eq!(client.hear().await.unwrap()["error"]["code"], -32603, "it has ended two gateways");
    client.say(&call("2", "peek")).await;
    answer(gateways.pop_front().unwrap(), &call("2", "peek")).await;
    assert_eq!(client.hear().await.unwrap()["id"], 2);
}

#[tokio::test]
async fn a_call_that_was_given_up_is_not_made_by_the_next_gateway() {
    let (mut client, mut gateways) = on_sockets(2);
    let first = gateways.pop_front().unwrap();
    let cancel = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#;
    client.say(&call("1", "peek")).await;
    client.say(cancel).await;
    lying(&first, call("1", "peek").len() + cancel.len() + 2).await;
    drop(first);
    assert_eq!(client.hear().await.unwrap()["error"]["code"], -32603);
    client.say(&call("2", "peek")).await;
    answer(gateways.pop_front().unwrap(), &call("2", "peek")).await;
    assert_eq!(client.hear().await.unwrap()["id"], 2);
}

#[tokio::test]
async fn a_handshake_is_said_again_once_also_when_the_first_one_was_lost() {
    let (mut client, mut gateways) = on_sockets(3);
    let first = gateways.pop_front().unwrap();
    client.say(INITIALIZE).await;
    lying(&first, INITIALIZE.len() + 1).await;
    drop(first);
    let second = answer(gateways.pop_front().unwrap(), INITIALIZE).await;
    assert_eq!(client.hear().await.unwrap()["id"], "i");
    client.say(INITIALIZED).await;
    lying(&second, INITIALIZED.len() + 1).await;
    drop(second);
    let mut third = answer(gateways.pop_front().unwrap(), INITIALIZE).await;
    let mut line = String::new();
    third.read_line(&mut line).await.unwrap();
    assert_eq!(line.trim_end(), INITIALIZED);
    client.say(&call("1", "act")).await;
    answer(third, &call("1", "act")).await;
    assert_eq!(client.hear().await.unwrap()["id"], 1, "the client has the handshake's answer already");
}

#[tokio::test]
async fn what_was_asked_before_the_end_of_input_is_asked_of_the_next_gateway() {
    let (mut client, mut gateways) = on_sockets(2);
    let first = gateways.pop_front().unwrap();
    client.say(&call("1", "act")).await;
    lying(&first, call("1", "act").len() + 1).await;
    client.done().await;
    drop(first);
    let mut second = answer(gateways.pop_front().unwrap(), &call("1", "act")).await;
    assert_eq!(client.hear().await.unwrap()["id"], 1);
    let mut rest = Vec::new();
    second.read_to_end(&mut rest).await.unwrap();
    drop(second);
    assert_eq!((rest.as_slice(), client.hear().await), (b"".as_slice(), None));
}
