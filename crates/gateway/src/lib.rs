//! The pipeline and what surrounds it: authentication, obligations, limits, the control socket.

mod authenticate;
mod authorise;
mod clock;
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
mod operator_log;
mod pipeline;
mod rates;
mod resolve;
mod resources;
mod screen;
mod under_way;
mod unlosable;

pub mod api_key;
pub mod control;
pub mod owner;

pub use authenticate::{Authenticated, Presented, Proof, Unauthenticated};
pub use clock::{SystemClock, SystemEntropy, thread_cpu_time};
pub use directory::{Directory, Entry};
pub use endpoint::Endpoint;
pub use front::{Health, NotRecorded, Resource, ResourceListing, ToolCall, ToolList, Unlisted};
pub use gateway::{Gateway, GatewayParts};
pub use live::Live;

/// What the fronts need of the crates behind the gateway, so that they depend on it alone.
pub use audit::{Origin, Recorded};
pub use tools::{Tool, ToolSpec};
