//! A tool of an upstream, as the pipeline knows tools.

use std::sync::Arc;

use async_trait::async_trait;
use model::{
    Action, Answer, CredentialUse, Failure, Limits, Outcome, ReplyKind, SubAction, Target, ToolName, ToolSet,
};
use serde_json::{Map, Value, json};
use tools::{Annotations, Definition, Scene, Schema, Tool, ToolRun, ToolSpec};
use wire::ToolHead;

use crate::exchange::exchange;
use crate::fault::Fault;
use crate::keeper::Keeper;

/// One tool of an upstream.
pub(crate) struct UpstreamTool {
    keeper: Arc<Keeper>,
    spec: ToolSpec,
    definition: Definition,
}

impl UpstreamTool {
    pub(crate) fn new(keeper: Arc<Keeper>, name: ToolName, definition: Definition) -> Self {
        let tier = keeper.settings().tier_of(&definition.own_name);
        // What people read of it: the visible form.
        let head = ToolHead::read(&definition.offered);
        let (title, description) = head.map(|head| (head.title, head.description)).unwrap_or_default();
        let schema = serde_json::from_str::<Map<String, Value>>(&definition.offered).ok();
        let input = schema.and_then(|mut members| members.remove("inputSchema"));
        let owned = |text: Option<std::borrow::Cow<'_, str>>| {
            text.map(std::borrow::Cow::into_owned).unwrap_or_default()
        };
        let spec = ToolSpec {
            name,
            set: ToolSet::parse("upstream").unwrap_or_else(|_| unreachable!("a literal")),
            tier,
            title: owned(title).into(),
            description: owned(description).into(),
            input: Schema::of_upstream(input.unwrap_or_else(|| json!({ "type": "object" }))),
            output: json!({ "type": "object" }),
            annotations: Annotations { open_world: true, ..Annotations::of(tier) },
            event: "tool_call",
        };
        Self { keeper, spec, definition }
    }

    pub(crate) fn definition_of(&self) -> &Definition {
        &self.definition
    }
}

/// What is sent to an upstream, as policy knows it: rules look at the parameters, `told` goes into the digest beside them.
pub(crate) fn action(
    spec: &ToolSpec,
    keeper: &Keeper,
    parameters: &Map<String, Value>,
    told: Value,
) -> Action {
    Action {
        tool: spec.name.clone(),
        set: spec.set.clone(),
        tier: spec.tier,
        target: Target::upstream(keeper.name()),
        parts: vec![SubAction::Upstream(Arc::new(parameters.clone()))],
        command: None,
        credential: CredentialUse::None,
        limits: Limits { timeout: keeper.settings().timeout, ..Limits::default() },
        arguments: told,
        forward: None,
    }
}

#[async_trait]
impl Tool for UpstreamTool {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn definition(&self) -> Option<&Definition> {
        Some(&self.definition)
    }

    fn resolve(&self, arguments: &Map<String, Value>, _scene: Scene<'_>) -> Result<Action, Failure> {
        Ok(action(&self.spec, &self.keeper, arguments, Value::Null))
    }

    async fn run(&self, run: ToolRun<'_>) -> Result<Outcome, Failure> {
        if self.keeper.offer().withholds(&self.definition.own_name) {
            return Err(self.keeper.refuses(Fault::Drift));
        }
        exchange(&self.keeper, &run, "tools/call", &self.definition.own_name).await
    }

    fn render(&self, _action: &Action, outcome: Outcome) -> Answer {
        let is_error = outcome.reply.as_ref().is_some_and(|reply| reply.kind != ReplyKind::Done);
        Answer { is_error, reply: outcome.reply, ..Answer::default() }
    }
}
