//! What upstreams ask clients, through the real binary: whom it reaches, what it is worth, what becomes of the rest.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use testkit::{Answerer, Era, HttpUpstream, McpHttp, Portcullis, UpstreamServer};

use super::{ALL, RULES, client, private, ready, serve, site};
use crate::environment::Installed;
use crate::site::{ends, journal_of, verify};

const MAY: &str = "tools = \"*\"\nclient_requests = [\"elicitation\", \"sampling\", \"roots\"]";
const LEGACY: Era = Era::Legacy("2025-11-25");
/// What the scripted servers put into each question, and an answer; nobody's parser keeps such numbers.
const BIG: &str = "\"big\":12345678901234567890123,\"z\":1,\"a\":[1.0,1e2]";
const ANSWER: &str =
    "{ \"action\":\"accept\",\"content\":{\"n\":12345678901234567890123,\"a\":1e2,\"b\":\"\\u0062\"} }";

fn everything() -> Value {
    json!({ "elicitation": { "form": {}, "url": {} }, "sampling": {}, "roots": {} })
}

fn answering() -> Answerer {
    Box::new(|_| Some(format!("\"result\":{ANSWER}")))
}

async fn able(
    installed: &Installed,
    gateway: &Portcullis,
    path: &str,
    era: Era,
    answers: Answerer,
) -> McpHttp {
    let url = format!("{}{path}", gateway.mcp());
    McpHttp::connect_able(&url, Some(installed.key()), era, everything(), answers).await.unwrap()
}

/// The questions that a legacy client was asked.
fn asked(client: &McpHttp) -> Vec<Value> {
    client.take_notifications().into_iter().filter(|message| message.get("id").is_some()).collect()
}

/// Calls again with answers, as a modern client does, with every byte of them as it is written here.
async fn resume(client: &McpHttp, name: &str, arguments: &Value, question: &str, state: &str) -> Value {
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": everything(),
    });
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":77,"method":"tools/call","params":{{"name":"{name}","arguments":{arguments},"inputResponses":{{"{question}":{ANSWER}}},"requestState":{},"_meta":{meta}}}}}"#,
        json!(state)
    );
    let head = client.headers(&json!({ "method": "tools/call", "params": { "name": name } }));
    let answer = client.raw(&head, body).await.unwrap().text();
    serde_json::from_str(answer.trim_start_matches("data: ").trim()).unwrap_or_else(|_| panic!("{answer}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_reaches_the_client_whose_call_it_is_and_its_answer_comes_back_in_all_eras() {
    let (old, new) = (UpstreamServer::ScriptedLegacy, UpstreamServer::ScriptedModern);
    let installed = site(&[(old, "old", MAY), (new, "new", MAY)]);
    let gateway = serve(&installed);
    let arguments = json!({ "text": "who?", "state": "its own" });
    for upstream in ["old", "new"] {
        let path = format!("/{upstream}");
        let legacy = able(&installed, &gateway, &path, LEGACY, answering()).await;
        ready(&legacy, "ask").await;
        let answer = legacy.call("ask", arguments.clone()).await.unwrap();
        assert!(answer.text().contains(ANSWER), "every byte of the answer arrives: {answer:?}");
        let questions = asked(&legacy);
        assert_eq!(questions.len(), 1, "{questions:?}");
        assert_eq!(questions[0]["params"]["message"], "who?");

        let modern = able(&installed, &gateway, &path, Era::Modern, answering()).await;
        let asks = modern.call("ask", arguments.clone()).await.unwrap().0;
        assert_eq!(asks["resultType"], "input_required", "{asks}");
        let (question, request) = asks["inputRequests"].as_object().unwrap().iter().next().unwrap();
        assert_eq!(
            (&request["method"], &request["params"]["message"]),
            (&json!("elicitation/create"), &json!("who?"))
        );
        let state = asks["requestState"].as_str().unwrap();
        assert_ne!(state, "its own", "what comes back is bound to who was asked");
        let done = resume(&modern, "ask", &arguments, question, state).await;
        let text = done["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{done}"));
        assert!(text.contains(ANSWER), "{text}");
        if upstream == "new" {
            assert!(text.contains("\"requestState\":\"its own\""), "its own state comes back to it: {text}");
        }
        let again = resume(&modern, "ask", &arguments, question, state).await;
        assert_eq!(again["error"]["code"], -32602, "an answer counts once: {again}");
        for client in [&legacy, &modern] {
            let received = String::from_utf8(client.received()).unwrap();
            assert!(received.contains(&format!("{{ {BIG},\"message\":\"who?\" }}")), "{received}");
        }

        // Among others a question says whose it is.
        let among = able(&installed, &gateway, "", LEGACY, answering()).await;
        among.call(&format!("{upstream}__ask"), arguments.clone()).await.unwrap();
        let question = asked(&among).remove(0);
        assert_eq!(question["params"]["message"], format!("The upstream `{upstream}` asks: who?"));
        assert_eq!(question["params"]["_meta"]["portcullis/origin"]["upstream"], upstream);
    }
    assert_eq!(gateway.terminate().code(), Some(0));
    let journal = journal_of(&installed);
    let parts: Vec<&Value> = journal
        .iter()
        .filter(|entry| entry["event"] == "upstream_asked" && entry["phase"] == "complete")
        .collect();
    assert_eq!(parts.len(), 6, "{journal:#?}");
    for part in parts {
        let whole =
            journal.iter().find(|entry| entry["id"] == part["parent"] && entry["phase"] == "complete");
        assert_eq!(whole.unwrap()["event"], "input_requested", "{part}");
        let went_on =
            journal.iter().any(|entry| entry["parent"] == part["parent"] && entry["event"] == "tool_call");
        assert!(went_on, "the answer is part of the call that asked: {part}");
    }
    assert!(ends(&journal).values().all(|ends| *ends == 1));
    verify(&installed);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_asked_is_refused_and_recorded_and_nobody_is_asked() {
    let (old, new) = (UpstreamServer::ScriptedLegacy, UpstreamServer::ScriptedModern);
    let form = "tools = \"*\"\nclient_requests = [\"elicitation\"]";
    let installed = site(&[(old, "old", ALL), (new, "new", ALL), (old, "sdk", form)]);
    let gateway = serve(&installed);
    let mut recorded = 0;
    for (upstream, era, arguments, why) in [
        ("old", LEGACY, json!({}), "client_requests"),
        ("old", Era::Modern, json!({}), "client_requests"),
        ("sdk", LEGACY, json!({ "method": "sampling/createMessage" }), "client_requests"),
        ("sdk", LEGACY, json!({ "method": "roots/list" }), "client_requests"),
        ("sdk", LEGACY, json!({ "method": "tools/list" }), "no such question"),
        ("sdk", LEGACY, json!({ "more": { "mode": "url", "url": "file:///etc/passwd" } }), "not of the web"),
    ] {
        let client = able(&installed, &gateway, &format!("/{upstream}"), era, answering()).await;
        ready(&client, "ask").await;
        let answer = client.call("ask", arguments.clone()).await.unwrap();
        assert!(
            answer.text().contains(why) && answer.text().contains("\"error\""),
            "{arguments}: {answer:?}"
        );
        assert_eq!(asked(&client), Vec::<Value>::new());
        recorded += 1;
    }
    // A client that takes no questions is asked none, whatever is permitted.
    let unable = client(&installed, &gateway, "/sdk", LEGACY).await;
    let answer = unable.call("ask", json!({})).await.unwrap();
    assert!(answer.text().contains("does not take such questions"), "{answer:?}");
    // A modern upstream has no answer to be refused with: its call fails.
    let able = able(&installed, &gateway, "/new", LEGACY, answering()).await;
    let failed = able.call("ask", json!({})).await.unwrap();
    assert_eq!(failed.structured()["code"], "target.protocol", "{failed:?}");
    assert_eq!(asked(&able), Vec::<Value>::new());
    assert_eq!(gateway.terminate().code(), Some(0));
    let journal = journal_of(&installed);
    let refused = journal.iter().filter(|entry| {
        entry["event"] == "upstream_asked"
            && entry["reason"].as_str().is_some_and(|why| why.starts_with("refused: "))
    });
    assert_eq!(refused.count(), recorded + 2, "{journal:#?}");
    assert!(ends(&journal).values().all(|ends| *ends == 1));
    verify(&installed);
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_of_no_call_of_several_calls_and_without_end_reach_nobody() {
    let installed = site(&[(UpstreamServer::ScriptedLegacy, "old", MAY)]);
    let gateway = serve(&installed);
    let one = able(&installed, &gateway, "/old", LEGACY, answering()).await;
    ready(&one, "ask_late").await;
    assert_eq!(one.call("ask_late", json!({})).await.unwrap().text(), "before the question");
    let said = said(&one, 1).await;
    assert!(said.contains("which call this belongs to"), "after its call a question is nobody's: {said}");

    // Two calls under way, one of which asks: which one nobody can tell.
    let two = able(&installed, &gateway, "/old", LEGACY, answering()).await;
    let two = Arc::new(two);
    let calling = Arc::clone(&two);
    let slow = tokio::spawn(async move {
        let params = json!({ "name": "slow", "arguments": { "who": "two", "seconds": 1 }, "_meta": { "progressToken": 1 } });
        calling.request("tools/call", &params).await
    });
    while two.take_notifications().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let asks = one.call("ask", json!({})).await.unwrap();
    assert!(asks.text().contains("which call this belongs to"), "{asks:?}");
    assert_eq!(slow.await.unwrap().unwrap()["content"][0]["text"], "slept for two");

    // A flood ends the call that it belongs to, and nothing else.
    let deaf = client(&installed, &gateway, "/old", LEGACY).await;
    let flood = deaf.call("ask_much", json!({ "times": 40 })).await.unwrap();
    assert_eq!(flood.structured()["code"], "target.protocol", "{flood:?}");
    assert_eq!(deaf.call("echo", json!({})).await.unwrap().structured()["heard"], json!({}));
    for client in [&one, &*two] {
        assert_eq!(asked(client), Vec::<Value>::new());
    }
    assert_eq!(gateway.terminate().code(), Some(0));
    let journal = journal_of(&installed);
    let of = |phase: &str| {
        journal.iter().filter(|entry| entry["event"] == "upstream_asked" && entry["phase"] == phase).count()
    };
    assert_eq!(of("complete"), 16, "so many of one call, and no more");
    assert!(of("closed") <= 16, "and so many of one start that are of no call");
    assert!(
        journal
            .iter()
            .any(|entry| entry["event"] == "upstream_asked" && entry["fields"]["upstream"] == "old")
    );
    verify(&installed);
}

/// What the server heard to its questions, once there are so many.
async fn said(client: &McpHttp, count: usize) -> String {
    for _ in 0..200 {
        let said = client.call("said", json!({})).await.unwrap().text();
        if serde_json::from_str::<Vec<Value>>(&said).unwrap().len() >= count {
            return said;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it heard nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_is_good_for_its_upstream_and_call_and_what_was_never_asked_is_not_answered() {
    let old = UpstreamServer::ScriptedLegacy;
    let installed = site(&[(old, "old", MAY), (old, "new", MAY)]);
    let gateway = serve(&installed);
    let modern = able(&installed, &gateway, "/old", Era::Modern, answering()).await;
    let other = able(&installed, &gateway, "/new", Era::Modern, answering()).await;
    ready(&modern, "ask").await;
    ready(&other, "ask").await;
    let arguments = json!({ "text": "who?" });
    let asks = modern.call("ask", arguments.clone()).await.unwrap().0;
    let state = asks["requestState"].as_str().unwrap();
    for (client, tool, arguments, state) in [
        (&other, "ask", &arguments, state.to_owned()),
        (&modern, "echo", &arguments, state.to_owned()),
        (&modern, "ask", &json!({ "text": "else?" }), state.to_owned()),
        (&modern, "ask", &arguments, format!("{state}A")),
        (&modern, "ask", &arguments, "made up".to_owned()),
    ] {
        let refused = resume(client, tool, arguments, "question", &state).await;
        assert_eq!(refused["error"]["code"], -32602, "{tool} {arguments} {state}: {refused}");
    }
    // The call still waits, and is asked again by who answers something else.
    let else_ = resume(&modern, "ask", &arguments, "another", state).await;
    assert_eq!(else_["result"]["resultType"], "input_required", "{else_}");
    let state = else_["result"]["requestState"].as_str().unwrap().to_owned();
    // After a new start of the upstream nothing waits any more.
    modern.call("die", json!({})).await.unwrap();
    ready(&modern, "ask").await;
    let gone = resume(&modern, "ask", &arguments, "question", &state).await;
    let text = gone.to_string();
    assert!(text.contains("input.state") || text.contains("upstream.down"), "{text}");

    // Nobody's answer to nobody's question.
    let legacy = able(&installed, &gateway, "/new", LEGACY, answering()).await;
    let stray = format!(r#"{{"jsonrpc":"2.0","id":"question-0","result":{ANSWER}}}"#);
    assert_eq!(legacy.raw(&legacy.headers(&Value::Null), stray).await.unwrap().status, 202);
    assert_eq!(legacy.call("said", json!({})).await.unwrap().text(), "[]");
    drop(gateway);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_cancelled_while_its_client_is_asked_is_given_up_at_the_upstream() {
    let installed = site(&[(UpstreamServer::ScriptedLegacy, "old", MAY)]);
    let gateway = serve(&installed);
    let silent = Arc::new(able(&installed, &gateway, "/old", LEGACY, Box::new(|_| None)).await);
    ready(&silent, "ask").await;
    silent.take_notifications();
    let calling = Arc::clone(&silent);
    let call = tokio::spawn(async move { calling.call("ask", json!({})).await });
    let mut waits = 0;
    while asked(&silent).is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
        waits += 1;
        assert!(waits < 1000, "it is never asked");
    }
    // All ids of this client are small; those that are not under way are nobody's.
    for id in 0..40 {
        silent.notify("notifications/cancelled", &json!({ "requestId": id })).await.unwrap();
    }
    let ended = call.await.unwrap().unwrap_err().to_string();
    assert!(ended.contains("input.unanswered"), "{ended}");
    let other = client(&installed, &gateway, "/old", Era::Modern).await;
    let mut given_up = String::new();
    for _ in 0..100 {
        given_up = other.call("given_up", json!({})).await.unwrap().text();
        if given_up != "[]" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_ne!(given_up, "[]");
    assert_eq!(gateway.terminate().code(), Some(0));
    let journal = journal_of(&installed);
    let unanswered = journal.iter().find(|entry| entry["event"] == "input_unanswered").unwrap();
    assert_eq!(unanswered["tool"], "old__ask", "{unanswered}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_holds_a_secret_of_the_upstream_is_seen_by_nobody() {
    let secret = "correct-horse-battery";
    let (old, new) = (UpstreamServer::ScriptedLegacy, UpstreamServer::ScriptedModern);
    let more = format!("{MAY}\nenv = {{ PATH = \"/usr/bin\", A_TOKEN = {{ file = \"token\" }} }}");
    // What was given up could still ask something, so the next question comes from another one.
    let installed = site(&[(old, "old", &more), (old, "sdk", &more), (new, "new", &more)]);
    installed.write("token", &format!("{secret}\n"));
    private(&installed.path("token"));
    let gateway = serve(&installed);
    for (upstream, era) in [("old", LEGACY), ("sdk", Era::Modern), ("new", Era::Modern)] {
        let client = able(&installed, &gateway, &format!("/{upstream}"), era, answering()).await;
        ready(&client, "ask").await;
        let withheld = client.call("ask", json!({ "tell": true })).await.unwrap();
        assert_eq!(withheld.structured()["code"], "secret_in_output", "{upstream} {era:?}: {withheld:?}");
        assert_eq!(asked(&client), Vec::<Value>::new());
        assert!(!String::from_utf8(client.received()).unwrap().contains(secret));
    }
    assert!(!gateway.log().contains(secret));
    drop(gateway);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_others_made_asks_over_either_transport() {
    let http = HttpUpstream::everything();
    let installed = site(&[(UpstreamServer::Everything, "everything", MAY)]);
    installed.append("portcullis.toml", &format!("{}{MAY}\n", http.toml("fast")));
    installed.write("policy/ops.toml", RULES);
    let gateway = serve(&installed);
    let answers = || -> Answerer {
        Box::new(|question| {
            Some(match question["method"].as_str()? {
                "elicitation/create" => "\"result\":{\"action\":\"decline\"}".to_owned(),
                "sampling/createMessage" => concat!(
                    "\"result\":{\"model\":\"m\",\"role\":\"assistant\",",
                    "\"content\":{\"type\":\"text\",\"text\":\"as the model says\"}}"
                )
                .to_owned(),
                _ => "\"result\":{\"roots\":[{\"uri\":\"file:///work\"}]}".to_owned(),
            })
        })
    };
    for upstream in ["everything", "fast"] {
        let legacy = able(&installed, &gateway, &format!("/{upstream}"), LEGACY, answers()).await;
        ready(&legacy, "trigger-elicitation-request").await;
        let declined = legacy.call("trigger-elicitation-request", json!({})).await.unwrap();
        assert!(declined.text().contains("declined"), "{declined:?}");
        let sampled = legacy
            .call("trigger-sampling-request", json!({ "prompt": "go on", "maxTokens": 10 }))
            .await
            .unwrap();
        assert!(sampled.text().contains("as the model says"), "{sampled:?}");

        let modern = able(&installed, &gateway, &format!("/{upstream}"), Era::Modern, answers()).await;
        let arguments = json!({ "prompt": "go on", "maxTokens": 10 });
        let params = json!({ "name": "trigger-sampling-request", "arguments": arguments });
        let asks = modern.request("tools/call", &params).await.unwrap();
        assert_eq!(asks["inputRequests"]["question"]["method"], "sampling/createMessage", "{asks}");
        let answer =
            json!({ "model": "m", "role": "assistant", "content": { "type": "text", "text": "bridged" } });
        let mut params = params;
        params["inputResponses"] = json!({ "question": answer });
        params["requestState"] = asks["requestState"].clone();
        let done = modern.request("tools/call", &params).await.unwrap();
        assert!(done["content"].to_string().contains("bridged"), "{done}");
    }
    assert_eq!(gateway.terminate().code(), Some(0));
    verify(&installed);
}
