//! What decides on the host key, and refuses everything a host could ask of us.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use model::Timestamp;
use russh::client::{ChannelOpenHandle, DisconnectReason, Handler, Msg, Session};
use russh::keys::{Algorithm, PublicKeyOrCertificate};
use russh::{Channel, ChannelOpenFailure, Names};

use crate::algorithms;
use crate::known_hosts::{KnownAs, KnownHosts, Shown, Standing};
use crate::posture::Posture;

/// Most banners that are looked at before a login; more end the connection.
const MOST_BANNERS: u32 = 64;

/// Checks one host's key against what is known.
pub(crate) struct Gatekeeper {
    pub(crate) check: KeyCheck,
    pub(crate) seen: Arc<Seen>,
    pub(crate) banners: u32,
}

/// How host keys are judged on one connection.
pub(crate) enum KeyCheck {
    /// Against known hosts.
    Known {
        /// The entries.
        hosts: Arc<KnownHosts>,
        /// Whose keys they are looked up for.
        host: KnownAs,
        /// When: certificates are valid for a time.
        now: Timestamp,
        /// Whether unknown and changed keys are accepted with a warning.
        insecure: bool,
    },
    /// Never accepted: the key is only looked at.
    Scan,
}

/// What was learnt on the way.
#[derive(Default)]
pub(crate) struct Seen {
    shown: Mutex<Option<Shown>>,
    agreed: OnceLock<Algorithm>,
    posture: OnceLock<Posture>,
    end: Mutex<Option<String>>,
}

/// Why a connection ended before it could be used.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The host's key was refused.
    HostKey(Box<Refused>),
    /// What was negotiated is not safe.
    Weak(String),
    /// The protocol, or the line.
    Protocol(russh::Error),
}

/// A refused host key.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) standing: Standing,
    pub(crate) algorithm: String,
    pub(crate) fingerprint: String,
    /// The key itself, as known hosts files write it.
    pub(crate) line: String,
    /// Who signed the certificate that it came in.
    pub(crate) authority: Option<String>,
}

impl From<russh::Error> for Broken {
    fn from(error: russh::Error) -> Self {
        Self::Protocol(error)
    }
}

impl Seen {
    /// What the host showed, once it has.
    pub(crate) fn shown(&self) -> Option<Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What the first key exchange was to be signed with, once that was agreed on.
    pub(crate) fn agreed(&self) -> Option<&Algorithm> {
        self.agreed.get()
    }

    /// What the host's server tells about itself, once the first key exchange is over.
    pub(crate) fn posture(&self) -> Option<&Posture> {
        self.posture.get()
    }

    /// How the connection ended, once it has.
    pub(crate) fn end(&self) -> Option<String> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Gatekeeper {
    pub(crate) fn new(check: KeyCheck, seen: Arc<Seen>) -> Self {
        Self { check, seen, banners: 0 }
    }

    fn judge(&self, shown: &Shown) -> Result<bool, Broken> {
        let (hosts, host, now, insecure) = match &self.check {
            KeyCheck::Known { hosts, host, now, insecure } => (hosts, host, *now, *insecure),
            KeyCheck::Scan => return Ok(false),
        };
        algorithms::acceptable(shown.key()).map_err(Broken::Weak)?;
        let standing = hosts.judge(host, shown, now);
        let refused = match standing {
            Standing::Trusted => return Ok(true),
            Standing::Unknown { .. } | Standing::Changed { .. } | Standing::Uncertified { .. }
                if insecure =>
            {
                tracing::warn!(
                    address = host.address(),
                    port = host.port(),
                    fingerprint = shown.fingerprint(),
                    "host key accepted without being known: `insecure = [\"hostkey\"]`"
                );
                return Ok(true);
            }
            refused @ (Standing::Unknown { .. }
            | Standing::Changed { .. }
            | Standing::Uncertified { .. }
            | Standing::Revoked { .. }) => refused,
        };
        Err(Broken::HostKey(Box::new(Refused {
            standing: refused,
            algorithm: shown.algorithm().to_string(),
            fingerprint: shown.fingerprint(),
            line: shown.key().to_openssh().unwrap_or_default(),
            authority: shown.authority(),
        })))
    }
}

impl Handler for Gatekeeper {
    type Error = Broken;

    async fn auth_banner(&mut self, _banner: &str, _session: &mut Session) -> Result<(), Broken> {
        self.banners += 1;
        if self.banners > MOST_BANNERS {
            Err(Broken::Weak("it sends banner after banner".to_owned()))
        } else {
            Ok(())
        }
    }

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Broken> {
        let shown = Shown::from(shown);
        *self.seen.shown.lock().unwrap_or_else(PoisonError::into_inner) = Some(shown.clone());
        self.judge(&shown)
    }

    async fn kex_done(
        &mut self,
        _secret: Option<&[u8]>,
        names: &Names,
        session: &mut Session,
    ) -> Result<(), Broken> {
        self.seen.posture.get_or_init(|| Posture::of(session.remote_sshid(), names.strict_kex()));
        let first = self.seen.agreed.get_or_init(|| names.key.clone());
        algorithms::agreed_again(first, &names.key).map_err(Broken::Weak)?;
        match algorithms::weakness(names) {
            Some(why) => Err(Broken::Weak(why.to_owned())),
            None => Ok(()),
        }
    }

    async fn disconnected(&mut self, reason: DisconnectReason<Broken>) -> Result<(), Broken> {
        let text = match &reason {
            DisconnectReason::ReceivedDisconnect(told) => told.message.clone(),
            DisconnectReason::Error(Broken::Protocol(error)) => error.to_string(),
            DisconnectReason::Error(Broken::Weak(why)) => why.clone(),
            DisconnectReason::Error(Broken::HostKey(_)) => "its host key was refused".to_owned(),
        };
        *self.seen.end.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
        match reason {
            DisconnectReason::ReceivedDisconnect(_) => Ok(()),
            DisconnectReason::Error(error) => Err(error),
        }
    }

    // A host has no business opening channels to us: russh would accept each of these if not told otherwise.

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        _channel: Channel<Msg>,
        _connected_address: &str,
        _connected_port: u32,
        _originator_address: &str,
        _originator_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Broken> {
        refuse(reply).await
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        _channel: Channel<Msg>,
        _socket_path: &str,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Broken> {
        refuse(reply).await
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        _channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Broken> {
        refuse(reply).await
    }

    async fn server_channel_open_session(
        &mut self,
        _channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Broken> {
        refuse(reply).await
    }

    async fn server_channel_open_direct_tcpip(
        &mut self,
        _channel: Channel<Msg>,
        _host_to_connect: &str,
        _port_to_connect: u32,
        _originator_address: &str,
        _originator_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Broken> {
        refuse(reply).await
    }

    async fn server_channel_open_direct_streamlocal(
        &mut self,
        _channel: Channel<Msg>,
        _socket_path: &str,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Broken> {
        refuse(reply).await
    }

    async fn server_channel_open_x11(
        &mut self,
        _channel: Channel<Msg>,
        _originator_address: &str,
        _originator_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Broken> {
        refuse(reply).await
    }
}

async fn refuse(reply: ChannelOpenHandle) -> Result<(), Broken> {
    reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await;
    Ok(())
}
