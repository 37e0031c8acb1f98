//! Reload: parse, check, build everything that can fail, then swap, then record.

use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use audit::{Event, Journal, Origin};
use broker::Broker;
use config::Loaded;
use connector_ssh::SshConnector;
use gateway::Gateway;
use model::PrincipalId;
use serde_json::{Map, json};

use super::translate;
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
        let warnings = loaded.warnings.iter().cloned().chain(doubts).collect();
        self.in_force.store(Arc::new(InForce { loaded, sources }));
        gateway.swap(live);
        // What was opened under the old policy is opened again under the new one, or not at all.
        self.connector.close_idle();
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
