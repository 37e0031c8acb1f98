//! Handles, leases, and the trait that credential sources meet.

mod broker;
mod lease;
mod source;

pub use broker::{Broker, HandlePolicy, IssueRequest, Issued};
pub use lease::Lease;
pub use source::{Credential, CredentialSource, Fetch, Material};
