//! What an operator can set.

use std::path::PathBuf;
use std::time::Duration;

/// `[ssh]` of the configuration, and the times that tests shorten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshSettings {
    /// Known hosts files; the first that has an entry does not win, all count.
    pub known_hosts: Vec<PathBuf>,
    /// Accept unknown and changed host keys, with a warning each time. Revoked keys stay refused.
    pub insecure_hostkey: bool,
    /// How long one address may take to accept a connection.
    pub connect_timeout: Duration,
    /// How long key exchange and login may take together.
    pub login_timeout: Duration,
    /// How long a pooled connection may be idle; at most five minutes count.
    pub idle: Duration,
    /// How often a connection in use is asked whether it is alive, and how long the answer may take.
    pub watchdog: Duration,
}

impl Default for SshSettings {
    fn default() -> Self {
        Self {
            known_hosts: Vec::new(),
            insecure_hostkey: false,
            connect_timeout: Duration::from_secs(10),
            login_timeout: Duration::from_secs(30),
            idle: Duration::from_secs(300),
            watchdog: Duration::from_secs(15),
        }
    }
}

impl SshSettings {
    pub(crate) fn idle_limit(&self) -> Duration {
        self.idle.min(Duration::from_secs(300))
    }
}
