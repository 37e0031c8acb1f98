//! Hears what an upstream says unasked: asks to be told, and asks again when it stops telling.

use std::collections::BTreeSet;
use std::ops::Not as _;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use wire::{Era, ProtocolVersion};

use crate::link::Link;
use crate::watches::Watches;

/// How long an upstream has to take a change of what is watched.
const PATIENCE: Duration = Duration::from_secs(10);
/// The pause before it is asked again to tell, at first and at most.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// What one start of an upstream was asked to tell.
pub(crate) struct Follower {
    link: Arc<Link>,
    version: ProtocolVersion,
    watches: Arc<Watches>,
    /// Resources that a legacy upstream was asked about.
    subscribed: BTreeSet<String>,
    /// The request of a modern one that stays open; whether it is to be sent again when it has ended.
    listening: Option<AbortOnDropHandle<bool>>,
    /// Whether other resources are watched than the upstream was asked about.
    stale: bool,
    /// When it is sent again, and the pause after that.
    again: Option<Instant>,
    pause: Duration,
}

impl Follower {
    /// Asks a modern upstream to tell; a legacy one tells by itself, but of single resources.
    pub(crate) async fn new(link: &Arc<Link>, version: ProtocolVersion, watches: &Arc<Watches>) -> Self {
        let mut follower = Self {
            link: Arc::clone(link),
            version,
            watches: Arc::clone(watches),
            subscribed: BTreeSet::new(),
            listening: None,
            stale: false,
            again: None,
            pause: PAUSE.0,
        };
        follower.rewatch().await;
        follower
    }

    /// Goes on until what the upstream is asked for must be asked anew, and asks. Dropping the future loses nothing: what was
    /// not asked to its end is asked the next time.
    pub(crate) async fn follow(&mut self) {
        if !self.stale {
            tokio::select! {
                () = self.watches.rewatch.notified() => {}
                again = ended(&mut self.listening) => {
                    self.listening = None;
                    if again {
                        self.again = Some(Instant::now() + self.pause);
                        self.pause = (self.pause * 2).min(PAUSE.1);
                    }
                    return;
                }
                () = due(self.again) => {
                    self.again = None;
                    // What changed while nobody listened.
                    self.watches.missed();
                    self.link.relist.notify_one();
                }
            }
            self.stale = true;
        }
        self.rewatch().await;
        self.stale = false;
    }

    async fn rewatch(&mut self) {
        let wanted = self.watches.wanted();
        match self.version.era() {
            Era::Modern => self.listen(&wanted).await,
            Era::Legacy => {
                let subscribing = self.subscribe(wanted);
                if tokio::time::timeout(PATIENCE, subscribing).await.is_err() {
                    tracing::debug!("an upstream is slow to take what is watched");
                }
            }
        }
    }

    async fn listen(&mut self, wanted: &BTreeSet<String>) {
        let params = wire::listen_params(self.version, wanted);
        let asked = self.link.ask::<std::convert::Infallible>("subscriptions/listen", false, |_| Ok(params));
        let Ok(Ok(asked)) = asked.await else { return };
        // One that is refused was never open, and is not sent again.
        let open = async move { asked.answer().await.is_ok_and(|answered| answered.is_error).not() };
        // The old one ends here: what it told meanwhile was heard.
        self.listening = Some(AbortOnDropHandle::new(tokio::spawn(open)));
    }

    async fn subscribe(&mut self, wanted: BTreeSet<String>) {
        let gone: Vec<String> = self.subscribed.difference(&wanted).cloned().collect();
        let new: Vec<String> = wanted.difference(&self.subscribed).cloned().collect();
        for uri in gone {
            let _ = self.link.request("resources/unsubscribe", wire::uri_params(&uri), PATIENCE).await;
            self.subscribed.remove(&uri);
        }
        for uri in new {
            // One that is refused is not asked for again in this start.
            let _ = self.link.request("resources/subscribe", wire::uri_params(&uri), PATIENCE).await;
            self.subscribed.insert(uri);
        }
    }
}

/// Waits until a request that stays open has ended.
async fn ended(listening: &mut Option<AbortOnDropHandle<bool>>) -> bool {
    match listening {
        Some(listening) => listening.await.unwrap_or(true),
        None => std::future::pending().await,
    }
}

async fn due(again: Option<Instant>) {
    match again {
        Some(again) => tokio::time::sleep_until(again).await,
        None => std::future::pending().await,
    }
}
