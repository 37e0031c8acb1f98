//! One stdio client over gateways that come and go.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use mcp::{Connect, Gate, Link, RelayError, StreamLimits, relay, serve_stream};
use tokio::io::DuplexStream;
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
        relay(reader, writer, &mut gateways, StreamLimits::default()).await
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
