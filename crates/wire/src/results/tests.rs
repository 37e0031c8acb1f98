use serde::Serialize;
use serde_json::{Value, json};

use super::{
    Annotations, Caching, CallResult, Capabilities, Complete, Discover, Dress, EmptyResult, GetPrompt,
    Initialize, ListPrompts, ListTools, ListingCapability, PlainCapability, PromptMessage, ServerInfo, Tool,
    write_result,
};
use crate::{
    Changed, ContentBlock, Era, InputRequired, ListenParams, Message, Progress, ProgressToken, RequestId,
    ScanLimits, write_changed, write_listening, write_log, write_notification, write_question,
};
use model::{Asked, Content, LogLevel, Media, Question, ResourceBody, ResourceContent};

const SERVER: ServerInfo<'static> = ServerInfo { name: "portcullis", title: "Portcullis", version: "1" };

fn written(result: &impl Serialize) -> Value {
    let raw = serde_json::value::RawValue::from_string("\"i\\u0064\"".to_owned()).unwrap();
    let bytes = write_result(RequestId::from_owned(&raw), result).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.starts_with(r#"{"jsonrpc":"2.0","id":"i\u0064","result":"#), "{text}");
    assert!(!text.contains('\n'));
    assert!(
        matches!(Message::parse(text.as_bytes(), ScanLimits::default()), Ok(Message::Response(_))),
        "{text}"
    );
    serde_json::from_str::<Value>(&text).unwrap()["result"].clone()
}

fn meta() -> Value {
    json!({"io.modelcontextprotocol/serverInfo": {"name": "portcullis", "title": "Portcullis", "version": "1"}})
}

#[test]
fn a_call_is_answered_in_both_forms() {
    let structured = json!({"exit_code": 0});
    let legacy =
        CallResult::new(ContentBlock::list("ok\n", &[]), &structured, false, Dress::new(Era::Legacy, SERVER));
    let expected = json!({"content": [{"type": "text", "text": "ok\n"}], "structuredContent": {"exit_code": 0}, "isError": false});
    assert_eq!(written(&legacy), expected);
    let modern =
        CallResult::new(ContentBlock::list("ok\n", &[]), &structured, false, Dress::new(Era::Modern, SERVER));
    let mut expected = expected;
    expected["resultType"] = json!("complete");
    expected["_meta"] = meta();
    assert_eq!(written(&modern), expected);
}

#[test]
fn listings_say_how_long_they_hold_where_the_era_wants_it() {
    let schema = json!({"type": "object"});
    let annotations = Annotations {
        read_only_hint: true,
        destructive_hint: false,
        idempotent_hint: true,
        open_world_hint: false,
    };
    let tools = [Tool {
        name: "whoami",
        title: "W",
        description: "d",
        input_schema: &schema,
        output_schema: None,
        annotations,
    }];
    let list = |era: Era, next_cursor: Option<String>| {
        written(&ListTools {
            tools: &tools,
            next_cursor,
            caching: Caching::never(era),
            dress: Dress::new(era, SERVER),
        })
    };
    let tool = json!({"name": "whoami", "title": "W", "description": "d", "inputSchema": {"type": "object"}, "annotations":
        {"readOnlyHint": true, "destructiveHint": false, "idempotentHint": true, "openWorldHint": false}});
    assert_eq!(list(Era::Legacy, None), json!({"tools": [tool]}));
    assert_eq!(
        list(Era::Modern, Some("c".into())),
        json!({"tools": [tool], "nextCursor": "c", "ttlMs": 0, "cacheScope": "private", "resultType": "complete", "_meta": meta()})
    );
    let prompts = ListPrompts {
        prompts: &[],
        next_cursor: None,
        caching: Caching::never(Era::Legacy),
        dress: Dress::new(Era::Legacy, SERVER),
    };
    assert_eq!(written(&prompts), json!({"prompts": []}));
}

#[test]
fn handshake_and_discovery_say_what_there_is() {
    let capabilities = Capabilities {
        tools: ListingCapability { list_changed: true, subscribe: false },
        resources: None,
        prompts: None,
        completions: Some(PlainCapability {}),
        logging: None,
    };
    let initialize =
        Initialize { protocol_version: "2025-11-25", capabilities, server_info: SERVER, instructions: None };
    assert_eq!(
        written(&initialize),
        json!({"protocolVersion": "2025-11-25", "capabilities": {"tools": {"listChanged": true}, "completions": {}}, "serverInfo": {"name": "portcullis", "title": "Portcullis", "version": "1"}})
    );
    let discover = Discover {
        supported_versions: crate::ProtocolVersion::ALL_TEXTS,
        capabilities,
        instructions: Some("hi"),
        caching: Caching::never(Era::Modern),
        dress: Dress::new(Era::Modern, SERVER),
    };
    assert_eq!(
        written(&discover),
        json!({"supportedVersions": ["2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26"], "capabilities": {"tools": {"listChanged": true}, "completions": {}},
            "instructions": "hi", "ttlMs": 0, "cacheScope": "private", "resultType": "complete", "_meta": meta()})
    );
    assert_eq!(written(&EmptyResult { dress: Dress::new(Era::Legacy, SERVER) }), json!({}));
}

#[test]
fn progress_carries_the_token_as_it_came() {
    let raw = serde_json::value::RawValue::from_string("12345678901234567890".to_owned()).unwrap();
    let progress = Progress {
        progress_token: ProgressToken::from_owned(&raw),
        progress: 1.5,
        total: None,
        message: Some("running"),
    };
    assert_eq!(
        String::from_utf8(write_notification("notifications/progress", &progress).unwrap()).unwrap(),
        r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":12345678901234567890,"progress":1.5,"message":"running"}}"#
    );
}

fn sent(message: Result<Vec<u8>, serde_json::Error>) -> Value {
    serde_json::from_slice(&message.unwrap()).unwrap()
}

#[test]
fn contents_of_every_kind_are_written() {
    let media = |mime_type: &str| Media { bytes: vec![0, 255], mime_type: mime_type.into() };
    let resource =
        |body| Content::Resource(ResourceContent { uri: "a:b".into(), mime_type: "t/p".into(), body });
    let content = [
        Content::Image(media("image/png")),
        Content::Audio(media("audio/wav")),
        resource(ResourceBody::Text("t".into())),
        resource(ResourceBody::Bytes(vec![1])),
    ];
    let blocks = serde_json::to_value(ContentBlock::list("", &content)).unwrap();
    assert_eq!(
        blocks,
        json!([
            {"type": "image", "data": "AP8=", "mimeType": "image/png"},
            {"type": "audio", "data": "AP8=", "mimeType": "audio/wav"},
            {"type": "resource", "resource": {"uri": "a:b", "mimeType": "t/p", "text": "t"}},
            {"type": "resource", "resource": {"uri": "a:b", "mimeType": "t/p", "blob": "AQ=="}},
        ])
    );
    assert_eq!(
        serde_json::to_value(ContentBlock::list("", &[])).unwrap(),
        json!([{"type": "text", "text": ""}])
    );
    assert_eq!(ContentBlock::list("x", &content).len(), 5);
    let dress = Dress::new(Era::Legacy, SERVER);
    let prompt = GetPrompt { messages: vec![PromptMessage::new(ContentBlock::Text { text: "hi" })], dress };
    assert_eq!(
        written(&prompt),
        json!({"messages": [{"role": "user", "content": {"type": "text", "text": "hi"}}]})
    );
}

#[test]
fn a_completion_shows_a_hundred_and_counts_all() {
    let values: Vec<String> = (0..150).map(|n| n.to_string()).collect();
    let result = written(&Complete::new(&values, Dress::new(Era::Legacy, SERVER)));
    assert_eq!(result["completion"]["values"].as_array().unwrap().len(), 100);
    assert_eq!(
        (&result["completion"]["total"], &result["completion"]["hasMore"]),
        (&json!(150), &json!(true))
    );
}

#[test]
fn questions_are_results_in_one_era_and_requests_in_the_other() {
    let form = Question::Form { message: "who?".into(), schema: json!({"type": "object", "properties": {}}) };
    let page = Question::Page { message: "look".into(), url: "https://a/b".into() };
    let sample = Question::Sample { prompt: "go on".into(), max_tokens: 7 };
    let questions = [("f", form), ("p", page.clone()), ("r", Question::Roots), ("s", sample)];
    let asked = Asked {
        questions: questions.into_iter().map(|(name, question)| (name.to_owned(), question)).collect(),
        state: Some("sealed".into()),
        parked: None,
    };
    assert_eq!(
        written(&InputRequired::new(&asked, Dress::new(Era::Modern, SERVER))),
        json!({
            "resultType": "input_required", "requestState": "sealed", "_meta": meta(), "inputRequests": {
                "f": {"method": "elicitation/create", "params": {"message": "who?",
                    "requestedSchema": {"type": "object", "properties": {}}}},
                "p": {"method": "elicitation/create", "params": {"mode": "url", "message": "look", "url": "https://a/b"}},
                "r": {"method": "roots/list", "params": {}},
                "s": {"method": "sampling/createMessage", "params": {"maxTokens": 7,
                    "messages": [{"role": "user", "content": {"type": "text", "text": "go on"}}]}},
            }
        })
    );
    let id = serde_json::value::RawValue::from_string("\"q-1\"".to_owned()).unwrap();
    assert_eq!(
        sent(write_question(RequestId::from_owned(&id), &page)),
        json!({"jsonrpc": "2.0", "id": "q-1", "method": "elicitation/create",
            "params": {"mode": "url", "message": "look", "url": "https://a/b", "elicitationId": "q-1"}})
    );
}

#[test]
fn notices_say_what_changed_and_on_which_subscription() {
    let id = serde_json::value::RawValue::from_string("7".to_owned()).unwrap();
    let tagged = json!({"_meta": {"io.modelcontextprotocol/subscriptionId": 7}});
    let changed = sent(write_changed(Changed::Tools, Some(RequestId::from_owned(&id))));
    assert_eq!(
        (&changed["method"], &changed["params"]),
        (&json!("notifications/tools/list_changed"), &tagged)
    );
    let updated = sent(write_changed(Changed::Resource("a:b"), None));
    assert_eq!(updated["params"], json!({"uri": "a:b"}));
    assert_eq!(sent(write_changed(Changed::Resources, None))["params"], json!({}));
    let granted = ListenParams { tools: true, watched: vec!["a:b".into()], ..ListenParams::default() };
    let first = sent(write_listening(RequestId::from_owned(&id), &granted));
    assert_eq!(
        first["params"]["notifications"],
        json!({"toolsListChanged": true, "resourceSubscriptions": ["a:b"]})
    );
    assert_eq!(
        sent(write_log(LogLevel::Warning, "a_tool", "careful"))["params"],
        json!({"level": "warning", "logger": "a_tool", "data": "careful"})
    );
}
