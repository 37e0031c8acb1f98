//! What passes between the front and the pipeline.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{Abilities, Answer, ErrorCode, Forward, LogLevel, Parked, Said};
use serde_json::Value;
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;
use tools::{CompletionOf, Errand, ListOf, Tool};

use crate::Endpoint;

/// A tool call as the front understood it: size, depth and duplicate keys are checked.
pub struct ToolCall {
    /// Where it came in; tools of other endpoints do not exist there.
    pub endpoint: Endpoint,
    /// The tool's name as written.
    pub tool: String,
    /// The arguments' JSON; `None` is no arguments.
    pub arguments: Option<Box<RawValue>>,
    /// Cancelled when the caller goes away or says so.
    pub cancel: CancellationToken,
    /// Told how many bytes of output have come so far.
    pub progress: Option<Arc<dyn Fn(u64) + Send + Sync>>,
    /// Told what the call says while it runs.
    pub notices: Option<Arc<dyn Fn(Notice) + Send + Sync>>,
    /// What the client can be asked.
    pub abilities: Abilities,
    /// What the client answered, if it was asked before.
    pub input: Input,
    /// For tools of upstreams: what is sent on. Without it, what `arguments` says is.
    pub forward: Option<Forward>,
    /// What is wanted of an upstream, if that is no tool; `tool` is its name then.
    pub errand: Option<Errand>,
}

/// What a client sent along with a call that it makes again after questions; nothing of it is checked yet.
#[derive(Debug, Clone, Default)]
pub struct Input {
    /// Its answers by the names of the questions.
    pub answers: Option<BTreeMap<String, Said>>,
    /// The sealed state that came with the questions.
    pub state: Option<String>,
}

/// What a call says while it runs. The guard has seen it, and the call's intent is on record.
#[derive(Debug, Clone, PartialEq)]
pub enum Notice {
    /// How far it is.
    Progress {
        /// How far.
        done: f64,
        /// Of how much, if that is known.
        total: Option<f64>,
        /// A word about it.
        message: Option<String>,
    },
    /// A message.
    Log {
        /// How much it matters.
        level: LogLevel,
        /// The tool that says it.
        tool: String,
        /// What it says.
        text: String,
    },
    /// How far an upstream is, as the JSON text of its notification's parameters.
    TheirProgress(Arc<str>),
    /// A message of an upstream.
    TheirLog {
        /// How much it matters.
        level: LogLevel,
        /// The JSON text of its parameters.
        params: Arc<str>,
    },
}

/// A client was asked, and does not answer.
#[derive(Debug, Clone)]
pub struct GaveUp {
    /// Where the call came in.
    pub endpoint: Endpoint,
    /// What was called.
    pub tool: String,
    /// What was wanted of an upstream, if that is no tool.
    pub errand: Option<Errand>,
    /// What waits for the answer at an upstream.
    pub parked: Option<Parked>,
}

impl ToolCall {
    /// A call that tells nothing and can ask nothing while it runs, and that nobody cancels.
    pub fn new(endpoint: Endpoint, tool: impl Into<String>, arguments: Option<Box<RawValue>>) -> Self {
        Self {
            endpoint,
            tool: tool.into(),
            arguments,
            cancel: CancellationToken::new(),
            progress: None,
            notices: None,
            abilities: Abilities::default(),
            input: Input::default(),
            forward: None,
            errand: None,
        }
    }
}

/// A page of a list that an upstream has.
#[derive(Debug, Clone)]
pub struct TheirList {
    /// Where it is asked for.
    pub endpoint: Endpoint,
    /// Which list.
    pub of: ListOf,
    /// What is sent on.
    pub forward: Forward,
}

/// A prompt that is asked for.
#[derive(Debug, Clone)]
pub struct PromptCall {
    /// Its name.
    pub name: String,
    /// What is filled in.
    pub arguments: Option<Box<RawValue>>,
    /// What the client can be asked.
    pub abilities: Abilities,
    /// What the client answered, if it was asked before.
    pub input: Input,
}

/// An argument that is being written.
#[derive(Debug, Clone)]
pub struct Completing {
    /// What it belongs to.
    pub of: CompletionOf,
    /// Its name.
    pub argument: String,
    /// What is written of it so far.
    pub written: String,
}

/// The tools a principal may know of, sorted by name; those of one upstream alone as it has them.
pub struct ToolList {
    /// The tools.
    pub tools: Vec<Arc<dyn Tool>>,
    /// Whether they are those of one upstream alone, listed as it wrote them down.
    pub alone: bool,
}

/// Whether the gateway can do its work.
#[derive(Debug, Clone, PartialEq)]
pub struct Health {
    /// Journal writable, state owned, no required part down.
    pub ok: bool,
    /// Names of parts and what is wrong; only for those who hold a key.
    pub details: Value,
}

/// The record could not be written, so there is no answer. The front sends an internal error without detail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the record could not be written")]
pub struct NotRecorded;

/// Why an operator does not act as another principal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotActing {
    /// As for every other answer.
    #[error(transparent)]
    NotRecorded(#[from] NotRecorded),
    /// No rule lets it, or there is no such principal. Which of the two is not told.
    #[error("no rule lets it, or there is no such principal")]
    NotAllowed,
    /// Something that is none of rules is in the way: a freeze, the rate, an approval.
    #[error("{reason}")]
    Denied {
        /// The denial's code.
        code: ErrorCode,
        /// Why.
        reason: String,
        /// What to do about it.
        hint: Option<String>,
    },
}

impl NotActing {
    /// From the answer that refused it.
    pub(crate) fn of(refused: &Answer) -> Self {
        let text = |key: &str| refused.structured.get(key).and_then(Value::as_str);
        match NOT_OF_RULES.into_iter().find(|code| text("code") == Some(code.as_str())) {
            None => Self::NotAllowed,
            Some(code) => {
                let reason = text("reason").unwrap_or(code.as_str()).to_owned();
                Self::Denied { code, reason, hint: text("hint").map(str::to_owned) }
            }
        }
    }
}

/// Denials that say nothing about which rules there are.
const NOT_OF_RULES: [ErrorCode; 4] = [
    ErrorCode::DeniedLockdown,
    ErrorCode::DeniedRate,
    ErrorCode::DeniedPolicyChanged,
    ErrorCode::ApprovalRequired,
];

/// Why there is no listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unlisted {
    /// As for every other answer.
    #[error(transparent)]
    NotRecorded(#[from] NotRecorded),
    /// The principal is over its rate; that it asked is counted, and recorded in a sum.
    #[error("too many requests in a minute")]
    OverRate,
}
