use serde::Serialize;
use serde_json::{Value, json};

use super::{
    Annotations, Caching, CallResult, Capabilities, Discover, Dress, EmptyResult, Initialize, ListPrompts,
    ListTools, Progress, ServerInfo, Tool, ToolsCapability, write_notification, write_result,
};
use crate::{Era, Message, ProgressToken, RequestId, ScanLimits};

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
    let legacy = CallResult::new("ok\n", &structured, false, Dress::new(Era::Legacy, SERVER));
    let expected = json!({"content": [{"type": "text", "text": "ok\n"}], "structuredContent": {"exit_code": 0}, "isError": false});
    assert_eq!(written(&legacy), expected);
    let modern = CallResult::new("ok\n", &structured, false, Dress::new(Era::Modern, SERVER));
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
        prompts: [],
        caching: Caching::never(Era::Legacy),
        dress: Dress::new(Era::Legacy, SERVER),
    };
    assert_eq!(written(&prompts), json!({"prompts": []}));
}

#[test]
fn handshake_and_discovery_say_what_there_is() {
    let capabilities = Capabilities { tools: ToolsCapability {}, resources: None, prompts: None };
    let initialize =
        Initialize { protocol_version: "2025-11-25", capabilities, server_info: SERVER, instructions: None };
    assert_eq!(
        written(&initialize),
        json!({"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": "portcullis", "title": "Portcullis", "version": "1"}})
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
        json!({"supportedVersions": ["2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26"], "capabilities": {"tools": {}},
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
