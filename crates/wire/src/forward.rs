//! Parameters that are sent on: the client's own bytes, with nothing changed but what must be.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use model::{Abilities, LogLevel, Said};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::ProtocolVersion;

/// What `_meta` of a modern request says about its client; it ends at the gateway.
const OF_THE_CLIENT: [&str; 4] = [
    "io.modelcontextprotocol/protocolVersion",
    "io.modelcontextprotocol/clientCapabilities",
    "io.modelcontextprotocol/clientInfo",
    "io.modelcontextprotocol/logLevel",
];

/// What is put into parameters on their way.
#[derive(Debug, Clone, Copy)]
pub struct Onward<'a> {
    /// The tool's name at the other side, where the client called it by another.
    pub name: Option<&'a str>,
    /// What progress is marked with there; the client's own token is good for the client alone.
    pub progress: u64,
    /// What a modern upstream wants in every request.
    pub modern: Option<ModernMeta>,
    /// What the client answered, where the upstream asked by a result.
    pub input: Option<InputOn<'a>>,
}

/// What a modern request of ours says of itself.
#[derive(Debug, Clone, Copy)]
pub struct ModernMeta {
    /// The version it is written in.
    pub version: ProtocolVersion,
    /// What the client can be asked through us.
    pub abilities: Abilities,
    /// From which level on log messages are wanted.
    pub level: Option<LogLevel>,
}

impl ModernMeta {
    /// Of a request on which nobody can be asked or told anything.
    pub fn silent(version: ProtocolVersion) -> Self {
        Self { version, abilities: Abilities::default(), level: None }
    }
}

/// Answers on their way to the upstream that asked.
#[derive(Debug, Clone, Copy)]
pub struct InputOn<'a> {
    /// The answers, where the client's parameters do not hold them as they are.
    pub answers: &'a BTreeMap<String, Said>,
    /// The upstream's own state, in place of the one that the client was given.
    pub state: Option<&'a str>,
}

/// Parameters that are no object: nothing that [`crate::Message::parse`] let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the parameters are no object")]
pub struct NotAnObject;

/// The parameters without `_meta`: what the request is about, apart from how it is asked.
pub fn without_meta(params: &str) -> Result<Cow<'_, str>, NotAnObject> {
    without(params, "_meta")
}

fn without<'a>(object: &'a str, key: &str) -> Result<Cow<'a, str>, NotAnObject> {
    let members = Members::read(object)?;
    let Some(at) = members.0.iter().position(|(name, _)| name == key) else {
        return Ok(Cow::Borrowed(object));
    };
    let others = members.0.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, member)| member);
    let text = others.map(|(key, value)| format!("{}:{}", quoted(key), value.get()));
    Ok(Cow::Owned(format!("{{{}}}", text.collect::<Vec<_>>().join(","))))
}

/// Writes parameters as they go on. Every byte that is not named in `onward` stays where it was.
pub fn send_on(params: &str, onward: &Onward<'_>) -> Result<String, NotAnObject> {
    let without_ours = match onward.input {
        // Ours in place of none is of no use to anybody else.
        Some(InputOn { state: None, .. }) => without(params, "requestState")?,
        Some(_) | None => Cow::Borrowed(params),
    };
    let params = &*without_ours;
    let members = Members::read(params)?;
    let mut edits: Vec<(Range<usize>, String)> = Vec::with_capacity(2);
    let mut added: Vec<String> = Vec::new();
    if let Some(name) = onward.name
        && let Some(written) = members.find("name")
    {
        edits.push((place(params, written), quoted(name)));
    }
    match members.find("_meta") {
        Some(meta) => {
            let inner = Members::read(meta.get())?;
            if inner.0.iter().any(|(key, _)| is_ours(key)) || onward.modern.is_some() {
                edits.push((place(params, meta), rewritten(&inner, onward)));
            }
        }
        None if onward.modern.is_some() => {
            added.push(format!("\"_meta\":{}", rewritten(&Members(Vec::new()), onward)));
        }
        None => {}
    }
    if let Some(InputOn { answers, state }) = onward.input {
        if members.find("inputResponses").is_none() && !answers.is_empty() {
            added.push(format!("\"inputResponses\":{}", crate::asks::input_responses(answers)));
        }
        match (members.find("requestState"), state) {
            (Some(written), Some(state)) => edits.push((place(params, written), quoted(state))),
            (None, Some(state)) => added.push(format!("\"requestState\":{}", quoted(state))),
            (_, None) => {}
        }
    }
    if !added.is_empty() {
        let comma = if members.0.is_empty() { "" } else { "," };
        let open = params.find('{').map_or(0, |at| at + 1);
        edits.push((open..open, format!("{}{comma}", added.join(","))));
    }
    Ok(apply(params, edits))
}

/// A result with one member more in its `_meta`, in place of one of the same key: nobody but us says what it says.
pub fn with_meta(result: &str, key: &str, value: &str) -> Result<String, NotAnObject> {
    let members = Members::read(result)?;
    let member = format!("{}:{value}", quoted(key));
    let Some(meta) = members.find("_meta") else {
        let comma = if members.0.is_empty() { "" } else { "," };
        let open = result.find('{').map_or(0, |at| at + 1);
        return Ok(apply(result, vec![(open..open, format!("\"_meta\":{{{member}}}{comma}"))]));
    };
    let inner = Members::read(meta.get())?;
    let kept = inner.0.iter().filter(|(name, _)| name != key);
    let kept = kept.map(|(name, value)| format!("{}:{}", quoted(name), value.get()));
    let rewritten = kept.chain([member]).collect::<Vec<_>>().join(",");
    Ok(apply(result, vec![(place(result, meta), format!("{{{rewritten}}}"))]))
}

/// Whether the client wants to be told of progress.
pub fn wants_progress(params: &str) -> bool {
    let meta = Members::read(params).ok().and_then(|members| members.find("_meta").map(RawValue::get));
    meta.and_then(|meta| Members::read(meta).ok()).is_some_and(|meta| meta.find("progressToken").is_some())
}

fn is_ours(key: &str) -> bool {
    key == "progressToken" || OF_THE_CLIENT.contains(&key)
}

/// `_meta` without what is about the client and with what is about us.
fn rewritten(meta: &Members<'_>, onward: &Onward<'_>) -> String {
    let kept = meta.0.iter().filter(|(key, _)| !is_ours(key));
    let mut members: Vec<String> =
        kept.map(|(key, value)| format!("{}:{}", quoted(key), value.get())).collect();
    if meta.find("progressToken").is_some() {
        members.push(format!("\"progressToken\":{}", onward.progress));
    }
    if let Some(modern) = onward.modern {
        members.push(modern_meta(modern));
    }
    format!("{{{}}}", members.join(","))
}

/// What every modern request of ours says: a version, what may be asked, and from which level on is told.
pub(crate) fn modern_meta(modern: ModernMeta) -> String {
    let level =
        modern.level.map(|level| format!(r#","io.modelcontextprotocol/logLevel":"{}""#, level.as_str()));
    format!(
        concat!(
            r#""io.modelcontextprotocol/protocolVersion":"{}","#,
            r#""io.modelcontextprotocol/clientCapabilities":{},"#,
            r#""io.modelcontextprotocol/clientInfo":{}{}"#
        ),
        modern.version,
        crate::asks::capabilities(modern.abilities),
        crate::client::CLIENT,
        level.unwrap_or_default()
    )
}

pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Where a value that was borrowed from a text lies in it.
pub(crate) fn place(text: &str, value: &RawValue) -> Range<usize> {
    let start = value.get().as_ptr().addr().saturating_sub(text.as_ptr().addr());
    start..start + value.get().len()
}

pub(crate) fn apply(text: &str, mut edits: Vec<(Range<usize>, String)>) -> String {
    edits.sort_by_key(|(range, _)| range.start);
    let mut out = String::with_capacity(text.len() + edits.iter().map(|(_, new)| new.len()).sum::<usize>());
    let mut from = 0;
    for (range, new) in edits {
        out.push_str(text.get(from..range.start).unwrap_or_default());
        out.push_str(&new);
        from = range.end;
    }
    out.push_str(text.get(from..).unwrap_or_default());
    out
}

/// The members of an object in their order.
pub(crate) struct Members<'a>(pub(crate) Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Members<'a> {
    pub(crate) fn read(text: &'a str) -> Result<Self, NotAnObject> {
        serde_json::from_str(text).map_err(|_| NotAnObject)
    }

    pub(crate) fn find(&self, key: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| *value)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                #[derive(Deserialize)]
                #[serde(transparent)]
                struct Key<'k>(#[serde(borrow)] Cow<'k, str>);
                let mut members = Vec::with_capacity(8);
                while let Some((key, value)) = map.next_entry::<Key<'de>, &'de RawValue>()? {
                    members.push((key.0, value));
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(Reader).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use model::{Abilities, LogLevel, Said};
    use proptest::prelude::*;

    use super::{InputOn, ModernMeta, Onward, send_on, wants_progress, with_meta, without_meta};
    use crate::ProtocolVersion;

    const LEGACY: Onward<'_> = Onward { name: None, progress: 7, modern: None, input: None };

    #[test]
    fn to_a_legacy_upstream_nothing_changes_but_what_is_about_the_client() {
        for (params, sent) in [
            (r#"{ "name" : "a", "arguments":{"z":1,"a":12345678901234567890123}, "x":null }"#, None),
            (r#"{"name":"a","_meta":{"trace":"t"}}"#, None),
            (
                r#"{"name":"a","_meta":{ "progressToken":"mine", "t":1.0 }}"#,
                Some(r#"{"name":"a","_meta":{"t":1.0,"progressToken":7}}"#),
            ),
            (
                r#"{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"k":[1]},"name":"a"}"#,
                Some(r#"{"_meta":{"k":[1]},"name":"a"}"#),
            ),
        ] {
            assert_eq!(send_on(params, &LEGACY).unwrap(), sent.unwrap_or(params));
        }
    }

    #[test]
    fn a_modern_upstream_is_told_who_asks_and_that_nothing_can_be_asked() {
        let onward = Onward { modern: Some(ModernMeta::silent(ProtocolVersion::V2026_07_28)), ..LEGACY };
        for params in ["{}", r#"{"name":"a"}"#, r#"{"name":"a","_meta":{"k":1}}"#] {
            let sent: serde_json::Value = serde_json::from_str(&send_on(params, &onward).unwrap()).unwrap();
            assert_eq!(sent["_meta"]["io.modelcontextprotocol/protocolVersion"], "2026-07-28");
            assert_eq!(sent["_meta"]["io.modelcontextprotocol/clientCapabilities"], serde_json::json!({}));
            assert_eq!(sent["_meta"]["io.modelcontextprotocol/clientInfo"]["name"], "portcullis");
        }
    }

    #[test]
    fn answers_go_on_with_the_state_of_whoever_asked_and_nothing_else_changes() {
        let answers = BTreeMap::from([("q".to_owned(), Said::Answer(r#"{"n":1.0}"#.into()))]);
        let on = |params: &str, state| {
            send_on(params, &Onward { input: Some(InputOn { answers: &answers, state }), ..LEGACY }).unwrap()
        };
        let theirs = r#"{ "name":"a", "inputResponses":{"q":{"n":1.00}},"requestState":"ours","z":1e2 }"#;
        assert_eq!(on(theirs, Some("its")), theirs.replace("ours", "its"));
        assert_eq!(on(theirs, None), r#"{"name":"a","inputResponses":{"q":{"n":1.00}},"z":1e2}"#);
        assert_eq!(
            on(r#"{ "name":"a"}"#, Some("its")),
            r#"{"inputResponses":{"q":{"n":1.0}},"requestState":"its", "name":"a"}"#
        );
        let modern = ModernMeta {
            version: ProtocolVersion::V2026_07_28,
            abilities: Abilities { roots: true, ..Abilities::default() },
            level: Some(LogLevel::Info),
        };
        let input = Some(InputOn { answers: &answers, state: None });
        let sent = send_on("{}", &Onward { modern: Some(modern), input, ..LEGACY }).unwrap();
        let sent: serde_json::Value = serde_json::from_str(&sent).unwrap();
        assert_eq!(
            sent["_meta"]["io.modelcontextprotocol/clientCapabilities"],
            serde_json::json!({ "roots": {} })
        );
        assert_eq!(sent["_meta"]["io.modelcontextprotocol/logLevel"], "info");
    }

    #[test]
    fn only_the_tools_name_is_replaced() {
        let params = r#"{"arguments":{"name":"github__get"},"name":"github__get"}"#;
        let sent = send_on(params, &Onward { name: Some("get"), ..LEGACY }).unwrap();
        assert_eq!(sent, r#"{"arguments":{"name":"github__get"},"name":"get"}"#);
    }

    #[test]
    fn what_a_request_is_about_is_the_same_however_it_is_asked() {
        let bare = r#"{"name":"a","arguments":{"n":1}}"#;
        assert_eq!(without_meta(bare).unwrap(), bare);
        let dressed = r#"{"name":"a","_meta":{"progressToken":1},"arguments":{"n":1}}"#;
        assert_eq!(without_meta(dressed).unwrap(), bare);
        assert!(wants_progress(dressed) && !wants_progress(bare));
        assert!(without_meta("[]").is_err());
    }

    #[test]
    fn what_we_say_of_a_result_stands_once_and_the_rest_stays() {
        for (result, said) in [
            ("{ }", r#"{"_meta":{"p/k":1} }"#),
            (r#"{"n":1e2,"a":[]}"#, r#"{"_meta":{"p/k":1},"n":1e2,"a":[]}"#),
            (r#"{"n":1e2,"_meta":{"z":1.0}}"#, r#"{"n":1e2,"_meta":{"z":1.0,"p/k":1}}"#),
            (r#"{"_meta":{"p\u002fk":"forged","z":2}}"#, r#"{"_meta":{"z":2,"p/k":1}}"#),
        ] {
            assert_eq!(with_meta(result, "p/k", "1").unwrap(), said);
        }
        assert!(with_meta(r#"{"_meta":[]}"#, "p/k", "1").is_err() && with_meta("[]", "p/k", "1").is_err());
    }

    proptest! {
        #[test]
        fn whatever_a_client_writes_arrives_byte_for_byte(
            members in prop::collection::btree_map("[a-z]{1,8}", "[^\\\\\"\\p{C}]{0,12}", 0..6),
            blank in "[ \\t]{0,2}",
        ) {
            let text: Vec<String> =
                members.iter().map(|(key, value)| format!("\"{key}\"{blank}:{blank}\"{value}\"")).collect();
            let params = format!("{{{blank}{}{blank}}}", text.join(&format!("{blank},{blank}")));
            prop_assert_eq!(send_on(&params, &LEGACY).unwrap(), params);
        }
    }
}
