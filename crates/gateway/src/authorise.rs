//! Stage 3: the decision.

use std::borrow::Cow;

use ipnet::IpNet;
use model::{Action, Principal, Target, TargetKind};
use policy::{Allowed, Denial, Moment, NetworkFence};

use crate::discharge::over_rate;
use crate::gateway::Gateway;
use crate::live::Live;
use crate::{Authenticated, freeze};

/// Asks policy. A denial costs a call of the principal's budget, so that denials cannot be used as a map.
pub(crate) fn authorise<T>(
    gateway: &Gateway,
    live: &Live,
    call: &Authenticated<T>,
    action: Action,
) -> Result<Allowed, Denial> {
    let decision = match freeze::denial(gateway, call, &action) {
        Some(frozen) => Err(frozen),
        None => decide(gateway, live, call.principal(), action),
    };
    decision.map_err(|denial| spend(gateway, live, call.principal()).unwrap_or(denial))
}

/// Takes a call that comes to nothing off the principal's budget; the denial if there is none left.
pub(crate) fn spend(gateway: &Gateway, live: &Live, principal: &Principal) -> Option<Denial> {
    let per_minute = live.fallback_limits().calls_per_minute.unwrap_or(Live::CALLS_PER_MINUTE);
    let left = gateway.rates.take(&principal.id, per_minute, gateway.clock.boot());
    (!left).then(|| over_rate(per_minute))
}

/// The decision alone, for a dry run.
pub(crate) fn decide(
    gateway: &Gateway,
    live: &Live,
    principal: &Principal,
    action: Action,
) -> Result<Allowed, Denial> {
    let now = gateway.clock.now();
    let moment = Moment { hour: now.hour(), weekday: now.weekday() };
    let fence = fence(live, &action.target);
    live.snapshot.authorise(principal, action, moment, live.fallback_limits(), &fence)
}

/// `[network]`; and a host outside of the inventory is none that is inside: whoever asks for one by another name is told
/// to ask for it by its own, under which rules know it.
fn fence<'a>(live: &'a Live, target: &Target) -> Cow<'a, NetworkFence> {
    if target.kind != TargetKind::Outside {
        return Cow::Borrowed(&live.network);
    }
    let mut fence = live.network.clone();
    fence.block.extend(live.inventory.literal_addresses().map(IpNet::from));
    Cow::Owned(fence)
}
