//! One leg of the way: a host that is logged in to, be it the target or a jump host before it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use broker::{Credential, CredentialKey};
use model::{ErrorCode, Failure, Host, Resolve, TargetName, Timestamp};
use policy::{Fences, NetworkFence};
use russh::ChannelStream;
use russh::client::{Config, Handle, Msg};
use russh::keys::agent::AgentSessionBinding;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use crate::dial::{self, Resolver};
use crate::gatekeeper::{Broken, Gatekeeper, KeyCheck, Seen};
use crate::known_hosts::{KnownAs, KnownHosts, Shown, Standing};
use crate::leash::{Allowance, Leashed};
use crate::login::{Login, account};
use crate::settings::SshSettings;
use crate::{algorithms, refusal};

/// What a host may send before the login is done, in bytes.
const LOGIN_ALLOWANCE: u64 = 1024 * 1024;

/// Everything that is known of a host before it is dialled.
pub(crate) struct Leg<'a> {
    pub(crate) host: &'a Host,
    pub(crate) user: String,
    /// Which secret it is; `None` if its connection serves one call only.
    pub(crate) key: Option<CredentialKey>,
    login: Login<'a>,
    places: Vec<Place>,
    /// What its host key is looked up under.
    known_as: KnownAs,
}

/// Where a host is, as it is dialled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// At an address that the fence admits.
    Address(SocketAddr),
    /// At whatever address the jump host finds for this name.
    Name(String, u16),
}

/// A host that is logged in to.
pub(crate) struct Link {
    pub(crate) handle: Handle<Gatekeeper>,
    pub(crate) target: TargetName,
    pub(crate) place: Place,
    pub(crate) user: String,
    pub(crate) host_key: Shown,
    /// What it is looked up under.
    pub(crate) known_as: KnownAs,
    /// Which secret it was made with.
    pub(crate) key: Option<CredentialKey>,
    pub(crate) seen: Arc<Seen>,
    pub(crate) allowance: Allowance,
}

/// What all legs of a way have in common.
pub(crate) struct Ground<'a> {
    pub(crate) resolver: &'a dyn Resolver,
    pub(crate) fences: &'a Fences,
    pub(crate) known: &'a Arc<KnownHosts>,
    pub(crate) settings: &'a SshSettings,
    /// Certificates are valid for a time.
    pub(crate) now: Timestamp,
}

impl Place {
    /// The literal address, if it is known here.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Address(address) => Some(*address),
            Self::Name(..) => None,
        }
    }

    /// The address, or the name.
    pub(crate) fn host(&self) -> String {
        match self {
            Self::Address(address) => address.ip().to_string(),
            Self::Name(name, _) => name.clone(),
        }
    }

    /// Whether these networks let it be dialled. A name, whose address nobody here knows, only if they say nothing.
    pub(crate) fn is_admitted(&self, network: &NetworkFence) -> bool {
        match self {
            Self::Address(address) => network.admits(address.ip()),
            Self::Name(..) => *network == NetworkFence::default(),
        }
    }

    pub(crate) fn port(&self) -> u16 {
        match self {
            Self::Address(address) => address.port(),
            Self::Name(_, port) => *port,
        }
    }
}

impl<'a> Leg<'a> {
    /// Finds account, credential, known names and admitted addresses; dials nothing. `behind` is the jump host that it
    /// is dialled through.
    pub(crate) async fn prepare(
        host: &'a Host,
        behind: Option<&Host>,
        credential: &'a Credential,
        key: Option<CredentialKey>,
        ground: &Ground<'_>,
    ) -> Result<Self, Failure> {
        let user = account(host, credential)?;
        let login = Login::prepare(&credential.material, &user, host, ground.now).await?;
        let places = places(host, behind, ground).await?;
        let known_as = KnownAs::new(&host.address, host.port, behind.map(|bastion| bastion.name.as_str()));
        Ok(Self { host, user, key, login, places, known_as })
    }

    /// Whether a link of another call is what this leg would become.
    pub(crate) fn is(&self, link: &Link) -> bool {
        self.host.name == link.target && self.user == link.user && self.places.contains(&link.place)
    }

    /// Dials, directly or through the link before, checks the host key, logs in. `start` is called right before the
    /// login.
    pub(crate) async fn link(
        &self,
        before: Option<&Link>,
        ground: &Ground<'_>,
        leash: &CancellationToken,
        start: &(dyn Fn() + Send + Sync),
    ) -> Result<Link, Failure> {
        let patience = ground.settings.connect_timeout;
        match before {
            None => {
                let addresses: Vec<SocketAddr> = self.places.iter().filter_map(Place::address).collect();
                let (stream, address) = dial::connect(&self.host.address, &addresses, patience).await?;
                self.log_in(stream, Place::Address(address), ground, leash, start).await
            }
            Some(bastion) => {
                let (stream, place) = self.through(bastion, patience).await?;
                self.log_in(stream, place, ground, leash, start).await
            }
        }
    }

    /// Asks a jump host for a channel to the first of the places that accepts.
    async fn through(
        &self,
        bastion: &Link,
        patience: Duration,
    ) -> Result<(ChannelStream<Msg>, Place), Failure> {
        let mut told = Vec::new();
        for place in &self.places {
            // The originator is nobody's business, and nothing listens for an answer there.
            let opening =
                bastion.handle.channel_open_direct_tcpip(place.host(), place.port().into(), "127.0.0.1", 0);
            let why = match tokio::time::timeout(patience, opening).await {
                Ok(Ok(channel)) => return Ok((channel.into_stream(), place.clone())),
                Ok(Err(russh::Error::ChannelOpenFailure(why))) => why.description().to_owned(),
                Ok(Err(_)) if bastion.handle.is_closed() => {
                    let text = format!("the connection to `{}` was lost", bastion.target);
                    return Err(Failure::new(ErrorCode::TargetUnreachable, text));
                }
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("no answer within {} s", patience.as_secs_f64()),
            };
            told.push(format!("{}: {}", place.host(), refusal::words(&why)));
        }
        let text = format!(
            "`{}` cannot be reached through `{}`: {}",
            self.host.name,
            bastion.target,
            told.join("; ")
        );
        Err(Failure::new(ErrorCode::TargetUnreachable, text))
    }

    async fn log_in<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        &self,
        stream: S,
        place: Place,
        ground: &Ground<'_>,
        leash: &CancellationToken,
        start: &(dyn Fn() + Send + Sync),
    ) -> Result<Link, Failure> {
        let host = self.host;
        let allowance = Allowance::new(LOGIN_ALLOWANCE);
        let stream = Leashed::new(stream, leash.clone(), allowance.clone());
        let seen = Arc::new(Seen::default());
        let shake_and_log_in = async {
            let gatekeeper = Gatekeeper::new(self.key_check(ground), Arc::clone(&seen));
            // In a task of its own: what panics on a host's bytes ends that task and nothing else.
            let config = self.config(ground.known);
            let shaken = tokio::spawn(russh::client::connect_stream(config, stream, gatekeeper)).await;
            let shaken =
                shaken.unwrap_or_else(|_| Err(Broken::Weak("its messages could not be handled".to_owned())));
            let agreed = shaken.and_then(|handle| {
                let signature = handle.agent_session_binding().map(AgentSessionBinding::signature);
                algorithms::signed_as_agreed(signature, seen.agreed()).map_err(Broken::Weak)?;
                Ok(handle)
            });
            let mut handle = agreed.map_err(|why| refusal::broken(host, why, ground.known.missing()))?;
            self.login.log_in(&mut handle, &seen, &self.user, host, start).await?;
            Ok(handle)
        };
        let patience = ground.settings.login_timeout;
        let handle = tokio::time::timeout(patience, shake_and_log_in).await.unwrap_or_else(|_| {
            let text =
                format!("`{}` did not finish the login within {} s", host.name, patience.as_secs_f64());
            Err(Failure::new(ErrorCode::TargetTimeout, text))
        })?;
        let host_key =
            seen.shown().ok_or_else(|| Failure::new(ErrorCode::Internal, "a login without a host key"))?;
        Ok(Link {
            handle,
            target: host.name.clone(),
            place,
            user: self.user.clone(),
            host_key,
            known_as: self.known_as.clone(),
            key: self.key.clone(),
            seen,
            allowance,
        })
    }

    fn key_check(&self, ground: &Ground<'_>) -> KeyCheck {
        KeyCheck::Known {
            hosts: Arc::clone(ground.known),
            host: self.known_as.clone(),
            now: ground.now,
            insecure: ground.settings.insecure_hostkey && self.host.declared,
        }
    }

    fn config(&self, known: &KnownHosts) -> Arc<Config> {
        let certificates = known.has_authority(&self.known_as);
        let known = known.algorithms(&self.known_as);
        Arc::new(Config {
            client_id: russh::SshId::Standard("SSH-2.0-portcullis".into()),
            preferred: algorithms::offered(&known, certificates),
            ..Config::default()
        })
    }
}

impl Link {
    /// The host key's fingerprint.
    pub(crate) fn fingerprint(&self) -> String {
        self.host_key.fingerprint()
    }

    /// Whether its host key is a known one still.
    pub(crate) fn is_trusted(&self, known: &KnownHosts, now: Timestamp, insecure: bool) -> bool {
        match known.judge(&self.known_as, &self.host_key, now) {
            Standing::Trusted => true,
            Standing::Unknown { .. } | Standing::Changed { .. } | Standing::Uncertified { .. } => insecure,
            Standing::Revoked { .. } => false,
        }
    }
}

/// Where a host may be dialled. A name is resolved here, once.
async fn places(host: &Host, behind: Option<&Host>, ground: &Ground<'_>) -> Result<Vec<Place>, Failure> {
    match (behind, host.resolve) {
        (Some(bastion), Resolve::Bastion) if host.address.parse::<IpAddr>().is_err() => {
            dial::unresolved(&host.address, bastion.name.as_str(), ground.fences)?;
            Ok(vec![Place::Name(host.address.clone(), host.port)])
        }
        (Some(_) | None, Resolve::Bastion | Resolve::Gateway) => {
            let admitted = dial::admitted(ground.resolver, &host.address, host.port, ground.fences).await?;
            Ok(admitted.into_iter().map(Place::Address).collect())
        }
    }
}
