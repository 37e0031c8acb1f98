//! Scanning and neutralising of results and answers.

use std::borrow::Cow;

use model::{Answer, ErrorCode, Failure, Outcome};
use serde_json::{Map, Value, json};

use crate::cap::MAX_DEPTH;
use crate::visible::{has_deceptive, make_visible};
use crate::{Guarded, Report, Scanner};
use crate::{reply, rich};

/// Whether any raw byte or value of a result holds a leased secret.
pub(crate) fn result_holds(scanner: &Scanner, result: &Result<Outcome, Failure>) -> bool {
    match result {
        Ok(outcome) => {
            outcome.streams.iter().any(|stream| scanner.finds(&stream.bytes))
                || outcome
                    .values
                    .iter()
                    .any(|(key, value)| scanner.finds(key.as_bytes()) || value_holds(scanner, value))
                || rich::outcome_holds(scanner, outcome)
                || outcome.reply.as_ref().is_some_and(|reply| reply::holds(scanner, reply))
                || matches!(&outcome.exit, Some(model::Exit::Signal(name)) if scanner.finds(name.as_bytes()))
        }
        Err(failure) => [Some(failure.message()), failure.hint(), failure.vendor()]
            .into_iter()
            .flatten()
            .any(|text| scanner.finds(text.as_bytes())),
    }
}

/// Whether a rendered answer holds a leased secret, in its text or in its fields.
pub(crate) fn answer_holds(scanner: &Scanner, answer: &Answer) -> bool {
    scanner.finds(answer.text.as_bytes())
        || value_holds(scanner, &answer.structured)
        || rich::answer_holds(scanner, answer)
}

/// The one answer that stands for everything that was withheld: it tells nothing about where the secret was.
pub(crate) fn withheld() -> Guarded<Answer> {
    let code = ErrorCode::SecretInOutput;
    let reason = "the output held the credential in use, so all of it is withheld";
    let hint = "ask for output that does not show credentials; repeats freeze the principal";
    let inner = Answer {
        text: format!("withheld: {reason}\nhint: {hint}"),
        structured: json!({
            "status": "withheld",
            "code": code.as_str(),
            "fault": code.fault().as_str(),
            "retry": code.retry(),
            "reason": reason,
            "hint": hint,
        }),
        is_error: true,
        ..Answer::default()
    };
    Guarded { inner, report: Report { withheld: true, ..Report::default() } }
}

/// Makes every deceptive character of an answer visible.
pub(crate) fn neutralise(answer: Answer, report: &mut Report) -> Answer {
    let Answer { text, structured, is_error, content, turn, reply } = answer;
    let text = neutralise_text(text, report);
    let structured =
        if is_plain(&structured, 0) { structured } else { neutralise_value(structured, 0, report) };
    let (content, turn) = rich::neutralise(content, turn, report);
    let reply = reply.map(|reply| reply::neutralise(reply, report));
    Answer { text, structured, is_error, content, turn, reply }
}

/// The whole as JSON text (numbers, keys, neighbours) and every string by itself (what a reader gets).
pub(crate) fn value_holds(scanner: &Scanner, value: &Value) -> bool {
    !scanner.is_empty()
        && (scanner.finds(value.to_string().as_bytes()) || any_string(value, &|text| scanner.finds(text)))
}

pub(crate) fn any_string(value: &Value, found: &impl Fn(&[u8]) -> bool) -> bool {
    match value {
        Value::String(text) => found(text.as_bytes()),
        Value::Array(items) => items.iter().any(|item| any_string(item, found)),
        Value::Object(map) => map.iter().any(|(key, item)| found(key.as_bytes()) || any_string(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

pub(crate) fn neutralise_value(value: Value, depth: usize, report: &mut Report) -> Value {
    if depth > MAX_DEPTH {
        report.truncated = true;
        return Value::String("[omitted: nested too deeply]".to_owned());
    }
    match value {
        Value::String(text) => Value::String(neutralise_text(text, report)),
        Value::Array(items) => {
            items.into_iter().map(|item| neutralise_value(item, depth + 1, report)).collect()
        }
        Value::Object(map) => {
            let mut visible = Map::new();
            for (key, item) in map {
                let key = unused(&visible, neutralise_text(key, report));
                visible.insert(key, neutralise_value(item, depth + 1, report));
            }
            Value::Object(visible)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value,
    }
}

pub(crate) fn neutralise_text(text: String, report: &mut Report) -> String {
    let (visible, marked) = make_visible(&text);
    report.neutralised |= marked;
    match visible {
        Cow::Borrowed(_) => text,
        Cow::Owned(visible) => visible,
    }
}

/// Whether there is nothing in a value to be made visible or left out.
fn is_plain(value: &Value, depth: usize) -> bool {
    depth <= MAX_DEPTH
        && match value {
            Value::String(text) => !has_deceptive(text),
            Value::Array(items) => items.iter().all(|item| is_plain(item, depth + 1)),
            Value::Object(map) => {
                map.iter().all(|(key, item)| !has_deceptive(key) && is_plain(item, depth + 1))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => true,
        }
}

/// Two keys can look alike once they are visible; neither may push the other out.
fn unused(map: &Map<String, Value>, key: String) -> String {
    if !map.contains_key(&key) {
        return key;
    }
    (2_u32..).map(|n| format!("{key}#{n}")).find(|candidate| !map.contains_key(candidate)).unwrap_or(key)
}
