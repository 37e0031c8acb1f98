//! `release_credential`: end a handle before its time.

use async_trait::async_trait;
use model::{Action, Answer, Failure, Outcome, Tier};
use serde_json::{Map, Value, json};

use crate::arguments::{Listing, handle, required};
use crate::{Field, Kind, Scene, Schema, Tool, ToolRun, ToolSpec};

/// The tool.
pub(crate) struct ReleaseCredential {
    spec: ToolSpec,
}

impl ReleaseCredential {
    pub(crate) fn new() -> Self {
        Self {
            spec: Listing {
                name: "release_credential",
                set: "credentials",
                tier: Tier::LowAccess,
                title: "Give a credential back",
                description: "Ends a handle you no longer need. It cannot be used afterwards.",
                event: "credential_released",
                input: Schema::new(vec![Field::required("handle", Kind::Text(256), "The handle to end.")]),
                output: json!({
                    "type": "object",
                    "properties": { "released": { "type": "boolean" } },
                    "required": ["released"],
                }),
            }
            .spec(),
        }
    }
}

#[async_trait]
impl Tool for ReleaseCredential {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn resolve(&self, arguments: &Map<String, Value>, _scene: Scene<'_>) -> Result<Action, Failure> {
        handle(required(arguments, "handle")?)?;
        Ok(self.spec.on_gateway(Value::Object(arguments.clone())))
    }

    async fn run(&self, run: ToolRun<'_>) -> Result<Outcome, Failure> {
        let arguments = run.lease.action().arguments.as_object().cloned().unwrap_or_default();
        run.desk.release(run.lease, &handle(required(&arguments, "handle")?)?).await?;
        let values = Map::from_iter([("released".to_owned(), json!(true))]);
        Ok(Outcome { values, ..Outcome::default() })
    }

    fn render(&self, _action: &Action, outcome: Outcome) -> Answer {
        let text = "The handle has been released".to_owned();
        Answer { text, structured: Value::Object(outcome.values), is_error: false, ..Answer::default() }
    }
}
