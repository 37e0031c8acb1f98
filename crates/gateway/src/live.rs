//! What is in force: swapped whole on reload.

use std::sync::Arc;
use std::time::Duration;

use model::{Inventory, Limits};
use policy::{NetworkFence, Snapshot};

use crate::directory::Directory;

/// Configuration, inventory and policy as one immutable value. A call works with the one it started under.
pub struct Live {
    /// Who is known, and by what.
    pub directory: Directory,
    /// Declared targets.
    pub inventory: Inventory,
    /// The compiled rules.
    pub snapshot: Arc<Snapshot>,
    /// Names of the credential sources.
    pub sources: Vec<String>,
    /// `[limits]`: what counts where no rule says anything.
    pub limits: Limits,
    /// `[network]`: what may be dialled at all.
    pub network: NetworkFence,
}

impl Live {
    /// `[limits] timeout` when it is not written.
    pub const TIMEOUT: Duration = Duration::from_secs(60);
    /// `[limits] output` when it is not written, in bytes.
    pub const OUTPUT: u64 = 1024 * 1024;
    /// `[limits] calls_per_minute` when it is not written.
    pub const CALLS_PER_MINUTE: u32 = 120;

    /// `[limits]` with every gap filled.
    pub(crate) fn fallback_limits(&self) -> Limits {
        self.limits.or(Limits {
            timeout: Some(Self::TIMEOUT),
            output: Some(Self::OUTPUT),
            calls_per_minute: Some(Self::CALLS_PER_MINUTE),
        })
    }
}
