//! What is accepted, what is refused and where, and what a reload tells.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::string_slice,
    reason = "the functions beside the tests are tests, too"
)]

mod ccp;
mod compile;
mod docs;
mod files;
mod folder;
mod reload;
mod right;
mod schema;
mod starter;
mod upstreams;
mod wrong;
