//! The connector against real SSH servers, hostile ones, and the sandbox.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "test code: a panic is the report"
)]

mod agents;
mod arguments;
mod commands;
mod dialling;
mod forms;
mod host_certificates;
mod hostile;
mod jumps;
mod logins;
mod manipulation;
mod matrix;
mod pooling;
mod questions;
mod rig;
mod sandbox;
