//! The way to a host for one call: everything that is known before there is a connection, and the steps to a channel.

use std::sync::Arc;

use model::{Clock, ErrorCode, Failure, Host, TargetName};
use tokio_util::sync::CancellationToken;
use tools::{HostRun, SubEvents};

use crate::connection::{Connection, Seat, watch};
use crate::dial::Resolver;
use crate::known_hosts::{HostKeyFiles, KnownHosts};
use crate::leg::{Ground, Leg, Link};
use crate::pool::{Fit, Pool, Shelf};
use crate::probe::Account;
use crate::refusal;
use crate::remote::{NotOpened, Remote};
use crate::settings::SshSettings;

/// How often a call looks for another connection when one refuses its channel.
pub(crate) const MOST_TRIES: usize = 4;

/// The sub-event that logging in to a jump host is.
const JUMP: &str = "jump_host";

/// What a reload or a lockdown replaces.
#[derive(Clone)]
pub(crate) struct Now {
    pub(crate) settings: Arc<SshSettings>,
    pub(crate) host_keys: Arc<HostKeyFiles>,
    /// Cut to end every connection there is.
    pub(crate) leash: CancellationToken,
}

/// What ways share from call to call.
#[derive(Clone)]
pub(crate) struct Means {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) resolver: Arc<dyn Resolver>,
}

pub(crate) struct Way<'a> {
    pub(crate) host: &'a Host,
    pub(crate) shelf: Shelf,
    hops: Vec<Leg<'a>>,
    last: Leg<'a>,
    run: HostRun<'a>,
    known: Arc<KnownHosts>,
    now: Now,
    pool: Arc<Pool>,
    means: Means,
    start: &'a (dyn Fn() + Send + Sync),
}

impl Now {
    pub(crate) fn new(settings: SshSettings, leash: CancellationToken) -> Self {
        let host_keys = Arc::new(HostKeyFiles::new(settings.known_hosts.clone()));
        Self { settings: Arc::new(settings), host_keys, leash }
    }
}

impl<'a> Way<'a> {
    /// Finds accounts, credentials, known keys and admitted addresses of every host on the way; dials nothing. `start` is
    /// called right before the login on the target.
    pub(crate) async fn prepare(
        run: &HostRun<'a>,
        now: Now,
        pool: Arc<Pool>,
        means: Means,
        start: &'a (dyn Fn() + Send + Sync),
    ) -> Result<Self, Failure> {
        let (host, lease) = (run.host, run.lease);
        let credential = lease.credential().ok_or_else(|| {
            Failure::new(ErrorCode::TargetAuth, format!("there is no credential for `{}`", host.name))
                .with_hint("take a handle first, or ask the operator for a `credential` in the inventory")
        })?;
        let files = Arc::clone(&now.host_keys);
        let known = tokio::task::spawn_blocking(move || files.current()).await;
        let known = known
            .map_err(|_| Failure::new(ErrorCode::Internal, "known hosts could not be read"))?
            .map_err(|error| refusal::unreadable(&error))?;
        let ground = ground(run, &means, &known, &now);
        let mut hops: Vec<Leg<'a>> = Vec::new();
        for hop in run.hops.iter().copied() {
            let own = lease.hop(&hop.name).ok_or_else(|| {
                Failure::new(ErrorCode::Internal, format!("the lease has nothing for `{}`", hop.name))
            })?;
            let behind = hops.last().map(|leg| leg.host);
            let leg = Leg::prepare(hop, behind, &own.credential, own.key.clone(), &ground).await;
            hops.push(leg.map_err(|failure| on_the_way(failure, host))?);
        }
        let behind = hops.last().map(|leg| leg.host);
        let last = Leg::prepare(host, behind, credential, lease.credential_key().cloned(), &ground).await?;
        let by_way_of = hops.iter().map(|leg| leg.host.name.clone()).collect();
        let shelf = Shelf { target: host.name.clone(), user: last.user.clone(), by_way_of };
        Ok(Self { host, shelf, hops, last, run: *run, known, now, pool, means, start })
    }

    /// A channel on a connection that may be shared, or on a new one.
    pub(crate) async fn channel(&self) -> Result<Remote, Failure> {
        let mut last = None;
        for _ in 0..MOST_TRIES {
            let (seat, fresh) = self.seat().await?;
            let connection = Arc::clone(&seat.connection);
            match Remote::open(seat).await {
                Ok(remote) => return Ok(remote),
                // Full: the next try finds or dials another.
                Err(NotOpened::Refused(reason)) if connection.is_full() => last = Some(reason),
                Err(NotOpened::Refused(reason)) if fresh => return Err(no_channel(self.host, Some(&reason))),
                Err(NotOpened::Dead) if fresh => return Err(no_channel(self.host, None)),
                Err(NotOpened::Refused(_) | NotOpened::Dead) => connection.retire(),
            }
        }
        Err(no_channel(self.host, last.as_ref()))
    }

    /// A seat, and whether its connection was made for it.
    async fn seat(&self) -> Result<(Seat, bool), Failure> {
        let find = || self.pool.seat(&self.shelf, |connection| self.fit(connection));
        if let Some(seat) = find() {
            return Ok((seat, false));
        }
        let dialling = self.pool.dialling(&self.shelf);
        let _alone = dialling.lock().await;
        if let Some(seat) = find() {
            return Ok((seat, false));
        }
        let connection = Arc::new(self.establish().await?);
        let settings = &self.now.settings;
        let (watched, pool) = (Arc::downgrade(&connection), Arc::downgrade(&self.pool));
        let seat = connection.sit().ok_or_else(|| no_channel(self.host, None))?;
        self.pool.add(self.shelf.clone(), connection);
        tokio::spawn(watch(watched, pool, settings.idle_limit(), settings.watchdog));
        Ok((seat, true))
    }

    /// Goes the way, host by host: dials, checks the host key, logs in.
    pub(crate) async fn establish(&self) -> Result<Connection, Failure> {
        let leash = self.now.leash.child_token();
        // Until there is a connection that does it: whatever fails or is dropped here ends every socket of the way.
        let cut = leash.clone().drop_guard();
        let ground = ground(&self.run, &self.means, &self.known, &self.now);
        let mut hops: Vec<Link> = Vec::new();
        for leg in &self.hops {
            let passed = self.pass(leg, hops.last(), &ground, &leash).await;
            hops.push(passed.map_err(|failure| on_the_way(failure, self.host))?);
        }
        let link = self.last.link(hops.last(), &ground, &leash, self.start).await?;
        drop(cut.disarm());
        Ok(Connection::new(link, hops, leash, Arc::clone(&self.means.clock)))
    }

    /// Logs in to a jump host. That is an act of its own, on another host and with another credential than the call's.
    async fn pass(
        &self,
        leg: &Leg<'_>,
        before: Option<&Link>,
        ground: &Ground<'_>,
        leash: &CancellationToken,
    ) -> Result<Link, Failure> {
        let events: &dyn SubEvents = self.run.sub_events;
        events.begin(JUMP, leg.host.name.as_str()).await?;
        // The call has not started yet: a handle for the target is not used up on the way.
        let linked = leg.link(before, ground, leash, &|| ()).await;
        let told = match &linked {
            Ok(Link { target, user, place, .. }) => {
                let key = linked.as_ref().map(Link::fingerprint).unwrap_or_default();
                format!("{target}: {user}@{} port {} ({key})", place.host(), place.port())
            }
            Err(failure) => format!("{}: {}", leg.host.name, failure.code()),
        };
        events.end(JUMP, &told).await?;
        linked
    }

    /// What the shell of this call's account is remembered by.
    pub(crate) fn account(&self, connection: &Connection) -> Account {
        let Shelf { target, user, .. } = &self.shelf;
        Account { target: target.clone(), user: user.clone(), host_key: connection.link.fingerprint() }
    }

    fn legs(&self) -> impl Iterator<Item = &Leg<'a>> {
        self.hops.iter().chain(std::iter::once(&self.last))
    }

    fn fit(&self, connection: &Connection) -> Fit {
        let insecure = self.now.settings.insecure_hostkey && self.host.declared;
        let mut pairs = self.legs().zip(connection.links());
        if self.legs().zip(connection.links()).any(|(leg, link)| leg.key != link.key)
            || !connection.is_vouched_for(&self.known, insecure)
        {
            Fit::Stale
        } else if pairs.all(|(leg, link)| leg.is(link)) {
            Fit::Fits
        } else {
            Fit::Differs
        }
    }
}

fn ground<'a>(run: &HostRun<'a>, means: &'a Means, known: &'a Arc<KnownHosts>, now: &'a Now) -> Ground<'a> {
    let fences = run.lease.intended().permit().fences();
    Ground { resolver: &*means.resolver, fences, known, settings: &now.settings, now: means.clock.now() }
}

fn on_the_way(failure: Failure, host: &Host) -> Failure {
    failure.with_context(&format!("on the way to `{}`", host.name))
}

/// The words for a connection that was lost with a jump host, or with the host itself.
pub(crate) fn lost(host: &TargetName, hop: Option<&TargetName>) -> String {
    match hop {
        Some(hop) => format!("the connection to `{hop}`, on the way to `{host}`, was lost"),
        None => format!("the connection to `{host}` was lost"),
    }
}

pub(crate) fn no_channel(host: &Host, reason: Option<&russh::ChannelOpenFailure>) -> Failure {
    let name = &host.name;
    let text = match reason {
        Some(reason) => format!("`{name}` opens no channel: {}", refusal::words(reason.description())),
        None => format!("the connections to `{name}` do not hold"),
    };
    Failure::new(ErrorCode::TargetUnreachable, text)
}
