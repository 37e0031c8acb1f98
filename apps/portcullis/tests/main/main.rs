//! The built binary, as people and scripts meet it.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "test code: a panic is the report"
)]

mod audit;
mod bad_input;
mod bench;
mod bytes;
mod canary;
mod changes;
mod check;
mod clients;
mod cyberark;
mod demo;
mod environment;
mod help;
mod init;
mod jump_logins;
mod jumps;
mod key;
mod kill;
mod lab;
mod master_keys;
mod memory;
mod neighbours;
mod operators;
mod outside;
mod policy;
mod protector;
mod reload;
mod serve;
mod shells;
mod site;
mod ssh;
mod ssh_logins;
mod starts;
mod strangers;
mod tls;
mod together;
mod upstreams;
mod upstreams_http;
mod upstreams_limits;
mod upstreams_oauth;
mod upstreams_streams;
mod whole_way;
