//! Questions to clients that answer wrongly, twice, for others, or never.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mcp::SessionLimits;
use serde_json::{Value, json};
use testkit::FakeClock;

use super::fixture::Fixture;
use super::talk::{Answering, Client};

pub(crate) const CARRIES: &str = "test_input_required_result_request_state";

fn answers() -> Value {
    json!({ "confirm": { "action": "accept", "content": { "ok": true } } })
}

pub(crate) async fn ask(client: &Client, tool: &str) -> String {
    let asked = client.modern("tools/call", json!({ "name": tool, "arguments": {} })).await.last().await;
    assert_eq!(asked["result"]["resultType"], "input_required", "{asked}");
    asked["result"]["requestState"].as_str().expect("a state").to_owned()
}

pub(crate) async fn resume(client: &Client, tool: &str, state: &str) -> Value {
    let params = json!({ "name": tool, "arguments": {}, "inputResponses": answers(), "requestState": state });
    client.modern("tools/call", params).await.last().await
}

pub(crate) fn entries(folder: &Path) -> Vec<Value> {
    let mut files: Vec<_> = std::fs::read_dir(folder.join("journal")).unwrap().map(Result::unwrap).collect();
    files.sort_by_key(std::fs::DirEntry::file_name);
    let text: String =
        files.iter().map(|file| std::fs::read_to_string(file.path()).unwrap_or_default()).collect();
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

#[tokio::test]
async fn a_state_works_once_for_its_principal_and_its_call_only() {
    let fixture = Fixture::start().await;
    let [mine, other] = fixture.keys.each_ref().map(|key| Client::new(fixture.front, key));
    let state = ask(&mine, CARRIES).await;
    for (refused, why) in [
        (resume(&other, CARRIES, &state).await, "another principal"),
        (resume(&mine, "test_input_required_result_tampered_state", &state).await, "another tool"),
        (resume(&mine, CARRIES, &format!("{state}A")).await, "another text"),
    ] {
        assert_eq!(refused["error"]["code"], -32602, "{why}: {refused}");
    }
    let done = resume(&mine, CARRIES, &state).await;
    assert_eq!(done["result"]["resultType"], "complete", "{done}");
    let again = resume(&mine, CARRIES, &state).await;
    assert_eq!(again["error"]["code"], -32602, "{again}");
    assert!(again["error"]["message"].as_str().unwrap().contains("used before"), "{again}");

    let entries = entries(&fixture.folder);
    let asked =
        entries.iter().find(|entry| entry["event"] == "input_requested").expect("the question is on record");
    assert_eq!(
        (&asked["decision"], &asked["reason"]),
        (&json!("pending"), &json!("asked the client: confirm (form)"))
    );
    let goes_on =
        entries.iter().filter(|entry| entry["parent"] == asked["id"] && entry["decision"] == "allowed");
    assert!(goes_on.count() >= 1, "the answer is part of the call that asked");
    let refused = entries.iter().filter(|entry| entry["error_code"] == "input.state");
    assert_eq!(refused.count(), 4, "every refused state is on record");
}

#[tokio::test]
async fn a_state_whose_time_is_over_is_refused() {
    let clock = Arc::new(FakeClock::new());
    let fixture = Fixture::start_with(Arc::clone(&clock) as _, SessionLimits::default()).await;
    let client = Client::new(fixture.front, &fixture.keys[0]);
    let state = ask(&client, CARRIES).await;
    clock.advance(Duration::from_secs(15 * 60));
    let late = resume(&client, CARRIES, &state).await;
    assert!(late["error"]["message"].as_str().unwrap().contains("its time is over"), "{late}");
}

#[tokio::test]
async fn what_a_client_cannot_be_asked_is_not_asked() {
    let fixture = Fixture::start().await;
    let client = Client::new(fixture.front, &fixture.keys[0]);
    let call = || json!({ "name": "test_missing_capability", "arguments": {} });
    let (status, messages) =
        client.modern_with("tools/call", call(), json!({ "roots": {} })).await.rest().await;
    assert_eq!((status, &messages[0]["error"]["code"]), (400, &json!(-32021)));
    let legacy = client.clone().begin(json!({})).await;
    let refused = legacy.legacy(1, "tools/call", call()).await.last().await;
    assert_eq!(refused["result"]["isError"], true, "{refused}");
    assert_eq!(refused["result"]["structuredContent"]["code"], "input.ability");
}

/// Begins a call that asks, and returns it with the id of the question.
async fn asked(client: &Client) -> (Answering, Value) {
    let mut call = client
        .legacy(1, "tools/call", json!({ "name": "test_elicitation", "arguments": { "message": "who?" } }))
        .await;
    call.until("elicitation/create").await;
    let question = call.messages().pop().expect("a question");
    assert_eq!(question["params"]["message"], "who?");
    (call, question["id"].clone())
}

fn answer(id: &Value, name: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "result": { "action": "accept", "content": { "username": name } } })
}

#[tokio::test]
async fn only_the_first_answer_of_the_session_that_was_asked_counts() {
    let fixture = Fixture::start().await;
    let [mine, other] = fixture.keys.each_ref().map(|key| Client::new(fixture.front, key));
    let capabilities = || json!({ "elicitation": {} });
    let (one, two) = (mine.clone().begin(capabilities()).await, mine.begin(capabilities()).await);
    let stranger = other.begin(capabilities()).await;
    let (call, id) = asked(&one).await;
    for foreign in [&two, &stranger] {
        assert_eq!(foreign.post(&answer(&id, "mallory")).await.rest().await.0, 202);
    }
    let mut hijack = stranger.clone();
    hijack.session.clone_from(&one.session);
    assert_eq!(hijack.post(&answer(&id, "mallory")).await.rest().await.0, 404);
    for name in ["alice", "bob"] {
        assert_eq!(one.post(&answer(&id, name)).await.rest().await.0, 202);
    }
    let result = call.last().await;
    let text = result["result"]["content"][0]["text"].as_str().unwrap();
    assert!(text.contains("alice") && !text.contains("bob") && !text.contains("mallory"), "{result}");
}

#[tokio::test]
async fn a_client_that_never_answers_ends_its_call_and_nothing_else() {
    let sessions = SessionLimits { answer: Duration::from_millis(200), ..SessionLimits::default() };
    let clock = Arc::new(FakeClock::new());
    let fixture = Fixture::start_with(clock, sessions).await;
    let client = Client::new(fixture.front, &fixture.keys[0]).begin(json!({ "elicitation": {} })).await;
    let (call, id) = asked(&client).await;
    let ended = call.last().await;
    assert!(ended["error"]["message"].as_str().unwrap().contains("input.unanswered"), "{ended}");
    assert_eq!(client.post(&answer(&id, "late")).await.rest().await.0, 202);
    let unanswered = entries(&fixture.folder).into_iter().find(|entry| entry["event"] == "input_unanswered");
    assert_eq!(unanswered.expect("it is on record")["tool"], "test_elicitation");
    // The session goes on; an error is an answer that ends the call at once.
    let (call, id) = asked(&client).await;
    let no = json!({ "jsonrpc": "2.0", "id": id, "error": { "code": -1, "message": "no" } });
    assert_eq!(client.post(&no).await.rest().await.0, 202);
    assert!(call.last().await["error"].is_object());
}
