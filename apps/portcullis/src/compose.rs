//! Builds every part of a gateway, in order. Read this first.

mod agent_keys;
mod ccp;
mod certificates;
mod confine;
mod front;
mod reloader;
mod translate;
mod upstreams;

use std::path::Path;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use audit::{AuthFailureMeter, Journal, SinkConfig};
use broker::Broker;
use config::Loaded;
use connector_ssh::SshConnector;
use gateway::control::Tray;
use gateway::owner::{OwnError, Owner};
use gateway::{Gateway, GatewayParts, StateSeal, SystemClock, SystemEntropy};
use guard::Guard;
use model::{Clock, Entropy};
use store::{SqliteStore, StateStore};
use tokio::task::JoinSet;
use tools::Catalogue;
use upstream::UpstreamPool;

use crate::cli::Global;
use crate::failure::Stop;
use crate::keys::Passphrases;
use crate::output::Output;
use crate::place::{Place, compiled, load};
use crate::verbs::{InForce, VerbParts, verbs};
use reloader::Reloader;

pub(crate) use agent_keys::doubts as agent_doubts;
pub(crate) use certificates::doubts as certificate_doubts;
pub(crate) use confine::confinements;
pub(crate) use front::{Elsewhere, front, front_for, renew_certificates};
pub(crate) use translate::{compile, tool_facts};

/// How long calls that nobody waits for any more have for their record.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// How often handles that ended long ago are forgotten.
const SWEEP: Duration = Duration::from_secs(600);

/// A gateway with everything behind it, owning its state folder until it is closed.
pub(crate) struct Portcullis {
    /// What fronts and operators talk to.
    pub(crate) gateway: Arc<Gateway>,
    /// Where the secrets of operators' calls wait.
    pub(crate) tray: Arc<Tray>,
    /// What the files say.
    pub(crate) in_force: Arc<ArcSwap<InForce>>,
    /// Takes changed files over.
    pub(crate) reload: Arc<Reloader>,
    /// The record.
    pub(crate) journal: Journal,
    connector: Arc<SshConnector>,
    upstreams: Arc<UpstreamPool>,
    meter: Arc<AuthFailureMeter>,
    chores: JoinSet<()>,
    // Last, so that the lock outlives everything that writes.
    owner: Owner,
}

/// A gateway that serves, as the one owner of its state folder.
pub(crate) async fn compose(place: &Place, global: &Global, output: Output) -> Result<Portcullis, Stop> {
    let portcullis = local(place, global, output).await?;
    portcullis.start_upstreams();
    Ok(portcullis)
}

/// Builds the gateway that the files describe. For as long as one command runs, which starts nobody's programs.
pub(crate) async fn local(place: &Place, global: &Global, output: Output) -> Result<Portcullis, Stop> {
    built(place, load(place, output)?, Journalling::default(), global, output).await
}

/// What no file of ours can say about the journal.
#[derive(Default)]
pub(crate) struct Journalling {
    /// More copies of the entries.
    pub(crate) sinks: Vec<SinkConfig>,
    /// It stays about as small as this, in bytes.
    pub(crate) most: Option<u64>,
}

/// Builds the gateway from what has been read. Its upstreams are not started.
pub(crate) async fn built(
    place: &Place,
    loaded: Loaded,
    journalling: Journalling,
    global: &Global,
    output: Output,
) -> Result<Portcullis, Stop> {
    let snapshot = compiled(&loaded, output)?.0;
    translate::refuse_insecure(&loaded, global.insecure)?;
    let state = loaded.configuration.state.clone();
    let owner = own(&state).await.map_err(translate::not_ours)?;
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new(&SystemEntropy).map_err(Stop::failed)?);

    let seal_key = Arc::new(translate::seal_key(&loaded)?);
    let journal = translate::journal(&loaded, journalling)?;
    let journal = Journal::open(journal, Arc::clone(&clock), Arc::clone(&entropy))
        .map_err(translate::journal_not_opened)?;
    let store = SqliteStore::open(&state.join("store.sqlite")).map_err(translate::store_not_opened)?;
    let store: Arc<dyn StateStore> = Arc::new(store);
    let seal =
        StateSeal::new(Arc::clone(&entropy), Arc::clone(&clock), Arc::clone(&store)).map_err(Stop::failed)?;
    let pins = Arc::new(upstreams::StorePins { store: Arc::clone(&store), clock: Arc::clone(&clock) });
    let broker = Arc::new(Broker::new(store, Arc::clone(&clock), Arc::clone(&entropy), agent_keys::socket()));
    let passphrases = Arc::new(Passphrases::default());
    let surroundings =
        translate::Surroundings { clock: Arc::clone(&clock), entropy: Arc::clone(&entropy), passphrases };
    let sources = translate::sources(&loaded, &surroundings)?;
    broker.configure(sources.clone(), translate::handles(&loaded));
    let connector = Arc::new(SshConnector::new(translate::ssh(&loaded), Arc::clone(&clock)));

    let ledger = Arc::new(upstreams::JournalLedger(journal.clone()));
    let upstreams = Arc::new(UpstreamPool::new(Arc::clone(&broker), ledger, pins));
    let catalogue = Arc::new(Catalogue::new());
    let in_force = Arc::new(ArcSwap::from_pointee(InForce { loaded, sources }));
    let (tray, late) =
        (Arc::new(Tray::new(Arc::clone(&entropy))), Arc::new(OnceLock::<Weak<Gateway>>::new()));
    let reload = Arc::new(Reloader {
        place: place.clone(),
        insecure: global.insecure,
        gateway: Arc::clone(&late),
        broker: Arc::clone(&broker),
        connector: Arc::clone(&connector),
        upstreams: Arc::clone(&upstreams),
        in_force: Arc::clone(&in_force),
        surroundings: surroundings.clone(),
        journal: journal.clone(),
        followers: std::sync::Mutex::default(),
    });
    let verbs = verbs(&VerbParts {
        gateway: Arc::clone(&late),
        tray: Arc::clone(&tray),
        in_force: Arc::clone(&in_force),
        reload: Arc::clone(&reload) as Arc<_>,
        upstreams: Arc::clone(&upstreams),
        seal_key,
        passphrases: Arc::clone(&surroundings.passphrases),
        clock: Arc::clone(&clock),
        entropy,
    });
    let live = translate::live(&in_force.load().loaded, snapshot);
    let meter = Arc::new(AuthFailureMeter::new());
    let gateway = Arc::new(Gateway::new(GatewayParts {
        journal: journal.clone(),
        broker: Arc::clone(&broker),
        guard: Guard::new(),
        catalogue,
        verbs,
        offer: None,
        seal,
        shell: Arc::clone(&connector) as Arc<_>,
        upstreams: Arc::clone(&upstreams) as Arc<_>,
        clock,
        meter: Arc::clone(&meter),
        live,
    }));
    // Set once, right here; verbs and reloads run only from now on.
    let _ = late.set(Arc::downgrade(&gateway));
    let mut chores = chores(&journal, &meter, &broker);
    upstreams::follow(&mut chores, &upstreams, &late);
    Ok(Portcullis { gateway, tray, in_force, reload, journal, connector, upstreams, meter, chores, owner })
}

impl Portcullis {
    /// Starts the upstreams that are declared.
    pub(crate) fn start_upstreams(&self) {
        let settings = upstreams::settings(self.reload.place.file(), &self.in_force.load().loaded);
        self.upstreams.configure(settings);
    }

    /// Waits for the first start of every upstream; says why, if one of them failed.
    pub(crate) async fn failed_upstream(&self) -> Option<String> {
        self.upstreams.tried().await.into_iter().find_map(|(_, down)| down)
    }

    /// The right to the state folder.
    pub(crate) fn owner(&self) -> &Owner {
        &self.owner
    }

    /// Ends connections, writes what is left to write, and gives the state folder free.
    pub(crate) async fn close(mut self) -> Result<(), Stop> {
        self.chores.shutdown().await;
        // Calls whose client has gone end soon; those on a host that says nothing, when their connection does.
        let settled = self.gateway.settled(LAST_WORDS).await;
        self.connector.close_all();
        self.upstreams.close(LAST_WORDS).await;
        if !settled && !self.gateway.settled(LAST_WORDS).await {
            tracing::warn!("some calls did not end: the next start closes them");
        }
        self.meter.flush(&self.journal).await;
        self.journal.shutdown().await.map_err(Stop::failed)
    }
}

/// Takes the state folder. Somebody who only looks whether it is owned holds it for a moment, and an owner that ends for
/// a little longer: neither is worth giving up for.
async fn own(state: &Path) -> Result<Owner, OwnError> {
    for _ in 0..20 {
        match Owner::take(state) {
            Err(OwnError::Owned { .. }) => tokio::time::sleep(Duration::from_millis(50)).await,
            taken => return taken,
        }
    }
    Owner::take(state)
}

/// What has to be done now and then beside the calls.
fn chores(journal: &Journal, meter: &Arc<AuthFailureMeter>, broker: &Arc<Broker>) -> JoinSet<()> {
    let mut chores = JoinSet::new();
    let (meter, journal) = (Arc::clone(meter), journal.clone());
    chores.spawn(async move { meter.run(&journal).await });
    let broker = Arc::clone(broker);
    chores.spawn(async move {
        loop {
            tokio::time::sleep(SWEEP).await;
            if let Err(failure) = broker.sweep().await {
                tracing::warn!(code = %failure.code(), "old handles could not be swept");
            }
        }
    });
    chores
}
