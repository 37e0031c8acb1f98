//! `tools list|show|cost`: the tools as a principal sees them.

use gateway::control::{Act, ControlRequest};
use serde_json::{Map, Value, json};

use crate::cli::{As, Global, Tools};
use crate::failure::{Exit, Stop};
use crate::operators;
use crate::output::Output;

/// How many bytes of JSON models count as one token, roughly.
const BYTES_PER_TOKEN: usize = 4;

/// Does it.
pub(crate) fn run(global: &Global, tools: Tools, output: Output) -> Result<Exit, Stop> {
    match tools {
        Tools::List(who) => list(&fetch(global, who, output)?, output),
        Tools::Show { name, who } => show(&fetch(global, who, output)?, &name, output),
        Tools::Cost(who) => cost(&fetch(global, who, output)?, output),
    }
}

fn fetch(global: &Global, who: As, output: Output) -> Result<Vec<Value>, Stop> {
    let mut request = ControlRequest::new(Act::ListTools, Map::new());
    request.as_principal = who.principal;
    let reply = operators::ask(global, request, output)?;
    if reply.answer.is_error {
        return Err(operators::refused(&reply));
    }
    Ok(reply.answer.structured.get("tools").and_then(Value::as_array).cloned().unwrap_or_default())
}

fn list(tools: &[Value], output: Output) -> Result<Exit, Stop> {
    if output.is_json() {
        output.json(&json!({ "tools": tools }))?;
    } else if tools.is_empty() {
        output.note("no rule lets this principal use any tool");
    } else {
        let row =
            |tool: &Value| ["name", "set", "tier", "title"].map(|key| text(tool, key).to_owned()).to_vec();
        output.table(&["tool", "set", "tier", "title"], tools.iter().map(row).collect())?;
    }
    Ok(Exit::Done)
}

fn show(tools: &[Value], name: &str, output: Output) -> Result<Exit, Stop> {
    let tool = tools.iter().find(|tool| text(tool, "name") == name).ok_or_else(|| {
        Stop::failed(format!("there is no tool `{name}` for this principal"))
            .with_hint("`portcullis tools list` shows those there are")
    })?;
    if output.is_json() {
        output.json(tool)?;
        return Ok(Exit::Done);
    }
    output.text(&format!("{name} - {}\n\n{}\n\n", text(tool, "title"), text(tool, "description")))?;
    output.text(&format!(
        "Set: {}   Tier: {}   Hints: {}\n\n",
        text(tool, "set"),
        text(tool, "tier"),
        hints(tool)
    ))?;
    let required: Vec<&str> = tool
        .pointer("/input/required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let properties = tool.pointer("/input/properties").and_then(Value::as_object);
    let rows: Vec<Vec<String>> = properties
        .into_iter()
        .flatten()
        .map(|(key, schema)| {
            let needed = if required.contains(&key.as_str()) { "yes" } else { "no" };
            vec![
                key.clone(),
                text(schema, "type").to_owned(),
                needed.to_owned(),
                text(schema, "description").to_owned(),
            ]
        })
        .collect();
    if rows.is_empty() {
        output.text("It takes no arguments.")?;
    } else {
        output.table(&["argument", "type", "required", "description"], rows)?;
    }
    Ok(Exit::Done)
}

fn cost(tools: &[Value], output: Output) -> Result<Exit, Stop> {
    let costs: Vec<(&str, usize)> =
        tools.iter().map(|tool| (text(tool, "name"), listed(tool).to_string().len())).collect();
    let total: usize = costs.iter().map(|(_, bytes)| bytes).sum();
    if output.is_json() {
        let each: Vec<Value> = costs
            .iter()
            .map(|(name, bytes)| json!({ "name": name, "bytes": bytes, "tokens": bytes / BYTES_PER_TOKEN }))
            .collect();
        output.json(&json!({ "tools": each, "bytes": total, "tokens": total / BYTES_PER_TOKEN }))?;
        return Ok(Exit::Done);
    }
    let row = |(name, bytes): &(&str, usize)| {
        vec![(*name).to_owned(), bytes.to_string(), format!("~{}", bytes / BYTES_PER_TOKEN)]
    };
    let mut rows: Vec<Vec<String>> = costs.iter().map(row).collect();
    rows.push(row(&("all", total)));
    output.table(&["tool", "bytes", "tokens"], rows)?;
    Ok(Exit::Done)
}

/// About what an agent gets to read of a tool.
fn listed(tool: &Value) -> Value {
    json!({
        "name": tool.get("name"),
        "title": tool.get("title"),
        "description": tool.get("description"),
        "inputSchema": tool.get("input"),
        "outputSchema": tool.get("output"),
        "annotations": tool.get("annotations"),
    })
}

fn hints(tool: &Value) -> String {
    let set = tool.get("annotations").and_then(Value::as_object).into_iter().flatten();
    let names: Vec<&str> =
        set.filter(|(_, on)| **on == Value::Bool(true)).map(|(name, _)| name.as_str()).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ").replace('_', "-") }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}
