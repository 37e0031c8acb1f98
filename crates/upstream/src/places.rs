//! How many calls an upstream may have under way, of all principals and of one, and how many in a minute.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::PrincipalId;
use tokio::time::Instant;

use crate::fault::Fault;
use crate::settings::Load;

/// The places of one upstream.
pub(crate) struct Places {
    load: Load,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    /// Of principals that have calls under way; no more of them than there are places.
    each: HashMap<PrincipalId, usize>,
    bucket: Option<Bucket>,
}

/// What is left of the calls of a minute; as much comes back with time.
struct Bucket {
    left: f64,
    filled: Instant,
}

/// A call's place, until it is dropped.
pub(crate) struct Place {
    places: Arc<Places>,
    who: PrincipalId,
}

impl Places {
    pub(crate) fn new(load: Load) -> Self {
        Self { load, taken: Mutex::default() }
    }

    /// A place for a call of this principal, and one call off the minute. Nothing is taken where it is refused.
    pub(crate) fn take(self: &Arc<Self>, who: &PrincipalId, now: Instant) -> Result<Place, Fault> {
        let mut taken = self.taken();
        let own = taken.each.get(who).copied().unwrap_or_default();
        if own >= self.load.of_one_principal {
            return Err(Fault::Share(self.load.of_one_principal));
        }
        if taken.all >= self.load.concurrent {
            return Err(Fault::Busy);
        }
        if let Some(per_minute) = self.load.per_minute {
            let full = Bucket { left: f64::from(per_minute), filled: now };
            taken.bucket.get_or_insert(full).take(per_minute, now)?;
        }
        taken.all += 1;
        taken.each.insert(who.clone(), own + 1);
        drop(taken);
        Ok(Place { places: Arc::clone(self), who: who.clone() })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bucket {
    fn take(&mut self, per_minute: u32, now: Instant) -> Result<(), Fault> {
        let (most, a_second) = (f64::from(per_minute), f64::from(per_minute) / 60.0);
        let passed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.left = (self.left + passed * a_second).min(most);
        self.filled = now;
        if self.left < 1.0 {
            let wait = std::time::Duration::from_secs_f64((1.0 - self.left) / a_second);
            return Err(Fault::OverRate { per_minute, seconds: wait.as_secs() + 1 });
        }
        self.left -= 1.0;
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.all = taken.all.saturating_sub(1);
        match taken.each.get_mut(&self.who) {
            Some(own) if *own > 1 => *own -= 1,
            Some(_) | None => drop(taken.each.remove(&self.who)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use model::PrincipalId;
    use tokio::time::Instant;

    use super::Places;
    use crate::fault::Fault;
    use crate::settings::Load;

    fn who(name: &str) -> PrincipalId {
        PrincipalId::parse(name).unwrap()
    }

    fn now() -> Instant {
        Instant::now()
    }

    #[test]
    fn one_principal_never_takes_the_places_of_all() {
        let places = Arc::new(Places::new(Load { concurrent: 3, of_one_principal: 2, per_minute: None }));
        let (a, b) = (who("a"), who("b"));
        let first = places.take(&a, now()).ok().unwrap();
        let _second = places.take(&a, now()).ok().unwrap();
        assert_eq!(places.take(&a, now()).err(), Some(Fault::Share(2)));
        let third = places.take(&b, now()).ok().unwrap();
        assert_eq!(places.take(&b, now()).err(), Some(Fault::Busy), "all are taken");
        drop((first, third));
        assert!(places.take(&b, now()).is_ok() && places.take(&a, now()).is_ok());
        assert_eq!(places.taken().each.len(), 1, "who has no call is not kept");
    }

    #[test]
    fn a_minutes_calls_are_for_all_and_come_back_with_time() {
        let places = Arc::new(Places::new(Load { concurrent: 9, of_one_principal: 9, per_minute: Some(6) }));
        let start = now();
        for n in 0..6 {
            assert!(places.take(&who(&format!("p{n}")), start).is_ok());
        }
        let over = |seconds| Some(Fault::OverRate { per_minute: 6, seconds });
        assert_eq!(places.take(&who("a"), start).err(), over(11));
        assert_eq!(places.take(&who("a"), start + Duration::from_secs(5)).err(), over(6));
        assert!(places.take(&who("a"), start + Duration::from_secs(10)).is_ok());
        assert!(places.take(&who("a"), start + Duration::from_secs(10)).is_err());
    }

    #[test]
    fn what_is_refused_for_want_of_a_place_costs_no_call_of_the_minute() {
        let places = Arc::new(Places::new(Load { concurrent: 1, of_one_principal: 1, per_minute: Some(2) }));
        let start = now();
        let held = places.take(&who("a"), start).ok().unwrap();
        assert_eq!(places.take(&who("a"), start).err(), Some(Fault::Share(1)));
        assert_eq!(places.take(&who("b"), start).err(), Some(Fault::Busy));
        drop(held);
        assert!(places.take(&who("b"), start).is_ok());
    }
}
