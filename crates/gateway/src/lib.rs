//! The pipeline and what surrounds it: authentication, obligations, limits, the control socket.

mod authenticate;
mod authorise;
mod clock;
mod complete;
mod converse;
mod desk;
mod directory;
mod discharge;
mod endpoint;
mod execute;
mod facts;
mod freeze;
mod front;
mod gateway;
mod impersonate;
mod live;
mod offered;
mod operator_log;
mod pipeline;
mod prompts;
mod rates;
mod resolve;
mod resources;
mod screen;
mod served;
mod state_seal;
mod tell;
mod theirs;
mod under_way;
mod unlosable;
mod view;

pub mod api_key;
pub mod control;
pub mod owner;

pub use authenticate::{Authenticated, Presented, Proof, Unauthenticated};
pub use clock::{SystemClock, SystemEntropy, thread_cpu_time};
pub use directory::{Directory, Entry};
pub use endpoint::Endpoint;
pub use front::{
    Completing, GaveUp, Health, Input, NotActing, NotRecorded, Notice, PromptCall, TheirList, ToolCall,
    ToolList, Unlisted,
};
pub use gateway::{Gateway, GatewayParts};
pub use live::Live;
pub use state_seal::StateSeal;
pub use view::{Digest, View};

/// What the fronts need of the crates behind the gateway, so that they depend on it alone.
pub use audit::{Origin, Recorded};
pub use tools::{
    CompletionOf, Errand, ListOf, PromptArgument, PromptListing, ResourceListing, TemplateListing, Tool,
    ToolSpec, UpstreamOffers, Watching,
};
