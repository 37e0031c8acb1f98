//! What an agent is told.

use serde_json::{Map, Value};

use crate::{Content, Reply, Turn};

/// A tool's answer in both of its forms. It may be sent only as `Recorded<Answer>`.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The form a person reads.
    pub text: String,
    /// The form a program reads; always an object.
    pub structured: Value,
    /// Whether the call failed (a denial, a wrong argument, a fault). A non-zero exit status is no failure.
    pub is_error: bool,
    /// What comes after the text, for answers that are more than text.
    pub content: Vec<Content>,
    /// Whether the call ends with it.
    pub turn: Turn,
    /// An upstream's answer: what is sent, in place of everything else here but `is_error`.
    pub reply: Option<Reply>,
}

impl Default for Answer {
    /// No text, no fields, no failure.
    fn default() -> Self {
        let structured = Value::Object(Map::new());
        Self {
            text: String::new(),
            structured,
            is_error: false,
            content: Vec::new(),
            turn: Turn::Over,
            reply: None,
        }
    }
}
