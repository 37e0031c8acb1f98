//! Stage 4: obligations.

use model::ErrorCode;
use policy::{Allowed, Denial, Permit, Proofs};

use crate::gateway::Gateway;
use crate::live::Live;
use crate::pipeline::Refusal;
use crate::state_seal::Opened;

/// Meets what can be met: the rate, and the one use of a state that came with answers. Approvals cannot be given yet, so
/// a rule that asks for one ends here; no answer of a client meets one.
pub(crate) async fn discharge(
    gateway: &Gateway,
    allowed: Allowed,
    opened: Option<&Opened>,
) -> Result<Permit, Refusal> {
    let per_minute = allowed.limits().calls_per_minute.unwrap_or(Live::CALLS_PER_MINUTE);
    if !gateway.rates.take(&allowed.principal().id, per_minute, gateway.clock.boot()) {
        return Err(Refusal::Denied(over_rate(per_minute)));
    }
    let permit = allowed.discharge(Proofs::default()).map_err(|undischarged| undischarged.denial)?;
    if let Some(opened) = opened {
        gateway.seal.claim(opened).await?;
    }
    Ok(permit)
}

/// The denial of one call too many.
pub(crate) fn over_rate(per_minute: u32) -> Denial {
    Denial {
        code: ErrorCode::DeniedRate,
        rule: None,
        reason: format!("more than {per_minute} calls in a minute"),
        hint: Some("wait some seconds and call again".to_owned()),
        allowed_instead: Vec::new(),
    }
}
