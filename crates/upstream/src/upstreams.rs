//! All upstreams of a gateway.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use broker::{Broker, Standing};
use model::{ErrorCode, Failure, Forward, Reply, UpstreamName};
use serde_json::{Map, Value};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;
use tools::{Errand, ListOf, Listed, Tool, UpstreamHealth, UpstreamOffers, Upstreams};

use crate::errand::UpstreamErrand;
use crate::exchange;
use crate::fault::Fault;
use crate::keeper::{Around, Keeper};
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
    pub fn new(broker: Arc<Broker>, ledger: Arc<dyn Ledger>) -> Self {
        let around = Around { broker, ledger, changed: watch::Sender::new(0) };
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

    /// Told whenever some upstream offers something else.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.around.changed.subscribe()
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
        of: ListOf,
        forward: &Forward,
        keep: &(dyn for<'n> Fn(&'n str) -> bool + Send + Sync),
    ) -> Result<Listed, Failure> {
        let gone = || Fault::Down("it is declared no more".to_owned());
        let listed = match self.keeper(upstream) {
            Some(keeper) => exchange::list(&keeper, of, forward, keep).await,
            None => Err(gone()),
        };
        listed.map_err(|fault| fault.of_call(upstream))
    }

    fn nothing(&self, of: ListOf) -> Reply {
        exchange::nothing(of)
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
            tools: keeper.offer().in_order().len(),
        };
        all.iter().map(health).collect()
    }
}
