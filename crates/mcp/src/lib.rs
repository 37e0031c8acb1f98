//! The front: MCP over stdio and Streamable HTTP, both eras on one endpoint.
//!
//! What leaves it is either a [`wire`] reply of the protocol itself, from a closed set that has no room for what
//! a target said, or a value the journal has recorded. Start reading at `ask.rs` (what a request wants), `reply.rs`
//! (the only place that turns answers into bytes) and `http/routes.rs`; `stream.rs` is the same for stdio and the
//! agent socket.

mod alone;
mod answer;
mod ask;
mod config;
mod gate;
mod http;
mod in_flight;
mod listen;
mod measure;
mod notices;
mod peer;
mod relay;
mod reply;
mod session;
mod socket;
mod stream;

pub mod client;
pub mod mirror;

pub use alone::{Admission, Alone, serve_alone};
pub use config::{FrontConfig, HttpLimits, SessionLimits, StartError};
pub use gate::Gate;
pub use http::{
    Front, HostRules, MalformedHostRule, Parts, ROUTES, RenderMetrics, RouteOf, TlsError, TlsMaterial,
};
pub use relay::{Connect, Link, OnlyLooks, RelayError, relay};
pub use socket::serve_socket;
pub use stream::{Identity, StreamLimits, local_identity, serve_stream};
