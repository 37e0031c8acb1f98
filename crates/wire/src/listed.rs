//! Tools in a listing, ours beside those of upstreams.

use serde::Serialize;

use crate::Tool;

/// A tool in a listing: described by us, or as its upstream wrote it down.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum ListedTool<'a> {
    /// One of ours.
    Ours(Box<Tool<'a>>),
    /// One of an upstream.
    Theirs(Verbatim<'a>),
}

/// JSON text that goes out as it is.
#[derive(Debug, Clone, Copy)]
pub struct Verbatim<'a>(
    /// The text of one value.
    pub &'a str,
);

impl Serialize for Verbatim<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw: &serde_json::value::RawValue =
            serde_json::from_str(self.0).map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}
