//! Stage 7: the act itself.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use audit::{Event, Journal, Origin};
use broker::Lease;
use model::{CallId, ErrorCode, Failure, Host, Outcome, PrincipalId, ToolName};
use serde_json::{Map, Value};
use tools::{SubEvents, Tool, ToolRun};

use crate::desk::GatewayDesk;
use crate::gateway::Gateway;
use crate::live::Live;
use crate::{Authenticated, ToolCall};

/// What a tool may take beyond its time limit before it is dropped: connectors end themselves in time.
const GRACE: Duration = Duration::from_secs(5);

/// How much more output than is shown is kept for the guard, in bytes. A secret that lies across the place where the
/// output is cut must be seen whole, or all of it but its end could be shown.
const BEYOND_THE_CUT: u64 = 64 * 1024;

/// Runs the tool over what the lease opens, within the permit's limits.
pub(crate) async fn execute(
    gateway: &Gateway,
    live: &Arc<Live>,
    tool: &Arc<dyn Tool>,
    host: Option<&Host>,
    lease: &Lease,
    call: &Authenticated<ToolCall>,
) -> Result<Outcome, Failure> {
    let permit = lease.intended().permit();
    let limits = permit.limits();
    let timeout = limits.timeout.unwrap_or(Live::TIMEOUT);
    let desk = GatewayDesk { gateway, live };
    let sub_events = Recorder {
        journal: &gateway.journal,
        parent: lease.intended().id(),
        principal: &permit.principal().id,
        tool: &permit.action().tool,
        origin: call.origin(),
    };
    let progress = |bytes: u64| {
        if let Some(tell) = &call.inner().progress {
            tell(bytes);
        }
    };
    let run = ToolRun {
        lease,
        host,
        inventory: &live.inventory,
        shell: &*gateway.shell,
        desk: &desk,
        timeout,
        output: limits.output.unwrap_or(Live::OUTPUT).saturating_add(BEYOND_THE_CUT),
        cancel: &call.inner().cancel,
        progress: &progress,
        sub_events: &sub_events,
    };
    match tokio::time::timeout(timeout.saturating_add(GRACE), tool.run(run)).await {
        Ok(result) => result,
        Err(_) => {
            Err(Failure::new(ErrorCode::TargetTimeout, format!("no answer within {} s", timeout.as_secs())))
        }
    }
}

/// Writes acts beside the main one under the parent call's id.
struct Recorder<'a> {
    journal: &'a Journal,
    parent: CallId,
    principal: &'a PrincipalId,
    tool: &'a ToolName,
    origin: &'a Origin,
}

impl Recorder<'_> {
    async fn write(&self, event: &'static str, step: &str, detail: &str) -> Result<(), Failure> {
        let fields = Map::from_iter([
            ("step".to_owned(), Value::from(step)),
            ("detail".to_owned(), Value::from(detail)),
        ]);
        let origin = Origin { parent: Some(self.parent), ..self.origin.clone() };
        let entry = Event {
            event,
            principal: Some(self.principal.clone()),
            origin,
            tool: Some(self.tool.clone()),
            fields,
        };
        self.journal.event(entry).await.map_err(|error| {
            Failure::new(ErrorCode::AuditUnavailable, "the record could not be written, so nothing was done")
                .with_internal(error.to_string())
        })
    }
}

#[async_trait]
impl SubEvents for Recorder<'_> {
    async fn begin(&self, event: &'static str, detail: &str) -> Result<(), Failure> {
        self.write(event, "begin", detail).await
    }

    async fn end(&self, event: &'static str, result: &str) -> Result<(), Failure> {
        self.write(event, "end", result).await
    }
}
