//! Who listens is told what has changed, what it asked to be told, and nothing else.

use serde_json::{Value, json};

use super::fixture::{self, Fixture};
use super::talk::Client;

const TOOLS: &str = "notifications/tools/list_changed";
const RESOURCES: &str = "notifications/resources/list_changed";
const UPDATED: &str = "notifications/resources/updated";
const HIDDEN: &str = "skill://test_sometimes_there/SKILL.md";

async fn toggle(client: &Client) {
    let call = json!({ "name": "test_trigger_tool_change", "arguments": {} });
    let done = client.modern("tools/call", call).await.last().await;
    assert_eq!(done["result"]["isError"], false, "{done}");
}

#[tokio::test]
async fn a_session_is_told_of_lists_and_of_what_it_watches() {
    let fixture = Fixture::start().await;
    let modern = Client::new(fixture.front, &fixture.keys[0]);
    let client = modern.clone().begin(json!({})).await;
    let watch = |method: &'static str, uri: &str| client.legacy(1, method, json!({ "uri": uri }));
    watch("resources/subscribe", HIDDEN).await.last().await;
    watch("resources/subscribe", "test://watched-resource").await.last().await;
    let mut stream = client.listen().await;
    stream.until(": \n\n").await;
    toggle(&modern).await;
    stream.until(UPDATED).await;
    assert_eq!(stream.notified(), [TOOLS, RESOURCES, UPDATED]);
    assert_eq!(stream.messages().pop().unwrap()["params"], json!({ "uri": HIDDEN }));
    watch("resources/unsubscribe", HIDDEN).await.last().await;
    // One that was not listening when it changed is told when it listens.
    let late = modern.clone().begin(json!({})).await;
    toggle(&modern).await;
    let mut again = late.listen().await;
    again.until(RESOURCES).await;
    assert_eq!(again.notified(), [TOOLS, RESOURCES]);
    stream.until(TOOLS).await;
    assert_eq!(stream.notified().iter().filter(|method| *method == UPDATED).count(), 1);
}

#[tokio::test]
async fn a_subscription_is_acknowledged_tagged_filtered_and_ended() {
    let fixture = Fixture::start().await;
    let client = Client::new(fixture.front, &fixture.keys[0]);
    let wants = json!({ "resourcesListChanged": true, "promptsListChanged": true, "resourceSubscriptions": [HIDDEN] });
    let mut stream = client.modern("subscriptions/listen", json!({ "notifications": wants })).await;
    stream.until("notifications/subscriptions/acknowledged").await;
    let granted = json!({ "resourcesListChanged": true, "resourceSubscriptions": [HIDDEN] });
    assert_eq!(stream.messages()[0]["params"]["notifications"], granted);
    toggle(&client).await;
    stream.until(UPDATED).await;
    assert_eq!(stream.notified()[1..], [RESOURCES, UPDATED]);
    let tag = |message: &Value| message["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"] == 1;
    assert!(stream.messages().iter().all(tag));

    // Another policy, and nobody in it: the subscription ends as the protocol says.
    let live = fixture.gateway.live();
    fixture.gateway.swap(fixture::live(&[], &[], false));
    let end = stream.last().await;
    assert_eq!((&end["id"], &end["result"]["resultType"]), (&json!(1), &json!("complete")), "{end}");
    drop(live);
}

#[tokio::test]
async fn log_messages_come_from_the_level_that_was_asked_for() {
    let fixture = Fixture::start().await;
    let modern = Client::new(fixture.front, &fixture.keys[0]);
    let client = modern.clone().begin(json!({})).await;
    let call = || json!({ "name": "test_tool_with_logging", "arguments": {} });
    let logs =
        |messages: Vec<Value>| messages.iter().filter(|m| m["method"] == "notifications/message").count();
    for (level, expected) in [(None, 0), (Some("debug"), 3), (Some("warning"), 0), (Some("info"), 3)] {
        if let Some(level) = level {
            client.legacy(2, "logging/setLevel", json!({ "level": level })).await.last().await;
        }
        let (_, messages) = client.legacy(3, "tools/call", call()).await.rest().await;
        assert_eq!(logs(messages), expected, "{level:?}");
        let mut params = call();
        params["_meta"] = json!({});
        let mut body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
        body["params"]["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        if let Some(level) = level {
            body["params"]["_meta"]["io.modelcontextprotocol/logLevel"] = json!(level);
        }
        let (_, messages) = modern.post(&body).await.rest().await;
        assert_eq!(logs(messages), expected, "modern {level:?}");
    }
}

#[tokio::test]
async fn arguments_of_prompts_and_addresses_are_completed() {
    let fixture = Fixture::start().await;
    let client = Client::new(fixture.front, &fixture.keys[0]);
    let complete = |reference: Value, name: &'static str, value: &'static str| {
        let params = json!({ "ref": reference, "argument": { "name": name, "value": value } });
        let client = client.clone();
        async move {
            client.modern("completion/complete", params).await.last().await["result"]["completion"]["values"]
                .clone()
        }
    };
    let skill = || json!({ "type": "ref/resource", "uri": "skill://{tool}/SKILL.md" });
    assert_eq!(complete(skill(), "tool", "test_some").await, json!(["test_sometimes_there"]));
    toggle(&client).await;
    assert_eq!(complete(skill(), "tool", "test_some").await, json!([]), "what is hidden is not completed");
    let prompt = json!({ "type": "ref/prompt", "name": "test_prompt_with_arguments" });
    assert_eq!(complete(prompt, "arg1", "par").await, json!(["paris", "park", "party"]));
    let unknown = json!({ "type": "ref/resource", "uri": "none://{x}" });
    assert_eq!(complete(unknown, "x", "").await, json!([]));
}
