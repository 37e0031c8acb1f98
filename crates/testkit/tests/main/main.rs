//! The test kit against real counterparts: what it starts works, and ends.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a panic is the report"
)]

mod ccp;
mod conformance;
mod gateway;
mod mcp;
mod ssh;
mod tls;
