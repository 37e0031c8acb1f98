//! The gate between AI agents and infrastructure.
fn main() {}
