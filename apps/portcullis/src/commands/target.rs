//! `target list|show|test`

use serde_json::{Map, Value, json};

use crate::cli::{Global, Target};
use crate::failure::{Exit, Stop};
use crate::operators;
use crate::output::Output;

/// Does it.
pub(crate) fn run(global: &Global, target: Target, output: Output) -> Result<Exit, Stop> {
    let named = |name: String| Map::from_iter([("name".to_owned(), json!(name))]);
    let (verb, arguments) = match target {
        Target::List => return list(global, output),
        Target::Show { name } => ("target-show", named(name)),
        Target::Test { name } => ("target-test", named(name)),
    };
    operators::show(&operators::verb(global, verb, arguments, output)?, output)
}

fn list(global: &Global, output: Output) -> Result<Exit, Stop> {
    let reply = operators::verb(global, "target-list", Map::new(), output)?;
    let targets = reply.answer.structured.get("targets").and_then(Value::as_array);
    match targets {
        Some(targets) if !output.is_json() && !reply.answer.is_error && !targets.is_empty() => {
            let row = |target: &Value| {
                let text =
                    |name: &str| target.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
                let tags = target
                    .get("tags")
                    .and_then(Value::as_array)
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str);
                let port = target.get("port").and_then(Value::as_u64).unwrap_or_default();
                vec![
                    text("name"),
                    text("kind"),
                    format!("{}:{port}", text("address")),
                    tags.collect::<Vec<_>>().join(", "),
                    text("credential"),
                ]
            };
            output.table(
                &["target", "kind", "address", "tags", "credential"],
                targets.iter().map(row).collect(),
            )?;
            Ok(Exit::Done)
        }
        Some(_) | None => operators::show(&reply, output),
    }
}
