//! The parts that results are made of.

use serde::Serialize;

/// A text in a tool's result.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct TextContent<'a> {
    r#type: &'static str,
    text: &'a str,
}

impl<'a> TextContent<'a> {
    /// A text.
    pub fn new(text: &'a str) -> Self {
        Self { r#type: "text", text }
    }
}

/// The contents of a resource.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceContents<'a> {
    /// Its address.
    pub uri: &'a str,
    /// Its media type.
    pub mime_type: &'a str,
    /// Its text.
    pub text: &'a str,
}
