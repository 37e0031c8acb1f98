//! What passes between the front and the pipeline.

use std::sync::Arc;

use model::{Abilities, LogLevel};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;
use tools::{CompletionOf, Tool};

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
}

/// What a client sent along with a call that it makes again after questions; nothing of it is checked yet.
#[derive(Debug, Clone, Default)]
pub struct Input {
    /// Its answers by the names of the questions.
    pub answers: Option<Map<String, Value>>,
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
        }
    }
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

/// The tools a principal may know of, sorted by name.
pub struct ToolList(pub Vec<Arc<dyn Tool>>);

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
