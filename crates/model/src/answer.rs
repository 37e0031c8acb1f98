//! What an agent is told.

use serde_json::Value;

/// A tool's answer in both of its forms. It may be sent only as `Recorded<Answer>`.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The form a person reads.
    pub text: String,
    /// The form a program reads; always an object.
    pub structured: Value,
    /// Whether the call failed (a denial, a wrong argument, a fault). A non-zero exit status is no failure.
    pub is_error: bool,
}
