//! Upstreams over Streamable HTTP, in both eras: one POST for each message, its answer as JSON or as a stream of events.
//!
//! `remote.rs` sends and keeps the session, `exchange.rs` is one request and its answer, `dial.rs` connects to where it may,
//! `oauth` has the tokens, `two.rs` the servers of 2024-11-05.

mod addresses;
mod ask;
mod clients;
mod dial;
mod exchange;
mod identity;
mod oauth;
mod outgoing;
mod remote;
mod resume;
mod session;
mod trust;
mod two;

pub use identity::{CertificateFault, certificate_fault};
pub(crate) use remote::{Remote, secret};
