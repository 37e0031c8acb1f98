//! `explain`: what the gateway would say to a call, without making it.

use async_trait::async_trait;
use model::{Action, Answer, ErrorCode, Failure, Outcome, Tier};
use serde_json::{Map, Value, json};

use crate::arguments::{Listing, required};
use crate::whoami::joined;
use crate::{DryRun, Field, Kind, Scene, Schema, Tool, ToolRun, ToolSpec};

/// The tool.
pub(crate) struct Explain {
    spec: ToolSpec,
}

impl Explain {
    pub(crate) fn new() -> Self {
        Self {
            spec: Listing {
                name: "explain",
                set: "gateway",
                tier: Tier::Read,
                title: "Explain a decision",
                description: "Tells whether a tool call would be allowed, denied or need approval, by which rule, and what would be allowed instead. Nothing is run.",
                event: "tool_call",
                input: Schema::new(vec![
                    Field::required("tool", Kind::Text(128), "Name of the tool you would call."),
                    Field::required("arguments", Kind::Object, "The arguments you would call it with."),
                ]),
                output: dry_run_schema(),
            }
            .spec(),
        }
    }
}

#[async_trait]
impl Tool for Explain {
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
        let asked = run.lease.action().arguments.as_object().cloned().unwrap_or_default();
        let tool = required(&asked, "tool")?;
        let arguments = asked.get("arguments").and_then(Value::as_object).cloned().unwrap_or_default();
        if tool == "explain" || tool == "ssh_plan" {
            return Err(Failure::new(ErrorCode::InputInvalid, format!("`{tool}` is itself a dry run"))
                .with_hint("name the tool that would act"));
        }
        Ok(outcome(run.desk.dry_run(run.lease.intended().permit().principal(), tool, &arguments)))
    }

    fn render(&self, _action: &Action, outcome: Outcome) -> Answer {
        render_dry_run(outcome)
    }
}

/// The schema of what a dry run tells.
pub(crate) fn dry_run_schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "decision": { "enum": ["allow", "deny", "approval"] },
            "code": { "type": ["string", "null"] },
            "rules": { "type": "array", "items": { "type": "string" } },
            "reason": { "type": ["string", "null"] },
            "hint": { "type": ["string", "null"] },
            "allowed_instead": { "type": "array", "items": { "type": "string" } },
            "obligations": { "type": "array" },
            "would_send": { "type": ["string", "null"] },
            "note": { "type": "string" },
        },
        "required": ["decision"],
    })
}

/// A dry run as an outcome.
pub(crate) fn outcome(dry_run: DryRun) -> Outcome {
    let mut values = dry_run.details;
    values.insert("decision".to_owned(), json!(dry_run.decision));
    Outcome { values, ..Outcome::default() }
}

/// Shows a dry run.
pub(crate) fn render_dry_run(outcome: Outcome) -> Answer {
    let values = outcome.values;
    let field = |name: &str| values.get(name).and_then(Value::as_str);
    let mut text = format!("Decision: {}", field("decision").unwrap_or("deny"));
    for (label, value) in [
        ("Rules", Some(joined(values.get("rules")))),
        ("Code", field("code").map(str::to_owned)),
        ("Reason", field("reason").map(str::to_owned)),
        ("Hint", field("hint").map(str::to_owned)),
        ("Would send", field("would_send").map(str::to_owned)),
        ("Note", field("note").map(str::to_owned)),
    ] {
        if let Some(value) = value {
            text.push_str(&format!("\n{label}: {value}"));
        }
    }
    let instead = values.get("allowed_instead").and_then(Value::as_array).into_iter().flatten();
    for (i, line) in instead.filter_map(Value::as_str).enumerate() {
        text.push_str(if i == 0 { "\nAllowed instead:\n  " } else { "\n  " });
        text.push_str(line);
    }
    Answer { text, structured: Value::Object(values), is_error: false, ..Answer::default() }
}
