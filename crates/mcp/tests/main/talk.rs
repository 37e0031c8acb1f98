//! Questions, notices and changes on a byte stream, where everything shares one channel.

use std::sync::atomic::Ordering;
use std::time::Duration;

use mcp::{StreamLimits, serve_stream};
use serde_json::{Value, json};
use tokio::io::DuplexStream;
use tokio_util::sync::CancellationToken;

use crate::gate::{TestGate, structured, until};
use crate::http::MODERN_META;
use crate::streams::{Client, call};

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":"i","method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"elicitation":{}}}}"#;

fn serve(limits: StreamLimits) -> (Client<DuplexStream>, std::sync::Arc<TestGate>) {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let gate = TestGate::new();
    let (reader, writer) = tokio::io::split(far);
    let identity = gate.identity();
    let (closing, served) = (CancellationToken::new(), gate.clone() as std::sync::Arc<dyn mcp::Gate>);
    tokio::spawn(serve_stream(reader, writer, served, identity, "stdio", limits, closing));
    (Client::new(near), gate)
}

fn methods(messages: &[Value]) -> Vec<&str> {
    messages.iter().filter_map(|message| message["method"].as_str()).collect()
}

#[tokio::test]
async fn a_legacy_client_is_asked_on_its_stream_and_its_answer_ends_the_call() {
    let (mut client, gate) = serve(StreamLimits::default());
    client.ask(INITIALIZE).await;
    let question = client.ask(&call("1", "ask")).await;
    assert_eq!(question["method"], "elicitation/create", "{question}");
    // The stream is not held up meanwhile.
    assert_eq!(structured(&client.ask(&call("2", "echo")).await)["principal"], "local");
    let answer = json!({ "jsonrpc": "2.0", "id": question["id"], "result": { "action": "accept" } });
    let done = client.ask(&answer.to_string()).await;
    assert_eq!(
        (&done["id"], structured(&done)),
        (&json!(1), &json!({ "answered": { "who": { "action": "accept" } } }))
    );
    assert_eq!(gate.unanswered.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_question_that_stays_open_ends_with_its_call() {
    let limits = StreamLimits { answer: Duration::from_millis(50), ..StreamLimits::default() };
    let (mut client, gate) = serve(limits);
    client.ask(INITIALIZE).await;
    client.ask(&call("1", "ask")).await;
    let ended = client.hear().await.unwrap();
    assert!(ended["error"]["message"].as_str().unwrap().contains("input.unanswered"), "{ended}");
    assert_eq!(gate.unanswered.load(Ordering::SeqCst), 1);
    let (mut client, gate) = serve(StreamLimits::default());
    client.ask(INITIALIZE).await;
    client.ask(&call("1", "ask")).await;
    client.say(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#).await;
    until("the call is given up", || gate.unanswered.load(Ordering::SeqCst) == 1).await;
}

#[tokio::test]
async fn modern_questions_are_answers() {
    let (mut client, _gate) = serve(StreamLimits::default());
    let ask = |more: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"ask",{more}{MODERN_META}}}}}"#
        )
    };
    let asked = client.ask(&ask("")).await;
    assert_eq!(asked["result"]["resultType"], "input_required", "{asked}");
    assert_eq!(asked["result"]["inputRequests"]["who"]["method"], "elicitation/create");
    let done = client.ask(&ask(r#""inputResponses":{"who":{"action":"decline"}},"#)).await;
    assert_eq!(structured(&done)["answered"]["who"]["action"], "decline");
    let wrong = client.ask(&ask(r#""inputResponses":{"who":7},"#)).await;
    assert_eq!(wrong["error"]["code"], -32602);
}

#[tokio::test]
async fn notices_and_changes_come_to_those_who_want_them() {
    let (mut client, gate) = serve(StreamLimits::default());
    client.ask(INITIALIZE).await;
    assert_eq!(structured(&client.ask(&call("1", "talk")).await), &json!({ "talked": false }));
    client.ask(r#"{"jsonrpc":"2.0","id":2,"method":"logging/setLevel","params":{"level":"critical"}}"#).await;
    client.say(&call("3", "talk")).await;
    let said = [client.hear().await.unwrap(), client.hear().await.unwrap(), client.hear().await.unwrap()];
    assert_eq!(methods(&said), ["notifications/message"; 3]);
    assert_eq!(client.hear().await.unwrap()["id"], 3);

    gate.changed.send_modify(|times| *times += 1);
    let told = [client.hear().await.unwrap(), client.hear().await.unwrap()];
    assert_eq!(methods(&told), ["notifications/tools/list_changed", "notifications/resources/list_changed"]);

    let listen = format!(
        r#"{{"jsonrpc":"2.0","id":"s","method":"subscriptions/listen","params":{{"notifications":{{"toolsListChanged":true}},{MODERN_META}}}}}"#
    );
    let first = client.ask(&listen).await;
    assert_eq!(first["method"], "notifications/subscriptions/acknowledged", "{first}");
    gate.changed.send_modify(|times| *times += 1);
    let mut told =
        vec![client.hear().await.unwrap(), client.hear().await.unwrap(), client.hear().await.unwrap()];
    told.retain(|message| message["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"] == "s");
    assert_eq!(methods(&told), ["notifications/tools/list_changed"]);
    client.say(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"s"}}"#).await;
    assert_eq!(client.ask(&listen.replace("\"id\":\"s\"", "\"id\":\"t\"")).await["method"], first["method"]);
}
