//! `calls_per_minute`: a token bucket for each principal and limit.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use model::{BootInstant, PrincipalId};

/// Counts calls. A limit of n allows bursts of n and refills n a minute.
#[derive(Debug, Default)]
pub(crate) struct Rates {
    buckets: Mutex<HashMap<(PrincipalId, u32), Bucket>>,
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
        let most = f64::from(per_minute);
        let bucket =
            buckets.entry((principal.clone(), per_minute)).or_insert(Bucket { tokens: most, filled: now });
        let refill = now.since(bucket.filled).as_secs_f64() * most / 60.0;
        bucket.tokens = (bucket.tokens + refill).min(most);
        bucket.filled = now;
        if bucket.tokens < 1.0 {
            return false;
        }
        bucket.tokens -= 1.0;
        true
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
    fn a_limit_of_zero_permits_nothing() {
        let (rates, who) = (Rates::default(), PrincipalId::parse("a").unwrap());
        assert!(!rates.take(&who, 0, BootInstant::new(Duration::from_secs(1))));
    }
}
