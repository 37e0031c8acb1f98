//! Entries as the lines that `mcp-protector` wrote, schema version 2: one for each call before it is carried out, each list,
//! each client that connects and each that is not let in.

use serde::Serialize;
use serde_json::Value;

use super::ProtectorLines;

/// One line.
#[derive(Serialize)]
struct Line<'a> {
    version: u8,
    timestamp: &'a str,
    #[serde(flatten)]
    event: Event<'a>,
    session_id: String,
    upstream: &'a str,
}

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Event<'a> {
    ToolCall {
        tool_name: &'a str,
        allowed: bool,
    },
    ToolsList {
        tools_upstream: u64,
        tools_returned: u64,
    },
    AgentAuthRejected {
        method: &'static str,
        reason: String,
        /// How many there were, for one reason and from one address, in about a second.
        count: u64,
    },
    AgentConnected {
        method: &'static str,
        /// For ways of authentication that name somebody, of which there is none.
        identity: Option<&'a str>,
    },
    /// Not of the old program, which lost lines in silence.
    EntriesDropped {
        lines: u64,
    },
}

/// The lines of these entries; most entries have none.
pub(super) fn lines(about: &ProtectorLines, entries: &[u8]) -> Vec<u8> {
    let read = |line| serde_json::from_slice::<Value>(line).ok();
    let entries: Vec<Value> = entries.split(|byte| *byte == b'\n').filter_map(read).collect();
    // A gap has no time of its own: it ends with the entry that follows it.
    let mut timestamp = entries.iter().find_map(|entry| text(entry, "ts")).unwrap_or_default();
    let mut out = Vec::new();
    for entry in &entries {
        timestamp = text(entry, "ts").unwrap_or(timestamp);
        let Some(event) = event(about, entry) else { continue };
        let session_id = session(entry, &event);
        let line = Line { version: 2, timestamp, session_id, event, upstream: &about.upstream };
        // Texts and numbers cannot fail to be written to memory.
        if serde_json::to_writer(&mut out, &line).is_ok() {
            out.push(b'\n');
        }
    }
    out
}

fn event<'a>(about: &ProtectorLines, entry: &'a Value) -> Option<Event<'a>> {
    let ended = || text(entry, "phase") == Some("closed");
    let over_http = || text(entry, "transport") == Some("http");
    match text(entry, "event")? {
        "tool_call" => tool_call(entry),
        "tools_list" if ended() => Some(Event::ToolsList {
            tools_upstream: field(entry, "listed")?,
            tools_returned: field(entry, "offered")?,
        }),
        "agent_connected" if over_http() => {
            Some(Event::AgentConnected { method: about.method, identity: None })
        }
        "auth_failure" if over_http() || text(entry, "transport").is_none() => {
            Some(Event::AgentAuthRejected {
                method: about.method,
                reason: reason(entry),
                count: field(entry, "count")?,
            })
        }
        "sink_lines_dropped" => {
            Some(Event::EntriesDropped { lines: entry.get("lines").and_then(Value::as_u64)? })
        }
        _ => None,
    }
}

/// Before it is carried out, or when it is not.
fn tool_call(entry: &Value) -> Option<Event<'_>> {
    let allowed = match text(entry, "phase")? {
        "intent" => true,
        "closed" => false,
        _ => return None,
    };
    let name = text(entry, "tool")?;
    // What is no tool has a name of another form.
    let own = name.split_once("__").map(|(_, own)| own).filter(|_| !name.contains(':'));
    let called = entry.get("fields").and_then(|fields| fields.get("called")).and_then(Value::as_str);
    Some(Event::ToolCall { tool_name: called.or(own)?, allowed })
}

fn reason(entry: &Value) -> String {
    match (text(entry, "reason"), text(entry, "client_ip")) {
        (Some("no credential"), _) => "missing Authorization header".to_owned(),
        (Some("no readable credential"), _) => "Authorization header is not a Bearer token".to_owned(),
        (Some("unknown credential"), _) => "invalid token".to_owned(),
        (Some("wrong network"), Some(address)) => format!("source IP {address} is not in the allowlist"),
        (other, _) => other.unwrap_or_default().to_owned(),
    }
}

/// Sessions over HTTP have numbers, standard input and output is one.
fn session(entry: &Value, event: &Event<'_>) -> String {
    let number = match (entry.get("session").and_then(Value::as_u64), event) {
        (Some(number), _) => number,
        (None, Event::AgentAuthRejected { .. } | Event::EntriesDropped { .. }) => 0,
        (None, Event::ToolCall { .. } | Event::ToolsList { .. } | Event::AgentConnected { .. }) => {
            u64::from(text(entry, "transport") == Some("stdio"))
        }
    };
    number.to_string()
}

fn text<'a>(entry: &'a Value, key: &str) -> Option<&'a str> {
    entry.get(key).and_then(Value::as_str)
}

fn field(entry: &Value, key: &str) -> Option<u64> {
    entry.get("fields")?.get(key)?.as_u64()
}

#[cfg(test)]
mod tests {
    use super::{ProtectorLines, lines};

    fn written(entries: &[&str]) -> Vec<String> {
        let about = ProtectorLines { upstream: "python3".to_owned(), method: "bearer" };
        let written = lines(&about, entries.join("\n").as_bytes());
        String::from_utf8(written).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn calls_have_one_line_before_they_are_carried_out_or_when_they_are_not() {
        let entry = |phase: &str, more: &str| {
            format!(
                r#"{{"ts":"2026-01-02T03:04:05.678Z","phase":"{phase}","event":"tool_call","transport":"http","session":7,{more}}}"#
            )
        };
        let tool = r#""tool":"protected__get-sum""#;
        let told = written(&[
            &entry("intent", tool),
            &entry("complete", tool),
            &entry("closed", r#""tool":"unknown","fields":{"called":"Echo "}"#),
            &entry("intent", r#""tool":"resource:protected/note://a__b""#),
        ]);
        assert_eq!(
            told,
            [
                r#"{"version":2,"timestamp":"2026-01-02T03:04:05.678Z","event":"tool_call","tool_name":"get-sum","allowed":true,"session_id":"7","upstream":"python3"}"#,
                r#"{"version":2,"timestamp":"2026-01-02T03:04:05.678Z","event":"tool_call","tool_name":"Echo ","allowed":false,"session_id":"7","upstream":"python3"}"#,
            ]
        );
    }

    #[test]
    fn a_gap_has_the_time_of_what_follows_it() {
        let told = written(&[
            r#"{"event":"sink_lines_dropped","lines":5}"#,
            r#"{"ts":"T","phase":"closed","event":"journal_opened"}"#,
        ]);
        let line = r#"{"version":2,"timestamp":"T","event":"entries_dropped","lines":5,"session_id":"0","upstream":"python3"}"#;
        assert_eq!(told, [line]);
    }

    #[test]
    fn other_lines_have_the_members_that_they_had() {
        let told = written(&[
            r#"{"ts":"T","phase":"closed","event":"tools_list","transport":"stdio","fields":{"listed":9,"offered":2}}"#,
            r#"{"ts":"T","phase":"closed","event":"agent_connected","transport":"http","session":1}"#,
            r#"{"ts":"T","phase":"closed","event":"agent_connected","transport":"stdio"}"#,
            r#"{"ts":"T","phase":"closed","event":"auth_failure","client_ip":"192.0.2.1","transport":"http","reason":"wrong network","fields":{"count":3}}"#,
            r#"{"event":"sink_lines_dropped","lines":5}"#,
            r#"{"ts":"T","phase":"closed","event":"journal_opened"}"#,
            "no JSON",
        ]);
        assert_eq!(
            told,
            [
                r#"{"version":2,"timestamp":"T","event":"tools_list","tools_upstream":9,"tools_returned":2,"session_id":"1","upstream":"python3"}"#,
                r#"{"version":2,"timestamp":"T","event":"agent_connected","method":"bearer","identity":null,"session_id":"1","upstream":"python3"}"#,
                r#"{"version":2,"timestamp":"T","event":"agent_auth_rejected","method":"bearer","reason":"source IP 192.0.2.1 is not in the allowlist","count":3,"session_id":"0","upstream":"python3"}"#,
                r#"{"version":2,"timestamp":"T","event":"entries_dropped","lines":5,"session_id":"0","upstream":"python3"}"#,
            ]
        );
    }
}
