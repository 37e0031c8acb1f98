//! All upstreams of a gateway.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use broker::{Broker, Standing};
use model::{ErrorCode, Failure, Forward, Parked, PrincipalId, Reply, UpstreamName};
use serde_json::{Map, Value};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;
use tools::{Errand, ListOf, Listed, Tool, UpstreamHealth, UpstreamOffers, Upstreams, Watching};

use crate::errand::UpstreamErrand;
use crate::exchange;
use crate::fault::Fault;
use crate::keeper::{Around, Keeper};
use crate::measure;
use crate::pins::PinBook;
use crate::review::{Accepted, Neighbour, Review};
use crate::settings::UpstreamSettings;

/// Records what happens to upstreams beside calls.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Writes an event. What it is about must not happen if this fails.
    async fn record(
        &self,
        event: &'static str,
        upstream: UpstreamName,
        fields: Map<String, Value>,
    ) -> Result<(), Failure>;
}

/// Every declared upstream, each kept alive by a task of its own: none of them can hold up another.
pub struct UpstreamPool {
    around: Around,
    keepers: ArcSwap<BTreeMap<UpstreamName, Arc<Keeper>>>,
    tasks: TaskTracker,
}

impl UpstreamPool {
    /// A pool without upstreams, until [`UpstreamPool::configure`].
    pub fn new(broker: Arc<Broker>, ledger: Arc<dyn Ledger>, pins: Arc<dyn PinBook>) -> Self {
        let around = Around { broker, ledger, pins, starter: Arc::default(), changed: watch::Sender::new(0) };
        Self { around, keepers: ArcSwap::default(), tasks: TaskTracker::new() }
    }

    /// Takes over what is declared: what is new is started, what is gone or declared otherwise ends, the others go on. Within a
    /// runtime.
    pub fn configure(&self, settings: Vec<UpstreamSettings>) {
        let before = self.keepers.load_full();
        let mut keepers = BTreeMap::new();
        for settings in settings {
            let name = settings.name;
            let keeper = match before.get(&name).filter(|keeper| *keeper.settings() == settings) {
                Some(keeper) => Arc::clone(keeper),
                None => {
                    let keeper = Keeper::new(settings);
                    self.tasks.spawn(Arc::clone(&keeper).keep(self.around.clone()));
                    keeper
                }
            };
            keepers.insert(name, keeper);
        }
        let ends = |(name, keeper): &(&UpstreamName, &Arc<Keeper>)| {
            !keepers.get(*name).is_some_and(|kept| Arc::ptr_eq(kept, keeper))
        };
        let ending: Vec<Arc<Keeper>> =
            before.iter().filter(ends).map(|(_, keeper)| Arc::clone(keeper)).collect();
        self.keepers.store(Arc::new(keepers));
        ending.iter().for_each(|keeper| keeper.stop());
    }

    /// How the tools of each compare with what was accepted. `ours` are the gateway's own tools, by name.
    pub async fn reviews(&self, ours: &[Arc<str>]) -> Result<Vec<Review>, Failure> {
        let (keepers, neighbours) = (self.keepers.load_full(), self.neighbours(ours));
        let mut reviews = Vec::with_capacity(keepers.len());
        for keeper in keepers.values() {
            reviews.push(keeper.review(&self.around, &neighbours).await?);
        }
        Ok(reviews)
    }

    /// How the tools of one compare with what was accepted.
    pub async fn review(&self, upstream: &str, ours: &[Arc<str>]) -> Result<Review, Failure> {
        self.of_operator(upstream)?.review(&self.around, &self.neighbours(ours)).await
    }

    /// Accepts definitions of tools: of those that are named or, without names, of all that nobody accepted and that pass for
    /// no other tool. `digest` is [`Review::digest`] of what was looked at; if it is another by now, nothing is accepted.
    pub async fn accept(
        &self,
        upstream: &str,
        tools: &BTreeSet<String>,
        digest: &str,
        ours: &[Arc<str>],
    ) -> Result<Accepted, Failure> {
        let keeper = self.of_operator(upstream)?;
        keeper.accept(&self.around, tools, digest, &self.neighbours(ours)).await
    }

    /// Starts one anew, whatever it is doing; says why it is not ready soon after, if it is not.
    pub async fn restart(&self, upstream: &str) -> Result<Option<String>, Failure> {
        Ok(self.of_operator(upstream)?.restart().await)
    }

    fn of_operator(&self, upstream: &str) -> Result<Arc<Keeper>, Failure> {
        let found = UpstreamName::parse(upstream).ok().and_then(|name| self.keeper(name));
        found.ok_or_else(|| {
            let shown: String = upstream.chars().take(80).collect();
            Failure::new(ErrorCode::InputInvalid, format!("there is no upstream `{shown}`"))
                .with_hint("`portcullis upstream list` shows those that there are")
        })
    }

    fn neighbours(&self, ours: &[Arc<str>]) -> Vec<Neighbour> {
        let ours =
            ours.iter().map(|tool| Neighbour { upstream: None, tool: Arc::clone(tool), form: "".into() });
        let keepers = self.keepers.load();
        let theirs = keepers.iter().flat_map(|(name, keeper)| keeper.offer().neighbours(*name));
        ours.chain(theirs).collect()
    }

    /// Told whenever some upstream offers something else.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.around.changed.subscribe()
    }

    /// Waits until each has been ready, or has failed to become so once, and says which are down and why.
    pub async fn tried(&self) -> Vec<(UpstreamName, Option<String>)> {
        let keepers = self.keepers.load_full();
        let mut how = Vec::with_capacity(keepers.len());
        for (name, keeper) in keepers.iter() {
            keeper.tried().await;
            how.push((*name, keeper.down()));
        }
        how
    }

    /// Ends all of them and waits, not longer than this.
    pub async fn close(&self, patience: Duration) {
        self.configure(Vec::new());
        self.tasks.close();
        if tokio::time::timeout(patience, self.tasks.wait()).await.is_err() {
            tracing::warn!("some upstreams have not ended in time");
        }
    }

    fn keeper(&self, upstream: UpstreamName) -> Option<Arc<Keeper>> {
        self.keepers.load().get(&upstream).cloned()
    }
}

#[async_trait]
impl Upstreams for UpstreamPool {
    fn declared(&self, upstream: UpstreamName) -> bool {
        self.keepers.load().contains_key(&upstream)
    }

    fn tool(&self, offered: &str) -> Option<Arc<dyn Tool>> {
        let (upstream, name) = offered.split_once(UpstreamName::SEPARATOR)?;
        let offer = self.keeper(UpstreamName::parse(upstream).ok()?)?.offer();
        let found = offer.of_own_name(name).or_else(|| offer.offered_as(offered))?;
        Some(Arc::clone(found) as Arc<dyn Tool>)
    }

    fn tool_of(&self, upstream: UpstreamName, name: &str) -> Option<Arc<dyn Tool>> {
        let offer = self.keeper(upstream)?.offer();
        offer.of_own_name(name).map(|tool| Arc::clone(tool) as Arc<dyn Tool>)
    }

    fn tools(&self) -> Vec<Arc<dyn Tool>> {
        let all = self.keepers.load();
        all.keys().flat_map(|name| self.tools_of(*name)).collect()
    }

    fn tools_of(&self, upstream: UpstreamName) -> Vec<Arc<dyn Tool>> {
        let Some(keeper) = self.keeper(upstream) else { return Vec::new() };
        keeper.offer().in_order().iter().map(|tool| Arc::clone(tool) as Arc<dyn Tool>).collect()
    }

    fn errand(&self, upstream: UpstreamName, errand: Errand, name: &str) -> Option<Arc<dyn Tool>> {
        let errand = UpstreamErrand::new(self.keeper(upstream)?, errand, name)?;
        Some(Arc::new(errand) as Arc<dyn Tool>)
    }

    async fn list(
        &self,
        upstream: UpstreamName,
        who: &PrincipalId,
        of: ListOf,
        forward: &Forward,
        keep: &(dyn for<'n> Fn(&'n str) -> bool + Send + Sync),
    ) -> Result<Listed, Failure> {
        let gone = || Fault::Down("it is declared no more".to_owned());
        let listed = match self.keeper(upstream) {
            Some(keeper) => exchange::list(&keeper, who, of, forward, keep).await,
            None => Err(gone()),
        };
        listed.map_err(|fault| {
            measure::refused(upstream, &fault);
            fault.of_call(upstream)
        })
    }

    fn nothing(&self, of: ListOf) -> Reply {
        exchange::nothing(of)
    }

    fn give_up(&self, parked: Parked) {
        if let Some(keeper) = self.keeper(parked.upstream) {
            keeper.parking().forget(parked.ticket);
        }
    }

    fn watch(&self, upstream: UpstreamName, uri: &str) -> Option<Watching> {
        self.keeper(upstream)?.watches().watch(uri).map(Watching::new)
    }

    fn changes_of(&self, upstream: UpstreamName, uri: &str) -> Option<u64> {
        self.keeper(upstream)?.watches().changes_of(uri)
    }

    fn changes_of_lists(&self, upstream: UpstreamName) -> (u64, u64) {
        self.keeper(upstream).map(|keeper| keeper.watches().lists()).unwrap_or_default()
    }

    fn offers(&self, upstream: UpstreamName) -> UpstreamOffers {
        self.keeper(upstream).map(|keeper| keeper.offers()).unwrap_or_default()
    }

    fn standing(&self, upstream: UpstreamName) -> Result<Arc<Standing>, Failure> {
        let gone =
            || Failure::new(ErrorCode::UpstreamDown, format!("there is no upstream `{upstream}` any more"));
        self.keeper(upstream).ok_or_else(gone)?.standing()
    }

    fn health(&self) -> Vec<UpstreamHealth> {
        let all = self.keepers.load();
        let health = |(name, keeper): (&UpstreamName, &Arc<Keeper>)| UpstreamHealth {
            name: *name,
            required: keeper.settings().required,
            down: keeper.down(),
            listed: keeper.offer().listed(),
            tools: keeper.offer().in_order().len(),
            withheld: keeper.offer().withheld(),
        };
        all.iter().map(health).collect()
    }
}
