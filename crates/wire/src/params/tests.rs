use model::{Abilities, LogLevel};

use super::{ClientName, CompletionOf, ListenParams, Params};
use crate::{Message, RpcError, ScanLimits};

fn with<T>(params: &str, read: impl FnOnce(Params<'_>) -> Result<T, RpcError>) -> Result<T, RpcError> {
    let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"x","params":{params}}}"#);
    match Message::parse(text.as_bytes(), ScanLimits::default()) {
        Ok(Message::Request(request)) => request.params().and_then(read),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_call_is_a_name_and_an_object() {
    let call = |params: &str| {
        with(params, |p| p.call().map(|c| (c.name.into_owned(), c.arguments.map(|a| a.get().to_owned()))))
    };
    assert_eq!(
        call(r#"{"name":"a\u0062","arguments":{"n":1.0e1 }}"#),
        Ok(("ab".into(), Some(r#"{"n":1.0e1 }"#.into())))
    );
    assert_eq!(call(r#"{"name":"a"}"#), Ok(("a".into(), None)));
    assert_eq!(call(r#"{"name":"a","arguments":null}"#), Ok(("a".into(), None)));
    for wrong in [
        "{}",
        r#"{"name":1}"#,
        r#"{"name":["a"]}"#,
        r#"{"name":"a","arguments":[]}"#,
        r#"{"name":"a","arguments":"{}"}"#,
    ] {
        assert!(call(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn meta_is_an_object_whose_fields_have_their_types() {
    let meta = |params: &str| {
        with(params, |p| {
            let meta = p.meta()?;
            Ok((
                meta.protocol_version.clone().map(String::from),
                meta.declares_capabilities(),
                meta.client(),
                meta.progress_token()?.is_some(),
            ))
        })
    };
    let full = r#"{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},
        "io.modelcontextprotocol/clientInfo":{"name":"x","version":"1"},"progressToken":"p","vendor/other":[1]}}"#;
    assert_eq!(meta(full), Ok((Some("2026-07-28".into()), true, Some(ClientName("x/1".into())), true)));
    assert_eq!(meta("{}"), Ok((None, false, None, false)));
    assert_eq!(
        meta(r#"{"_meta":{"io.modelcontextprotocol/clientCapabilities":[]}}"#),
        Ok((None, false, None, false))
    );
    for wrong in [
        r#"{"_meta":[]}"#,
        r#"{"_meta":["2026-07-28",{},{},1]}"#,
        r#"{"_meta":1}"#,
        r#"{"_meta":{"io.modelcontextprotocol/protocolVersion":1}}"#,
        r#"{"_meta":{"progressToken":1.5}}"#,
        r#"{"_meta":{"progressToken":{}}}"#,
    ] {
        assert!(meta(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn the_other_methods_read_theirs() {
    let initialize =
        |params: &str| with(params, |p| p.initialize().map(|i| (i.protocol_version.into_owned(), i.client)));
    assert_eq!(
        initialize(
            r#"{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"a\n","version":"2"}}"#
        ),
        Ok(("2025-11-25".into(), Some(ClientName("a\u{fffd}/2".into()))))
    );
    assert!(initialize("{}").is_err());
    assert_eq!(with(r#"{"uri":"a:b"}"#, |p| p.read_resource().map(|r| r.uri.into_owned())), Ok("a:b".into()));
    assert_eq!(
        with(r#"{"requestId":"7"}"#, |p| p.cancelled().map(|c| c.request_id.as_json().to_owned())),
        Ok("\"7\"".into())
    );
    assert!(with(r#"{"requestId":null}"#, |p| p.cancelled().map(drop)).is_err());
    assert!(with(r#"{"cursor":7}"#, |p| p.list().map(drop)).is_err());
    assert!(with(r#"{"cursor":"%"}"#, |p| p.list().map(drop)).is_err());
    assert!(with(r#"{"cursor":null}"#, |p| p.list()).is_ok_and(|list| list.cursor.is_none()));
}

#[test]
fn answers_are_an_object_of_objects_and_the_state_a_text() {
    let input = |params: &str| with(params, |p| p.input());
    assert_eq!(input("{}").unwrap(), Default::default());
    let read = input(r#"{"inputResponses":{"a":{"action":"accept"}},"requestState":"s"}"#).unwrap();
    assert_eq!((read.answers.unwrap().len(), read.state.as_deref()), (1, Some("s")));
    for wrong in [
        r#"{"inputResponses":null}"#,
        r#"{"inputResponses":[]}"#,
        r#"{"inputResponses":{"a":12345}}"#,
        r#"{"inputResponses":{"a":null}}"#,
        r#"{"requestState":null}"#,
        r#"{"requestState":{"a":1}}"#,
    ] {
        assert!(input(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn what_a_client_can_be_asked_is_what_it_declares() {
    let can = |capabilities: &str| {
        let params = format!(r#"{{"protocolVersion":"2025-11-25","capabilities":{capabilities}}}"#);
        with(&params, |p| Ok(p.initialize()?.abilities)).unwrap()
    };
    assert_eq!(can("{}"), Abilities::default());
    assert_eq!(can("17"), Abilities::default());
    let form = Abilities { form: true, ..Abilities::default() };
    let page = Abilities { page: true, ..Abilities::default() };
    assert_eq!(can(r#"{"elicitation":{}}"#), form);
    assert_eq!(can(r#"{"elicitation":{"url":{}}}"#), page);
    assert_eq!(can(r#"{"elicitation":{"url":{},"form":{}}}"#), Abilities { form: true, page: true, ..form });
    assert_eq!(can(r#"{"elicitation":true,"sampling":[]}"#), Abilities::default());
    let rest = Abilities { sample: true, roots: true, ..Abilities::default() };
    assert_eq!(can(r#"{"sampling":{"tools":{}},"roots":{"listChanged":true}}"#), rest);
}

#[test]
fn levels_completions_and_subscriptions_have_their_form() {
    assert_eq!(with(r#"{"level":"notice"}"#, |p| p.level()), Ok(LogLevel::Notice));
    for wrong in ["{}", r#"{"level":"Notice"}"#, r#"{"level":5}"#] {
        assert!(with(wrong, |p| p.level()).is_err(), "{wrong}");
    }
    let asked =
        r#"{"ref":{"type":"ref/resource","uri":"a{b}"},"argument":{"name":"b","value":"w"},"context":{}}"#;
    let complete = with(asked, |p| p.complete()).unwrap();
    assert_eq!((complete.of, complete.argument.as_str()), (CompletionOf::Template("a{b}".into()), "b"));
    for wrong in [
        "{}",
        r#"{"ref":{"type":"ref/tool","name":"x"},"argument":{"name":"b","value":"w"}}"#,
        r#"{"ref":{"type":"ref/prompt","uri":"x"},"argument":{"name":"b","value":"w"}}"#,
        r#"{"ref":{"type":"ref/prompt","name":"x"},"argument":{"name":"b"}}"#,
        r#"{"ref":"x","argument":["a","b"]}"#,
    ] {
        assert!(with(wrong, |p| p.complete()).is_err(), "{wrong}");
    }
    let listen = |filter: &str| with(&format!(r#"{{"notifications":{filter}}}"#), |p| p.listen());
    let tools = ListenParams { tools: true, ..ListenParams::default() };
    assert_eq!(listen(r#"{"toolsListChanged":true,"taskIds":["x"]}"#), Ok(tools));
    let many = format!(r#"{{"resourceSubscriptions":[{}]}}"#, vec![r#""a:b""#; 65].join(","));
    for wrong in ["[]", r#"{"toolsListChanged":1}"#, r#"{"resourceSubscriptions":"a:b"}"#, many.as_str()] {
        assert!(listen(wrong).is_err(), "{wrong}");
    }
    assert!(with("{}", |p| p.listen()).is_err());
}
