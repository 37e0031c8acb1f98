//! Handles, leases, and the trait that credential sources meet.
//!
//! The only crate that turns a durable intent into the right to use a credential. It keeps no secret beyond the
//! call, except those of sources that can be read once, and it opens none: it hands them on.

mod broker;
mod claim;
mod held;
mod issue;
mod lease;
mod material;
mod own;
mod secret_file;
mod source;
mod standing;

#[cfg(any(test, feature = "test-util"))]
mod for_test;
#[cfg(test)]
mod tests;

pub use broker::{Broker, HandlePolicy};
#[cfg(any(test, feature = "test-util"))]
pub use for_test::{FakeSource, intended_for_test};
pub use issue::{IssueRequest, Issued};
pub use lease::{CredentialKey, HopCredential, Lease};
pub use material::{UnusableSecret, VersionKey};
pub use secret_file::{
    SECRET_MAX, SecretFileError, read_key_file, read_secret_file, read_to_end, without_newline,
};
pub use source::{Credential, CredentialSource, Fetch, FetchTime, FetchedAtIssue, Material, Remark};
pub use standing::Standing;
