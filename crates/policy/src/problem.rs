//! What is wrong, or doubtful, about rules: enough for a diagnostic with file, line and column.

use std::ops::Range;

use crate::LintCode;

/// Which of the inputs of [`crate::Snapshot::compile`] something is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A rule, by its position.
    Rule(usize),
    /// A Cedar file, by its position.
    Cedar(usize),
}

/// An error in a rule or a Cedar file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct RuleProblem {
    /// Which input; `None` from [`crate::Rule::parse`], whose caller knows.
    pub place: Option<Place>,
    /// The key, such as `commands` or `limits.timeout`; `rule` when it is about the rule as a whole.
    pub field: String,
    /// Which element, when the key holds a list.
    pub index: Option<usize>,
    /// Bytes of the value in the file it was read from; `None` when the key is missing.
    pub span: Option<Range<usize>>,
    /// A lowercase fragment.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
}

/// Something that is allowed but probably not meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LintWarning {
    /// The kind.
    pub code: LintCode,
    /// Which input.
    pub place: Place,
    /// The key it is about.
    pub field: String,
    /// Which element, when the key holds a list.
    pub index: Option<usize>,
    /// Bytes of the value in its file.
    pub span: Option<Range<usize>>,
    /// A lowercase fragment.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl RuleProblem {
    pub(crate) fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            place: None,
            field: field.into(),
            index: None,
            span: None,
            message: message.into(),
            hint: None,
        }
    }

    pub(crate) fn element(mut self, index: usize) -> Self {
        self.index = Some(index);
        self
    }

    pub(crate) fn span(mut self, span: Option<Range<usize>>) -> Self {
        self.span = span;
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn place(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }
}
