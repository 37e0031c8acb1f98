//! The way to a host for one call: everything that is known before there is a connection, and the steps to a channel.

use std::net::SocketAddr;
use std::sync::Arc;

use broker::CredentialKey;
use model::{Clock, ErrorCode, Failure, Host};
use russh::client::Config;
use tokio_util::sync::CancellationToken;
use tools::HostRun;

use crate::connection::{Connection, Parts, Seat, watch};
use crate::gatekeeper::{Broken, Gatekeeper, KeyCheck, Seen};
use crate::known_hosts::{HostKeyFiles, KnownHosts, Standing};
use crate::leash::{Allowance, Leashed};
use crate::login::{Login, account};
use crate::pool::{Pool, Shelf};
use crate::probe::Account;
use crate::remote::{NotOpened, Remote};
use crate::settings::SshSettings;
use crate::{algorithms, dial, refusal};

/// What a host may send before the login is done, in bytes.
const LOGIN_ALLOWANCE: u64 = 1024 * 1024;
/// How often a call looks for another connection when one refuses its channel.
pub(crate) const MOST_TRIES: usize = 4;

/// What a reload or a lockdown replaces.
#[derive(Clone)]
pub(crate) struct Now {
    pub(crate) settings: Arc<SshSettings>,
    pub(crate) host_keys: Arc<HostKeyFiles>,
    /// Cut to end every connection there is.
    pub(crate) leash: CancellationToken,
}

pub(crate) struct Way<'a> {
    pub(crate) host: &'a Host,
    pub(crate) shelf: Shelf,
    key: Option<CredentialKey>,
    login: Login<'a>,
    addresses: Vec<SocketAddr>,
    known: Arc<KnownHosts>,
    now: Now,
    pool: Arc<Pool>,
    clock: Arc<dyn Clock>,
    start: &'a (dyn Fn() + Send + Sync),
}

impl Now {
    pub(crate) fn new(settings: SshSettings, leash: CancellationToken) -> Self {
        let host_keys = Arc::new(HostKeyFiles::new(settings.known_hosts.clone()));
        Self { settings: Arc::new(settings), host_keys, leash }
    }
}

impl<'a> Way<'a> {
    /// Finds account, credential, known keys and admitted addresses; dials nothing. `start` is called right before
    /// a login.
    pub(crate) async fn prepare(
        run: &HostRun<'a>,
        now: Now,
        pool: Arc<Pool>,
        clock: Arc<dyn Clock>,
        start: &'a (dyn Fn() + Send + Sync),
    ) -> Result<Self, Failure> {
        let (host, lease) = (run.host, run.lease);
        let credential = lease.credential().ok_or_else(|| {
            Failure::new(ErrorCode::TargetAuth, format!("there is no credential for `{}`", host.name))
                .with_hint("take a handle first, or ask the operator for a `credential` in the inventory")
        })?;
        let user = account(host, credential)?;
        let login = Login::prepare(&credential.material, &user, host).await?;
        let files = Arc::clone(&now.host_keys);
        let known = tokio::task::spawn_blocking(move || files.current()).await;
        let known = known
            .map_err(|_| Failure::new(ErrorCode::Internal, "known hosts could not be read"))?
            .map_err(|error| refusal::unreadable(&error))?;
        let fence = &lease.intended().permit().fences().network;
        let addresses = dial::admitted(&host.address, host.port, fence).await?;
        let shelf = Shelf { target: host.name.clone(), user };
        let key = lease.credential_key().cloned();
        Ok(Self { host, shelf, key, login, addresses, known, now, pool, clock, start })
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
        let find = || self.pool.seat(&self.shelf, self.key.as_ref(), &self.addresses, |c| self.trusts(c));
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

    /// Dials, checks the host key, logs in.
    pub(crate) async fn establish(&self) -> Result<Connection, Failure> {
        let (host, settings) = (self.host, &self.now.settings);
        let (stream, address) =
            dial::connect(&host.address, &self.addresses, settings.connect_timeout).await?;
        let leash = self.now.leash.child_token();
        // Until there is a connection that does it: whatever fails or is dropped here ends the socket.
        let cut = leash.clone().drop_guard();
        let allowance = Allowance::new(LOGIN_ALLOWANCE);
        let stream = Leashed::new(stream, leash.clone(), allowance.clone());
        let seen = Arc::new(Seen::default());
        let shake_and_log_in = async {
            let gatekeeper = Gatekeeper::new(self.key_check(), Arc::clone(&seen));
            // In a task of its own: what panics on a host's bytes ends that task and nothing else.
            let shaken = tokio::spawn(russh::client::connect_stream(self.config(), stream, gatekeeper)).await;
            let shaken =
                shaken.unwrap_or_else(|_| Err(Broken::Weak("its messages could not be handled".to_owned())));
            let mut handle = shaken.map_err(|why| refusal::broken(host, why, self.known.missing()))?;
            self.login.log_in(&mut handle, &seen, &self.shelf.user, host, self.start).await?;
            Ok(handle)
        };
        let handle = tokio::time::timeout(settings.login_timeout, shake_and_log_in);
        let handle = handle.await.unwrap_or_else(|_| {
            let patience = settings.login_timeout.as_secs_f64();
            let text = format!("`{}` did not finish the login within {patience} s", host.name);
            Err(Failure::new(ErrorCode::TargetTimeout, text))
        })?;
        let host_key =
            seen.shown().ok_or_else(|| Failure::new(ErrorCode::Internal, "a login without a host key"))?;
        cut.disarm();
        let (user, key) = (self.shelf.user.clone(), self.key.clone());
        let parts = Parts { handle, address, user, host_key, key, seen, leash, allowance };
        Ok(Connection::new(parts, Arc::clone(&self.clock)))
    }

    /// What the shell of this call's account is remembered by.
    pub(crate) fn account(&self, connection: &Connection) -> Account {
        Account {
            target: self.host.name.clone(),
            user: self.shelf.user.clone(),
            host_key: connection.fingerprint(),
        }
    }

    fn key_check(&self) -> KeyCheck {
        KeyCheck::Known {
            hosts: Arc::clone(&self.known),
            address: self.host.address.clone(),
            port: self.host.port,
            now: self.clock.now(),
            insecure: self.now.settings.insecure_hostkey,
        }
    }

    fn config(&self) -> Arc<Config> {
        let (address, port) = (&self.host.address, self.host.port);
        let known = self.known.algorithms(address, port);
        let certificates = self.known.has_authority(address, port);
        Arc::new(Config {
            client_id: russh::SshId::Standard("SSH-2.0-portcullis".into()),
            preferred: algorithms::offered(&known, certificates),
            ..Config::default()
        })
    }

    /// Whether a connection's host key is still a known one. What a certificate proved is asked anew each time, for its
    /// time may be over.
    fn trusts(&self, connection: &Connection) -> bool {
        let (host, shown, now) = (self.host, &connection.host_key, self.clock.now());
        let standing = || self.known.judge(&host.address, host.port, shown, now);
        let check = || match standing() {
            Standing::Trusted => true,
            Standing::Unknown { .. } | Standing::Changed { .. } | Standing::Uncertified { .. } => {
                self.now.settings.insecure_hostkey
            }
            Standing::Revoked { .. } => false,
        };
        match shown.certificate() {
            Some(_) => check(),
            None => connection.vouched(&self.known, &host.address, check),
        }
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
