//! The connector: from a lease to an outcome.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use broker::CredentialKey;
use model::{Clock, CredentialUse, ErrorCode, Exit, Failure, Host, Outcome, Shell, Stream};
use russh::client::Config;
use serde_json::{Map, Value};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tools::{HostRun, HostShell};

use crate::connection::{Connection, Parts, Seat, watch};
use crate::gatekeeper::{Broken, Gatekeeper, KeyCheck, Seen};
use crate::kept::Half;
use crate::known_hosts::{HostKeyFiles, KnownHosts, Standing};
use crate::leash::{Allowance, Leashed};
use crate::login::{Login, account};
use crate::pool::{Pool, Shelf};
use crate::probe::{self, Account, Probed};
use crate::remote::{Collected, Ending, NotOpened, Remote};
use crate::settings::SshSettings;
use crate::{algorithms, dial, refusal};

/// What a host may send before the login is done, in bytes.
const LOGIN_ALLOWANCE: u64 = 1024 * 1024;
/// What is kept of a shell probe's output.
const PROBE_OUTPUT: u64 = 64 * 1024;
/// How often a call looks for another connection when one refuses its channel.
const MOST_TRIES: usize = 4;

/// Runs commands on hosts over SSH.
pub struct SshConnector {
    clock: Arc<dyn Clock>,
    shared: Arc<Pool>,
    probed: Probed,
    now: Mutex<Now>,
}

/// What a reload or a lockdown replaces.
#[derive(Clone)]
struct Now {
    settings: Arc<SshSettings>,
    host_keys: Arc<HostKeyFiles>,
    /// Cut to end every connection there is.
    leash: CancellationToken,
}

/// Everything about one call that is known before a connection is.
struct Way<'a> {
    host: &'a Host,
    shelf: Shelf,
    key: Option<CredentialKey>,
    login: Login<'a>,
    addresses: Vec<SocketAddr>,
    known: Arc<KnownHosts>,
    now: Now,
    pool: Arc<Pool>,
    start: &'a (dyn Fn() + Send + Sync),
}

impl SshConnector {
    /// A connector without connections.
    pub fn new(settings: SshSettings, clock: Arc<dyn Clock>) -> Self {
        let now = Mutex::new(Now::new(settings, CancellationToken::new()));
        Self { clock, shared: Arc::default(), probed: Probed::default(), now }
    }

    /// Replaces the settings. Connections made under the old ones are not shared any more: idle ones end now,
    /// busy ones with their commands.
    pub fn configure(&self, settings: SshSettings) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        *now = Now::new(settings, now.leash.clone());
        drop(now);
        self.probed.forget_all();
        self.shared.retire_all();
    }

    /// Ends every connection that no command runs on; the others end with their commands.
    pub fn close_idle(&self) {
        self.shared.retire_all();
    }

    /// Ends every connection now, whatever runs on it; calls in flight fail.
    pub fn close_all(&self) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut now.leash).cancel();
        drop(now);
        self.shared.retire_all();
    }

    fn now(&self) -> Now {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn prepare<'a>(
        &self,
        run: &HostRun<'a>,
        pool: Arc<Pool>,
        start: &'a (dyn Fn() + Send + Sync),
    ) -> Result<Way<'a>, Failure> {
        let (host, lease) = (run.host, run.lease);
        let credential = lease.credential().ok_or_else(|| {
            Failure::new(ErrorCode::TargetAuth, format!("there is no credential for `{}`", host.name))
                .with_hint("take a handle first, or ask the operator for a `credential` in the inventory")
        })?;
        let user = account(host, credential)?;
        let login = Login::prepare(&credential.material, &user, host).await?;
        let now = self.now();
        let files = Arc::clone(&now.host_keys);
        let known = tokio::task::spawn_blocking(move || files.current()).await;
        let known = known
            .map_err(|_| Failure::new(ErrorCode::Internal, "known hosts could not be read"))?
            .map_err(|error| refusal::unreadable(&error))?;
        let fence = &lease.intended().permit().fences().network;
        let addresses = dial::admitted(&host.address, host.port, fence).await?;
        let shelf = Shelf { target: host.name.clone(), user };
        let key = lease.credential_key().cloned();
        Ok(Way { host, shelf, key, login, addresses, known, now, pool, start })
    }

    /// A channel on a connection that may be shared, or on a new one.
    async fn channel(&self, way: &Way<'_>, output: u64) -> Result<Remote, Failure> {
        let mut last = None;
        for _ in 0..MOST_TRIES {
            let (seat, fresh) = self.seat(way).await?;
            let connection = Arc::clone(&seat.connection);
            match Remote::open(seat, output).await {
                Ok(remote) => return Ok(remote),
                // Full: the next try finds or dials another.
                Err(NotOpened::Refused(reason)) if connection.is_full() => last = Some(reason),
                Err(NotOpened::Refused(reason)) if fresh => return Err(no_channel(way.host, Some(&reason))),
                Err(NotOpened::Refused(_) | NotOpened::Dead) => connection.retire(),
            }
        }
        Err(no_channel(way.host, last.as_ref()))
    }

    async fn seat(&self, way: &Way<'_>) -> Result<(Seat, bool), Failure> {
        let find = || {
            way.pool.seat(&way.shelf, way.key.as_ref(), &way.addresses, |connection| way.trusts(connection))
        };
        if let Some(seat) = find() {
            (way.start)();
            return Ok((seat, false));
        }
        let dialling = way.pool.dialling(&way.shelf);
        let _alone = dialling.lock().await;
        if let Some(seat) = find() {
            (way.start)();
            return Ok((seat, false));
        }
        let connection = Arc::new(self.establish(way).await?);
        tokio::spawn(watch(
            Arc::downgrade(&connection),
            way.now.settings.idle_limit(),
            way.now.settings.watchdog,
        ));
        let seat = connection.sit().ok_or_else(|| no_channel(way.host, None))?;
        way.pool.add(way.shelf.clone(), connection);
        Ok((seat, true))
    }

    /// Dials, checks the host key, logs in.
    async fn establish(&self, way: &Way<'_>) -> Result<Connection, Failure> {
        let (host, settings) = (way.host, &way.now.settings);
        let (stream, address) =
            dial::connect(&host.address, &way.addresses, settings.connect_timeout).await?;
        let leash = way.now.leash.child_token();
        let cut = leash.clone().drop_guard();
        let allowance = Allowance::new(LOGIN_ALLOWANCE);
        let stream = Leashed::new(stream, leash.clone(), allowance.clone());
        let seen = Arc::new(Seen::default());
        let shake_and_log_in = async {
            let check = KeyCheck::Known {
                hosts: Arc::clone(&way.known),
                address: host.address.clone(),
                port: host.port,
                insecure: settings.insecure_hostkey,
            };
            let gatekeeper = Gatekeeper::new(check, Arc::clone(&seen));
            let config = Arc::new(way.config());
            // In a task of its own: what panics on a host's bytes ends that task and nothing else.
            let shaken = tokio::spawn(russh::client::connect_stream(config, stream, gatekeeper)).await;
            let shaken =
                shaken.unwrap_or_else(|_| Err(Broken::Weak("its messages could not be handled".to_owned())));
            let mut handle = shaken.map_err(|why| refusal::broken(host, why, way.known.missing()))?;
            way.login.log_in(&mut handle, &seen, &way.shelf.user, host, way.start).await?;
            Ok(handle)
        };
        let handle =
            tokio::time::timeout(settings.login_timeout, shake_and_log_in).await.unwrap_or_else(|_| {
                Err(Failure::new(
                    ErrorCode::TargetTimeout,
                    format!(
                        "`{}` did not finish the login within {} s",
                        host.name,
                        settings.login_timeout.as_secs()
                    ),
                ))
            })?;
        let host_key =
            seen.key().ok_or_else(|| Failure::new(ErrorCode::Internal, "a login without a host key"))?;
        cut.disarm();
        let (user, key) = (way.shelf.user.clone(), way.key.clone());
        let parts = Parts { handle, address, user, host_key, key, seen, leash, allowance };
        Ok(Connection::new(parts, Arc::clone(&self.clock)))
    }

    /// A channel for the command, after the account's shell has been found to be what the inventory says.
    async fn probed_channel(
        &self,
        way: &Way<'_>,
        run: &HostRun<'_>,
        deadline: Instant,
    ) -> Result<Remote, Failure> {
        for _ in 0..MOST_TRIES {
            let output = run.output.max(PROBE_OUTPUT);
            let remote = bounded(run, deadline, self.channel(way, run.output)).await?;
            let account = way.account(remote.connection());
            if self.probed.knows(&account) {
                return Ok(remote);
            }
            // The bound of the probe's channel does not matter to the caller, so one that is large enough is used.
            let remote = if run.output >= PROBE_OUTPUT {
                remote
            } else {
                drop(remote.end().await);
                bounded(run, deadline, self.channel(way, output)).await?
            };
            let account = way.account(remote.connection());
            self.probe(way, run, deadline, remote).await?;
            self.probed.remember(account);
        }
        Err(no_channel(way.host, None))
    }

    async fn probe(
        &self,
        way: &Way<'_>,
        run: &HostRun<'_>,
        deadline: Instant,
        remote: Remote,
    ) -> Result<(), Failure> {
        let text = policy::command::canonical(&probe::command());
        run.sub_events.begin("shell_probe", &text).await?;
        let judged = match carry_out(run, deadline, remote, &text, &|_| ()).await {
            Ok(collected) => probe::judge(&collected, way.host, &way.shelf.user),
            Err(failure) => Err(failure),
        };
        let result = match &judged {
            Ok(()) => "posix",
            Err(failure) if failure.code() == ErrorCode::TargetShell => "not posix",
            Err(_) => "failed",
        };
        run.sub_events.end("shell_probe", result).await?;
        judged
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
        let way = bounded(&run, deadline, self.prepare(&run, self.pool_for(&run), &start)).await?;
        let remote = self.probed_channel(&way, &run, deadline).await?;
        start();
        let values = facts(remote.connection());
        let collected = carry_out(&run, deadline, remote, &text, run.progress).await?;
        if collected.rejected {
            return Err(Failure::new(
                ErrorCode::TargetShell,
                format!("`{}` runs no commands for `{}`", run.host.name, way.shelf.user),
            ));
        }
        let streams = vec![stream("stdout", collected.out), stream("stderr", collected.err)];
        Ok(Outcome { streams, exit: Some(collected.exit.unwrap_or(Exit::Unknown)), values })
    }

    async fn login(&self, run: HostRun<'_>) -> Result<Outcome, Failure> {
        let deadline = Instant::now() + run.timeout;
        let start = || run.lease.start();
        let way = bounded(&run, deadline, self.prepare(&run, Arc::default(), &start)).await?;
        let connection = bounded(&run, deadline, self.establish(&way)).await?;
        Ok(Outcome { values: facts(&connection), ..Outcome::default() })
    }
}

impl SshConnector {
    /// Calls on a handle, or with a secret that cannot be told from the next, get a pool of their own: no
    /// connection of theirs outlives the call or serves another.
    fn pool_for(&self, run: &HostRun<'_>) -> Arc<Pool> {
        match (&run.lease.action().credential, run.lease.credential_key()) {
            (CredentialUse::Inventory, Some(_)) => Arc::clone(&self.shared),
            (CredentialUse::Inventory | CredentialUse::Handle(_) | CredentialUse::None, _) => Arc::default(),
        }
    }
}

impl Now {
    fn new(settings: SshSettings, leash: CancellationToken) -> Self {
        let host_keys = Arc::new(HostKeyFiles::new(settings.known_hosts.clone()));
        Self { settings: Arc::new(settings), host_keys, leash }
    }
}

impl Way<'_> {
    fn config(&self) -> Config {
        let known = self.known.algorithms(&self.host.address, self.host.port);
        Config {
            client_id: russh::SshId::Standard("SSH-2.0-portcullis".into()),
            preferred: algorithms::offered(&known),
            // Nothing else needs a bound here: output is read at once whatever becomes of it.
            ..Config::default()
        }
    }

    /// Whether a connection's host key is still a known one.
    fn trusts(&self, connection: &Connection) -> bool {
        match self.known.lookup(&self.host.address, self.host.port, &connection.host_key) {
            Standing::Trusted => true,
            Standing::Unknown { .. } | Standing::Changed { .. } => self.now.settings.insecure_hostkey,
            Standing::Revoked { .. } => false,
        }
    }

    fn account(&self, connection: &Connection) -> Account {
        Account {
            target: self.host.name.clone(),
            user: self.shelf.user.clone(),
            host_key: connection.fingerprint(),
        }
    }
}

/// Runs a command on an open channel to its end, the call's or the deadline's.
async fn carry_out(
    run: &HostRun<'_>,
    deadline: Instant,
    mut remote: Remote,
    text: &str,
    progress: &(dyn Fn(u64) + Send + Sync),
) -> Result<Collected, Failure> {
    let name = &run.host.name;
    let connection = Arc::clone(remote.connection());
    let doing = async {
        if remote.exec(text).await {
            remote.wait(progress).await;
        }
    };
    let cut = tokio::select! {
        biased;
        () = run.cancel.cancelled() => Some((ErrorCode::CallCancelled, "was cancelled".to_owned())),
        () = doing => None,
        () = tokio::time::sleep_until(deadline) =>
            Some((ErrorCode::TargetTimeout, format!("did not end within {}", seconds(run.timeout)))),
    };
    let Some((code, how)) = cut else {
        let collected = remote.collected();
        if collected.closed || collected.exit.is_some() {
            return Ok(collected);
        }
        drop(remote.end().await);
        if collected.rejected {
            return Ok(collected);
        }
        let end = connection.seen.end().unwrap_or_default();
        let text = format!(
            "the connection to `{name}` was lost while the command ran; whether it still runs there is not known"
        );
        return Err(Failure::new(ErrorCode::TargetUnreachable, text).with_internal(refusal::words(&end)));
    };
    let ending = match remote.end().await {
        Ending::Told(Exit::Status(status)) => format!("the host says that it ended with status {status}"),
        Ending::Told(Exit::Signal(signal)) => format!("the host says that it was ended by signal {signal}"),
        Ending::Told(Exit::Unknown) | Ending::Untold => "whether it still runs there is not known".to_owned(),
    };
    Err(Failure::new(code, format!("the command on `{name}` {how}; {ending}")))
}

/// What happens before a command is sent: nothing of it is left behind when it is cut short.
async fn bounded<T>(
    run: &HostRun<'_>,
    deadline: Instant,
    doing: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let name = &run.host.name;
    tokio::select! {
        biased;
        () = run.cancel.cancelled() =>
            Err(Failure::new(ErrorCode::CallCancelled, format!("cancelled while connecting to `{name}`; no command was sent"))),
        result = doing => result,
        () = tokio::time::sleep_until(deadline) => Err(Failure::new(
            ErrorCode::TargetTimeout,
            format!("no connection to `{name}` within {}; no command was sent", seconds(run.timeout)),
        )),
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

fn no_channel(host: &Host, reason: Option<&russh::ChannelOpenFailure>) -> Failure {
    match reason {
        Some(reason) => Failure::new(
            ErrorCode::TargetUnreachable,
            format!("`{}` opens no channel: {}", host.name, refusal::words(reason.description())),
        ),
        None => Failure::new(
            ErrorCode::TargetUnreachable,
            format!("the connections to `{}` do not hold", host.name),
        ),
    }
}

fn facts(connection: &Connection) -> Map<String, Value> {
    [
        ("address", connection.address.ip().to_string()),
        ("port", connection.address.port().to_string()),
        ("user", connection.user.clone()),
        ("host_key", connection.fingerprint()),
        ("host_key_algorithm", connection.host_key.algorithm().to_string()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), Value::from(value)))
    .collect()
}

fn stream(name: &'static str, half: Half) -> Stream {
    Stream { name, bytes: half.bytes, total: half.total }
}

fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs_f64())
}
