//! Third-party MCP servers: each is started, watched and asked; its tools are tools like ours.
//!
//! Begin at `upstreams.rs` (all of them), then `keeper.rs` (how one is kept alive), `link.rs` (requests and their answers over
//! one start of it; `child.rs` and `http/` carry them; `launch/` confines programs), `tool.rs` (its tools in the pipeline), `call.rs` (a call, also
//! while its client is asked), `judge.rs` (which of them are offered), `places.rs` and `breaker.rs` (which calls are sent).
//! What they say is hostile until the guard has seen it.

mod breaker;
mod call;
mod child;
mod environment;
mod errand;
mod exchange;
mod fault;
mod follow;
mod handshake;
mod http;
mod judge;
mod keeper;
mod launch;
mod lines;
mod link;
mod measure;
mod offer;
mod parking;
mod pins;
mod places;
mod question;
mod recover;
mod restart;
mod review;
mod sandbox;
mod settings;
mod starter;
mod tool;
mod tour;
mod upstreams;
mod watches;

pub use http::{CertificateFault, certificate_fault};
pub use launch::launched;
pub use pins::{Pin, PinBook, Pinning, Pins};
pub use review::{Accepted, Change, Review, ToolReview};
pub use sandbox::{Confinement, Machine, OtherUser, Sandbox, SandboxSettings};
pub use settings::{EnvValue, HttpSettings, Load, Networks, OAuthSettings, Reach, UpstreamSettings};
pub use tour::serve_tour;
pub use upstreams::{Ledger, UpstreamPool};
