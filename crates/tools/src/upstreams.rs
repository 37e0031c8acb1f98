//! Third-party servers, as the gateway sees them.

use std::sync::Arc;

use broker::Standing;
use model::{Failure, UpstreamName};

use crate::Tool;

/// The upstreams that are declared, with the tools that they offer at the moment.
pub trait Upstreams: Send + Sync {
    /// Whether there is one of this name.
    fn declared(&self, upstream: UpstreamName) -> bool;

    /// The tool that is offered among all tools by this name.
    fn tool(&self, offered: &str) -> Option<Arc<dyn Tool>>;

    /// The tool that this upstream calls so.
    fn tool_of(&self, upstream: UpstreamName, name: &str) -> Option<Arc<dyn Tool>>;

    /// Every tool of every upstream.
    fn tools(&self) -> Vec<Arc<dyn Tool>>;

    /// The tools of one, in its own order.
    fn tools_of(&self, upstream: UpstreamName) -> Vec<Arc<dyn Tool>>;

    /// What an upstream that runs was started with; a failure says that it does not run.
    fn standing(&self, upstream: UpstreamName) -> Result<Arc<Standing>, Failure>;

    /// How each of them is, by name.
    fn health(&self) -> Vec<UpstreamHealth>;
}

/// How an upstream is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamHealth {
    /// Its name.
    pub name: UpstreamName,
    /// Whether the gateway cannot do its work without it.
    pub required: bool,
    /// Why it cannot be used, if it cannot.
    pub down: Option<String>,
    /// How many tools it offers.
    pub tools: usize,
}

/// For a gateway that has none.
pub struct NoUpstreams;

impl Upstreams for NoUpstreams {
    fn declared(&self, _upstream: UpstreamName) -> bool {
        false
    }

    fn tool(&self, _offered: &str) -> Option<Arc<dyn Tool>> {
        None
    }

    fn tool_of(&self, _upstream: UpstreamName, _name: &str) -> Option<Arc<dyn Tool>> {
        None
    }

    fn tools(&self) -> Vec<Arc<dyn Tool>> {
        Vec::new()
    }

    fn tools_of(&self, _upstream: UpstreamName) -> Vec<Arc<dyn Tool>> {
        Vec::new()
    }

    fn standing(&self, upstream: UpstreamName) -> Result<Arc<Standing>, Failure> {
        Err(Failure::new(model::ErrorCode::UpstreamDown, format!("there is no upstream `{upstream}`")))
    }

    fn health(&self) -> Vec<UpstreamHealth> {
        Vec::new()
    }
}
