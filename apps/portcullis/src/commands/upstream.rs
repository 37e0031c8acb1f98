//! `upstream list|tools|diff|accept|restart`: which tools of third-party servers are offered. Nothing is accepted unseen.

use std::io::IsTerminal as _;

use gateway::control::Reply;
use serde_json::{Map, Value, json};

use crate::cli::{Global, Upstream};
use crate::failure::{Exit, Stop};
use crate::operators;
use crate::output::Output;

/// Does it. All of it is about what runs, so a gateway must be running.
pub(crate) fn run(global: &Global, upstream: Upstream, output: Output) -> Result<Exit, Stop> {
    match upstream {
        Upstream::List => list(global, output),
        Upstream::Tools { name } => tools(global, &name, output),
        Upstream::Diff { name, tools } => {
            let reply = diff(global, &name, &tools)?;
            let exit = operators::show(&reply, output)?;
            if !is_same(&reply) {
                let digest = text(&reply.answer.structured, "digest");
                output.note(&format!(
                    "to accept exactly this: portcullis upstream accept {} --digest {digest}",
                    words(&name, &tools)
                ));
            }
            Ok(exit)
        }
        Upstream::Restart { name } => {
            let reply = operators::running(global, "upstream-restart", arguments(&name, &[]))?;
            let ready = reply.answer.structured.get("ready") != Some(&Value::Bool(false));
            let exit = operators::show(&reply, output)?;
            Ok(if ready { exit } else { Exit::Failed })
        }
        Upstream::Accept { name, tools, digest } => accept(global, &name, &tools, digest, output),
    }
}

fn list(global: &Global, output: Output) -> Result<Exit, Stop> {
    let reply = operators::running(global, "upstream-list", Map::new())?;
    let row = |one: &Value| {
        let state = one.get("down").and_then(Value::as_str).unwrap_or("ok").to_owned();
        let number = |name: &str| one.get(name).map(Value::to_string).unwrap_or_default();
        vec![
            text(one, "name"),
            number("tools"),
            number("withheld"),
            number("unaccepted"),
            number("gone"),
            text(one, "pin"),
            text(one, "sandbox"),
            state,
        ]
    };
    let shown = table(
        &reply,
        "upstreams",
        &["upstream", "tools", "withheld", "unaccepted", "gone", "pin", "sandbox", "state"],
        row,
        output,
    )?;
    let waits = |one: &&Value| one.get("withheld").and_then(Value::as_u64).is_some_and(|n| n > 0);
    if let Some(one) =
        reply.answer.structured.get("upstreams").and_then(Value::as_array).into_iter().flatten().find(waits)
    {
        output.note(&format!("what is withheld: portcullis upstream diff {}", text(one, "name")));
    }
    Ok(shown)
}

fn tools(global: &Global, name: &str, output: Output) -> Result<Exit, Stop> {
    let reply = operators::running(global, "upstream-tools", arguments(name, &[]))?;
    let row = |tool: &Value| {
        let offered = if tool.get("offered") == Some(&Value::Bool(true)) { "yes" } else { "no" };
        let hash = text(tool, "hash").chars().take(12).collect();
        vec![text(tool, "tool"), text(tool, "is"), offered.to_owned(), hash]
    };
    table(&reply, "tools", &["tool", "definition", "offered", "hash"], row, output)
}

fn table(
    reply: &Reply,
    list: &str,
    headings: &[&str],
    row: impl Fn(&Value) -> Vec<String>,
    output: Output,
) -> Result<Exit, Stop> {
    match reply.answer.structured.get(list).and_then(Value::as_array) {
        Some(items) if !output.is_json() && !reply.answer.is_error && !items.is_empty() => {
            output.table(headings, items.iter().map(row).collect())?;
            Ok(Exit::Done)
        }
        Some(_) | None => operators::show(reply, output),
    }
}

fn diff(global: &Global, name: &str, tools: &[String]) -> Result<Reply, Stop> {
    operators::running(global, "upstream-diff", arguments(name, tools))
}

/// Shows what there is to accept and asks, unless a digest says what was looked at before.
fn accept(
    global: &Global,
    name: &str,
    tools: &[String],
    digest: Option<String>,
    output: Output,
) -> Result<Exit, Stop> {
    let digest = match digest {
        Some(digest) => digest,
        None => {
            let reply = diff(global, name, tools)?;
            if reply.answer.is_error {
                return Err(operators::refused(&reply));
            }
            if is_same(&reply) {
                output.done(&format!("everything of `{name}` is as it was accepted"));
                return Ok(Exit::Done);
            }
            output.warning(&format!("these definitions of `{name}` would be accepted:"));
            output.warning(&reply.answer.text);
            if !std::io::stdin().is_terminal() {
                let hint = format!(
                    "look at it, then name it: `portcullis upstream accept {} --digest {}`",
                    words(name, tools),
                    text(&reply.answer.structured, "digest")
                );
                return Err(Stop::usage("there is nobody to ask").with_hint(hint));
            }
            if !super::says_yes("Accept them? Write `yes`: ")? {
                return Err(Stop::failed("nothing was accepted"));
            }
            text(&reply.answer.structured, "digest")
        }
    };
    let mut arguments = arguments(name, tools);
    arguments.insert("digest".to_owned(), json!(digest));
    operators::show(&operators::running(global, "upstream-accept", arguments)?, output)
}

fn arguments(name: &str, tools: &[String]) -> Map<String, Value> {
    let upstream = ("upstream".to_owned(), json!(name));
    let tools = (!tools.is_empty()).then(|| ("tools".to_owned(), json!(tools.join("\n"))));
    [upstream].into_iter().chain(tools).collect()
}

fn words(name: &str, tools: &[String]) -> String {
    [name].into_iter().chain(tools.iter().map(String::as_str)).collect::<Vec<_>>().join(" ")
}

/// Whether a comparison showed no difference.
fn is_same(reply: &Reply) -> bool {
    let none =
        |name: &str| reply.answer.structured.get(name).and_then(Value::as_array).is_none_or(Vec::is_empty);
    none("tools") && none("gone")
}

fn text(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}
