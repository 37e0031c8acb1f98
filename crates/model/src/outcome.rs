//! What the target did, before any of it may be shown.

use serde_json::{Map, Value};

use crate::{Content, NeedsInput, Reply};

/// The raw result of an execution. Nothing of it leaves the gateway before the guard has seen it.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Bytes by stream, in the order they are shown (`stdout`, `stderr`, `output`).
    pub streams: Vec<Stream>,
    /// How the command ended, for targets that run commands.
    pub exit: Option<Exit>,
    /// Everything else a tool shows, by field name.
    pub values: Map<String, Value>,
    /// What is shown after the text, for tools whose answers are more than text.
    pub content: Vec<Content>,
    /// What the client must say before the tool can go on; the rest is not shown then.
    pub needs: Option<NeedsInput>,
    /// What an upstream answered; nothing else is shown then.
    pub reply: Option<Reply>,
}

/// One stream of bytes from a target.
#[derive(Debug, Clone)]
pub struct Stream {
    /// `stdout`, `stderr` or `output`.
    pub name: &'static str,
    /// The bytes kept while reading; the connector stops keeping at the call's limit.
    pub bytes: Vec<u8>,
    /// How many bytes the target sent in all; more than `bytes.len()` means the stream was cut. After the guard, which
    /// writes marks and escapes into `bytes`, it is `bytes.len()` and what was left out, so that this stays true.
    pub total: u64,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// Its exit status.
    Status(u32),
    /// Ended by this signal, named as SSH does (`TERM`, `KILL`).
    Signal(String),
    /// The target closed the channel without telling.
    Unknown,
}
