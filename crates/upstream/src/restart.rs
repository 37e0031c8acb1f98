//! An operator has an upstream started anew: without a pause, whatever it is doing.

use std::time::Duration;

use tokio::sync::{Notify, watch};

use crate::keeper::Keeper;

/// How long somebody who asked for it waits to hear how it went. A first start can have to fetch packages.
const PATIENCE: Duration = Duration::from_secs(20);

/// What becomes of starts, for who waits for one.
pub(crate) struct Restart {
    asked: Notify,
    /// Counts the starts that came to something, ready or not.
    settled: watch::Sender<u64>,
}

impl Restart {
    pub(crate) fn new() -> Self {
        Self { asked: Notify::new(), settled: watch::Sender::new(0) }
    }

    /// Until somebody asks.
    pub(crate) async fn asked(&self) {
        self.asked.notified().await;
    }

    /// A start is ready, or has failed.
    pub(crate) fn settled(&self) {
        self.settled.send_modify(|times| *times += 1);
    }
}

impl Keeper {
    /// Starts it anew, and waits a while; says why it is not ready then, if it is not. Calls under way end.
    pub(crate) async fn restart(&self) -> Option<String> {
        let restart = self.restarts();
        let mut settled = restart.settled.subscribe();
        settled.mark_unchanged();
        restart.asked.notify_one();
        match tokio::time::timeout(PATIENCE, settled.changed()).await {
            Ok(_) => self.down(),
            Err(_) => Some(format!("it is not ready after {} s", PATIENCE.as_secs())),
        }
    }
}
