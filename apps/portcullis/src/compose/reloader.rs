//! Reload: parse, check, build everything that can fail, then swap.

use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use ::tools::Catalogue;
use arc_swap::ArcSwap;
use broker::Broker;
use config::Loaded;
use connector_ssh::SshConnector;
use gateway::Gateway;

use super::translate;
use crate::place::Place;
use crate::verbs::{InForce, Reload, Reloaded};

/// Called with what is in force after every reload: the front's TLS, hosts and origins follow that way.
type Follower = Box<dyn Fn(&Loaded) -> Result<(), String> + Send + Sync>;

/// Takes changed files over, whole or not at all.
pub(crate) struct Reloader {
    pub(super) place: Place,
    pub(super) insecure: bool,
    pub(super) gateway: Arc<OnceLock<Weak<Gateway>>>,
    pub(super) broker: Arc<Broker>,
    pub(super) connector: Arc<SshConnector>,
    pub(super) in_force: Arc<ArcSwap<InForce>>,
    pub(super) surroundings: translate::Surroundings,
    pub(super) followers: Mutex<Vec<Follower>>,
}

impl Reloader {
    /// Has `follower` called on every reload, before anything is swapped: its error keeps everything as it was.
    pub(crate) fn follow(&self, follower: impl Fn(&Loaded) -> Result<(), String> + Send + Sync + 'static) {
        self.followers.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(follower));
    }
}

impl Reload for Reloader {
    fn reload(&self) -> Result<Reloaded, String> {
        // One reload at a time: the followers' lock is held throughout.
        let followers = self.followers.lock().unwrap_or_else(PoisonError::into_inner);
        let gateway = self.gateway.get().and_then(Weak::upgrade).ok_or("the gateway is stopping")?;
        let loaded = config::load(self.place.file()).map_err(|findings| findings.to_string())?;
        translate::refuse_insecure(&loaded, self.insecure).map_err(|stop| stop.message)?;
        let old = self.in_force.load_full();
        let changes = config::diff(&old.loaded, &loaded);
        let verbs: Vec<_> = gateway.verbs().map(translate::tool_facts).collect();
        let live = translate::live_with(&loaded, &Catalogue::new(), verbs).map_err(|stop| stop.message)?;
        let sources = translate::sources(&loaded, &self.surroundings).map_err(|stop| stop.message)?;
        followers.iter().try_for_each(|follower| follower(&loaded))?;

        self.connector.configure(translate::ssh(&loaded));
        self.broker.configure(sources.clone(), translate::handles(&loaded));
        let warnings = loaded.warnings.clone();
        self.in_force.store(Arc::new(InForce { loaded, sources }));
        gateway.swap(live);
        // What was opened under the old policy is opened again under the new one, or not at all.
        self.connector.close_idle();
        Ok(Reloaded { changes, warnings })
    }
}
