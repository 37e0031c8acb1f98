use proptest::prelude::*;
use serde_json::Value;

use super::{Malformed, ScanLimits, scan};

fn check(text: &str) -> Result<(), Malformed> {
    scan(text.as_bytes(), ScanLimits { depth: 8 }).map(drop)
}

#[test]
fn messages_that_every_parser_reads_alike_pass() {
    for text in [
        "{}",
        " { } ",
        r#"{"a":1,"b":[1,2,{"a":1}],"c":{"a":1}}"#,
        r#"{"a":-0.5e+3,"b":1e308,"c":18446744073709551615,"d":12345678901234567890123}"#,
        r#"{"a":"é😀","b":"\ud83d\ude00\n\/","":null,"t":true,"f":false}"#,
        r#"{"params":{"arguments":{"Name":1,"name":2,"ID":3}}}"#,
        r#"{"jsonrpc":"2.0","params":{"_meta":{"progressToken":1,"other":{"ProgressToken":1}}}}"#,
        "1",
        "\"x\"",
    ] {
        assert_eq!(check(text), Ok(()), "{text}");
    }
}

#[test]
fn a_key_may_stand_once_at_every_depth() {
    let many = |last: &str| {
        let keys: Vec<_> = (0..2000).map(|n| format!("\"k{n}\":1")).collect();
        format!("{{{},{last}}}", keys.join(","))
    };
    assert_eq!(check(&many("\"z\":1")), Ok(()));
    for text in [
        r#"{"a":1,"a":1}"#.to_owned(),
        r#"{"a":1,"\u0061":1}"#.to_owned(),
        r#"{"x":{"y":[{"a":1,"b":2,"a":3}]}}"#.to_owned(),
        r#"{"jsonrpc":"2.0","method":"a","method":"b"}"#.to_owned(),
        many("\"k7\":1"),
        many("\"\\u006b7\":1"),
    ] {
        assert!(matches!(check(&text), Err(Malformed::DuplicateKey { .. })), "{text}");
    }
}

#[test]
fn case_variants_of_protocol_keys_are_refused_where_the_protocol_reads_them() {
    for (text, expected) in [
        (r#"{"Method":"x"}"#, "method"),
        (r#"{"method":"x","METHOD":"y"}"#, "method"),
        (r#"{"j\u0053onrpc":"2.0"}"#, "jsonrpc"),
        (r#"{"params":{"Name":"x"}}"#, "name"),
        (r#"{"params":{"argument\u017f":{}}}"#, "arguments"),
        (r#"{"params":{"uRi":"x"}}"#, "uri"),
        (r#"{"params":{"_meta":{"progresstoken":1}}}"#, "progressToken"),
        (
            r#"{"params":{"_meta":{"io.modelcontextprotocol/ProtocolVersion":"x"}}}"#,
            "io.modelcontextprotocol/protocolVersion",
        ),
    ] {
        assert_eq!(check(text), Err(Malformed::CaseVariant { expected }), "{text}");
    }
}

#[test]
fn everything_else_is_refused_by_name() {
    assert_eq!(check("\u{feff}{}"), Err(Malformed::ByteOrderMark));
    assert_eq!(scan(b"{\"a\":\"\xff\"}", ScanLimits::default()), Err(Malformed::NotUtf8));
    assert_eq!(check("[]"), Err(Malformed::Batch));
    assert_eq!(check(" [{}]"), Err(Malformed::Batch));
    assert_eq!(check(r#"{"a":"\ud800"}"#), Err(Malformed::LoneSurrogate { at: 6 }));
    assert_eq!(check(r#"{"a":"\ude00\ud83d"}"#), Err(Malformed::LoneSurrogate { at: 6 }));
    assert_eq!(check(r#"{"a":"\ud83d\u0041"}"#), Err(Malformed::LoneSurrogate { at: 6 }));
    assert_eq!(check(r#"{"a":1e999}"#), Err(Malformed::Number { at: 5 }));
    assert_eq!(check(&format!("{{\"a\":{}}}", "9".repeat(200))), Err(Malformed::Number { at: 5 }));
    assert_eq!(check(&"{\"a\":".repeat(9)), Err(Malformed::Depth { limit: 8 }));
    assert_eq!(check(&format!("{{\"a\":{}", "[".repeat(100_000))), Err(Malformed::Depth { limit: 8 }));
    assert_eq!(check(&format!("{}1{}", "{\"a\":".repeat(8), "}".repeat(8))), Ok(()));
    for text in [
        "",
        " ",
        "{",
        "}",
        "{]",
        r#"{"a"}"#,
        r#"{"a":}"#,
        r#"{"a":1,}"#,
        r#"{,}"#,
        r#"{"a":[1,]}"#,
        r#"{"a":01}"#,
        r#"{"a":+1}"#,
        r#"{"a":1.}"#,
        r#"{"a":.5}"#,
        r#"{"a":1e}"#,
        r#"{"a":"\x"}"#,
        r#"{"a":"\u12"}"#,
        "{\"a\":\"\n\"}",
        r#"{"a":nul}"#,
        r#"{"a":True}"#,
        r#"{"a":NaN}"#,
        r#"{'a':1}"#,
        "{}{}",
        "{} x",
        r#"{"a" 1}"#,
        r#"{"a":1 "b":2}"#,
        "{\"a\":\"",
        "{\"a\":\"\\",
        "{\"a\":1}\0",
        "// c\n{}",
    ] {
        assert!(matches!(check(text), Err(Malformed::Syntax { .. })), "{text}: {:?}", check(text));
    }
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 12, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{0,3}", inner, 0..12)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = scan(&bytes, ScanLimits::default());
    }

    #[test]
    fn written_json_passes(value in json()) {
        let text = serde_json::to_string(&Value::Object([("x".to_owned(), value)].into_iter().collect())).unwrap();
        prop_assert_eq!(scan(text.as_bytes(), ScanLimits { depth: 100 }).map(drop), Ok(()));
    }

    #[test]
    fn what_passes_is_json_and_what_is_refused_as_syntax_is_not(
        text in r#"[\{\}\[\]",:0-9eE+.\\/u a-fnrtls-]{0,24}"#,
    ) {
        let reference = serde_json::from_str::<Value>(&text);
        match scan(text.as_bytes(), ScanLimits { depth: 100 }) {
            Ok(_) => prop_assert!(reference.is_ok(), "{} was accepted", text),
            Err(Malformed::Syntax { .. }) => prop_assert!(reference.is_err(), "{} was refused", text),
            Err(_) => {}
        }
    }

    #[test]
    fn mutated_messages_agree_with_the_reference(
        value in json(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let mut bytes = serde_json::to_vec(&Value::Object([("x".to_owned(), value)].into_iter().collect())).unwrap();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        match scan(&bytes, ScanLimits { depth: 100 }) {
            Ok(_) => prop_assert!(serde_json::from_slice::<Value>(&bytes).is_ok()),
            Err(Malformed::Syntax { .. } | Malformed::NotUtf8) => {
                prop_assert!(serde_json::from_slice::<Value>(&bytes).is_err());
            }
            Err(_) => {}
        }
    }
}
