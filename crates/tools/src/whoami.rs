//! `whoami`: what a principal may know of itself.

use async_trait::async_trait;
use model::{Action, Answer, Failure, Outcome, Tier};
use serde_json::{Map, Value, json};

use crate::arguments::Listing;
use crate::{Scene, Schema, Tool, ToolRun, ToolSpec};

/// The tool.
pub(crate) struct Whoami {
    spec: ToolSpec,
}

impl Whoami {
    pub(crate) fn new() -> Self {
        Self {
            spec: Listing {
                name: "whoami",
                set: "gateway",
                tier: Tier::Read,
                title: "Who am I",
                description: "Tells which principal you are to the gateway, your groups, and the tools that policy could permit you.",
                event: "tool_call",
                input: Schema::default(),
                output: json!({
                    "type": "object",
                    "properties": {
                        "principal": { "type": "string" },
                        "groups": { "type": "array", "items": { "type": "string" } },
                        "tools": { "type": "array", "items": { "type": "string" } },
                    },
                    "required": ["principal", "groups", "tools"],
                }),
            }
            .spec(),
        }
    }
}

#[async_trait]
impl Tool for Whoami {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn resolve(&self, arguments: &Map<String, Value>, _scene: Scene<'_>) -> Result<Action, Failure> {
        Ok(self.spec.on_gateway(Value::Object(arguments.clone())))
    }

    fn only_looks(&self) -> bool {
        true
    }

    async fn run(&self, run: ToolRun<'_>) -> Result<Outcome, Failure> {
        let values = run.desk.whoami(run.lease.intended().permit().principal());
        Ok(Outcome { values, ..Outcome::default() })
    }

    fn render(&self, _action: &Action, outcome: Outcome) -> Answer {
        let values = outcome.values;
        let principal = values.get("principal").and_then(Value::as_str).unwrap_or_default();
        let text = format!(
            "Principal: {principal}\nGroups: {}\nTools: {}",
            joined(values.get("groups")),
            joined(values.get("tools"))
        );
        Answer { text, structured: Value::Object(values), is_error: false, ..Answer::default() }
    }
}

/// A list of texts on one line; `none` if it is empty.
pub(crate) fn joined(list: Option<&Value>) -> String {
    let mut line = String::new();
    for item in list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        if !line.is_empty() {
            line.push_str(", ");
        }
        line.push_str(item);
    }
    if line.is_empty() { "none".to_owned() } else { line }
}
