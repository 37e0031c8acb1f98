//! Reading arguments that the schema has already checked.

use model::{ErrorCode, Failure, HandleToken, Tier, ToolName, ToolSet};
use serde_json::{Map, Value};

use crate::{Annotations, Schema, ToolSpec};

/// A text argument, if it was given.
pub(crate) fn text<'a>(arguments: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    arguments.get(name).and_then(Value::as_str)
}

/// A text argument that the schema requires.
pub(crate) fn required<'a>(arguments: &'a Map<String, Value>, name: &str) -> Result<&'a str, Failure> {
    text(arguments, name)
        .ok_or_else(|| Failure::new(ErrorCode::InputInvalid, format!("argument `{name}` is missing")))
}

/// A handle argument. What does not even look like a handle is as unknown as one that never was.
pub(crate) fn handle(text: &str) -> Result<HandleToken, Failure> {
    HandleToken::parse(text).ok_or_else(|| {
        Failure::new(ErrorCode::HandleUnknown, "there is no such handle")
            .with_hint("a handle is what `get_credential` returned, beginning with `secret://`")
    })
}

/// The parts of a [`ToolSpec`] that differ from tool to tool.
pub(crate) struct Listing {
    pub(crate) name: &'static str,
    pub(crate) set: &'static str,
    pub(crate) tier: Tier,
    pub(crate) title: &'static str,
    pub(crate) description: &'static str,
    pub(crate) event: &'static str,
    pub(crate) input: Schema,
    pub(crate) output: Value,
}

impl Listing {
    /// The spec. Names are literals of this crate, checked by a test over the whole catalogue.
    pub(crate) fn spec(self) -> ToolSpec {
        ToolSpec {
            name: ToolName::parse(self.name).unwrap_or_else(|_| unreachable!("a literal")),
            set: ToolSet::parse(self.set).unwrap_or_else(|_| unreachable!("a literal")),
            tier: self.tier,
            title: self.title.into(),
            description: self.description.into(),
            input: self.input,
            output: self.output,
            annotations: Annotations::of(self.tier),
            event: self.event,
        }
    }
}
