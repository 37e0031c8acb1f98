//! `KEY=VALUE` on the command line, as a tool's arguments.

use serde_json::{Map, Value};
use tools::Catalogue;

use crate::failure::Stop;

/// Reads them; the tool's schema says which values are numbers or JSON, everything else is text. What the schema does not
/// know is passed on as text: the gateway says what is wrong with it.
pub(crate) fn parse(tool: &str, arguments: &[String]) -> Result<Map<String, Value>, Stop> {
    let schema = Catalogue::new().tool(tool).map(|tool| tool.spec().input.to_json()).unwrap_or_default();
    let mut parsed = Map::new();
    for argument in arguments {
        let (key, value) = argument.split_once('=').filter(|(key, _)| !key.is_empty()).ok_or_else(|| {
            Stop::usage(format!("`{argument}` is no argument"))
                .with_hint("write `KEY=VALUE`, such as `host=web1`")
        })?;
        let kind =
            schema.pointer(&format!("/properties/{key}/type")).and_then(Value::as_str).unwrap_or("string");
        if parsed.insert(key.to_owned(), typed(key, value, kind)?).is_some() {
            return Err(Stop::usage(format!("the argument `{key}` is there twice")));
        }
    }
    Ok(parsed)
}

fn typed(key: &str, value: &str, kind: &str) -> Result<Value, Stop> {
    match kind {
        "integer" | "number" | "boolean" | "object" | "array" => serde_json::from_str(value).map_err(|_| {
            Stop::usage(format!("the argument `{key}` is not {}", with_article(kind)))
                .with_hint(format!("write JSON after `{key}=`"))
        }),
        _ => Ok(Value::String(value.to_owned())),
    }
}

fn with_article(kind: &str) -> String {
    let article = if matches!(kind, "integer" | "object" | "array") { "an" } else { "a" };
    format!("{article} {kind}")
}

#[cfg(test)]
mod tests {
    use super::parse;
    use crate::failure::Exit;
    use serde_json::json;

    fn read(tool: &str, arguments: &[&str]) -> Result<serde_json::Value, Exit> {
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        parse(tool, &arguments).map(serde_json::Value::Object).map_err(|stop| stop.exit)
    }

    #[test]
    fn the_schema_says_what_a_value_is() {
        let given = ["host=10", "command=a=b", "timeout=30"];
        assert_eq!(read("ssh_execute", &given), Ok(json!({"host": "10", "command": "a=b", "timeout": 30})));
        let given = ["tool=ssh_execute", "arguments={\"host\": \"web1\"}"];
        assert_eq!(
            read("explain", &given),
            Ok(json!({"tool": "ssh_execute", "arguments": {"host": "web1"}}))
        );
        assert_eq!(read("no_such_tool", &["timeout=30"]), Ok(json!({"timeout": "30"})));
    }

    #[test]
    fn what_cannot_be_an_argument_is_wrong_usage() {
        for wrong in [vec!["host"], vec!["=x"], vec!["host=a", "host=b"], vec!["timeout=soon"]] {
            assert_eq!(read("ssh_execute", &wrong), Err(Exit::Usage), "{wrong:?}");
        }
    }
}
