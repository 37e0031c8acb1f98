//! Stage 7: the act itself.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use audit::{CompletionFacts, Intended, Journal, JournalError, Pending};
use broker::{Lease, Standing};
use model::{Action, ErrorCode, Failure, Host, Outcome};
use tools::{SubEvents, Tool, ToolRun};

use crate::desk::GatewayDesk;
use crate::gateway::Gateway;
use crate::live::Live;
use crate::tell::Teller;
use crate::under_way::Entered;

/// What a tool may take beyond its time limit before it is dropped: connectors end themselves in time.
const GRACE: Duration = Duration::from_secs(5);

/// How much more output than is shown is kept for the guard, in bytes. A secret that lies across the place where the
/// output is cut must be seen whole, or all of it but its end could be shown.
const BEYOND_THE_CUT: u64 = 64 * 1024;

/// The inventory entry of an action's target, and the jump hosts on the way to it.
#[derive(Clone)]
pub(crate) struct Reached<'a> {
    pub(crate) host: Option<Cow<'a, Host>>,
    pub(crate) hops: Vec<&'a Host>,
    /// What an upstream was started with.
    pub(crate) standing: Option<Arc<Standing>>,
}

/// Where an action's target is and how it is reached; nothing for acts on the gateway.
pub(crate) fn reach<'a>(gateway: &Gateway, live: &'a Live, action: &Action) -> Result<Reached<'a>, Failure> {
    let standing =
        action.tool.theirs().map(|theirs| gateway.upstreams.standing(theirs.upstream)).transpose()?;
    let host = live.inventory.reached(&action.target);
    let hops = match &host {
        Some(Cow::Borrowed(host)) => live.inventory.way(host).map(Some),
        // Nothing is declared of a host outside of the inventory, and so no way through others.
        Some(Cow::Owned(_)) | None => Ok(None),
    };
    let hops = hops.map_err(|wrong| Failure::new(ErrorCode::Internal, wrong.to_string()))?;
    Ok(Reached { host, hops: hops.unwrap_or_default(), standing })
}

/// Runs the tool over what the lease opens, within the permit's limits.
pub(crate) async fn execute(
    gateway: &Gateway,
    live: &Arc<Live>,
    tool: &Arc<dyn Tool>,
    reached: &Reached<'_>,
    lease: &Lease,
    teller: &Teller<'_>,
    entered: &Entered<'_>,
) -> Result<Outcome, Failure> {
    let permit = lease.intended().permit();
    let limits = permit.limits();
    let timeout = limits.timeout.unwrap_or(Live::TIMEOUT);
    let desk = GatewayDesk { gateway, live };
    let sub_events =
        Recorder { journal: &gateway.journal, whole: lease.intended(), entered, open: Mutex::default() };
    let progress = |bytes: u64| teller.bytes(bytes);
    let run = ToolRun {
        lease,
        host: reached.host.as_deref(),
        hops: &reached.hops,
        inventory: &live.inventory,
        shell: &*gateway.shell,
        desk: &desk,
        timeout,
        output: limits.output.unwrap_or(Live::OUTPUT).saturating_add(BEYOND_THE_CUT),
        cancel: entered.cancel(),
        progress: &progress,
        notices: teller,
        sub_events: &sub_events,
    };
    match tokio::time::timeout(timeout.saturating_add(GRACE), tool.run(run)).await {
        Ok(result) => result.map_err(|failure| honest_about_handles(entered.told(failure), lease)),
        Err(_) => {
            let text = format!("no answer within {} s; how far it came is not known", timeout.as_secs());
            Err(Failure::new(ErrorCode::TargetTimeout, text)
                .with_retry(false)
                .with_hint("look at the target before it is sent again"))
        }
    }
}

/// The same call cannot be made again with a handle that it has used up.
fn honest_about_handles(failure: Failure, lease: &Lease) -> Failure {
    if !failure.retry() || !lease.has_used_up_its_handle() {
        return failure;
    }
    let then = "the handle is used up: take a new one with `get_credential` first";
    let hint = failure.hint().map_or_else(|| then.to_owned(), |hint| format!("{hint}; {then}"));
    failure.with_retry(false).with_hint(hint)
}

/// Records acts beside the main one as parts of it: each has its own intent, as durable as the call's, and its own end.
///
/// A part that is not ended (the run was dropped) is closed when this is dropped.
struct Recorder<'a> {
    journal: &'a Journal,
    whole: &'a Intended,
    entered: &'a Entered<'a>,
    open: Mutex<Vec<Part>>,
}

struct Part {
    event: &'static str,
    detail: String,
    pending: Pending,
}

impl Recorder<'_> {
    fn opened(&self) -> MutexGuard<'_, Vec<Part>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl SubEvents for Recorder<'_> {
    async fn begin(&self, event: &'static str, detail: &str) -> Result<(), Failure> {
        let pending = self.journal.begin_part(self.whole, event).await.map_err(|error| unrecorded(&error))?;
        self.opened().push(Part { event, detail: detail.to_owned(), pending });
        Ok(())
    }

    async fn end(&self, event: &'static str, result: &str) -> Result<(), Failure> {
        let part = {
            let mut open = self.opened();
            open.iter().rposition(|part| part.event == event).map(|at| open.remove(at))
        };
        let Some(part) = part else {
            return Err(Failure::new(ErrorCode::Internal, "a part of the call ended that never began"));
        };
        let facts = CompletionFacts {
            event,
            decision: "allowed",
            command: Some(part.detail),
            reason: Some(result.to_owned()),
            ..CompletionFacts::default()
        };
        self.journal.complete_part(part.pending, &facts).await.map_err(|error| unrecorded(&error))
    }

    fn dialled(&self, address: IpAddr) {
        self.entered.dialled(address);
    }
}

fn unrecorded(error: &JournalError) -> Failure {
    Failure::new(ErrorCode::AuditUnavailable, "the record could not be written, so nothing was done")
        .with_internal(error.to_string())
}
