//! A server that is reached over HTTP: it carries the messages of a link, each where its answer
//! is waited for, and keeps the session that they need.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use broker::{Broker, Standing};
use http::header::USER_AGENT;
use http::{HeaderMap, HeaderValue, Uri};
use model::{Abilities, Secret, SecretLocation, UpstreamName};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use wire::{Era, Message, ScanLimits};

use super::clients::Clients;
use super::dial::{Dialler, Route};
use super::exchange::{Broken, Exchange};
use super::identity;
use super::oauth::Grant;
use super::outgoing::{Outgoing, What};
use super::resume::Place;
use super::session::{Agreed, Session};
use super::trust::Files;
use super::two::TwoEndpoints;
use crate::link::{Carried, Carrier, Link, NO_CALL, Taken};
use crate::settings::{EnvValue, HttpSettings};

/// How long a greeting has that makes a lost session anew.
const GREETING: Duration = Duration::from_secs(30);
/// How long the last word of a session may take.
const LEAVING: Duration = Duration::from_secs(2);
/// How often it is asked whether it is there.
const PROBE: Duration = Duration::from_secs(30);
/// The pause before a stream of its own words is opened again, at first and at most.
const REOPEN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// The number of a greeting that no link sent.
const OWN: u64 = NO_CALL;

/// Why it is over when we wrote what is no message.
const OURS_IS_NONE: &str = "a message of ours is none";

/// One server.
pub(crate) struct Remote {
    upstream: UpstreamName,
    exchange: Exchange,
    session: Session,
    two: TwoEndpoints,
    orders: mpsc::UnboundedSender<Order>,
    /// What clients may be asked through us, for greetings.
    abilities: Abilities,
}

/// What those who post have [`Remote::run`] do.
pub(crate) enum Order {
    /// End, for this reason.
    End(String),
    /// Hear what a legacy server says unasked.
    Listen,
    /// Hear whether it is a server with two endpoints, which refused the greeting of this number so.
    Hear(u64, String),
}

/// Orders as they come. There are as many as messages, and each is taken at once.
pub(crate) type Orders = mpsc::UnboundedReceiver<Order>;

impl Remote {
    /// Makes everything ready to reach it, with secrets fetched for it; says why that cannot be. `two` tells, from one start to the
    /// next, whether it is a server with two endpoints.
    pub(crate) async fn new(
        upstream: UpstreamName,
        settings: &HttpSettings,
        abilities: Abilities,
        broker: &Arc<Broker>,
        two: &Arc<AtomicBool>,
    ) -> Result<(Arc<Self>, Arc<Standing>, Orders), String> {
        let uri: Uri = settings.url.parse().map_err(|_| "`url` is no address".to_owned())?;
        let (headers, secrets) = headers(upstream, settings, broker).await?;
        let files = Files { ca: settings.ca.clone(), identity: settings.identity.clone() };
        let route = Route::to(&uri, files, settings.networks.clone(), true).await?;
        let (grant, standing) = match &settings.oauth {
            None => (None, Arc::new(Standing::new(&secrets))),
            Some(oauth) => {
                let grant = Grant::new(upstream, settings, oauth, broker, secrets).await?;
                let standing = Arc::clone(grant.standing());
                (Some(grant), standing)
            }
        };
        let exchange = Exchange { clients: Clients::new(Dialler(Arc::new(route))), uri, headers, grant };
        let (orders, ordered) = mpsc::unbounded_channel();
        let (session, two) = (Session::default(), TwoEndpoints::new(Arc::clone(two)));
        let remote = Self { upstream, exchange, session, two, orders, abilities };
        Ok((Arc::new(remote), standing, ordered))
    }

    /// Does what comes beside the requests until the link is over or it cannot be reached any more; says why.
    pub(crate) async fn run(
        self: Arc<Self>,
        link: Arc<Link>,
        mut messages: mpsc::Receiver<Vec<u8>>,
        mut orders: Orders,
    ) -> String {
        let mut tasks = JoinSet::<Option<String>>::new();
        tasks.spawn(Arc::clone(&self).probe(Arc::clone(&link)));
        let why = loop {
            tokio::select! {
                biased;
                () = link.over.cancelled() => break "it is not wanted any more".to_owned(),
                Some(order) = orders.recv() => match order {
                    Order::End(why) => break why,
                    Order::Listen => drop(tasks.spawn(Arc::clone(&self).listen(Arc::clone(&link)))),
                    Order::Hear(id, why) => {
                        tasks.spawn(Arc::clone(&self).hear(Arc::clone(&link), id, why));
                    }
                },
                Some(ended) = tasks.join_next() => if let Ok(Some(why)) = ended { break why },
                message = messages.recv() => match message.and_then(Outgoing::new) {
                    Some(outgoing) => self.send(outgoing, &link, &mut tasks),
                    None => break OURS_IS_NONE.to_owned(),
                },
            }
        };
        link.end();
        tasks.shutdown().await;
        let agreed = self.session.agreed();
        if agreed.session.is_some() {
            let _ = tokio::time::timeout(LEAVING, self.exchange.leave(&agreed)).await;
        }
        why
    }

    /// Posts what nobody waits for.
    fn send(self: &Arc<Self>, outgoing: Outgoing, link: &Arc<Link>, tasks: &mut JoinSet<Option<String>>) {
        // A modern server learns that a request is given up by its connection, which whoever asked has closed.
        if matches!(outgoing.what, What::Cancelled(_)) && self.session.agreed().version.is_none() {
            return;
        }
        let (remote, link) = (Arc::clone(self), Arc::clone(link));
        tasks.spawn(async move { remote.deliver(&outgoing, &link).await });
    }

    /// Posts a message, and sees to it that whoever waits for its answer learns what became of it. Says why the upstream
    /// is of no more use, if it is not.
    async fn deliver(&self, outgoing: &Outgoing, link: &Link) -> Option<String> {
        let agreed = self.session.agreed();
        let mut posted = self.post(outgoing, &agreed, link).await;
        if posted == Err(Broken::SessionLost) {
            posted = match self.repair(&agreed, link).await {
                Ok(()) => self.post(outgoing, &self.session.agreed(), link).await,
                Err(broken) => Err(broken),
            };
        }
        if let (Err(Broken::NotTaken(why)), What::Greeting(id)) = (&posted, outgoing.what) {
            // It may have two endpoints. If it has none, whoever waits learns it from who finds out.
            self.order(Order::Hear(id, why.clone()));
            let endpoint = self.two.told().await;
            posted = self.exchange.post_beside(endpoint, outgoing).await;
        }
        match posted {
            Ok(()) => {
                if outgoing.what == What::Greeted && self.two.endpoint().is_none() {
                    self.order(Order::Listen);
                }
                None
            }
            Err(broken) => {
                let ends_it = broken.ends_it();
                match outgoing.id() {
                    Some(id) => link.fail(id, broken.fault()),
                    None => {
                        tracing::debug!(upstream = %self.upstream, ?broken, "it did not take a message that wants no answer")
                    }
                }
                ends_it
            }
        }
    }

    fn order(&self, order: Order) {
        // Nobody takes orders when it is over, and nothing is to be done then.
        let _ = self.orders.send(order);
    }

    async fn post(&self, outgoing: &Outgoing, agreed: &Agreed, link: &Link) -> Result<(), Broken> {
        if let Some(endpoint) = self.two.endpoint() {
            return self.exchange.post_beside(endpoint, outgoing).await;
        }
        if self.two.known() {
            return Err(Broken::NotTaken("as a server with two endpoints".to_owned()));
        }
        if let What::Greeting(id) = outgoing.what {
            return self.greet(outgoing, &mut |message| link.take(message, Some(id))).await;
        }
        let mut sink = |message: &[u8]| link.take(message, outgoing.id());
        self.exchange.post(outgoing, agreed, &mut |_| {}, &mut sink).await
    }

    /// Posts a greeting, and keeps what was agreed before anybody else learns of it.
    async fn greet(
        &self,
        greeting: &Outgoing,
        sink: &mut (dyn FnMut(&[u8]) -> Taken + Send),
    ) -> Result<(), Broken> {
        let given = std::sync::Mutex::new(None);
        let keep = |session| *given.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = session;
        let mut heads = |headers: &HeaderMap| keep(headers.get(wire::name::SESSION_ID).cloned());
        let mut sink = |message: &[u8]| {
            if let Some(version) = version_in(message) {
                let session = given.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
                self.session.agree(Agreed { session, version: Some(version) });
            }
            sink(message)
        };
        self.exchange.post(greeting, &Agreed::default(), &mut heads, &mut sink).await
    }

    /// Makes a new session in the place of the one that a message was sent in, unless that was done for another.
    async fn repair(&self, lost: &Agreed, link: &Link) -> Result<(), Broken> {
        let _one = self.session.repairing.lock().await;
        if self.session.agreed().session != lost.session {
            return Ok(());
        }
        tracing::info!(upstream = %self.upstream, "it has lost its session, and is greeted anew");
        let greeting = wire::write_request(OWN, "initialize", &wire::initialize_params(self.abilities));
        let greeted = tokio::time::timeout(GREETING, self.greet_alone(greeting)).await;
        greeted.unwrap_or(Err(Broken::Protocol("no greeting in time")))?;
        if self.session.agreed().version != lost.version {
            return Err(Broken::Unreached("it speaks another version than before".to_owned()));
        }
        // What it offers may be something else by now.
        link.relist.notify_one();
        Ok(())
    }

    async fn greet_alone(&self, greeting: Vec<u8>) -> Result<(), Broken> {
        let ours = Broken::Protocol("a greeting that is none");
        let greeting = Outgoing::new(greeting).ok_or_else(|| ours.clone())?;
        let mut sink = |message: &[u8]| match version_in(message) {
            Some(_) => Taken::Answer,
            None => Taken::Message,
        };
        self.greet(&greeting, &mut sink).await?;
        let greeted = Outgoing::new(wire::write_initialized()).ok_or(ours)?;
        self.exchange.post(&greeted, &self.session.agreed(), &mut |_| {}, &mut |_| Taken::Message).await
    }

    /// Hears what a server with two endpoints says, for as long as it goes on. One that has no such stream has refused the greeting
    /// for good.
    async fn hear(self: Arc<Self>, link: Arc<Link>, greeting: u64, refused: String) -> Option<String> {
        let mut sink = |message: &[u8]| {
            if self.session.agreed().version.is_none() {
                self.session.agree(Agreed { session: None, version: version_in(message) });
            }
            link.take(message, None)
        };
        match self.two.hear(&self.exchange, &mut sink).await {
            Ok(why) => Some(why),
            Err(broken) => {
                let ends_it = broken.ends_it();
                if ends_it.is_none() {
                    link.fail(greeting, Broken::NotTaken(refused).fault());
                }
                ends_it
            }
        }
    }

    /// Hears what a legacy server says unasked, for as long as it offers to.
    async fn listen(self: Arc<Self>, link: Arc<Link>) -> Option<String> {
        let (mut pause, mut place) = (REOPEN.0, Place::default());
        loop {
            let mut sink = |message: &[u8]| link.take(message, Some(OWN));
            match self.exchange.listen(&self.session.agreed(), &mut place, &mut sink).await {
                Ok(true) => pause = REOPEN.0,
                Ok(false) => return None,
                Err(broken) => {
                    if let Some(why) = broken.ends_it() {
                        return Some(why);
                    }
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(REOPEN.1);
        }
    }

    /// Asks now and then whether it is there: if it is not, whoever posts the question finds out.
    async fn probe(self: Arc<Self>, link: Arc<Link>) -> Option<String> {
        loop {
            tokio::time::sleep(PROBE).await;
            let (method, params) = match self.session.agreed().version.map(wire::ProtocolVersion::era) {
                Some(Era::Legacy) => ("ping", "{}".to_owned()),
                Some(Era::Modern) | None => ("server/discover", wire::discover_params(wire::LATEST)),
            };
            let _ = link.request(method, params, PROBE).await;
        }
    }
}

impl Carrier for Remote {
    fn carry(self: Arc<Self>, link: Arc<Link>, message: Vec<u8>) -> Carried {
        Box::pin(async move {
            let Some(outgoing) = Outgoing::new(message) else {
                return self.order(Order::End(OURS_IS_NONE.to_owned()));
            };
            if let Some(why) = self.deliver(&outgoing, &link).await {
                self.order(Order::End(why));
            }
        })
    }
}

/// The version that the answer to a greeting settles on.
fn version_in(message: &[u8]) -> Option<wire::ProtocolVersion> {
    match Message::parse(message, ScanLimits::default()) {
        Ok(Message::Response(response)) => wire::read_initialized(response.outcome.ok()?),
        Ok(Message::Request(_) | Message::Notification(_)) | Err(_) => None,
    }
}

/// The headers of every request, and the secrets among them.
async fn headers(
    upstream: UpstreamName,
    settings: &HttpSettings,
    broker: &Broker,
) -> Result<(HeaderMap, Vec<Secret<String>>), String> {
    let (mut headers, mut secrets) = (HeaderMap::new(), Vec::new());
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("portcullis/", env!("CARGO_PKG_VERSION"))));
    for (name, value) in &settings.headers {
        match value {
            EnvValue::Plain(text) => identity::add_header(&mut headers, name, text, false)?,
            EnvValue::Secret(location) => {
                let value = secret(upstream, location, broker).await?;
                identity::add_header(&mut headers, name, value.expose(), true)?;
                secrets.push(value);
            }
        }
    }
    if let Some(location) = &settings.bearer {
        let stored = secret(upstream, location, broker).await?;
        // What leaks would be the token, with the word before it or without.
        secrets.push(identity::add_bearer(&mut headers, &stored)?);
    }
    Ok((headers, secrets))
}

/// Fetches one secret for the start of an upstream.
pub(crate) async fn secret(
    upstream: UpstreamName,
    location: &SecretLocation,
    broker: &Broker,
) -> Result<Secret<String>, String> {
    broker.secret(location, &format!("upstream `{upstream}`")).await.map_err(|failure| {
        tracing::warn!(%upstream, internal = failure.internal(), "a secret of it cannot be had");
        failure.message().to_owned()
    })
}
