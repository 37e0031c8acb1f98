//! Configuration, inventory and rule files: TOML in, checked types out, every error with its place.
//!
//! [`load`] reads everything at once. What a file may hold is described once, in `keys`; the first look at a
//! file (`structure`), the JSON Schemas ([`schema`]) and the reference are made from that description, and the
//! readers beside it check what only they can know.

mod certificates;
mod configuration;
mod diagnostic;
mod diff;
mod exposure;
mod files;
mod forms;
mod inventory;
mod keys;
mod load;
mod nearest;
mod node;
pub mod reference;
mod rules;
pub mod schema;
mod shape;
mod structure;
pub mod templates;
mod text;

pub use certificates::{CertificateKey, CertificateOwner};
pub use configuration::{
    AgentSocket, ApiKeyHash, Audit, CcpAccount, CcpConfig, CcpCriteria, CcpIdentity, Configuration,
    Durability, Fetch, Handles, Heads, HttpConfig, Insecure, KeyLocation, Listen, Log, LogFormat, LogLevel,
    MalformedKeyHash, OAuthConfig, Pinning, PrincipalConfig, ReachConfig, RecordCommands, SandboxConfig,
    SandboxKind, Setting, Sink, SinkTo, SourceConfig, SourceKind, TlsFiles, UpstreamConfig,
};
pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use diff::{Change, Changes, Part, What, diff};
pub use load::{Loaded, load};
