//! Stage 3: the decision.

use model::{Action, Principal};
use policy::{Allowed, Denial, Moment};

use crate::discharge::over_rate;
use crate::gateway::Gateway;
use crate::live::Live;

/// Asks policy. A denial costs a call of the principal's budget, so that denials cannot be used as a map.
pub(crate) fn authorise(
    gateway: &Gateway,
    live: &Live,
    principal: &Principal,
    action: Action,
) -> Result<Allowed, Denial> {
    let fallback = live.fallback_limits();
    decide(gateway, live, principal, action).map_err(|denial| {
        let per_minute = fallback.calls_per_minute.unwrap_or(Live::CALLS_PER_MINUTE);
        if gateway.rates.take(&principal.id, per_minute, gateway.clock.boot()) {
            denial
        } else {
            over_rate(per_minute)
        }
    })
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
    live.snapshot.authorise(principal, action, moment, live.fallback_limits(), &live.network)
}
