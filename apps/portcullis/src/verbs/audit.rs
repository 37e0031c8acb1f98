//! `operator:audit-tail|query`: reading the journal.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use audit::{Entry, Filter, ReadError, SealKey};
use model::{ErrorCode, Failure, Fault, Timestamp};
use serde_json::{Map, Value, json};
use tools::{Field, Kind, Tool, ToolRun};

use super::VerbParts;
use super::verb::{Act, Named, Verb, blocking, text, values, wrong};

/// Most bytes of entries in one answer; the oldest are left out.
const MOST_BYTES: usize = 4 * 1024 * 1024;
const MOST_ENTRIES: i64 = 10_000;

struct Tail(VerbParts);
struct Query(VerbParts);

pub(super) fn verbs(parts: &VerbParts) -> [Arc<dyn Tool>; 2] {
    let limit = || Field::optional("limit", Kind::Integer(1, MOST_ENTRIES), "At most so many of the last.");
    let commands = || Field::optional("commands", Kind::Text(8), "`open`: sealed command lines are opened.");
    let named = |name, description| Field::optional(name, Kind::Text(256), description);
    let query = vec![
        limit(),
        commands(),
        named("since", "Not before this time."),
        named("until", "Before this time."),
        named("principal", "Whose calls."),
        named("tool", "Which tool or verb."),
        named("target", "On which target."),
        named("event", "Which event."),
        named("decision", "How it was decided."),
        named("id", "One call."),
    ];
    [
        Verb::tool(
            Named {
                name: "operator:audit-tail",
                title: "Last audit entries",
                description: "Reads the last entries of the journal.",
                fields: vec![limit(), commands()],
            },
            Tail(parts.clone()),
        ),
        Verb::tool(
            Named {
                name: "operator:audit-query",
                title: "Query the journal",
                description: "Reads the entries of the journal that match.",
                fields: query,
            },
            Query(parts.clone()),
        ),
    ]
}

#[async_trait]
impl Act for Tail {
    async fn act(
        &self,
        arguments: &Map<String, Value>,
        _run: ToolRun<'_>,
    ) -> Result<Map<String, Value>, Failure> {
        read(&self.0, arguments, Filter::default(), None).await
    }

    fn text(&self, values: &Map<String, Value>) -> String {
        lines(values)
    }
}

#[async_trait]
impl Act for Query {
    async fn act(
        &self,
        arguments: &Map<String, Value>,
        _run: ToolRun<'_>,
    ) -> Result<Map<String, Value>, Failure> {
        let time = |name: &str| match text(arguments, name) {
            None => Ok(None),
            Some(written) => Timestamp::parse(written).map(Some).ok_or_else(|| {
                wrong(format!("`{name}` is no time")).with_hint("write it as 2026-03-28T10:30:00.000Z")
            }),
        };
        let owned = |name: &str| text(arguments, name).map(str::to_owned);
        let filter = Filter {
            principal: owned("principal"),
            tool: owned("tool"),
            target: owned("target"),
            event: owned("event"),
            decision: owned("decision"),
            call: owned("id"),
            since: time("since")?,
        };
        read(&self.0, arguments, filter, time("until")?).await
    }

    fn text(&self, values: &Map<String, Value>) -> String {
        lines(values)
    }
}

async fn read(
    parts: &VerbParts,
    arguments: &Map<String, Value>,
    filter: Filter,
    until: Option<Timestamp>,
) -> Result<Map<String, Value>, Failure> {
    let limit = arguments
        .get("limit")
        .and_then(Value::as_u64)
        .and_then(|limit| usize::try_from(limit).ok())
        .unwrap_or(20);
    let seal_key = match text(arguments, "commands") {
        None => None,
        Some("open") => Some(Arc::clone(&parts.seal_key)),
        Some(_) => return Err(wrong("`commands` can only be `open`")),
    };
    let folder = journal(parts);
    blocking(move || {
        let (mut kept, mut bytes, mut omitted) = (VecDeque::new(), 0, 0_u64);
        for entry in audit::query(&folder, filter).map_err(|error| failed(&error))? {
            let entry = entry.map_err(|error| failed(&error))?;
            if until.is_some_and(|until| Timestamp::parse(&entry.ts).is_none_or(|written| written >= until)) {
                continue;
            }
            bytes += entry.line.len();
            kept.push_back(entry);
            while kept.len() > limit || bytes > MOST_BYTES {
                bytes -= kept.pop_front().map_or(bytes, |oldest: Entry| oldest.line.len());
                omitted += 1;
            }
        }
        let entries: Vec<Value> = kept.iter().map(|entry| shown(entry, seal_key.as_deref())).collect();
        Ok(values([
            ("entries", json!(entries)),
            ("omitted", json!(omitted)),
            ("folder", json!(folder.display().to_string())),
        ]))
    })
    .await
}

fn journal(parts: &VerbParts) -> PathBuf {
    parts.in_force.load().loaded.configuration.state.join("journal")
}

fn shown(entry: &Entry, seal_key: Option<&SealKey>) -> Value {
    let mut members = entry.members.clone();
    if let Some(key) = seal_key.filter(|_| members.contains_key("command")) {
        let opened = audit::unseal(entry, key).unwrap_or_else(|error| format!("cannot be opened: {error}"));
        members.insert("command".to_owned(), json!(opened));
    }
    Value::Object(members)
}

fn failed(error: &ReadError) -> Failure {
    Failure::new(ErrorCode::Internal, error.to_string())
        .with_fault(Fault::Us)
        .with_hint("`portcullis audit verify` tells what is wrong with the journal")
}

fn lines(values: &Map<String, Value>) -> String {
    let entries = values.get("entries").and_then(Value::as_array).into_iter().flatten();
    let lines: Vec<String> = entries.filter_map(Value::as_object).map(crate::commands::audit::line).collect();
    if lines.is_empty() { "no entries".to_owned() } else { lines.join("\n") }
}
