//! The catalogue: what each tool takes, which action it stands for, how it runs and what it shows.
//!
//! A tool is a schema, a `resolve` from arguments to an [`model::Action`], a `run` over what the lease opens,
//! and a `render` of the outcome. No sockets and no clock here: connectors meet [`HostShell`], the gateway
//! meets [`Desk`].

mod answers;
mod arguments;
mod catalogue;
mod desk;
mod explain;
mod get_credential;
mod offer;
mod release_credential;
mod schema;
mod session;
mod spec;
mod ssh_execute;
mod ssh_plan;
mod upstreams;
mod whoami;

pub use answers::{denied, failed};
pub use catalogue::Catalogue;
pub use desk::{Desk, DryRun};
pub use offer::{CompletionOf, Offer, PromptArgument, PromptListing, ResourceListing, TemplateListing};
pub use schema::{Field, Kind, Schema};
pub use session::{HostRun, HostShell, Notices, PassedOn, SubEvents};
pub use spec::{Annotations, Definition, Scene, Tool, ToolRun, ToolSpec};
pub use upstreams::{
    Errand, ListOf, Listed, NoUpstreams, UpstreamHealth, UpstreamOffers, Upstreams, Watching,
};
