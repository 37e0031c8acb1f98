//! `ssh_plan`: the dry run of `ssh_execute`.

use async_trait::async_trait;
use model::{Action, Answer, Failure, Outcome, Tier};
use serde_json::{Map, Value};

use crate::arguments::Listing;
use crate::explain::{dry_run_schema, outcome, render_dry_run};
use crate::{Field, Kind, Scene, Schema, Tool, ToolRun, ToolSpec};

/// The tool.
pub(crate) struct SshPlan {
    spec: ToolSpec,
}

impl SshPlan {
    pub(crate) fn new() -> Self {
        Self {
            spec: Listing {
                name: "ssh_plan",
                set: "exec",
                tier: Tier::Read,
                title: "Plan a command",
                description: "Tells what would happen if a command were run on a host with ssh_execute: the decision, the rule, and the exact text that would be sent. Nothing is run.",
                event: "tool_call",
                input: Schema::new(vec![
                    Field::required("host", Kind::Text(253), "Alias or exact address of a host."),
                    Field::required("command", Kind::Text(32_768), "The command line you would run."),
                ]),
                output: dry_run_schema(),
            }
            .spec(),
        }
    }
}

#[async_trait]
impl Tool for SshPlan {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn resolve(&self, arguments: &Map<String, Value>, _scene: Scene<'_>) -> Result<Action, Failure> {
        Ok(self.spec.on_gateway(Value::Object(arguments.clone())))
    }

    async fn run(&self, run: ToolRun<'_>) -> Result<Outcome, Failure> {
        let arguments = run.lease.action().arguments.as_object().cloned().unwrap_or_default();
        Ok(outcome(run.desk.dry_run(run.lease.intended().permit().principal(), "ssh_execute", &arguments)))
    }

    fn render(&self, _action: &Action, outcome: Outcome) -> Answer {
        render_dry_run(outcome)
    }
}
