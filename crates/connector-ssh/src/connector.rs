//! The connector: from a lease to an outcome.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use model::{Clock, CredentialUse, ErrorCode, Exit, Failure, Host, Outcome, Shell, Stream, TargetName};
use policy::NetworkFence;
use serde_json::{Map, Value};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tools::{HostRun, HostShell};

use crate::carry::{bounded, carry_out};
use crate::connection::Connection;
use crate::dial::{Resolver, SystemResolver};
use crate::kept::Half;
use crate::leg::Link;
use crate::pool::Pool;
use crate::posture::Posture;
use crate::probe::{self, Account, Probed};
use crate::remote::Remote;
use crate::settings::SshSettings;
use crate::way::{MOST_TRIES, Means, Now, Way, no_channel};

/// Runs commands on hosts over SSH.
pub struct SshConnector {
    means: Means,
    shared: Arc<Pool>,
    probed: Probed,
    now: Mutex<Now>,
}

impl SshConnector {
    /// A connector without connections.
    pub fn new(settings: SshSettings, clock: Arc<dyn Clock>) -> Self {
        let now = Mutex::new(Now::new(settings, CancellationToken::new()));
        let means = Means { clock, resolver: Arc::new(SystemResolver) };
        Self { means, shared: Arc::default(), probed: Probed::default(), now }
    }

    /// With another resolver than the machine's own.
    #[must_use]
    pub fn with_resolver(mut self, resolver: Arc<dyn Resolver>) -> Self {
        self.means.resolver = resolver;
        self
    }

    /// Replaces the settings. If they say something else, connections made under the old ones are not shared any more: idle
    /// ones end now, busy ones with their commands.
    pub fn configure(&self, settings: SshSettings) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if *now.settings == settings {
            return;
        }
        *now = Now::new(settings, now.leash.clone());
        drop(now);
        self.probed.forget(|_| true);
        self.shared.retire(|_| true);
    }

    /// Takes connections that a reload touches out of use: those to or through hosts of which `touched` holds, and those
    /// over an address that `network` does not admit. Idle ones end now, busy ones with their commands. All others stay.
    pub fn retire(&self, touched: impl Fn(&TargetName) -> bool, network: &NetworkFence) {
        self.probed.forget(&touched);
        self.shared.retire(|connection| {
            connection.links().any(|link| touched(&link.target) || !link.place.is_admitted(network))
        });
    }

    /// Ends every connection that no command runs on; the others end with their commands.
    pub fn close_idle(&self) {
        self.shared.retire(|_| true);
    }

    /// Ends every connection now, whatever runs on it; calls in flight fail.
    pub fn close_all(&self) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut now.leash).cancel();
        drop(now);
        self.shared.retire(|_| true);
    }

    async fn way<'a>(
        &self,
        run: &HostRun<'a>,
        pool: Arc<Pool>,
        start: &'a (dyn Fn() + Send + Sync),
    ) -> Result<Way<'a>, Failure> {
        let now = self.now.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Way::prepare(run, now, pool, self.means.clone(), start).await
    }

    /// A channel for the command, after the account's shell has been found to be what the inventory says.
    async fn probed_channel(
        &self,
        way: &Way<'_>,
        run: &HostRun<'_>,
        deadline: Instant,
    ) -> Result<Remote, Failure> {
        for _ in 0..MOST_TRIES {
            let remote = bounded(run, deadline, way.channel()).await?;
            remote.connection().addresses().for_each(|address| run.sub_events.dialled(address));
            let account = way.account(remote.connection());
            if let Some(known) = self.known(&account) {
                return known.map(|()| remote);
            }
            let turn = self.probed.turn(&account);
            let _alone = bounded(run, deadline, async { Ok(turn.lock().await) }).await?;
            if let Some(known) = self.known(&account) {
                return known.map(|()| remote);
            }
            run.lease.start();
            let text = policy::command::canonical(&probe::command());
            run.sub_events.begin(probe::EVENT, &text).await?;
            let collected = carry_out(run, deadline, remote, &text, probe::OUTPUT, &|_| ()).await;
            let judged = collected.and_then(|said| probe::judge(&said, way.host, &way.shelf.user));
            run.sub_events.end(probe::EVENT, probe::word(&judged)).await?;
            self.probed.remember(account, &judged, self.means.clock.boot());
            judged?;
        }
        Err(no_channel(way.host, None))
    }

    fn known(&self, account: &Account) -> Option<Result<(), Failure>> {
        self.probed.known(account, self.means.clock.boot())
    }

    /// Calls on a handle, or with a secret that cannot be told from the next, get a pool of their own: no
    /// connection of theirs outlives the call or serves another.
    fn pool_for(&self, run: &HostRun<'_>) -> Arc<Pool> {
        let lease = run.lease;
        let own = lease.action().credential == CredentialUse::Inventory;
        let told_apart = lease.credential_key().is_some()
            && run.hops.iter().all(|hop| lease.hop(&hop.name).is_some_and(|own| own.key.is_some()));
        if own && told_apart { Arc::clone(&self.shared) } else { Arc::default() }
    }
}

#[async_trait]
impl HostShell for SshConnector {
    async fn exec(&self, run: HostRun<'_>) -> Result<Outcome, Failure> {
        let command = run.lease.action().command.as_ref();
        let command =
            command.ok_or_else(|| Failure::new(ErrorCode::Internal, "the action has no command"))?;
        takes_commands(run.host)?;
        let text = policy::command::canonical(command);
        let deadline = Instant::now() + run.timeout;
        let start = || run.lease.start();
        let way = bounded(&run, deadline, self.way(&run, self.pool_for(&run), &start)).await?;
        let remote = self.probed_channel(&way, &run, deadline).await?;
        let values = facts(remote.connection(), of_link);
        start();
        let collected = carry_out(&run, deadline, remote, &text, run.output, run.progress).await?;
        if collected.rejected {
            let text = format!("`{}` runs no commands for `{}`", run.host.name, way.shelf.user);
            return Err(Failure::new(ErrorCode::TargetShell, text));
        }
        let streams = vec![stream("stdout", collected.out), stream("stderr", collected.err)];
        Ok(Outcome {
            streams,
            exit: Some(collected.exit.unwrap_or(Exit::Unknown)),
            values,
            ..Outcome::default()
        })
    }

    async fn login(&self, run: HostRun<'_>) -> Result<Outcome, Failure> {
        let deadline = Instant::now() + run.timeout;
        let start = || run.lease.start();
        let way = bounded(&run, deadline, self.way(&run, Arc::default(), &start)).await?;
        let connection = bounded(&run, deadline, way.establish()).await?;
        let told = |link: &Link| of_link(link).into_iter().chain(of_server(link)).collect();
        Ok(Outcome { values: facts(&connection, told), ..Outcome::default() })
    }
}

fn takes_commands(host: &Host) -> Result<(), Failure> {
    match host.shell {
        Shell::Posix => Ok(()),
        Shell::PowerShell | Shell::None => Err(Failure::new(
            ErrorCode::TargetShell,
            format!("`{}` has no POSIX shell, so no command is sent", host.name),
        )),
    }
}

fn facts(connection: &Connection, of: impl Fn(&Link) -> Map<String, Value>) -> Map<String, Value> {
    let mut facts = of(&connection.link);
    if !connection.hops.is_empty() {
        let named = |hop: &Link| {
            let mut facts = of(hop);
            facts.insert("name".to_owned(), Value::from(hop.target.as_str()));
            Value::Object(facts)
        };
        facts.insert("hops".to_owned(), connection.hops.iter().map(named).collect());
    }
    facts
}

fn of_link(link: &Link) -> Map<String, Value> {
    [
        ("address", link.place.host()),
        ("port", link.place.port().to_string()),
        ("user", link.user.clone()),
        ("host_key", link.fingerprint()),
        ("host_key_algorithm", link.host_key.algorithm().to_string()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), Value::from(value)))
    .collect()
}

/// What only operators are told, who can do something about it.
fn of_server(link: &Link) -> Map<String, Value> {
    let posture = link.seen.posture();
    let named = |posture: &Posture| {
        let doubts = posture.doubts();
        let told = [("server", posture.software().to_owned().into()), ("doubts", doubts.into())];
        told.map(|(name, value): (&str, Value)| (name.to_owned(), value))
    };
    posture.into_iter().flat_map(named).collect()
}

fn stream(name: &'static str, half: Half) -> Stream {
    Stream { name, bytes: half.bytes, total: half.total }
}
