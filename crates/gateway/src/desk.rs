//! What the gateway does for tools that act on it.

use std::sync::Arc;

use async_trait::async_trait;
use broker::{IssueRequest, Issued, Lease};
use model::{Abilities, Failure, HandleToken, Principal};
use policy::{Allowed, Denial, Obligations};
use serde_json::{Map, Value, json};
use tools::{Desk, DryRun};

use crate::Endpoint;
use crate::authorise::decide;
use crate::gateway::Gateway;
use crate::live::Live;
use crate::resolve::{Shelf, Wanted, resolve};

/// The gateway during one call, under what was in force when the call began.
pub(crate) struct GatewayDesk<'a> {
    pub(crate) gateway: &'a Gateway,
    pub(crate) live: &'a Arc<Live>,
}

#[async_trait]
impl Desk for GatewayDesk<'_> {
    async fn issue(&self, lease: &Lease, request: IssueRequest) -> Result<Issued, Failure> {
        self.gateway.broker.issue(lease.intended().permit().principal(), request).await
    }

    async fn release(&self, lease: &Lease, token: &HandleToken) -> Result<(), Failure> {
        self.gateway.broker.release_handle(lease.intended().permit().principal(), token).await
    }

    fn whoami(&self, principal: &Principal) -> Map<String, Value> {
        let groups: Value = principal.groups.iter().map(|group| Value::from(group.as_str())).collect();
        let tools: Value = self
            .gateway
            .visible_tools(self.live, principal, Endpoint::All)
            .iter()
            .map(|tool| Value::from(tool.spec().name.as_str()))
            .collect();
        Map::from_iter([
            ("principal".to_owned(), json!(principal.id.as_str())),
            ("groups".to_owned(), groups),
            ("tools".to_owned(), tools),
        ])
    }

    fn dry_run(&self, principal: &Principal, tool: &str, arguments: &Map<String, Value>) -> DryRun {
        let wanted = Wanted {
            shelf: Shelf::Tools,
            endpoint: Endpoint::All,
            name: tool,
            arguments,
            acting: false,
            input: None,
            abilities: Abilities::default(),
            forward: None,
        };
        let resolved = match resolve(self.gateway, self.live, principal, wanted) {
            Ok(resolved) => resolved,
            Err(failure) => return refused(&failure),
        };
        match decide(self.gateway, self.live, principal, resolved.action) {
            Ok(allowed) => would_run(&allowed),
            Err(denial) => denied(&denial),
        }
    }
}

fn would_run(allowed: &Allowed) -> DryRun {
    let rules: Vec<&str> = allowed.rules().iter().map(|rule| rule.as_str()).collect();
    let limits = allowed.limits();
    let mut details = Map::from_iter([
        ("rules".to_owned(), json!(rules)),
        ("obligations".to_owned(), obligations(allowed.obligations())),
        (
            "limits".to_owned(),
            json!({
                "timeout_seconds": limits.timeout.map(|timeout| timeout.as_secs()),
                "output_bytes": limits.output,
                "calls_per_minute": limits.calls_per_minute,
            }),
        ),
        ("note".to_owned(), json!("subject to the address check at the moment of use")),
    ]);
    if let Some(line) = &allowed.action().command {
        details.insert("would_send".to_owned(), json!(policy::command::canonical(line)));
    }
    let decision = if allowed.obligations().approvals.is_empty() { "allow" } else { "approval" };
    DryRun { decision, details }
}

fn obligations(obligations: &Obligations) -> Value {
    let approvals = obligations.approvals.iter().map(|approval| {
        json!({
            "kind": "approval",
            "rule": approval.rule.as_str(),
            "by": approval.by.iter().map(|group| group.as_str()).collect::<Vec<_>>(),
            "count": approval.count,
            "within_seconds": approval.within.as_secs(),
            "reason": approval.reason,
        })
    });
    approvals.collect()
}

fn denied(denial: &Denial) -> DryRun {
    let rules: Vec<&str> = denial.rule.iter().map(|rule| rule.as_str()).collect();
    let details = Map::from_iter([
        ("code".to_owned(), json!(denial.code.as_str())),
        ("rules".to_owned(), json!(rules)),
        ("reason".to_owned(), json!(denial.reason)),
        ("hint".to_owned(), json!(denial.hint)),
        ("allowed_instead".to_owned(), json!(denial.allowed_instead)),
    ]);
    DryRun { decision: "deny", details }
}

fn refused(failure: &Failure) -> DryRun {
    let details = Map::from_iter([
        ("code".to_owned(), json!(failure.code().as_str())),
        ("reason".to_owned(), json!(failure.message())),
        ("hint".to_owned(), json!(failure.hint())),
    ]);
    DryRun { decision: "deny", details }
}
