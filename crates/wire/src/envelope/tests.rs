use proptest::prelude::*;

use super::Message;
use crate::ScanLimits;

fn kind(text: &str) -> Result<String, String> {
    match Message::parse(text.as_bytes(), ScanLimits::default()) {
        Ok(Message::Request(request)) => Ok(format!("request {} {}", request.id.as_json(), request.method)),
        Ok(Message::Notification(notification)) => Ok(format!("notification {}", notification.method)),
        Ok(Message::Response(response)) => {
            let id = response.id.map_or("-", |id| id.as_json());
            Ok(format!("response {id} {}", if response.outcome.is_ok() { "result" } else { "error" }))
        }
        Err(refusal) => Err(format!("{:?}", refusal.error)),
    }
}

#[test]
fn the_three_kinds_are_told_apart() {
    for (text, expected) in [
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#, "request 1 ping"),
        (
            r#"{"method":"p\u0069ng","id":"a\"b","jsonrpc":"2.0","params":{},"extra":1}"#,
            r#"request "a\"b" ping"#,
        ),
        (
            r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{}}"#,
            "notification notifications/cancelled",
        ),
        (r#"{"jsonrpc":"2.0","id":7,"result":{}}"#, "response 7 result"),
        (r#"{"jsonrpc":"2.0","id":7,"error":{"code":1,"message":"x"}}"#, "response 7 error"),
        (r#"{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":"x"}}"#, "response - error"),
        (r#"{"jsonrpc":"2.0","error":{"code":1,"message":"x"}}"#, "response - error"),
    ] {
        assert_eq!(kind(text).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn what_is_no_message_is_refused() {
    for text in [
        "1",
        "{}",
        r#"{"jsonrpc":"1.0","id":1,"method":"x"}"#,
        r#"{"id":1,"method":"x"}"#,
        r#"{"jsonrpc":"2.0","id":1}"#,
        r#"{"jsonrpc":"2.0","id":null,"method":"x"}"#,
        r#"{"jsonrpc":"2.0","id":1.5,"method":"x"}"#,
        r#"{"jsonrpc":"2.0","id":1e3,"method":"x"}"#,
        r#"{"jsonrpc":"2.0","id":[1],"method":"x"}"#,
        r#"{"jsonrpc":"2.0","id":true,"method":"x"}"#,
        r#"{"jsonrpc":"2.0","id":123456789012345678901,"method":"x"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":7}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"x","params":[]}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"x","params":null}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"x","params":"y"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"x","result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{}}"#,
        r#"{"jsonrpc":"2.0","result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"x"}"#,
        r#"[{"jsonrpc":"2.0","id":1,"method":"x"}]"#,
    ] {
        assert!(kind(text).is_err(), "{text}: {:?}", kind(text));
    }
    let long = format!(r#"{{"jsonrpc":"2.0","id":"{}","method":"x"}}"#, "i".repeat(300));
    assert!(kind(&long).is_err());
}

#[test]
fn a_refusal_names_the_id_when_it_could_be_read() {
    let refusal =
        Message::parse(br#"{"jsonrpc":"2.0","id":"q","method":"x","params":3}"#, ScanLimits::default())
            .unwrap_err();
    assert_eq!(refusal.id.map(|id| id.as_json()), Some("\"q\""));
}

proptest! {
    #[test]
    fn ids_come_back_byte_for_byte(id in prop_oneof![
        any::<i64>().prop_map(|n| n.to_string()),
        any::<u64>().prop_map(|n| n.to_string()),
        "[ -~]{0,80}".prop_map(|s| serde_json::to_string(&s).unwrap()),
        any::<[char; 20]>().prop_map(|s| serde_json::to_string(&s.iter().collect::<String>()).unwrap()),
    ]) {
        let text = format!(r#"{{"jsonrpc":"2.0","id": {id} ,"method":"x"}}"#);
        match Message::parse(text.as_bytes(), ScanLimits::default()) {
            Ok(Message::Request(request)) => prop_assert_eq!(request.id.as_json(), id),
            other => prop_assert!(id.len() > 256, "{:?}", other),
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
        let _ = Message::parse(&bytes, ScanLimits::default());
    }

    #[test]
    fn no_mutation_of_a_call_makes_it_panic(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let mut bytes = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"k":[1,"\ud83d\ude00"]},"_meta":{"progressToken":"t","io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#.to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(Message::Request(request)) = Message::parse(&bytes, ScanLimits::default())
            && let Ok(params) = request.params()
        {
            let _ = (params.meta(), params.call(), params.list(), params.read_resource(), params.initialize(), params.cancelled());
        }
        let _ = Message::parse(&bytes[..cut.index(bytes.len())], ScanLimits::default());
    }
}
