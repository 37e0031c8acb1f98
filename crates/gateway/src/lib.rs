//! The pipeline and what surrounds it: authentication, obligations, limits, the control socket.

mod authenticate;
mod endpoint;
mod front;
mod gateway;

pub mod api_key;
pub mod owner;

pub use authenticate::{Authenticated, Presented, Unauthenticated};
pub use endpoint::Endpoint;
pub use front::{Health, NotRecorded, Resource, ResourceListing, ToolCall, ToolList};
pub use gateway::Gateway;
