//! Reading a resource of an upstream, getting a prompt, asking how an argument could go on: as the pipeline knows tools.

use std::sync::Arc;

use async_trait::async_trait;
use model::{Action, Answer, Failure, Outcome, ReplyKind, Theirs, Tier, ToolName, ToolSet};
use serde_json::{Map, Value, json};
use tools::{Annotations, Errand, Scene, Schema, Tool, ToolRun, ToolSpec};

use crate::exchange::exchange;
use crate::keeper::Keeper;
use crate::tool::action;

/// One errand.
pub(crate) struct UpstreamErrand {
    keeper: Arc<Keeper>,
    errand: Errand,
    spec: ToolSpec,
}

impl UpstreamErrand {
    /// `None` if rules could not be sure what the name stands for. The protocol has it that none of these changes
    /// anything, so all are in tier `read`.
    pub(crate) fn new(keeper: Arc<Keeper>, errand: Errand, name: &str) -> Option<Self> {
        let theirs = Theirs { upstream: keeper.name(), thing: errand.thing(), name };
        let (title, event) = match errand {
            Errand::Read => ("Read a resource", "resource_read"),
            Errand::Prompt => ("Get a prompt", "prompt_read"),
            Errand::CompletePrompt | Errand::CompleteResource => ("Complete an argument", "completion"),
        };
        let spec = ToolSpec {
            name: ToolName::of_theirs(theirs).ok()?,
            set: ToolSet::parse("upstream").unwrap_or_else(|_| unreachable!("a literal")),
            tier: Tier::Read,
            title: title.into(),
            description: "".into(),
            input: Schema::of_upstream(json!({ "type": "object" })),
            output: json!({ "type": "object" }),
            annotations: Annotations { open_world: true, ..Annotations::of(Tier::Read) },
            event,
        };
        Some(Self { keeper, errand, spec })
    }
}

#[async_trait]
impl Tool for UpstreamErrand {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn resolve(&self, arguments: &Map<String, Value>, _scene: Scene<'_>) -> Result<Action, Failure> {
        // One name can be read and completed; neither is a permit for the other.
        Ok(action(&self.spec, &self.keeper, arguments, json!(self.spec.event)))
    }

    async fn run(&self, run: ToolRun<'_>) -> Result<Outcome, Failure> {
        let method = match self.errand {
            Errand::Read => "resources/read",
            Errand::Prompt => "prompts/get",
            Errand::CompletePrompt | Errand::CompleteResource => "completion/complete",
        };
        exchange(&self.keeper, &run, method, "").await
    }

    fn render(&self, _action: &Action, outcome: Outcome) -> Answer {
        let is_error = outcome.reply.as_ref().is_some_and(|reply| reply.kind != ReplyKind::Done);
        Answer { is_error, reply: outcome.reply, ..Answer::default() }
    }
}
