//! What upstreams list and what they can do: read as far as the gateway must, and left as it is beyond that.

use std::borrow::Cow;
use std::ops::Range;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::forward::{Members, apply, place};

/// What an upstream says it has beside tools.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "so many things that there are or are not")]
pub struct TheirCapabilities {
    /// Resources.
    pub resources: bool,
    /// To tell of changes of single resources.
    pub subscribe: bool,
    /// To tell of changes of the list of resources.
    pub resources_change: bool,
    /// To tell of changes of the list of prompts.
    pub prompts_change: bool,
    /// Prompts.
    pub prompts: bool,
    /// How arguments could go on.
    pub completions: bool,
    /// Messages about what it does.
    pub logging: bool,
}

impl TheirCapabilities {
    /// Reads them in the answer to `initialize` or `server/discover`; what is not understood is not there.
    pub fn read(result: &RawValue) -> Self {
        let members = Members::read(result.get()).ok().and_then(|members| members.find("capabilities"));
        let Some(Ok(members)) = members.map(|capabilities| Members::read(capabilities.get())) else {
            return Self::default();
        };
        let has = |name: &str| members.find(name).is_some_and(|value| value.get().starts_with('{'));
        let says = |name: &str, key: &str| {
            let of = members.find(name).and_then(|value| Members::read(value.get()).ok()?.find(key));
            of.is_some_and(|value| value.get() == "true")
        };
        Self {
            subscribe: says("resources", "subscribe"),
            resources_change: says("resources", "listChanged"),
            prompts_change: says("prompts", "listChanged"),
            resources: has("resources"),
            prompts: has("prompts"),
            completions: has("completions"),
            logging: has("logging"),
        }
    }
}

/// A list without the items that are not to be shown. Every other byte stays where it was; with all items kept, all of
/// them. `None` if there is no such list, or an item in it has no name: the text of the member `name`.
pub fn only_listed<'a>(
    result: &'a str,
    list: &str,
    name: &str,
    keep: impl Fn(&str) -> bool,
) -> Option<Cow<'a, str>> {
    let written = Members::read(result).ok()?.find(list)?;
    let items: Vec<&RawValue> = serde_json::from_str(written.get()).ok()?;
    let mut kept = Vec::with_capacity(items.len());
    for item in &items {
        let named = Members::read(item.get()).ok()?.find(name)?;
        if keep(&serde_json::from_str::<String>(named.get()).ok()?) {
            kept.push(item.get());
        }
    }
    if kept.len() == items.len() {
        return Some(Cow::Borrowed(result));
    }
    let edit = (place(result, written), format!("[{}]", kept.join(",")));
    Some(Cow::Owned(apply(result, vec![edit])))
}

/// A result for a modern client that must not keep it for others or for later: what is shown depends on who asks and on
/// the rules of the moment. What kind of result it is is said, too.
pub fn never_kept(result: &str) -> Cow<'_, str> {
    let Ok(members) = Members::read(result) else { return Cow::Borrowed(result) };
    let wanted = [("resultType", "\"complete\""), ("ttlMs", "0"), ("cacheScope", "\"private\"")];
    let mut edits: Vec<(Range<usize>, String)> = Vec::new();
    let mut added = String::new();
    for (key, value) in wanted {
        match members.find(key) {
            Some(_) if key == "resultType" => {}
            Some(written) if written.get() == value => {}
            Some(written) => edits.push((place(result, written), value.to_owned())),
            None => added.push_str(&format!("{}:{value},", Value::from(key))),
        }
    }
    if !added.is_empty() {
        if members.0.is_empty() {
            added.pop();
        }
        let open = result.find('{').map_or(0, |at| at + 1);
        edits.push((open..open, added));
    }
    if edits.is_empty() { Cow::Borrowed(result) } else { Cow::Owned(apply(result, edits)) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::{TheirCapabilities, never_kept, only_listed};

    const LIST: &str = r#"{ "x":[1.0,1e2], "resources" : [ {"uri":"a","n":12345678901234567890123}, {"z":1,"uri":"b"} ],"nextCursor":"c" }"#;

    #[test]
    fn what_is_left_out_leaves_every_other_byte_where_it_was() {
        let only = |keep: &[&str]| {
            only_listed(LIST, "resources", "uri", |uri| keep.contains(&uri)).unwrap().into_owned()
        };
        assert_eq!(only(&["a", "b"]), LIST);
        assert_eq!(
            only(&["a"]),
            r#"{ "x":[1.0,1e2], "resources" : [{"uri":"a","n":12345678901234567890123}],"nextCursor":"c" }"#
        );
        assert_eq!(only(&[]), r#"{ "x":[1.0,1e2], "resources" : [],"nextCursor":"c" }"#);
        for none in [
            r#"{}"#,
            r#"{"resources":{}}"#,
            r#"{"resources":[{"name":"a"}]}"#,
            r#"{"resources":[{"uri":1}]}"#,
            "[]",
        ] {
            assert!(only_listed(none, "resources", "uri", |_| true).is_none(), "{none}");
        }
    }

    #[test]
    fn a_modern_client_is_told_to_keep_nothing() {
        for (result, told) in [
            (r#"{}"#, r#"{"resultType":"complete","ttlMs":0,"cacheScope":"private"}"#),
            (r#"{ "a":1}"#, r#"{"resultType":"complete","ttlMs":0,"cacheScope":"private", "a":1}"#),
            (
                r#"{"ttlMs":60000,"resultType":"input_required","a":1,"cacheScope":"public"}"#,
                r#"{"ttlMs":0,"resultType":"input_required","a":1,"cacheScope":"private"}"#,
            ),
        ] {
            assert_eq!(never_kept(result), told);
            assert_eq!(never_kept(told), told);
        }
    }

    #[test]
    fn capabilities_are_objects_or_not_there() {
        let read = |text: &str| TheirCapabilities::read(&RawValue::from_string(text.to_owned()).unwrap());
        let all = read(
            r#"{"capabilities":{"resources":{"subscribe":true},"prompts":{},"completions":{},"logging":{}}}"#,
        );
        assert!(
            all.resources
                && all.subscribe
                && all.prompts
                && !all.prompts_change
                && all.completions
                && all.logging
        );
        for none in ["{}", r#"{"capabilities":1}"#, r#"{"capabilities":{"prompts":true}}"#, "[]"] {
            assert_eq!(read(none), TheirCapabilities::default(), "{none}");
        }
    }

    proptest! {
        #[test]
        fn whatever_an_upstream_lists_keeps_its_bytes_and_only_what_is_left_out_goes(
            items in prop::collection::vec(("[a-z:/]{1,9}", "[^\\\\\"\\p{C}]{0,9}", "[1-9][0-9]{0,40}", any::<bool>()), 0..6),
            (blank, before) in ("[ \\t\\r\\n]{0,2}", "[^\\\\\"\\p{C}]{0,9}"),
        ) {
            let items: Vec<(String, String, bool)> = items.into_iter().enumerate().map(|(at, (name, text, number, kept))| {
                let uri = format!("{name}{at}");
                let item = format!("{{{blank}\"z\":\"{text}\",\"uri\"{blank}:\"{uri}\",\"a\":{number}.0e{blank}1{blank}}}");
                (uri, item.replace(&format!("e{blank}1"), "e1"), kept)
            }).collect();
            let list = |shown: &[&str], comma: &str| {
                let (shown, tail) = (shown.join(comma), "\"nextCursor\":\"n\"");
                format!("{{{blank}\"x\":\"{before}\",\"resources\":{blank}[{shown}],{blank}{tail}}}")
            };
            let all: Vec<&str> = items.iter().map(|(_, item, _)| item.as_str()).collect();
            let whole = list(&all, &format!("{blank},{blank}"));
            prop_assert_eq!(only_listed(&whole, "resources", "uri", |_| true).unwrap(), whole.as_str());
            let kept: Vec<&str> =
                items.iter().filter(|(_, _, kept)| *kept).map(|(_, item, _)| item.as_str()).collect();
            let keep = |uri: &str| items.iter().any(|(name, _, kept)| name == uri && *kept);
            let shown = only_listed(&whole, "resources", "uri", keep).unwrap();
            let expected = if kept.len() == items.len() { whole.clone() } else { list(&kept, ",") };
            prop_assert_eq!(shown, expected);
        }
    }
}
