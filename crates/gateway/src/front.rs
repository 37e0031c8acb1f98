//! What passes between the front and the pipeline.

use std::sync::Arc;

use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;
use tools::Tool;

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
}

/// The tools a principal may know of, sorted by name.
pub struct ToolList(pub Vec<Arc<dyn Tool>>);

/// A resource as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceListing {
    /// Its address.
    pub uri: String,
    /// Its name.
    pub name: String,
    /// A short title for people.
    pub title: String,
    /// One sentence.
    pub description: String,
    /// Its media type.
    pub mime_type: &'static str,
}

/// A resource's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Its address.
    pub uri: String,
    /// Its media type.
    pub mime_type: &'static str,
    /// The text.
    pub text: String,
}

/// Whether the gateway can do its work.
#[derive(Debug, Clone, PartialEq)]
pub struct Health {
    /// Journal writable, state owned, no required part down.
    pub ok: bool,
    /// Names of parts and what is wrong; only for those who hold a key.
    pub details: serde_json::Value,
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
