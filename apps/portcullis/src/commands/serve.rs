//! `serve`: the gateway, until it is told to stop.

use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use mcp::Front;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::Global;
use crate::compose::{self, Portcullis};
use crate::failure::{Exit, Stop};
use crate::log;
use crate::output::Output;
use crate::place::{Place, load};
use crate::service::Service;
use crate::verbs::{By, InForce, Reload};
use crate::watch::{Changes, LOOK, Seen};

/// How long what is under way may take after the first signal.
const DRAIN: Duration = Duration::from_secs(30);

/// Serves.
pub(crate) fn run(global: &Global, output: Output) -> Result<Exit, Stop> {
    let place = Place::find(global.config.as_deref())?;
    start_log(&place, global, output)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Stop::failed)?;
    let exit = runtime.block_on(serve(&place, global, output));
    // After a second signal nobody waits for what still waits for a disk or a name server.
    runtime.shutdown_background();
    exit
}

/// Says what there is to say of the configuration where it says. It is read again for what follows: it may hold much, and
/// this reading is not kept while the gateway runs.
fn start_log(place: &Place, global: &Global, output: Output) -> Result<(), Stop> {
    let loaded = load(place, output)?;
    log::start(Some(&loaded.configuration.log), global);
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    Ok(())
}

/// Beside the start, which a silent agent must not hold up.
async fn look_for_agent_keys(in_force: Arc<ArcSwap<InForce>>) {
    for doubt in compose::agent_doubts(&in_force.load_full().loaded).await {
        tracing::warn!("{doubt}");
    }
}

async fn serve(place: &Place, global: &Global, output: Output) -> Result<Exit, Stop> {
    let mut signals = Signals::new().map_err(Stop::failed)?;
    let portcullis = compose::compose(place, global, output).await?;
    let front = compose::front(&portcullis).await?;
    let service = Service::start(&portcullis)?;
    tokio::spawn(look_for_agent_keys(Arc::clone(&portcullis.in_force)));
    for address in front.addresses() {
        tracing::info!(%address, "serving MCP over HTTP");
    }
    if let Some(address) = front.metrics_address() {
        tracing::info!(%address, "serving metrics");
    }
    let watching = tokio::spawn(watch(
        place.file().to_owned(),
        Arc::clone(&portcullis.reload) as Arc<dyn Reload>,
        Arc::clone(&portcullis.in_force),
        Arc::downgrade(&front),
    ));
    signals.until_stop(&portcullis).await;
    tracing::info!(seconds = DRAIN.as_secs(), "stopping when what is under way has ended");
    watching.abort();
    let drained = async {
        tokio::join!(front.shutdown(DRAIN), service.stop(DRAIN));
        portcullis.close().await
    };
    tokio::select! {
        biased;
        () = signals.stop() => {
            tracing::warn!("a second signal: ending at once");
            Ok(Exit::Failed)
        }
        closed = drained => closed.map(|()| Exit::Done),
    }
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Until a signal to stop; a hangup meanwhile reloads, and opens log files again.
    async fn until_stop(&mut self, portcullis: &Portcullis) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => {
                    portcullis.journal.reopen_sinks();
                    take_over(Arc::clone(&portcullis.reload) as Arc<dyn Reload>, By::Operator).await;
                }
            }
        }
    }

    async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Takes changed files over and says how it went; on an error everything stays as it was.
async fn take_over(reload: Arc<dyn Reload>, by: By) {
    match reload.reload(by).await {
        Ok(done) => {
            for principal in &done.thawed {
                tracing::warn!(%principal, "not frozen any more");
            }
            for change in &done.changes.changes {
                tracing::info!("reloaded: {change}");
            }
            for key in &done.changes.restart {
                tracing::warn!("`{key}` counts from the next start");
            }
            tracing::info!(changes = done.changes.changes.len(), "reloaded");
        }
        Err(findings) => tracing::error!("the changed files were not taken over:\n{findings}"),
    }
}

/// Follows the files while the configuration says so, and the certificates always.
async fn watch(file: PathBuf, reload: Arc<dyn Reload>, in_force: Arc<ArcSwap<InForce>>, front: Weak<Front>) {
    let configuration = || in_force.load().loaded.configuration.clone();
    let mut files = Changes::since(Seen::look(&file, &configuration()));
    let mut certificates = Changes::since(Seen::certificates(&configuration()));
    loop {
        tokio::time::sleep(LOOK).await;
        let now = configuration();
        let seen = Seen::look(&file, &now);
        if !now.watch {
            files.forget(seen);
        } else if files.settled(seen) {
            take_over(Arc::clone(&reload), By::Watch).await;
        }
        if certificates.settled(Seen::certificates(&now))
            && let Some(front) = front.upgrade()
        {
            match compose::renew_certificates(&front, &now) {
                Ok(()) => tracing::info!("the certificates were renewed"),
                Err(error) => tracing::error!("the certificates that are in use stay: {error}"),
            }
        }
    }
}
