//! A tool of an upstream, as the pipeline knows tools.

use std::sync::Arc;

use async_trait::async_trait;
use model::{
    Action, Answer, CredentialUse, Failure, Limits, Outcome, Reply, ReplyKind, SubAction, Target, ToolName,
    ToolSet,
};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use tools::{Annotations, Definition, Scene, Schema, Tool, ToolRun, ToolSpec};
use wire::{CallHead, Onward, ToolHead};

use crate::fault::Fault;
use crate::keeper::Keeper;
use crate::link::{Answered, Link, Next};

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

    /// Sends the call and waits for its answer, for as long as the run may take.
    async fn call(&self, link: &Link, run: &ToolRun<'_>) -> Result<(Reply, bool), Fault> {
        let action = run.lease.action();
        let forward = action.forward.as_ref().ok_or(Fault::Protocol("nothing, for nothing was sent"))?;
        let name = (!forward.faithful).then_some(&*self.definition.own_name);
        let modern = self.keeper.modern();
        let asked = link.ask("tools/call", wire::wants_progress(&forward.params), |progress| {
            wire::send_on(&forward.params, &Onward { name, progress, modern })
        });
        let waited = async {
            let asked =
                asked.await.map_err(|_| Fault::Protocol("nothing, for the parameters are no object"))?;
            let mut asked = asked?;
            loop {
                match asked.next().await {
                    Next::Answer(answered) => return answered,
                    Next::Progress(said) => {
                        run.notices.progress(said.done, said.total, said.message.as_deref())
                    }
                }
            }
        };
        let bounded = tokio::time::timeout(run.timeout, waited);
        let answered = match run.cancel.run_until_cancelled(bounded).await {
            None => return Err(Fault::Cancelled),
            Some(Err(_)) => return Err(Fault::Slow(run.timeout.as_secs())),
            Some(Ok(answered)) => answered?,
        };
        reply(answered, forward.faithful)
    }
}

/// What an answer is. Whether the upstream asks something back comes beside it.
fn reply(answered: Answered, faithful: bool) -> Result<(Reply, bool), Fault> {
    let Answered { json, is_error } = answered;
    let raw: &RawValue = serde_json::from_str(&json).map_err(|_| Fault::Protocol("what is no JSON"))?;
    if is_error {
        let code = wire::read_error_code(raw).ok_or(Fault::Protocol("with an error that is none"))?;
        let kind = ReplyKind::ProtocolError(code);
        return Ok((Reply { json, kind, faithful, says_its_type: true }, false));
    }
    let head = CallHead::read(raw).ok_or(Fault::Protocol("with a result that is none"))?;
    let kind = if head.is_error { ReplyKind::ToolError } else { ReplyKind::Done };
    let asks = head.result_type.as_deref() == Some("input_required");
    let says_its_type = head.result_type.is_some();
    Ok((Reply { json, kind, faithful, says_its_type }, asks))
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
        Ok(Action {
            tool: self.spec.name.clone(),
            set: self.spec.set.clone(),
            tier: self.spec.tier,
            target: Target::upstream(self.keeper.name()),
            parts: vec![SubAction::Upstream(Arc::new(arguments.clone()))],
            command: None,
            credential: CredentialUse::None,
            limits: Limits { timeout: self.keeper.settings().timeout, ..Limits::default() },
            arguments: Value::Null,
            forward: None,
        })
    }

    async fn run(&self, run: ToolRun<'_>) -> Result<Outcome, Failure> {
        let upstream = self.keeper.name();
        let failed = |fault: Fault| fault.of_call(upstream);
        let link = self.keeper.link().map_err(failed)?;
        if !run.lease.standing().is_some_and(|standing| Arc::ptr_eq(standing, link.standing())) {
            return Err(failed(Fault::Restarted));
        }
        let _place = self.keeper.place().ok_or_else(|| failed(Fault::Busy))?;
        run.lease.start();
        let (reply, asks) = self.call(&link, &run).await.map_err(failed)?;
        if asks {
            return Err(failed(Fault::Asks));
        }
        Ok(Outcome { reply: Some(reply), ..Outcome::default() })
    }

    fn render(&self, _action: &Action, outcome: Outcome) -> Answer {
        let is_error = outcome.reply.as_ref().is_some_and(|reply| reply.kind != ReplyKind::Done);
        Answer { is_error, reply: outcome.reply, ..Answer::default() }
    }
}
