//! Principals in whose outputs the leased secret came up again and again: they do nothing more until an operator has
//! looked.
//!
//! One withheld output can be an accident. Several are somebody who tries out where the guard looks.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use guard::Guarded;
use model::{Action, BootInstant, ErrorCode, PrincipalId};
use policy::Denial;

use crate::Authenticated;
use crate::gateway::Gateway;

/// So many withheld outputs within [`WITHIN`] freeze a principal.
const MOST: usize = 3;
const WITHIN: Duration = Duration::from_secs(3600);
/// The one tool that a frozen principal still has: it finds out that it is who it thinks it is.
const STILL: &str = "whoami";
/// What a frozen operator still may ask over the control socket, if rules let it: who reaches that socket is the gateway's
/// own user or root and could restart it as well. Without this a sole operator would have to.
const WAY_BACK: (&str, &str) = ("control", "operator:reload");

/// Who leaked when, and who is frozen. In memory: a restart is an operator's act, too.
#[derive(Debug, Default)]
pub(crate) struct Freezes(Mutex<HashMap<PrincipalId, Leaks>>);

#[derive(Debug, Default)]
struct Leaks {
    at: VecDeque<BootInstant>,
    frozen: bool,
}

impl Freezes {
    /// Counts a withheld output; true if that freezes the principal.
    fn leaked(&self, who: &PrincipalId, now: BootInstant) -> bool {
        let mut known = self.lock();
        let leaks = known.entry(who.clone()).or_default();
        leaks.at.push_back(now);
        leaks.at.retain(|at| now.since(*at) < WITHIN);
        let freezes = !leaks.frozen && leaks.at.len() >= MOST;
        leaks.frozen |= freezes;
        leaks.at.truncate(MOST);
        freezes
    }

    fn holds(&self, who: &PrincipalId) -> bool {
        self.lock().get(who).is_some_and(|leaks| leaks.frozen)
    }

    /// Lifts every freeze and says whose. Who is only on the way to one stays on it.
    pub(crate) fn lift(&self) -> Vec<PrincipalId> {
        let mut known = self.lock();
        let frozen: Vec<PrincipalId> =
            known.iter().filter(|(_, leaks)| leaks.frozen).map(|(who, _)| who.clone()).collect();
        known.retain(|_, leaks| !leaks.frozen);
        frozen
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PrincipalId, Leaks>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whose freeze an output brings about, if it does. Who acts is who is frozen, not whom they act as.
pub(crate) fn after<T, U>(
    gateway: &Gateway,
    call: &Authenticated<T>,
    guarded: &Guarded<U>,
) -> Option<PrincipalId> {
    let who = call.origin().actor.as_ref().unwrap_or(&call.principal().id);
    let freezes = guarded.report().withheld && gateway.freezes.leaked(who, gateway.clock.boot());
    freezes.then(|| who.clone())
}

/// The denial of whatever a frozen principal asks for.
pub(crate) fn denial<T>(gateway: &Gateway, call: &Authenticated<T>, action: &Action) -> Option<Denial> {
    let concerned = call.origin().actor.iter().chain(std::iter::once(&call.principal().id));
    let frozen = concerned.into_iter().find(|who| gateway.freezes.holds(who))?;
    let tool = action.tool.as_str();
    let own = call.origin().actor.is_none() && (call.origin().transport, tool) == WAY_BACK;
    (tool != STILL && !own).then(|| Denial {
        code: ErrorCode::DeniedLockdown,
        rule: None,
        reason: format!(
            "`{frozen}` is frozen: the credential in use came up in its outputs {MOST} times within an hour"
        ),
        hint: Some(
            "an operator lifts it with `portcullis reload` on the gateway's machine, after a look at what was asked"
                .to_owned(),
        ),
        allowed_instead: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use model::{BootInstant, PrincipalId};

    use super::Freezes;

    fn at(minutes: u64) -> BootInstant {
        BootInstant::new(Duration::from_secs(minutes * 60))
    }

    #[test]
    fn the_third_leak_within_an_hour_freezes_once() {
        let (freezes, who) = (Freezes::default(), PrincipalId::parse("a").unwrap());
        assert!(!freezes.leaked(&who, at(1)) && !freezes.leaked(&who, at(30)));
        assert!(!freezes.leaked(&who, at(61)), "the first is an hour ago");
        assert!(!freezes.holds(&who));
        assert!(freezes.leaked(&who, at(62)) && freezes.holds(&who));
        assert!(!freezes.leaked(&who, at(63)), "a call that was under way: it is frozen already");
        assert!(!freezes.holds(&PrincipalId::parse("b").unwrap()));
    }

    #[test]
    fn lifting_forgets_nobody_who_is_not_frozen() {
        let (freezes, a, b) =
            (Freezes::default(), PrincipalId::parse("a").unwrap(), PrincipalId::parse("b").unwrap());
        assert_eq!([(); 3].map(|()| freezes.leaked(&a, at(1))), [false, false, true]);
        assert_eq!([(); 2].map(|()| freezes.leaked(&b, at(1))), [false, false]);
        assert_eq!(freezes.lift(), std::slice::from_ref(&a));
        assert!(!freezes.holds(&a) && freezes.lift().is_empty());
        assert!(!freezes.leaked(&a, at(2)), "and begins anew");
        assert!(freezes.leaked(&b, at(2)), "two before the reload, one after");
    }
}
