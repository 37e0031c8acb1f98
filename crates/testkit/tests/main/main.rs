//! The test kit against real counterparts: what it starts works, and ends.
#![expect(clippy::unwrap_used, reason = "test code: a panic is the report")]

mod gateway;
mod mcp;
mod ssh;
mod tls;
