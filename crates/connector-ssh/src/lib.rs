//! The SSH connector: known hosts, authentication, pooled connections, bounded exec.
//!
//! Hosts are treated as hostile: what they send is bounded in size and time, each connection has its own tasks
//! that can be ended from outside, and no channel can hold up another. Nothing is run, dialled or logged into
//! without a lease, and what is sent is the canonical quoting of the lease's command.

mod algorithms;
mod carry;
mod connection;
mod connector;
mod dial;
mod gatekeeper;
mod kept;
mod known_hosts;
mod leash;
mod leg;
mod login;
mod pool;
mod posture;
mod probe;
mod refusal;
mod remote;
pub mod sandbox;
mod scan;
mod settings;
mod way;

pub use connector::SshConnector;
pub use dial::Resolver;
pub use known_hosts::{
    AuthorityLine, BadCertificate, Entry, HostKeyFiles, KnownAs, KnownHosts, KnownHostsError, Shown, Standing,
};
pub use login::{AgentDoubt, examine_agent};
pub use scan::{ScanError, ScannedKey, scan};
pub use settings::SshSettings;
