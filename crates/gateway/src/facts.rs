//! What the completion entry says of a call, gathered as the call goes on.

use audit::CompletionFacts;
use guard::{Guarded, Scanner};
use model::{
    Answer, CallId, CredentialUse, ErrorCode, Exit, Failure, HandleToken, Outcome, ReplyKind, SubAction,
    Target, TargetKind, Turn, Void,
};
use policy::Permit;
use serde_json::{Map, Value};

use crate::converse::summary;
use crate::operator_log;
use crate::pipeline::Refusal;
use crate::resolve::Resolved;

/// Before anything is known.
pub(crate) fn opening() -> CompletionFacts {
    CompletionFacts { event: "tool_call", decision: "denied", ..CompletionFacts::default() }
}

/// The longest command line that a tool takes, in characters; of a longer one its refusal keeps no more.
const LONGEST_COMMAND: usize = 32_768;

/// What was written is known, and perhaps never more than that: a command that was not understood is recorded as one
/// that was.
pub(crate) fn asked(facts: &mut CompletionFacts, arguments: &Map<String, Value>) {
    let command = arguments.get("command").and_then(Value::as_str);
    facts.command = command.map(|command| command.chars().take(LONGEST_COMMAND).collect());
}

/// The action is known.
pub(crate) fn resolved(facts: &mut CompletionFacts, resolved: &Resolved) {
    let action = &resolved.action;
    facts.event = resolved.tool.spec().event;
    facts.target = Some(action.target.name.to_string());
    facts.action_digest = Some(action.digest());
    let written = match &action.forward {
        Some(forward) => Some(&*forward.act),
        None => action.arguments.get("command").and_then(Value::as_str),
    };
    facts.command = written.map(|written| written.chars().take(LONGEST_COMMAND).collect());
    facts.credential = action.parts.iter().find_map(|part| match part {
        SubAction::Credential { credential, .. } => Some(credential.clone()),
        SubAction::Whole | SubAction::Upstream(_) | SubAction::Command(_) | SubAction::File { .. } => None,
    });
    facts.handle_id = match &action.credential {
        CredentialUse::Handle(token) => Some(token.id()),
        CredentialUse::None | CredentialUse::Inventory => None,
    };
}

/// Policy permitted it.
pub(crate) fn permitted(facts: &mut CompletionFacts, permit: &Permit) {
    facts.decision = "allowed";
    facts.rules = permit.rules().to_vec();
}

/// The target has answered.
pub(crate) fn executed(
    facts: &mut CompletionFacts,
    scanner: &Scanner,
    target: &Target,
    result: &Result<Outcome, Failure>,
) {
    match result {
        Ok(outcome) => {
            let met = if target.kind == TargetKind::Outside { met(outcome) } else { None };
            facts.reason = met.filter(|met| !scanner.finds(met.as_bytes()));
            match outcome.reply.as_ref().map(|reply| reply.kind) {
                None | Some(ReplyKind::Done) => {}
                Some(ReplyKind::ToolError) => facts.reason = Some("the tool says that it failed".to_owned()),
                Some(ReplyKind::ProtocolError(code)) => facts.vendor_code = Some(code.to_string()),
            }
            facts.exit_code = match &outcome.exit {
                Some(Exit::Status(status)) => Some(*status),
                Some(Exit::Signal(_) | Exit::Unknown) | None => None,
            };
            let issued = outcome.values.get("handle").and_then(Value::as_str).and_then(HandleToken::parse);
            if let Some(token) = issued {
                facts.handle_id = Some(token.id());
                facts.ttl_seconds = outcome.values.get("ttl_seconds").and_then(Value::as_u64);
            }
        }
        Err(failure) => failed(facts, scanner, failure),
    }
}

/// Which machine it was, for a host that nobody declared: its name may be another's tomorrow.
fn met(outcome: &Outcome) -> Option<String> {
    let text = |name: &str| outcome.values.get(name).and_then(Value::as_str);
    let (user, address, port) = (text("user")?, text("address")?, text("port")?);
    Some(format!("{user}@{address} port {port} ({})", text("host_key")?))
}

/// The client is asked: the call goes on with its answers, or not at all.
pub(crate) fn turn(facts: &mut CompletionFacts, turn: &Turn) {
    if let Turn::Client(asked) = turn {
        facts.event = "input_requested";
        facts.decision = "pending";
        facts.reason = Some(summary(asked));
    }
}

/// The call stopped before its answer; this is what the agent is told.
pub(crate) fn refused(facts: &mut CompletionFacts, id: CallId, refusal: Refusal) -> Answer {
    match refusal {
        Refusal::Denied(denial) => {
            facts.quotes_command = facts.command.is_some() && may_quote(denial.code);
            facts.decision = if denial.code == ErrorCode::ApprovalRequired { "pending" } else { "denied" };
            facts.error_code = Some(denial.code);
            facts.fault = Some(denial.code.fault());
            facts.rules = denial.rule.iter().cloned().collect();
            facts.reason = Some(denial.reason.clone());
            tools::denied(&denial)
        }
        Refusal::Failed(failure) => {
            operator_log::failure(id, &Scanner::empty(), &failure);
            facts.quotes_command = facts.command.is_some() && may_quote(failure.code());
            failed(facts, &Scanner::empty(), &failure);
            let void = failure.code() == ErrorCode::InputState;
            let turn = if void { Turn::Void(Void::State) } else { Turn::Over };
            Answer { turn, ..tools::failed(&failure) }
        }
    }
}

/// The guard has looked: a withheld output is an event of its own name.
pub(crate) fn guarded(facts: &mut CompletionFacts, guarded: &Guarded<Answer>) {
    if guarded.report().withheld {
        facts.event = "secret_in_output";
        facts.error_code = Some(ErrorCode::SecretInOutput);
        facts.fault = Some(ErrorCode::SecretInOutput.fault());
    }
}

/// Whether a refusal with this code can say what was written: code and rule are enough to find out why, for who may see
/// the command.
fn may_quote(code: ErrorCode) -> bool {
    code == ErrorCode::InputInvalid
        || (code.as_str().starts_with("denied.")
            && ![ErrorCode::DeniedRate, ErrorCode::DeniedLockdown, ErrorCode::DeniedPolicyChanged]
                .contains(&code))
}

/// A target writes parts of these texts, so a leased secret may be in them: the record is scanned like the answer.
fn failed(facts: &mut CompletionFacts, scanner: &Scanner, failure: &Failure) {
    let clean = |text: &str| (!scanner.finds(text.as_bytes())).then(|| text.to_owned());
    facts.error_code = Some(failure.code());
    facts.fault = Some(failure.fault());
    facts.vendor_code = failure.vendor().and_then(clean);
    facts.reason = clean(failure.message());
    if facts.decision == "allowed" {
        facts.decision = "failed";
    }
    if let Some(event) = failure.event() {
        facts.event = event;
    } else if failure.code() == ErrorCode::HandleExpired {
        facts.event = "handle_expired";
    } else if failure.code() == ErrorCode::HandleAlreadyConsumed {
        facts.event = "handle_consumed";
    }
}
