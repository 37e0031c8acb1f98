//! Third-party servers, as the gateway sees them.

use std::any::Any;
use std::sync::Arc;

use async_trait::async_trait;
use broker::Standing;
use model::{Failure, Forward, Parked, PrincipalId, Reply, ReplyKind, Thing, UpstreamName};

use crate::Tool;

/// What a client wants of an upstream beside its tools. Each is decided on as the thing that it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Errand {
    /// Read a resource.
    Read,
    /// Get a prompt.
    Prompt,
    /// How an argument of a prompt could go on.
    CompletePrompt,
    /// How an argument of a resource's address could go on; its name is the template.
    CompleteResource,
}

impl Errand {
    /// What it is about.
    pub fn thing(self) -> Thing {
        match self {
            Self::Read | Self::CompleteResource => Thing::Resource,
            Self::Prompt | Self::CompletePrompt => Thing::Prompt,
        }
    }
}

/// A list of an upstream beside its tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListOf {
    /// Its resources.
    Resources,
    /// The shapes of their addresses.
    Templates,
    /// Its prompts.
    Prompts,
}

impl ListOf {
    /// What is in it. A shape is listed to whoever may read what is called as it is written.
    pub fn thing(self) -> Thing {
        match self {
            Self::Resources | Self::Templates => Thing::Resource,
            Self::Prompts => Thing::Prompt,
        }
    }
}

/// What an upstream says it has beside tools.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "so many things that there are or are not")]
pub struct UpstreamOffers {
    /// Resources.
    pub resources: bool,
    /// To tell of changes of single resources.
    pub subscribe: bool,
    /// To tell of changes of the list of resources.
    pub resources_change: bool,
    /// To tell of changes of the list of prompts.
    pub prompts_change: bool,
    /// Prompts.
    pub prompts: bool,
    /// How arguments could go on.
    pub completions: bool,
    /// Messages about what it does.
    pub logging: bool,
}

/// The upstreams that are declared, with what they offer at the moment.
#[async_trait]
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

    /// An errand as the pipeline knows tools, if the name is one that rules can be sure of. Whether there is such a thing
    /// only the upstream knows.
    fn errand(&self, upstream: UpstreamName, errand: Errand, name: &str) -> Option<Arc<dyn Tool>>;

    /// A page of a list as the upstream writes it, for a principal, without what is not to be shown, by its name.
    async fn list(
        &self,
        upstream: UpstreamName,
        who: &PrincipalId,
        of: ListOf,
        forward: &Forward,
        keep: &(dyn for<'n> Fn(&'n str) -> bool + Send + Sync),
    ) -> Result<Listed, Failure>;

    /// A list in which nothing is.
    fn nothing(&self, of: ListOf) -> Reply;

    /// Nobody comes back to this call: it is given up at the upstream, too.
    fn give_up(&self, parked: Parked);

    /// Watches a resource of an upstream for as long as the value is kept. `None`: too many are watched, or there is no such
    /// upstream.
    fn watch(&self, upstream: UpstreamName, uri: &str) -> Option<Watching>;

    /// How often a resource that is watched has changed.
    fn changes_of(&self, upstream: UpstreamName, uri: &str) -> Option<u64>;

    /// How often its lists of resources and of prompts have changed.
    fn changes_of_lists(&self, upstream: UpstreamName) -> (u64, u64);

    /// What it has beside tools; nothing while it does not run.
    fn offers(&self, upstream: UpstreamName) -> UpstreamOffers;

    /// What an upstream that runs was started with; a failure says that it does not run.
    fn standing(&self, upstream: UpstreamName) -> Result<Arc<Standing>, Failure>;

    /// How each of them is, by name.
    fn health(&self) -> Vec<UpstreamHealth>;
}

/// A client's interest in a resource of an upstream; it ends when this is dropped.
pub struct Watching {
    _kept: Box<dyn Any + Send + Sync>,
}

impl Watching {
    /// What ends with it.
    pub fn new(kept: impl Any + Send + Sync) -> Self {
        Self { _kept: Box::new(kept) }
    }
}

impl std::fmt::Debug for Watching {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watching").finish_non_exhaustive()
    }
}

/// A list as an upstream wrote it.
pub struct Listed {
    /// The result or the error.
    pub reply: Reply,
    /// What it was started with: what it must not show.
    pub standing: Arc<Standing>,
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
    /// How many tools it lists, wanted or not.
    pub listed: usize,
    /// How many of them it offers.
    pub tools: usize,
    /// How many more it has that may be used, once an operator accepts their definitions.
    pub withheld: usize,
}

/// For a gateway that has none.
pub struct NoUpstreams;

#[async_trait]
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

    fn errand(&self, _upstream: UpstreamName, _errand: Errand, _name: &str) -> Option<Arc<dyn Tool>> {
        None
    }

    async fn list(
        &self,
        upstream: UpstreamName,
        _who: &PrincipalId,
        _of: ListOf,
        _forward: &Forward,
        _keep: &(dyn for<'n> Fn(&'n str) -> bool + Send + Sync),
    ) -> Result<Listed, Failure> {
        Err(none(upstream))
    }

    fn nothing(&self, _of: ListOf) -> Reply {
        Reply { json: "{}".into(), kind: ReplyKind::Done, faithful: true, says_its_type: false }
    }

    fn give_up(&self, _parked: Parked) {}

    fn watch(&self, _upstream: UpstreamName, _uri: &str) -> Option<Watching> {
        None
    }

    fn changes_of(&self, _upstream: UpstreamName, _uri: &str) -> Option<u64> {
        None
    }

    fn changes_of_lists(&self, _upstream: UpstreamName) -> (u64, u64) {
        (0, 0)
    }

    fn offers(&self, _upstream: UpstreamName) -> UpstreamOffers {
        UpstreamOffers::default()
    }

    fn standing(&self, upstream: UpstreamName) -> Result<Arc<Standing>, Failure> {
        Err(none(upstream))
    }

    fn health(&self) -> Vec<UpstreamHealth> {
        Vec::new()
    }
}

fn none(upstream: UpstreamName) -> Failure {
    Failure::new(model::ErrorCode::UpstreamDown, format!("there is no upstream `{upstream}`"))
}
