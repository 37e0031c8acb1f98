//! Keeps one upstream alive: starts it, learns what it offers, starts it again when it ends.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use broker::{Broker, Standing};
use model::{Failure, UpstreamName};
use serde_json::{Map, json};
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tools::UpstreamOffers;
use wire::{Era, ProtocolVersion};

use crate::breaker::Breaker;
use crate::child::{Program, Wanted};
use crate::environment;
use crate::fault::Fault;
use crate::follow::Follower;
use crate::handshake::{list, shake};
use crate::http::Remote;
use crate::judge::Seen;
use crate::link::{self, Carrier, Link};
use crate::measure;
use crate::offer::Offer;
use crate::parking::Parking;
use crate::pins::PinBook;
use crate::places::Places;
use crate::restart::Restart;
use crate::settings::{HttpSettings, Reach, UpstreamSettings};
use crate::starter::Starter;
use crate::upstreams::Ledger;
use crate::watches::Watches;

/// The first pause before it is started again; each that follows is twice as long.
const FIRST: Duration = Duration::from_millis(250);
/// The longest.
const LONGEST: Duration = Duration::from_secs(60);
/// How long it must run before its next end counts as its first.
const STEADY: Duration = Duration::from_secs(60);
/// How long what it lists stays as it is after it said that it changed: whoever changes it changes more.
const SETTLE: Duration = Duration::from_millis(50);
/// Changes that are nothing unusual.
const SOME: u32 = 8;
/// The longest that it stays so, for one that says it again and again.
const SETTLED: Duration = Duration::from_secs(10);

/// Why it ends when an operator starts it anew.
const ASKED: &str = "an operator starts it anew";

/// How long a server over HTTP may take to end its session.
const FAREWELL: Duration = Duration::from_secs(3);

/// One upstream.
pub(crate) struct Keeper {
    settings: UpstreamSettings,
    places: Arc<Places>,
    breaker: Breaker,
    calls: measure::Calls,
    /// Whether it was last reached as a server with two endpoints.
    two_endpoints: Arc<AtomicBool>,
    parking: Arc<Parking>,
    watches: Arc<Watches>,
    running: ArcSwapOption<Running>,
    offer: ArcSwap<Offer>,
    seen: Mutex<Seen>,
    /// Why it does not run.
    down: ArcSwap<String>,
    /// Whether it was ready, or failed, at least once.
    tried: watch::Sender<bool>,
    restart: Restart,
    stop: CancellationToken,
}

/// An upstream that is ready.
struct Running {
    link: Arc<Link>,
    version: ProtocolVersion,
    offers: UpstreamOffers,
}

/// What keepers need of the gateway.
#[derive(Clone)]
pub(crate) struct Around {
    pub(crate) broker: Arc<Broker>,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) pins: Arc<dyn PinBook>,
    pub(crate) starter: Arc<Starter>,
    pub(crate) changed: watch::Sender<u64>,
}

impl Keeper {
    pub(crate) fn new(settings: UpstreamSettings) -> Arc<Self> {
        Arc::new(Self {
            places: Arc::new(Places::new(settings.load)),
            breaker: Breaker::default(),
            calls: measure::Calls::default(),
            two_endpoints: Arc::default(),
            parking: Arc::default(),
            watches: Arc::default(),
            running: ArcSwapOption::empty(),
            offer: ArcSwap::default(),
            seen: Mutex::default(),
            down: ArcSwap::from_pointee("it is being started".to_owned()),
            tried: watch::Sender::new(false),
            restart: Restart::new(),
            stop: CancellationToken::new(),
            settings,
        })
    }

    pub(crate) fn name(&self) -> UpstreamName {
        self.settings.name
    }

    pub(crate) fn settings(&self) -> &UpstreamSettings {
        &self.settings
    }

    pub(crate) fn offer(&self) -> Arc<Offer> {
        self.offer.load_full()
    }

    /// What it listed last. Whoever holds this is the only one to change the offer.
    pub(crate) fn seen(&self) -> &Mutex<Seen> {
        &self.seen
    }

    /// The link of the start that is ready, while calls are sent on it.
    pub(crate) fn link(&self) -> Result<Arc<Link>, Fault> {
        if let Some(why) = self.breaker.why() {
            return Err(Fault::Paused(why));
        }
        let running = self.running.load();
        running.as_ref().map(|running| Arc::clone(&running.link)).ok_or_else(|| Fault::Down(self.why_down()))
    }

    /// The modern version that it speaks, if it speaks one.
    pub(crate) fn modern(&self) -> Option<ProtocolVersion> {
        let running = self.running.load();
        running.as_ref().map(|running| running.version).filter(|version| version.era() == Era::Modern)
    }

    /// What it has beside tools, while it runs.
    pub(crate) fn offers(&self) -> UpstreamOffers {
        self.running.load().as_ref().map(|running| running.offers).unwrap_or_default()
    }

    pub(crate) fn standing(&self) -> Result<Arc<Standing>, Failure> {
        self.link().map(|link| Arc::clone(link.standing())).map_err(|fault| self.refuses(fault))
    }

    /// The failure of a call that is not sent, counted.
    pub(crate) fn refuses(&self, fault: Fault) -> Failure {
        measure::refused(self.name(), &fault);
        fault.of_call(self.name())
    }

    pub(crate) fn places(&self) -> &Arc<Places> {
        &self.places
    }

    pub(crate) fn breaker(&self) -> &Breaker {
        &self.breaker
    }

    pub(crate) fn calls(&self) -> &measure::Calls {
        &self.calls
    }

    /// What clients want to hear of it.
    pub(crate) fn watches(&self) -> &Arc<Watches> {
        &self.watches
    }

    /// Its calls that wait for their clients.
    pub(crate) fn parking(&self) -> &Arc<Parking> {
        &self.parking
    }

    /// Why it cannot be used, if it cannot.
    pub(crate) fn down(&self) -> Option<String> {
        match self.running.load().is_none() {
            true => Some(self.why_down()),
            false => self.breaker.why(),
        }
    }

    /// Waits for the outcome of its first start.
    pub(crate) async fn tried(&self) {
        // The sender is ours: it cannot be gone.
        let _ = self.tried.subscribe().wait_for(|tried| *tried).await;
    }

    fn why_down(&self) -> String {
        self.down.load().as_ref().clone()
    }

    pub(crate) fn restarts(&self) -> &Restart {
        &self.restart
    }

    /// It is declared no more, or otherwise: it ends.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }

    /// Keeps it alive until it is stopped.
    pub(crate) async fn keep(self: Arc<Self>, around: Around) {
        let mut pause = FIRST;
        while !self.stop.is_cancelled() {
            let lived = self.live(&around);
            tokio::pin!(lived);
            let why = match tokio::time::timeout(STEADY, &mut lived).await {
                Ok(why) => why,
                Err(_) => {
                    let why = lived.await;
                    pause = FIRST;
                    why
                }
            };
            if self.stop.is_cancelled() {
                return;
            }
            if why == ASKED {
                tracing::info!(upstream = %self.name(), "{why}");
                self.down.store(Arc::new(why));
                self.breaker.reset();
                pause = FIRST;
                continue;
            }
            tracing::warn!(upstream = %self.name(), seconds = pause.as_secs_f32(), "it does not run, and is started again after a pause: {why}");
            self.down.store(Arc::new(why));
            self.tried.send_replace(true);
            self.restart.settled();
            let paused = tokio::time::timeout(pause, self.restart.asked());
            pause = match self.stop.run_until_cancelled(paused).await {
                Some(Ok(())) => FIRST,
                Some(Err(_)) | None => (pause * 2).min(LONGEST),
            };
        }
    }

    /// One start, from before its beginning to after its end; says why it ended.
    async fn live(self: &Arc<Self>, around: &Around) -> String {
        let name = self.name();
        measure::up(name, false);
        measure::happened(name, "upstream_started");
        if around.ledger.record("upstream_started", name, Map::new()).await.is_err() {
            return "its start cannot be recorded".to_owned();
        }
        let why = match self.start(around).await {
            Ok((program, link, served)) => {
                let why = self.serve(around, program, &link, served).await;
                link.end();
                why
            }
            Err(why) => why,
        };
        let fields = Map::from_iter([("reason".to_owned(), json!(why))]);
        let _ = around.ledger.record("upstream_ended", name, fields).await;
        why
    }

    /// Starts the program and what serves its pipes. The link may be used from now on, but by nobody else yet.
    async fn start(&self, around: &Around) -> Result<(Option<Program>, Arc<Link>, Serving), String> {
        match &self.settings.reach {
            Reach::Program { command, env, folder, sandbox } => {
                let (env, standing) = environment::of(self.name(), env, &around.broker).await?;
                let (command, folder, sandbox) = (command.clone(), folder.clone(), sandbox.clone());
                let wanted = Wanted { upstream: self.name(), command, env, folder, sandbox };
                self.start_program(wanted, standing, around).await
            }
            Reach::Http(settings) => self.start_remote(settings, &around.broker).await,
        }
    }

    async fn start_remote(
        &self,
        settings: &HttpSettings,
        broker: &Arc<Broker>,
    ) -> Result<(Option<Program>, Arc<Link>, Serving), String> {
        let (remote, standing, orders) =
            Remote::new(self.name(), settings, self.settings.client_requests, broker, &self.two_endpoints)
                .await?;
        let (link, messages) = Link::new(
            self.name(),
            standing,
            Arc::clone(&self.watches),
            Some(Arc::clone(&remote) as Arc<dyn Carrier>),
        );
        let serving = tokio::spawn(remote.run(Arc::clone(&link), messages, orders));
        Ok((None, link, Serving(serving)))
    }

    async fn start_program(
        &self,
        wanted: Wanted,
        standing: Standing,
        around: &Around,
    ) -> Result<(Option<Program>, Arc<Link>, Serving), String> {
        let (mut program, pipes) = Program::start(wanted, &around.starter).await?;
        let (link, messages) = Link::new(self.name(), Arc::new(standing), Arc::clone(&self.watches), None);
        let reading = {
            let link = Arc::clone(&link);
            tokio::spawn(async move { link.read(pipes.output).await })
        };
        tokio::spawn(link::write(pipes.input, messages, link.over.clone()));
        program.listen(pipes.errors, self.name(), link.standing().scanner());
        Ok((Some(program), link, Serving(reading)))
    }

    /// Everything between a start and its end; says why it ended.
    async fn serve(
        self: &Arc<Self>,
        around: &Around,
        mut program: Option<Program>,
        link: &Arc<Link>,
        mut serving: Serving,
    ) -> String {
        let why = tokio::select! {
            biased;
            () = self.stop.cancelled() => "it is not wanted any more".to_owned(),
            () = self.restart.asked() => ASKED.to_owned(),
            read = &mut serving.0 => {
                link.end();
                let read = read.unwrap_or_else(|_| "reading it ended in a defect".to_owned());
                match &mut program {
                    // A program that ends closes its output first: how it ended says more.
                    Some(program) => {
                        let ended = tokio::time::timeout(Duration::from_millis(500), program.ended()).await;
                        ended.unwrap_or(read)
                    }
                    None => read,
                }
            }
            why = self.use_it(around, link) => why,
        };
        self.running.store(None);
        measure::up(self.name(), false);
        link.end();
        self.parking.clear();
        match program {
            Some(program) => {
                serving.0.abort();
                if let Some(refused) = program.end().await {
                    return refused;
                }
            }
            // It says goodbye by itself, unless it has.
            None if !serving.0.is_finished() => {
                let _ = tokio::time::timeout(FAREWELL, &mut serving.0).await;
            }
            None => {}
        }
        why
    }

    /// Learns what it offers, and follows its changes. Returns only when it is of no use.
    async fn use_it(self: &Arc<Self>, around: &Around, link: &Arc<Link>) -> String {
        let ready = async {
            let (version, has) = shake(link, self.settings.client_requests).await?;
            // Before anything is listed, so that no change of it is missed.
            let follower = Follower::new(link, version, &self.watches).await;
            Ok::<_, Fault>((version, has, follower, list(link, version).await?))
        };
        let (version, has, mut follower, listed) = match ready.await {
            Ok(ready) => ready,
            Err(fault) => return fault.of_start(),
        };
        if let Err(why) = self.judge(around, listed, link.standing()).await {
            return why;
        }
        let offer = self.offer();
        tracing::info!(upstream = %self.name(), version = %version, tools = offer.in_order().len(), withheld = offer.withheld(), "it is ready");
        let offers = UpstreamOffers {
            resources: has.resources,
            subscribe: has.subscribe,
            resources_change: has.resources_change,
            prompts: has.prompts,
            prompts_change: has.prompts_change,
            completions: has.completions,
            logging: has.logging,
        };
        self.running.store(Some(Arc::new(Running { link: Arc::clone(link), version, offers })));
        self.tried.send_replace(true);
        self.restart.settled();
        let (mut of_tools, mut of_news) = (Pace::default(), Pace::default());
        self.breaker.reset();
        // What changed while it did not run.
        self.watches.missed();
        measure::up(self.name(), true);
        loop {
            let mut tools = false;
            let paused = tokio::select! {
                paused = self.breaker.opened() => Some(paused),
                () = link.relist.notified() => {
                    tools = true;
                    None
                }
                () = self.watches.news.notified() => None,
                () = follower.follow() => continue,
                () = link.strayed.notified() => {
                    self.tell_strays(around, link).await;
                    continue;
                }
            };
            if let Some(paused) = paused {
                match self.recover(around, link, version, paused).await {
                    Ok(()) => continue,
                    Err(why) => return why,
                }
            }
            // One that changes all the time is listed, recorded and told less and less often.
            let settle = if tools { of_tools.next() } else { of_news.next() };
            tokio::time::sleep(settle).await;
            if self.watches.publish() {
                around.changed.send_modify(|times| *times += 1);
            }
            if !tools {
                continue;
            }
            let judged = match list(link, version).await {
                Ok(listed) => self.judge(around, listed, link.standing()).await,
                Err(fault) => return fault.of_start(),
            };
            if let Err(why) = judged {
                return why;
            }
        }
    }

    /// Records what it asked that belongs to no call.
    async fn tell_strays(&self, around: &Around, link: &Link) {
        for method in link.take_strays() {
            tracing::warn!(upstream = %self.name(), method, "it asks what belongs to no call, and is refused");
            let fields = Map::from_iter([
                ("decision".to_owned(), json!("denied")),
                ("reason".to_owned(), json!(format!("`{method}` belongs to no call"))),
            ]);
            // It is refused whatever becomes of the record.
            let _ = around.ledger.record("upstream_asked", self.name(), fields).await;
        }
    }

    pub(crate) fn take(&self, offer: Offer, changed: &watch::Sender<u64>) {
        let differs = offer.differs(&self.offer.load());
        self.offer.store(Arc::new(offer));
        if differs {
            changed.send_modify(|times| *times += 1);
        }
    }
}

/// How long what changes is left to settle.
#[derive(Default)]
struct Pace {
    changes: u32,
    last: Option<Instant>,
}

impl Pace {
    /// The pause after one more change: short, unless there were many with no long time between any two of them.
    fn next(&mut self) -> Duration {
        let now = Instant::now();
        if self.last.is_none_or(|last| now.saturating_duration_since(last) > STEADY) {
            self.changes = 0;
        }
        self.last = Some(now);
        self.changes = self.changes.saturating_add(1);
        SETTLE.saturating_mul(2_u32.saturating_pow(self.changes.saturating_sub(SOME))).min(SETTLED)
    }
}

/// The task that hears what it says; it says why there is no more.
struct Serving(tokio::task::JoinHandle<String>);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.abort();
    }
}
