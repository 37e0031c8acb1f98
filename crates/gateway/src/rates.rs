//! `calls_per_minute`: token buckets, one for each principal and limit.
//!
//! A call counts against the limit it is made under and against every larger one: budgets of rules with different limits
//! do not add up, and a principal never makes more calls than its largest limit says. It does not count against smaller
//! ones: who looks often may still restart once.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use model::{BootInstant, PrincipalId};

/// Counts calls. A limit of n allows bursts of n and refills n a minute.
#[derive(Debug, Default)]
pub(crate) struct Rates {
    buckets: Mutex<HashMap<PrincipalId, BTreeMap<u32, Bucket>>>,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    filled: BootInstant,
}

impl Rates {
    /// Takes one call off the principal's budget; false when there is none left.
    ///
    /// Buckets are bounded by the configured principals times the limits that rules name.
    pub(crate) fn take(&self, principal: &PrincipalId, per_minute: u32, now: BootInstant) -> bool {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let own = buckets.entry(principal.clone()).or_default();
        own.entry(per_minute).or_insert(Bucket { tokens: f64::from(per_minute), filled: now });
        let mut left = true;
        for (limit, bucket) in own.range_mut(per_minute..) {
            bucket.refill(*limit, now);
            left &= bucket.tokens >= 1.0;
        }
        if left {
            own.range_mut(per_minute..).for_each(|(_, bucket)| bucket.tokens -= 1.0);
        }
        left
    }
}

impl Bucket {
    fn refill(&mut self, limit: u32, now: BootInstant) {
        let most = f64::from(limit);
        let refill = now.since(self.filled).as_secs_f64() * most / 60.0;
        self.tokens = (self.tokens + refill).min(most);
        self.filled = now;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Rates;
    use model::{BootInstant, PrincipalId};

    #[test]
    fn a_budget_is_spent_and_refills_with_time() {
        let (rates, who) = (Rates::default(), PrincipalId::parse("a").unwrap());
        let at = |seconds| BootInstant::new(Duration::from_secs(seconds));
        assert!((0..6).all(|_| rates.take(&who, 6, at(100))));
        assert!(!rates.take(&who, 6, at(100)));
        assert!(!rates.take(&who, 6, at(109)));
        assert!(rates.take(&who, 6, at(110)));
        assert!(!rates.take(&who, 6, at(110)));
        assert!(rates.take(&PrincipalId::parse("b").unwrap(), 6, at(110)));
    }

    #[test]
    fn budgets_of_different_limits_do_not_add_up() {
        let (rates, who) = (Rates::default(), PrincipalId::parse("a").unwrap());
        let at = |seconds| BootInstant::new(Duration::from_secs(seconds));
        assert!(rates.take(&who, 10, at(1)));
        assert!((0..6).all(|_| rates.take(&who, 6, at(1))));
        assert!(!rates.take(&who, 6, at(1)));
        assert_eq!((0..10).filter(|_| rates.take(&who, 10, at(1))).count(), 3, "ten in all, not sixteen");
        // What is permitted more often leaves the smaller budget alone.
        assert!((0..9).all(|_| rates.take(&who, 10, at(61))));
        assert!(rates.take(&who, 6, at(61)));
        assert!(!rates.take(&who, 6, at(61)), "but ten in all is all");
    }

    #[test]
    fn a_limit_of_zero_permits_nothing() {
        let (rates, who) = (Rates::default(), PrincipalId::parse("a").unwrap());
        assert!(!rates.take(&who, 0, BootInstant::new(Duration::from_secs(1))));
    }
}
