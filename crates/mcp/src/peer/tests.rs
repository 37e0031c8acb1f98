use std::sync::Arc;
use std::time::Duration;

use gateway::{Digest, View};
use model::{Abilities, Asked, Question, Said};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use wire::{Message, ScanLimits};

use super::{Change, Peer, Unanswered};

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(20);

fn asked(names: &[&str]) -> Asked {
    let question =
        |name: &&str| ((*name).to_owned(), Question::Sample { prompt: (*name).to_owned(), max_tokens: 1 });
    Asked { questions: names.iter().map(question).collect(), state: None, parked: None }
}

fn answer(peer: &Peer, message: &Value) {
    let text = message.to_string();
    match Message::parse(text.as_bytes(), ScanLimits::default()) {
        Ok(Message::Response(response)) => peer.answered(&response),
        other => panic!("{other:?}"),
    }
}

async fn id_of(questions: &mut mpsc::Receiver<Vec<u8>>) -> Value {
    serde_json::from_slice::<Value>(&questions.recv().await.unwrap()).unwrap()["id"].clone()
}

#[tokio::test]
async fn each_question_is_answered_once_by_who_was_asked() {
    let (peer, stranger) = (Arc::new(Peer::new(Abilities::default())), Peer::default());
    let (out, mut questions) = mpsc::channel(4);
    let asking = Arc::clone(&peer);
    let call =
        tokio::spawn(
            async move { asking.ask(&out, &asked(&["a", "b"]), LONG, &CancellationToken::new()).await },
        );
    let first = id_of(&mut questions).await;
    // Another session cannot answer it, nor can what was never asked.
    answer(&stranger, &json!({"jsonrpc": "2.0", "id": first, "result": {"from": "stranger"}}));
    answer(&peer, &json!({"jsonrpc": "2.0", "id": "question-77", "result": {"from": "nobody"}}));
    answer(&peer, &json!({"jsonrpc": "2.0", "id": "question-00", "result": {"from": "another spelling"}}));
    answer(&peer, &json!({"jsonrpc": "2.0", "id": 0, "result": {"from": "a number"}}));
    assert_eq!(peer.unanswered(), 1);
    answer(&peer, &json!({"jsonrpc": "2.0", "id": first, "result": {"n": 1}}));
    answer(&peer, &json!({"jsonrpc": "2.0", "id": first, "result": {"n": 2}}));
    let second = id_of(&mut questions).await;
    assert_ne!(first, second);
    answer(&peer, &json!({"jsonrpc": "2.0", "id": first, "result": {"n": 3}}));
    answer(&peer, &json!({"jsonrpc": "2.0", "id": second, "result": {"n": 4}}));
    let said = |name: &str, json: &str| (name.to_owned(), Said::Answer(json.into()));
    let answered = call.await.unwrap().unwrap();
    assert_eq!(answered, [said("a", r#"{"n":1}"#), said("b", r#"{"n":4}"#)].into());
    assert_eq!(peer.unanswered(), 0);
}

#[tokio::test]
async fn who_does_not_answer_is_not_waited_for_longer_than_said() {
    let peer = Peer::default();
    let (out, mut questions) = mpsc::channel(4);
    let call = peer.ask(&out, &asked(&["a"]), SHORT, &CancellationToken::new()).await;
    assert_eq!(call, Err(Unanswered));
    assert_eq!(peer.unanswered(), 0);
    let late = id_of(&mut questions).await;
    answer(&peer, &json!({"jsonrpc": "2.0", "id": late, "result": {}}));
}

#[tokio::test]
async fn a_reader_that_does_not_read_is_not_waited_for_either() {
    let peer = Peer::default();
    let (out, _unread) = mpsc::channel(1);
    out.try_send(Vec::new()).unwrap();
    let call = peer.ask(&out, &asked(&["a"]), SHORT, &CancellationToken::new()).await;
    assert_eq!((call, peer.unanswered()), (Err(Unanswered), 0));
}

#[tokio::test]
async fn an_error_no_object_and_a_call_given_up_are_no_answers() {
    for wrong in [
        json!({"jsonrpc": "2.0", "id": "question-0", "error": {"code": -1, "message": "no"}}),
        json!({"jsonrpc": "2.0", "id": "question-0", "result": 17}),
    ] {
        let peer = Arc::new(Peer::default());
        let (out, mut questions) = mpsc::channel(4);
        let asking = Arc::clone(&peer);
        let call =
            tokio::spawn(
                async move { asking.ask(&out, &asked(&["a"]), LONG, &CancellationToken::new()).await },
            );
        id_of(&mut questions).await;
        answer(&peer, &wrong);
        assert_eq!(call.await.unwrap(), Err(Unanswered), "{wrong}");
    }
    let (peer, cancel) = (Peer::default(), CancellationToken::new());
    cancel.cancel();
    let (out, _questions) = mpsc::channel(4);
    assert_eq!(peer.ask(&out, &asked(&["a"]), LONG, &cancel).await, Err(Unanswered));
}

#[tokio::test]
async fn questions_that_wait_are_bounded() {
    let peer = Arc::new(Peer::default());
    let (out, mut questions) = mpsc::channel(100);
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..80 {
        let (peer, out) = (Arc::clone(&peer), out.clone());
        calls.spawn(async move { peer.ask(&out, &asked(&["a"]), LONG, &CancellationToken::new()).await });
    }
    for _ in 0..16 {
        assert_eq!(calls.join_next().await.unwrap().unwrap(), Err(Unanswered));
    }
    assert_eq!(peer.unanswered(), 64);
    drop(calls);
    while peer.unanswered() > 0 {
        tokio::task::yield_now().await;
    }
    assert!(questions.try_recv().is_ok());
}

#[test]
fn only_differences_are_told_and_each_once() {
    let (one, two) = (Digest::of(["1"]), Digest::of(["2"]));
    let view = |tools, resources, watched: &[(&str, Option<Digest>)]| View {
        tools,
        resources,
        prompts: Digest::of([]),
        watched: watched.iter().map(|(uri, digest)| ((*uri).to_owned(), *digest)).collect(),
    };
    let peer = Peer::default();
    assert_eq!(peer.differences(&view(one, one, &[])), []);
    assert_eq!(peer.differences(&view(one, one, &[])), []);
    assert_eq!(peer.differences(&view(two, one, &[])), [Change::Tools]);
    peer.watch("a:b".into(), None, None).unwrap();
    let told = peer.differences(&view(two, two, &[("a:b", Some(one))]));
    assert_eq!(told, [Change::Resources, Change::Resource("a:b".into())]);
    assert_eq!(peer.differences(&view(two, two, &[("a:b", Some(one))])), []);
    peer.unwatch("a:b");
    assert_eq!(peer.differences(&view(two, two, &[("a:b", None)])), []);
    assert!(peer.watch("x".repeat(513), None, None).is_err());
    for n in 0..64 {
        peer.watch(format!("a:{n}"), None, None).unwrap();
    }
    assert!(peer.watch("a:64".into(), None, None).is_err());
    assert!(peer.watch("a:1".into(), None, None).is_ok());
}
