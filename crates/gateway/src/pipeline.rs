//! The pipeline: every privileged act goes through these stages, each called once, in this order.

use std::sync::Arc;

use audit::{BeginError, CompletionFacts, Origin, Pending, Recorded};
use guard::Guarded;
use model::{Answer, ErrorCode, Failure};
use policy::Denial;
use serde_json::{Map, Value};

use crate::authorise::{authorise, spend};
use crate::converse::{self, Heard, hear};
use crate::discharge::discharge;
use crate::execute::{execute, reach};
use crate::facts;
use crate::freeze;
use crate::gateway::Gateway;
use crate::live::Live;
use crate::operator_log;
use crate::resolve::{Shelf, Wanted, arguments, is_unnamed, resolve, tool_name};
use crate::screen::screen;
use crate::tell::Teller;
use crate::under_way::Entered;
use crate::{Authenticated, NotRecorded, ToolCall};

/// Why a call stopped before its answer.
pub(crate) enum Refusal {
    /// Policy said no, or asks for more.
    Denied(Denial),
    /// Something failed.
    Failed(Failure),
}

/// Stages 2 to 10 for one call of an authenticated principal (stage 1 made the `Authenticated`).
///
/// Whatever happens, exactly one completion or closed entry is written, and nothing leaves before it is. Only calls
/// beyond the rate share an entry.
pub(crate) async fn run(
    gateway: &Gateway,
    call: Authenticated<ToolCall>,
    shelf: Shelf,
) -> Result<Recorded<Answer>, NotRecorded> {
    let live = gateway.live();
    let name = tool_name(&call.inner().tool, shelf, call.inner().endpoint);
    let heard = arguments(call.inner().arguments.as_deref())
        .and_then(|arguments| Ok((hear(gateway, &call, shelf, &arguments)?, arguments)));
    // A call with answers is part of the call that asked.
    let asked_by = heard.as_ref().ok().and_then(|(heard, _)| heard.asked_by());
    let origin = Origin { parent: asked_by.or(call.origin().parent), ..call.origin().clone() };
    let mut pending = gateway.journal.pending(call.principal(), origin, &name);
    if is_unnamed(&name) {
        pending.called(&call.inner().tool);
    }
    let mut facts = facts::opening();
    // Boxed, so that what holds the whole call is not copied with everything that a stage may hold.
    let staged = Box::pin(stages(gateway, &live, &call, shelf, heard, &mut pending, &mut facts)).await;
    let guarded = match staged {
        Ok(guarded) => guarded,
        Err(Refusal::Denied(denial)) if denial.code == ErrorCode::DeniedRate => {
            let answer = gateway.guard.admit_answer(tools::denied(&denial));
            return gateway.journal.sum_up(pending, answer).map_err(|error| gateway.not_recorded(&error));
        }
        Err(refusal) => gateway.guard.admit_answer(facts::refused(&mut facts, pending.id(), refusal)),
    };
    facts::guarded(&mut facts, &guarded);
    let frozen = freeze::after(gateway, &call, &guarded);
    let recorded = gateway.journal.complete(pending, &facts, guarded).await;
    if let Some(who) = frozen {
        gateway.record_freeze(who, call.origin()).await;
    }
    recorded.map_err(|error| gateway.not_recorded(&error))
}

async fn stages(
    gateway: &Gateway,
    live: &Arc<Live>,
    call: &Authenticated<ToolCall>,
    shelf: Shelf,
    heard: Result<(Heard, Map<String, Value>), Failure>,
    pending: &mut Pending,
    facts: &mut CompletionFacts,
) -> Result<Guarded<Answer>, Refusal> {
    // What is not found costs a call as a denial does, so that guessing names is no way to map the targets.
    let costs = |failure| match spend(gateway, live, call.principal()) {
        Some(over_rate) => Refusal::Denied(over_rate),
        None => Refusal::Failed(failure),
    };
    let (heard, arguments) = heard.map_err(costs)?;
    facts::asked(facts, &arguments);
    let ToolCall { endpoint, tool: name, .. } = call.inner();
    let forward = converse::forward(call, &heard);
    let acting = call.origin().actor.is_some();
    let (input, abilities) = (heard.input.as_ref(), call.inner().abilities);
    let (endpoint, forward) = (*endpoint, forward.as_ref());
    let wanted = Wanted { shelf, endpoint, name, arguments: &arguments, acting, input, abilities, forward };
    let resolved = resolve(gateway, live, call.principal(), wanted).map_err(costs)?;
    facts::resolved(facts, &resolved);
    let allowed = authorise(gateway, live, call, resolved.action)?;
    let permit = discharge(gateway, allowed, heard.opened.as_ref()).await?;
    let (limits, action) = (permit.limits(), permit.shared_action());
    facts::permitted(facts, &permit);
    let entered = Entered::new(gateway, live, pending.id(), call, &action);
    if resolved.tool.only_looks() {
        pending.only_looks();
    }
    let intended = gateway.journal.begin(pending, permit, || gateway.live().snapshot.hash()).await?;
    let reached = reach(gateway, live, &action)?;
    let lease = gateway.broker.lease(intended, reached.host.as_deref(), &reached.hops).await?;
    let lease = lease.standing_on(reached.standing.clone());
    let scanner = lease.scanner();
    let teller = Teller { guard: gateway.guard, lease: &lease, scanner: &scanner, call: call.inner() };
    let result = execute(gateway, live, &resolved.tool, &reached, &lease, &teller, &entered).await;
    let scanner = lease.scanner_now(&scanner);
    let (result, turn) = converse::turn(gateway, call, &heard, lease.intended().id(), result);
    facts::executed(facts, &scanner, &action.target, &result);
    facts::turn(facts, &turn);
    if let Err(failure) = &result {
        operator_log::failure(lease.intended().id(), &scanner, failure);
    }
    let output = limits.output.unwrap_or(Live::OUTPUT);
    let (guard, tool) = (gateway.guard, resolved.tool);
    let guarded = screen(guard, result, move |result| {
        guard.admit(&scanner, output, result, |result| {
            converse::show(result, turn, |outcome| tool.render(&action, outcome))
        })
    })
    .await;
    gateway.broker.release(lease).await;
    Ok(guarded)
}

impl From<Denial> for Refusal {
    fn from(denial: Denial) -> Self {
        Self::Denied(denial)
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<BeginError> for Refusal {
    fn from(error: BeginError) -> Self {
        Self::Failed(match error {
            BeginError::PolicyChanged => Failure::new(
                ErrorCode::DeniedPolicyChanged,
                "the policy changed while the call was being decided",
            )
            .with_hint("call again: it will be decided by the new policy"),
            BeginError::Journal(error) => Failure::new(
                ErrorCode::AuditUnavailable,
                "the record of this call could not be written, so nothing was done",
            )
            .with_hint("the gateway's operator must look at the audit journal")
            .with_internal(error.to_string()),
        })
    }
}
