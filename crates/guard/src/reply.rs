//! Answers of upstreams: JSON that is not ours, looked through and passed on as text.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

use model::{ErrorCode, Failure, Outcome, Reply};
use serde_json::Value;

use crate::answer::any_string;
use crate::visible::is_deceptive;
use crate::{Report, Scanner};

/// Whether an answer holds a leased secret: as it is written, or as its reader decodes it.
pub(crate) fn holds(scanner: &Scanner, reply: &Reply) -> bool {
    json_holds(scanner, &reply.json)
}

/// The same for any JSON.
pub(crate) fn json_holds(scanner: &Scanner, json: &str) -> bool {
    if scanner.is_empty() {
        return false;
    }
    if scanner.finds(json.as_bytes()) {
        return true;
    }
    // What has no escapes reads as it is written; a weak secret counts as a whole text only.
    if scanner.weak() == 0 && !json.contains('\\') {
        return false;
    }
    match serde_json::from_str::<Value>(json) {
        Ok(value) => any_string(&value, &|text| scanner.finds(text)),
        Err(_) => true,
    }
}

/// An answer beyond the limit is none: a part of it would be no JSON.
pub(crate) fn cap(outcome: Outcome, limit: u64, report: &mut Report) -> Result<Outcome, Failure> {
    let Some(reply) = &outcome.reply else { return Ok(outcome) };
    let length = u64::try_from(reply.json.len()).unwrap_or(u64::MAX);
    if length > limit {
        report.truncated = true;
        report.bytes_omitted = report.bytes_omitted.saturating_add(length);
        let message = format!("the answer has {length} bytes, and {limit} may be shown");
        return Err(Failure::new(ErrorCode::LimitOutput, message).with_hint("ask for less at a time"));
    }
    report.bytes_out = report.bytes_out.saturating_add(length);
    Ok(outcome)
}

/// Makes what deceives a reader visible, unless the answer is to stay as it came.
pub(crate) fn neutralise(reply: Reply, report: &mut Report) -> Reply {
    Reply { json: neutralise_json(reply.json, reply.faithful, report), ..reply }
}

/// The same for any JSON.
pub(crate) fn neutralise_json(json: Arc<str>, faithful: bool, report: &mut Report) -> Arc<str> {
    if faithful {
        return json;
    }
    match visible_json(&json) {
        Cow::Borrowed(_) => json,
        Cow::Owned(visible) => {
            report.neutralised = true;
            visible.into()
        }
    }
}

/// JSON in whose strings every [deceptive](is_deceptive) character is written as `\u{...}`, as text that is read. Nothing
/// else of it changes.
pub fn visible_json(json: &str) -> Cow<'_, str> {
    let mut out = String::new();
    let mut changed = false;
    let mut rest = json;
    let mut from = json;
    while let Some(at) = rest.find(|c: char| c == '\\' || is_deceptive(c)) {
        let (_, found) = rest.split_at(at);
        let (character, length) = read(found);
        let (_, after) = found.split_at(length);
        if character.is_some_and(is_deceptive) && !is_line_end(found, after) {
            changed = true;
            let kept = from.len() - found.len();
            out.push_str(from.get(..kept).unwrap_or_default());
            // Writing to a String cannot fail.
            let _ = write!(out, "\\\\u{{{:x}}}", character.map_or(0, u32::from));
            from = after;
        }
        rest = after;
    }
    if !changed {
        return Cow::Borrowed(json);
    }
    out.push_str(from);
    Cow::Owned(out)
}

/// The character that stands here, written or escaped, and how many bytes it takes. `None` for an escape of a plain one.
fn read(text: &str) -> (Option<char>, usize) {
    let mut characters = text.chars();
    match characters.next() {
        Some('\\') => {}
        Some(character) => return (Some(character), character.len_utf8()),
        None => return (None, 0),
    }
    match characters.next() {
        Some('b') => (Some('\u{8}'), 2),
        Some('f') => (Some('\u{c}'), 2),
        Some('r') => (Some('\r'), 2),
        Some('u') => escaped(text),
        Some(_) => (None, 2),
        None => (None, 1),
    }
}

fn escaped(text: &str) -> (Option<char>, usize) {
    let unit = |at: usize| {
        let digits = text.get(at..at + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    let Some(first) = unit(0) else { return (None, 2) };
    let units = std::iter::once(first).chain(unit(6));
    match char::decode_utf16(units).next() {
        Some(Ok(character)) if character.len_utf16() == 2 => (Some(character), 12),
        Some(Ok(character)) => (Some(character), 6),
        Some(Err(_)) | None => (None, 6),
    }
}

/// `\r\n` is a line end, and white space between members is none of a string.
fn is_line_end(found: &str, after: &str) -> bool {
    found.starts_with('\r') || (found.starts_with("\\r") && after.starts_with("\\n"))
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use proptest::prelude::*;
    use serde_json::Value;

    use model::{Answer, ErrorCode, Outcome, Reply, ReplyKind, Secret};

    use super::visible_json;
    use crate::visible::has_deceptive;
    use crate::{Guard, Scanner};

    #[test]
    fn what_is_hidden_is_shown_and_nothing_else_changes() {
        for (json, shown) in [
            (r#"{"n":12345678901234567890123,"z":1,"a":"x\n\"\\u200b"}"#, None),
            ("{\r\n\"a\":\"b\\r\\nc\"}", None),
            ("{\"a\":\"x\u{200b}y\"}", Some(r#"{"a":"x\\u{200b}y"}"#)),
            (r#"{"a":"x\u200By\u0041"}"#, Some(r#"{"a":"x\\u{200b}y\u0041"}"#)),
            (
                r#"{"\u202e":"\ud83d\ude00\udb40\udc41\b"}"#,
                Some(r#"{"\\u{202e}":"\ud83d\ude00\\u{e0041}\\u{8}"}"#),
            ),
        ] {
            assert_eq!(visible_json(json), shown.unwrap_or(json));
            assert_eq!(matches!(visible_json(json), Cow::Borrowed(_)), shown.is_none());
        }
    }

    #[test]
    fn what_goes_back_as_it_came_loses_no_byte_unless_a_secret_is_in_it_however_it_is_escaped() {
        let secret = Secret::new("correct horse".to_owned());
        let scanner = Scanner::new([&secret]);
        let passed = |json: &str| {
            let reply =
                Reply { json: json.into(), kind: ReplyKind::Done, faithful: true, says_its_type: false };
            let outcome = Outcome { reply: Some(reply), ..Outcome::default() };
            let guarded = Guard::new().admit(&scanner, 1024, Ok(outcome), |result| Answer {
                reply: result.ok().and_then(|outcome| outcome.reply),
                ..Answer::default()
            });
            (guarded.report().withheld, guarded.into_inner())
        };
        for json in [
            r#"{ "z":1.0, "a":"x\u200b\u0063orrect house", "n":12345678901234567890123 }"#,
            "{\"a\":\"\u{202e}\\ud83d\\ude00\"}",
        ] {
            let (withheld, answer) = passed(json);
            assert_eq!((withheld, &*answer.reply.unwrap().json), (false, json));
        }
        for json in [
            r#"{"a":"correct horse"}"#,
            r#"{"a":"\u0063orrect\u0020h\u006frse"}"#,
            r#"{"correct\u0020horse":1}"#,
        ] {
            let (withheld, answer) = passed(json);
            assert!(withheld && answer.reply.is_none(), "{json}");
            assert_eq!(answer.structured["code"], ErrorCode::SecretInOutput.as_str());
        }
    }

    proptest! {
        #[test]
        fn whatever_a_string_holds_it_stays_json_without_deception(text in any::<String>(), escape in any::<bool>()) {
            let mut json = serde_json::to_string(&[&text]).unwrap();
            if escape {
                json = json.chars().map(|c| if c.is_ascii() { c.to_string() } else {
                    c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect()
                }).collect();
            }
            let visible: Value = serde_json::from_str(&visible_json(&json)).unwrap();
            let shown = visible[0].as_str().unwrap();
            prop_assert!(!has_deceptive(&shown.replace("\r\n", "\n")));
            if !has_deceptive(&text) {
                prop_assert_eq!(shown, text);
            }
        }
    }
}
