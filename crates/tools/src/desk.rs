//! What the gateway itself does for tools that act on it.

use async_trait::async_trait;
use broker::{IssueRequest, Issued, Lease};
use model::{Failure, HandleToken, Principal};
use serde_json::{Map, Value};

/// The gateway's own services, for tools whose target is the gateway.
#[async_trait]
pub trait Desk: Send + Sync {
    /// Issues a handle for what the lease's action was permitted.
    async fn issue(&self, lease: &Lease, request: IssueRequest) -> Result<Issued, Failure>;
    /// Ends a handle of this principal.
    async fn release(&self, lease: &Lease, token: &HandleToken) -> Result<(), Failure>;
    /// What a principal may know of itself: id, groups, visible tools, limits.
    fn whoami(&self, principal: &Principal) -> Map<String, Value>;
    /// The pipeline stopped after the decision, for another call of the same principal.
    fn dry_run(&self, principal: &Principal, tool: &str, arguments: &Map<String, Value>) -> DryRun;
}

/// What the pipeline would have said.
#[derive(Debug, Clone, PartialEq)]
pub struct DryRun {
    /// `allow`, `deny` or `approval`.
    pub decision: &'static str,
    /// Everything to show: rules, code, reason, hint, allowed_instead, obligations, parts, limits.
    pub details: Map<String, Value>,
}
