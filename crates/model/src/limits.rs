//! What bounds a call.

use std::time::Duration;

/// Limits of one call; `None` is "not set here". Among several, the smallest of each wins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// How long the target may take, from connecting to the last byte.
    pub timeout: Option<Duration>,
    /// How many bytes of output are kept, all streams together.
    pub output: Option<u64>,
    /// How many calls a principal may make in a minute.
    pub calls_per_minute: Option<u32>,
}

impl Limits {
    /// The strictest of both, field by field.
    pub fn strictest(self, other: Self) -> Self {
        Self {
            timeout: smaller(self.timeout, other.timeout),
            output: smaller(self.output, other.output),
            calls_per_minute: smaller(self.calls_per_minute, other.calls_per_minute),
        }
    }

    /// Fills what is not set from `fallback`.
    pub fn or(self, fallback: Self) -> Self {
        Self {
            timeout: self.timeout.or(fallback.timeout),
            output: self.output.or(fallback.output),
            calls_per_minute: self.calls_per_minute.or(fallback.calls_per_minute),
        }
    }
}

fn smaller<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
