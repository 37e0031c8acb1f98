//! Tells clients what has changed for them, for as long as they listen.
//!
//! What a principal sees is compared with what it saw before. So a client that reads slowly is told less often, never
//! more at once: nothing is queued for it but the message that it is reading.

use std::sync::Arc;

use gateway::{Authenticated, Endpoint, Unauthenticated};
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use wire::{Changed, ListenParams, RequestId};

use crate::Gate;
use crate::peer::{Change, Peer};

/// Who listens, asked anew after every change: their groups may be others, or they may be gone.
pub(crate) type Renew = Box<dyn Fn() -> Result<Authenticated<()>, Unauthenticated> + Send + Sync>;

/// One listener.
pub(crate) struct Listener {
    pub(crate) gate: Arc<dyn Gate>,
    pub(crate) who: Renew,
    pub(crate) endpoint: Endpoint,
    pub(crate) peer: Arc<Peer>,
    /// What it wants to hear of.
    pub(crate) wants: Wants,
    /// Of a modern client's `subscriptions/listen`.
    pub(crate) subscription: Option<Box<RawValue>>,
}

/// Which lists a listener wants to hear of; watched resources are the peer's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wants {
    pub(crate) tools: bool,
    pub(crate) resources: bool,
    pub(crate) prompts: bool,
}

impl Wants {
    /// All of them.
    pub(crate) const ALL: Self = Self { tools: true, resources: true, prompts: true };

    /// Those of a subscription.
    pub(crate) fn of(granted: &ListenParams) -> Self {
        Self { tools: granted.tools, resources: granted.resources, prompts: granted.prompts }
    }
}

impl Listener {
    /// Looks at what the client sees now, so that later changes are known as such.
    pub(crate) fn begin(&self) {
        if let Ok(who) = (self.who)() {
            let now = self.gate.view(&who.with(self.endpoint), &self.peer.watched());
            self.peer.differences(&now);
        }
    }

    /// Tells until nobody listens or nobody is there any more. `out` closes when the connection does.
    pub(crate) async fn run(self, out: mpsc::Sender<Vec<u8>>) {
        let mut changes = self.gate.changes();
        loop {
            let Ok(who) = (self.who)() else { return };
            let now = self.gate.view(&who.with(self.endpoint), &self.peer.watched());
            for change in self.peer.differences(&now) {
                if let Some(message) = self.message(&change)
                    && out.send(message).await.is_err()
                {
                    return;
                }
            }
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                () = self.peer.rewatch.notified() => {}
                () = out.closed() => return,
            }
        }
    }

    fn message(&self, change: &Change) -> Option<Vec<u8>> {
        let changed = match change {
            Change::Tools => self.wants.tools.then_some(Changed::Tools),
            Change::Resources => self.wants.resources.then_some(Changed::Resources),
            Change::Prompts => self.wants.prompts.then_some(Changed::Prompts),
            Change::Resource(uri) => Some(Changed::Resource(uri)),
        };
        wire::write_changed(changed?, self.subscription.as_deref().map(RequestId::from_owned)).ok()
    }
}

/// What of a subscription is granted, and who is told of it. Our own prompts do not change while a gateway runs.
pub(crate) fn subscribe(
    gate: &Arc<dyn Gate>,
    who: &Authenticated<()>,
    endpoint: Endpoint,
    asked: &ListenParams,
) -> Result<(ListenParams, Arc<Peer>), wire::RpcError> {
    let peer = Arc::new(Peer::default());
    let at = who.with(endpoint);
    let watching: Vec<_> = asked.watched.iter().map(|uri| gate.watch(&at, uri)).collect();
    let now = gate.view(&at, &asked.watched);
    for (uri, watching) in asked.watched.iter().zip(watching) {
        peer.watch(uri.clone(), now.watched.get(uri).copied().flatten(), watching)?;
    }
    peer.differences(&now);
    let prompts = asked.prompts && matches!(endpoint, Endpoint::Upstream(_));
    Ok((ListenParams { prompts, ..asked.clone() }, peer))
}
