//! How often each address has failed to authenticate lately.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::{BootInstant, Clock};

use super::accept::group;

/// Failures by source. It forgets rather than grows.
pub(super) struct Strangers {
    failures: Mutex<HashMap<IpAddr, Failures>>,
    most: u32,
    clock: Arc<dyn Clock>,
}

struct Failures {
    since: BootInstant,
    count: u32,
}

const WINDOW: Duration = Duration::from_secs(60);
const MOST_SOURCES: usize = 8192;

impl Strangers {
    pub(super) fn new(most: u32, clock: Arc<dyn Clock>) -> Self {
        Self { failures: Mutex::default(), most, clock }
    }

    /// Counts a failure; true if this source has failed too often. Only failures are ever asked about, so a
    /// principal behind the same address is not held up by a stranger there.
    pub(super) fn failed(&self, address: IpAddr) -> bool {
        let now = self.clock.boot();
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= MOST_SOURCES {
            failures.retain(|_, one| now.since(one.since) < WINDOW);
            if failures.len() >= MOST_SOURCES {
                failures.clear();
            }
        }
        let one = failures.entry(group(address)).or_insert(Failures { since: now, count: 0 });
        if now.since(one.since) >= WINDOW {
            *one = Failures { since: now, count: 0 };
        }
        one.count = one.count.saturating_add(1);
        one.count > self.most
    }
}
