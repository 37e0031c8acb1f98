//! Reload: parse, check, build everything that can fail, then swap, then record.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use audit::{Event, Journal, Origin};
use broker::Broker;
use config::{Loaded, Part};
use connector_ssh::SshConnector;
use gateway::{Gateway, Live};
use model::{Host, PrincipalId, TargetName};
use serde_json::{Map, json};
use upstream::UpstreamPool;

use super::{translate, upstreams};
use crate::place::Place;
use crate::verbs::{By, InForce, Reload, Reloaded};

/// Takes over what a part outside the gateway needs of a reload (the front: TLS, hosts, proxies, sessions). It is called
/// before anything is swapped, and its error keeps everything as it was; what it returns is called after.
type Follower = Box<dyn Fn(&Loaded) -> Result<Apply, String> + Send + Sync>;

/// The part of a follower's work that cannot fail.
pub(super) type Apply = Box<dyn FnOnce() + Send>;

/// Takes changed files over, whole or not at all.
pub(crate) struct Reloader {
    pub(super) place: Place,
    pub(super) insecure: bool,
    pub(super) gateway: Arc<OnceLock<Weak<Gateway>>>,
    pub(super) broker: Arc<Broker>,
    pub(super) connector: Arc<SshConnector>,
    pub(super) upstreams: Arc<UpstreamPool>,
    pub(super) in_force: Arc<ArcSwap<InForce>>,
    pub(super) surroundings: translate::Surroundings,
    pub(super) journal: Journal,
    pub(super) followers: Mutex<Vec<Follower>>,
}

impl Reloader {
    /// Has `follower` called on every reload.
    pub(super) fn follow(&self, follower: impl Fn(&Loaded) -> Result<Apply, String> + Send + Sync + 'static) {
        self.followers.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(follower));
    }

    fn take_over(&self) -> Result<Reloaded, String> {
        // One reload at a time: the followers' lock is held throughout.
        let followers = self.followers.lock().unwrap_or_else(PoisonError::into_inner);
        let gateway = self.gateway.get().and_then(Weak::upgrade).ok_or("the gateway is stopping")?;
        let loaded = config::load(self.place.file()).map_err(|findings| findings.to_string())?;
        let (snapshot, doubts) = translate::compile(&loaded).map_err(|findings| findings.to_string())?;
        translate::refuse_insecure(&loaded, self.insecure).map_err(|stop| stop.message)?;
        let changes = config::diff(&self.in_force.load().loaded, &loaded);
        let sources = translate::sources(&loaded, &self.surroundings).map_err(|stop| stop.message)?;
        let applies: Vec<Apply> =
            followers.iter().map(|follower| follower(&loaded)).collect::<Result<_, _>>()?;

        let live = translate::live(&loaded, snapshot);
        self.connector.configure(translate::ssh(&loaded));
        self.broker.configure(sources.clone(), translate::handles(&loaded));
        self.upstreams.configure(upstreams::settings(self.place.file(), &loaded));
        let touched = touched(&self.in_force.load().loaded, &loaded, &live);
        let network = live.network.clone();
        let warnings = loaded.warnings.iter().cloned().chain(doubts).collect();
        self.in_force.store(Arc::new(InForce { loaded, sources }));
        gateway.swap(live);
        // What the reload touches is opened again under the new state of things, or not at all.
        self.connector.retire(|host| touched.contains(host), &network);
        applies.into_iter().for_each(|apply| apply());
        Ok(Reloaded { changes, warnings, thawed: Vec::new() })
    }

    /// A reload that nobody asked for over the control socket has no entry of its own but this one.
    async fn record(&self, reloaded: &Reloaded) {
        let in_force = self.in_force.load_full();
        let changes: Vec<String> = reloaded.changes.changes.iter().map(ToString::to_string).collect();
        let snapshot = self
            .gateway
            .get()
            .and_then(Weak::upgrade)
            .map(|gateway| gateway.live().snapshot.hash().to_string());
        let fields = Map::from_iter([
            ("changes".to_owned(), json!(changes)),
            ("fingerprint".to_owned(), json!(in_force.loaded.fingerprint)),
            ("snapshot".to_owned(), json!(snapshot)),
            ("thawed".to_owned(), json!(reloaded.thawed.iter().map(PrincipalId::as_str).collect::<Vec<_>>())),
        ]);
        let event = Event {
            event: "config_reloaded",
            principal: None,
            origin: Origin::default(),
            tool: None,
            fields,
        };
        if let Err(error) = self.journal.event(event).await {
            tracing::error!(%error, "a reload could not be recorded");
        }
    }
}

/// The hosts whose connections a reload ends: they are declared otherwise now, their credentials come from elsewhere, or
/// nobody may do anything there any more.
fn touched(old: &Loaded, new: &Loaded, live: &Live) -> BTreeSet<TargetName> {
    let changes = config::diff(old, new).changes;
    let changed = |part, name: &str| changes.iter().any(|change| change.part == part && change.name == name);
    let seen = |host: &Host| {
        let principals = live.directory.entries().iter();
        principals.map(|entry| &entry.principal).any(|who| live.snapshot.sees(who, &host.target()))
    };
    // Nobody needs a rule for a jump host to be taken through it.
    let is_passed = |name: &TargetName| new.inventory.hosts().any(|host| host.jump.contains(name));
    let is_touched = |host: &&Host| {
        changed(Part::Host, host.name.as_str())
            || host.sources().any(|source| changed(Part::Source, source))
            || !(new.inventory.host(&host.name).is_some_and(seen) || is_passed(&host.name))
    };
    old.inventory.hosts().filter(is_touched).map(|host| host.name.clone()).collect()
}

#[async_trait]
impl Reload for Reloader {
    async fn reload(&self, by: By) -> Result<Reloaded, String> {
        let mut reloaded = tokio::task::block_in_place(|| self.take_over())?;
        if by == By::Operator
            && let Some(gateway) = self.gateway.get().and_then(Weak::upgrade)
        {
            reloaded.thawed = gateway.thaw();
        }
        self.record(&reloaded).await;
        Ok(reloaded)
    }
}
