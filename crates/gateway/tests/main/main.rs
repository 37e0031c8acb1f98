//! The pipeline from outside: a whole gateway in one process, with a fake host and a fake credential source.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a panic is the report"
)]

mod acting;
mod canary;
mod encodings;
mod fakes;
mod frozen;
mod harness;
mod offered;
mod outside;
mod pipeline;
mod reloads;
mod sealed;
mod unauthorised;
