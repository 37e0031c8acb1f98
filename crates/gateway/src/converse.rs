//! Questions to the client that made a call, and its answers.

use model::{
    Answer, Asked, CallId, ClientInput, ErrorCode, Failure, NeedsInput, Outcome, Question, Turn, Void,
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
    if goes_upstream(*endpoint, shelf, tool) {
        // What an upstream asked, and the state it gave out, are its own: they go on with the parameters.
        return Ok(Heard { input: None, opened: None, shelf });
    }
    let open = |state: &str| gateway.seal.open(&purpose(call, shelf, arguments.clone()), state);
    let opened = state.as_deref().map(open).transpose()?;
    let input = (answers.is_some() || opened.is_some()).then(|| ClientInput {
        answers: answers.clone().unwrap_or_default(),
        carried: opened.as_ref().map(|opened| opened.carried.clone()),
    });
    Ok(Heard { input, opened, shelf })
}

/// What a call's state is good for: the same call again.
fn purpose(call: &Authenticated<ToolCall>, shelf: Shelf, arguments: Map<String, Value>) -> Purpose {
    let actor = call.origin().actor.as_ref().unwrap_or(&call.principal().id);
    let name = format!("{shelf:?}/{}", call.inner().tool);
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
    let Some(NeedsInput { questions, carried }) = needs else { return (result, Turn::Over) };
    if questions.is_empty() || questions.len() > QUESTIONS {
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
        Ok(state) => (result, Turn::Client(Asked { questions, state })),
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
        (Ok(_), Turn::Client(asked)) => asking(asked),
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
