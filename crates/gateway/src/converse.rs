//! Questions to the client that made a call, and its answers.

use std::sync::Arc;

use model::{
    Answer, Asked, CallId, ClientInput, ErrorCode, Failure, Forward, NeedsInput, Outcome, Question, Resumed,
    Said, Turn, Void,
};
use serde_json::{Map, Value, json};

use crate::front::Input;
use crate::gateway::Gateway;
use crate::resolve::{Shelf, arguments, goes_upstream};
use crate::state_seal::{Opened, Purpose};
use crate::{Authenticated, ToolCall};

/// Questions that one answer may ask.
const QUESTIONS: usize = 16;

/// What came along with a call.
pub(crate) struct Heard {
    /// What the tool may see of it.
    pub(crate) input: Option<ClientInput>,
    /// What an upstream may see of it.
    resumed: Option<Arc<Resumed>>,
    /// The state, if one came; its use is claimed when the call is permitted.
    pub(crate) opened: Option<Opened>,
    shelf: Shelf,
}

impl Heard {
    /// The call that asked, if this one answers.
    pub(crate) fn asked_by(&self) -> Option<CallId> {
        self.opened.as_ref().and_then(|opened| opened.call)
    }
}

/// Reads what came along with a call: a state must be one that was given out for this very call.
pub(crate) fn hear(
    gateway: &Gateway,
    call: &Authenticated<ToolCall>,
    shelf: Shelf,
    arguments: &Map<String, Value>,
) -> Result<Heard, Failure> {
    let ToolCall { endpoint, tool, input: Input { answers, state }, .. } = call.inner();
    let open = |state: &str| gateway.seal.open(&purpose(call, shelf, arguments.clone()), state);
    let opened = state.as_deref().map(open).transpose()?;
    if answers.is_none() && opened.is_none() {
        return Ok(Heard { input: None, resumed: None, opened, shelf });
    }
    let answers = answers.clone().unwrap_or_default();
    let carried = opened.as_ref().map(|opened| opened.carried.clone());
    if goes_upstream(*endpoint, shelf, tool) {
        return Ok(Heard {
            input: None,
            resumed: Some(Arc::new(Resumed { answers, carried })),
            opened,
            shelf,
        });
    }
    // Our own tools take no error for an answer.
    let answer = |(name, said)| match said {
        Said::Answer(json) => Some((name, serde_json::from_str(&json).ok()?)),
        Said::Refusal(_) => None,
    };
    let answers = answers.into_iter().filter_map(answer).collect();
    Ok(Heard { input: Some(ClientInput { answers, carried }), resumed: None, opened, shelf })
}

/// What goes on to an upstream, with what its client answered.
pub(crate) fn forward(call: &Authenticated<ToolCall>, heard: &Heard) -> Option<Forward> {
    let forward = call.inner().forward.as_ref()?;
    Some(Forward { resumed: heard.resumed.clone(), ..forward.clone() })
}

/// What a call's state is good for: the same call again.
fn purpose(call: &Authenticated<ToolCall>, shelf: Shelf, arguments: Map<String, Value>) -> Purpose {
    let actor = call.origin().actor.as_ref().unwrap_or(&call.principal().id);
    let ToolCall { endpoint, tool, .. } = call.inner();
    // Two upstreams can have tools of one name.
    let name = match goes_upstream(*endpoint, shelf, tool) {
        true => format!("{shelf:?}/{endpoint:?}/{tool}"),
        false => format!("{shelf:?}/{tool}"),
    };
    Purpose::new(call.principal().id.as_str(), actor.as_str(), &name, &Value::Object(arguments))
}

/// Whose turn it is after an outcome. Questions that the client cannot take make it a failure.
pub(crate) fn turn(
    gateway: &Gateway,
    call: &Authenticated<ToolCall>,
    heard: &Heard,
    id: CallId,
    result: Result<Outcome, Failure>,
) -> (Result<Outcome, Failure>, Turn) {
    let needs = result.as_ref().ok().and_then(|outcome| outcome.needs.clone());
    let Some(NeedsInput { questions, carried, parked }) = needs else { return (result, Turn::Over) };
    // An upstream may want nothing but to be asked again.
    let nothing = questions.is_empty() && result.as_ref().is_ok_and(|outcome| outcome.reply.is_none());
    if nothing || questions.len() > QUESTIONS {
        let defect =
            Failure::new(ErrorCode::Internal, "a tool asked its client nothing, or too much at once");
        return (Err(defect), Turn::Over);
    }
    let lacks = |question: &Question| !call.inner().abilities.include(question.ability());
    if let Some(beyond) = questions.values().find(|question| lacks(question)).map(Question::ability) {
        let failure = Failure::new(
            ErrorCode::InputAbility,
            format!(
                "this call must ask its client ({}), which does not take such questions",
                beyond.as_str()
            ),
        )
        .with_hint("use a client that declares the capability");
        return (Err(failure), Turn::Void(Void::Ability(beyond)));
    }
    let seal = |carried| {
        let arguments = arguments(call.inner().arguments.as_deref())?;
        gateway.seal.seal(&purpose(call, heard.shelf, arguments), id, carried)
    };
    match carried.map(seal).transpose() {
        Ok(state) => (result, Turn::Client(Asked { questions, state, parked })),
        Err(failure) => (Err(failure), Turn::Over),
    }
}

/// Shows a result: what the tool shows, what it asks, or what all failures look like.
pub(crate) fn show(
    result: Result<Outcome, Failure>,
    turn: Turn,
    render: impl FnOnce(Outcome) -> Answer,
) -> Answer {
    match (result, turn) {
        (Ok(outcome), Turn::Client(asked)) => Answer { reply: outcome.reply, ..asking(asked) },
        (Ok(outcome), Turn::Over | Turn::Void(_)) => render(outcome),
        (Err(failure), turn @ Turn::Void(_)) => Answer { turn, ..tools::failed(&failure) },
        (Err(failure), Turn::Over | Turn::Client(_)) => tools::failed(&failure),
    }
}

/// The questions in one line, for the record.
pub(crate) fn summary(asked: &Asked) -> String {
    let each =
        asked.questions.iter().map(|(name, question)| format!("{name} ({})", question.ability().as_str()));
    format!("asked the client: {}", each.collect::<Vec<_>>().join(", "))
}

fn asking(asked: Asked) -> Answer {
    let names: Vec<&str> = asked.questions.keys().map(String::as_str).collect();
    Answer {
        text: format!("Input required: {}", names.join(", ")),
        structured: json!({ "status": "input_required", "questions": names }),
        turn: Turn::Client(asked),
        ..Answer::default()
    }
}
