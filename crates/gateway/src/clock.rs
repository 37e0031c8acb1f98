//! The one place that reads clocks and draws random bytes.

use std::time::Duration;

use model::{BootInstant, Clock, Entropy, NoEntropy, Timestamp};
use rustix::time::{ClockId, Timespec, clock_gettime};

/// The machine's clocks.
#[derive(Debug)]
pub struct SystemClock {
    boot_id: String,
}

impl SystemClock {
    /// Learns this boot's id. Without one, every process start counts as a boot of its own, which only ends
    /// handles early.
    pub fn new(entropy: &dyn Entropy) -> Result<Self, NoEntropy> {
        let boot_id = match std::fs::read_to_string("/proc/sys/kernel/random/boot_id") {
            Ok(text) => text.trim().to_owned(),
            Err(_) => {
                let mut random = [0; 16];
                entropy.fill(&mut random)?;
                format!("{:032x}", u128::from_be_bytes(random))
            }
        };
        Ok(Self { boot_id })
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::Realtime);
        Timestamp::from_millis(tv_sec.saturating_mul(1000).saturating_add(tv_nsec / 1_000_000))
    }

    fn boot(&self) -> BootInstant {
        let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::Boottime);
        let (seconds, nanos) = (u64::try_from(tv_sec).unwrap_or(0), u32::try_from(tv_nsec).unwrap_or(0));
        BootInstant::new(Duration::new(seconds, nanos))
    }

    fn boot_id(&self) -> &str {
        &self.boot_id
    }
}

/// CPU time this thread has used, for measurements.
pub fn thread_cpu_time() -> Duration {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(tv_sec).unwrap_or(0), u32::try_from(tv_nsec).unwrap_or(0))
}

/// The kernel's random bytes.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(clippy::disallowed_methods, reason = "the one place that draws random bytes")]
    fn fill(&self, out: &mut [u8]) -> Result<(), NoEntropy> {
        getrandom::fill(out).map_err(|_| NoEntropy)
    }
}
