//! CyberArk's Central Credential Provider: one HTTPS request a credential, and one account in its answer.
//!
//! Everything the service says is hostile until it has been bounded and checked, and nothing of it is logged but its status,
//! its error codes and the account's metadata.

mod answer;
mod certificates;
mod client;
mod connection;
mod endpoint;
mod fault;
mod identity;
mod json;
mod request;
mod settings;
mod source;
mod tls;
mod vendor;

pub use certificates::{CertificateFault, CertificateFinding, examine_certificates};
pub use settings::{CcpAccount, CcpIdentity, CcpQuery, CcpSettings, CcpTrust, PasswordChange};
pub use source::CcpSource;
