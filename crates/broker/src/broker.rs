//! Issues handles and leases.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use audit::Intended;
use model::{Clock, CredentialRef, Entropy, Failure, HandleToken, Host, Principal, TargetName, Timestamp, ToolName};
use store::StateStore;

use crate::{CredentialSource, Lease};

/// `[handles]`: how long handles live and whether one use ends them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandlePolicy {
    /// Life of a handle; at most ten minutes.
    pub ttl: Duration,
    /// Whether one use ends it.
    pub single_use: bool,
}

/// What `get_credential` asks for, after policy narrowed it.
#[derive(Debug, Clone)]
pub struct IssueRequest {
    /// Which credential.
    pub credential: CredentialRef,
    /// Hosts that the inventory admits it on and that policy permits.
    pub targets: Vec<Host>,
    /// Tools of those targets' connectors.
    pub tools: Vec<ToolName>,
    /// The agent's reason.
    pub reason: Option<String>,
}

/// A new handle and what the agent may know of the credential.
#[derive(Debug)]
pub struct Issued {
    /// The handle.
    pub token: HandleToken,
    /// Account name, if the source knows one.
    pub username: Option<String>,
    /// Address, if the source knows one.
    pub address: Option<String>,
    /// Where the handle may be used.
    pub targets: Vec<TargetName>,
    /// Life in seconds.
    pub ttl_seconds: u64,
    /// Wall-clock end.
    pub expires: Timestamp,
}

/// Turns durable intents into leases. Sources may be swapped on reload.
pub struct Broker {}

impl Broker {
    /// Builds the broker on a store; `ssh_auth_sock` is the SSH agent's socket, if there is one.
    pub fn new(
        store: Arc<dyn StateStore>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        ssh_auth_sock: Option<std::path::PathBuf>,
    ) -> Self {
        let _ = (store, clock, entropy, ssh_auth_sock);
        todo!()
    }

    /// Replaces sources and handle policy, whole.
    pub fn configure(&self, sources: BTreeMap<String, Arc<dyn CredentialSource>>, handles: HandlePolicy) {
        let _ = (sources, handles);
        todo!()
    }

    /// Fetches (to learn account and address, dropping the secret) and keeps a bound handle.
    pub async fn issue(&self, principal: &Principal, request: IssueRequest) -> Result<Issued, Failure> {
        let _ = (principal, request);
        todo!()
    }

    /// Ends a handle before its time; `handle_unknown` if this principal has none such.
    pub async fn release_handle(&self, principal: &Principal, token: &HandleToken) -> Result<(), Failure> {
        let _ = (principal, token);
        todo!()
    }

    /// Claims the handle or takes the host's own credential, and fetches the secret. Nothing stays claimed on failure.
    /// `host` is the inventory entry of the action's target; `None` for acts on the gateway, whose lease is empty.
    pub async fn lease(&self, intended: Intended, host: Option<&Host>) -> Result<Lease, Failure> {
        let _ = (intended, host);
        todo!()
    }

    /// Ends a lease; gives a claimed handle back if no connector started. Secrets are wiped.
    pub async fn release(&self, lease: Lease) {
        let _ = lease;
        todo!()
    }
}
