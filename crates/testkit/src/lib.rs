//! Fakes, spawned real servers and hostile peers for the tests of every crate.
//!
//! Everything here panics with a sentence that says what is missing or went wrong: a test has no better
//! use for an error. Servers are real, listen on loopback, and end when their value is dropped or when the test
//! process dies. `cargo xtask test` installs what they need.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a panic is the report"
)]

mod account;
mod agent;
mod authorization_server;
mod ccp;
mod clients;
mod clock;
mod conformance;
mod daemon;
mod disk;
mod dropbear;
mod http;
mod keys;
mod machine;
mod mcp_http;
mod mcp_stdio;
mod message;
mod namespaces;
mod portcullis;
mod reference;
mod scripted_sshd;
mod sshd;
mod tls;
mod upstream;
mod upstream_http;

pub use account::{Account, Closed};
pub use agent::SshAgent;
pub use authorization_server::AuthorizationServer;
pub use ccp::{CcpAccount, CcpApplication, CcpMischief, CcpRequest, CcpServer, ClientCertificates};
pub use clients::{Report, Server, ThirdParty};
pub use clock::{FakeClock, SeededEntropy};
pub use conformance::{Conformance, Scored};
pub use disk::TinyDisk;
pub use dropbear::Dropbear;
pub use http::{HttpAnswer, HttpClient};
pub use keys::{KeyKind, KeyPair};
pub use machine::{free_port, kill_rounds, tools, wait_until};
pub use mcp_http::{Answerer, McpHttp};
pub use mcp_stdio::McpStdio;
pub use message::{Era, McpFailure, ToolAnswer};
pub use namespaces::{Namespaces, in_own_network};
pub use portcullis::Portcullis;
pub use reference::ReferenceServer;
pub use scripted_sshd::{ScriptedSshd, ScriptedSshdOptions, Sticks};
pub use sshd::{Shell, Sshd, SshdOptions};
pub use tls::{PfxForm, TestCa, TestCertificate};
pub use upstream::UpstreamServer;
pub use upstream_http::{HttpScript, HttpUpstream};
