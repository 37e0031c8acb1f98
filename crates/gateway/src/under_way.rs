//! Calls under way. When something else comes into force they are decided again, and those that it does not permit any
//! more are ended; all others go on under what they started with.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use model::{Action, CallId, ErrorCode, Failure, Principal, TargetKind, Theirs, Thing};
use tokio_util::sync::CancellationToken;

use crate::authorise::decide;
use crate::gateway::Gateway;
use crate::live::Live;
use crate::{Authenticated, ToolCall};

/// Every call between its permit and its end.
#[derive(Default)]
pub(crate) struct UnderWay(Mutex<HashMap<CallId, Arc<Running>>>);

/// One of them.
pub(crate) struct Running {
    who: Authenticated<()>,
    action: Arc<Action>,
    cancel: CancellationToken,
    /// The addresses that it goes to, once they are known.
    dialled: Mutex<BTreeSet<IpAddr>>,
    /// Why it was ended, if it was.
    ended: OnceLock<String>,
}

/// A call's place among those under way, given up when dropped.
pub(crate) struct Entered<'a> {
    gateway: &'a Gateway,
    /// What the call was permitted under.
    live: Arc<Live>,
    id: CallId,
    running: Arc<Running>,
}

impl UnderWay {
    /// Decides all of them again.
    pub(crate) fn decide_again(&self, gateway: &Gateway) {
        let running: Vec<Arc<Running>> = lock(&self.0).values().cloned().collect();
        for call in running {
            call.decide_again(gateway);
        }
    }
}

impl Running {
    fn decide_again(&self, gateway: &Gateway) {
        let live = gateway.live();
        if let Err(why) = self.still_permitted(gateway, &live) {
            let _ = self.ended.set(why);
            self.cancel.cancel();
        }
    }

    /// The same decision as at the start, by what is in force now: who asks, what the target is, what is permitted.
    fn still_permitted(&self, gateway: &Gateway, live: &Live) -> Result<(), String> {
        let principal = self.principal(live).ok_or("who asked for it is not known any more")?;
        let mut action = Action::clone(&self.action);
        let name = &action.target.name;
        action.target = match action.target.kind {
            TargetKind::Host => {
                live.inventory.host(name).ok_or("its target is not declared any more")?.target()
            }
            TargetKind::Outside if live.inventory.outside(name.as_str()).is_none() => {
                return Err("its target is a host of the inventory now".to_owned());
            }
            TargetKind::Upstream if !self.is_offered(gateway) => {
                return Err("its tool is not offered any more".to_owned());
            }
            TargetKind::Outside | TargetKind::Gateway | TargetKind::Upstream => action.target,
        };
        let allowed = decide(gateway, live, principal, action).map_err(|denial| denial.reason)?;
        if !allowed.obligations().approvals.is_empty() {
            return Err("it needs an approval now".to_owned());
        }
        match lock(&self.dialled).iter().find(|address| !allowed.fences().admits_address(**address)) {
            Some(address) => Err(format!("`{address}` may not be dialled any more")),
            None => Ok(()),
        }
    }

    /// Whether the upstream still has the tool, with the same tier. What it has beside tools it alone knows.
    fn is_offered(&self, gateway: &Gateway) -> bool {
        let Some(Theirs { upstream, thing, name }) = self.action.tool.theirs() else { return false };
        if thing != Thing::Tool {
            return gateway.upstreams.declared(upstream);
        }
        let tool = gateway.upstreams.tool_of(upstream, name);
        tool.is_some_and(|tool| tool.spec().tier == self.action.tier)
    }

    /// Who asked, as declared now, if what they proved it with still counts.
    fn principal<'a>(&self, live: &'a Live) -> Option<&'a Principal> {
        let principal = &self.who.principal().id;
        let proven = self.who.origin().actor.as_ref().unwrap_or(principal);
        live.directory
            .still_proves(proven, self.who.proof())
            .then(|| live.directory.principal(principal.as_str()))?
            .map(AsRef::as_ref)
    }
}

impl<'a> Entered<'a> {
    /// A call that was permitted under `live`, before its intent is written.
    pub(crate) fn new(
        gateway: &'a Gateway,
        live: &Arc<Live>,
        id: CallId,
        call: &Authenticated<ToolCall>,
        action: &Arc<Action>,
    ) -> Self {
        let running = Arc::new(Running {
            who: call.with(()),
            action: Arc::clone(action),
            cancel: call.inner().cancel.child_token(),
            dialled: Mutex::default(),
            ended: OnceLock::new(),
        });
        lock(&gateway.under_way.0).insert(id, Arc::clone(&running));
        let entered = Self { gateway, live: Arc::clone(live), id, running };
        entered.catch_up();
        entered
    }

    /// Cancelled when the caller goes away, or when the call is not permitted any more.
    pub(crate) fn cancel(&self) -> &CancellationToken {
        &self.running.cancel
    }

    /// The call goes to this address.
    pub(crate) fn dialled(&self, address: IpAddr) {
        lock(&self.running.dialled).insert(address);
        self.catch_up();
    }

    /// What to tell of a failure: that the call was ended, if it was.
    pub(crate) fn told(&self, failure: Failure) -> Failure {
        let Some(why) = self.running.ended.get() else { return failure };
        let text = format!("ended by a reload, for {why}: {}", failure.message());
        let hint = failure.hint().unwrap_or("what is in force now does not permit this call");
        let internal = failure.internal().unwrap_or_default();
        let told = Failure::new(ErrorCode::DeniedPolicyChanged, text).with_hint(hint).with_retry(false);
        if internal.is_empty() { told } else { told.with_internal(internal) }
    }

    /// A swap may have looked at the call before this was known of it.
    fn catch_up(&self) {
        if !Arc::ptr_eq(&self.live, &self.gateway.live()) {
            self.running.decide_again(self.gateway);
        }
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        lock(&self.gateway.under_way.0).remove(&self.id);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
