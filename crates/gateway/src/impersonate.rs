//! `operator:impersonate`: the right to call tools as another principal.

use async_trait::async_trait;
use model::{Action, Answer, Failure, Outcome, Tier, ToolName, ToolSet};
use serde_json::{Map, Value, json};
use tools::{Annotations, Field, Kind, Scene, Schema, Tool, ToolRun, ToolSpec};

/// The verb. It does nothing but pass the pipeline: being permitted and recorded is its whole effect.
pub(crate) struct Impersonate {
    spec: ToolSpec,
}

impl Impersonate {
    pub(crate) fn new() -> Self {
        let spec = ToolSpec {
            name: ToolName::parse("operator:impersonate").unwrap_or_else(|_| unreachable!("a literal")),
            set: ToolSet::parse("operator").unwrap_or_else(|_| unreachable!("a literal")),
            tier: Tier::Dangerous,
            title: "Act as another principal".into(),
            description: "Lets an operator call tools as a principal, for trying out what it may do.".into(),
            input: Schema::new(vec![Field::required(
                "principal",
                Kind::Text(64),
                "The principal to act as.",
            )]),
            output: json!({ "type": "object" }),
            annotations: Annotations::of(Tier::Dangerous),
            event: "impersonated",
        };
        Self { spec }
    }
}

#[async_trait]
impl Tool for Impersonate {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn resolve(&self, arguments: &Map<String, Value>, _scene: Scene<'_>) -> Result<Action, Failure> {
        Ok(self.spec.on_gateway(Value::Object(arguments.clone())))
    }

    async fn run(&self, run: ToolRun<'_>) -> Result<Outcome, Failure> {
        let values = run.lease.action().arguments.as_object().cloned().unwrap_or_default();
        Ok(Outcome { values, ..Outcome::default() })
    }

    fn render(&self, _action: &Action, outcome: Outcome) -> Answer {
        let text = "The call is made as another principal".to_owned();
        Answer { text, structured: Value::Object(outcome.values), is_error: false, ..Answer::default() }
    }
}
