//! A key that stays in an SSH agent. The agent is another program: what it sends is bounded in size and time.

use std::path::Path;
use std::time::Duration;

use model::{Failure, Timestamp};
use russh::client::Handle;
use russh::keys::agent::client::AgentClient;
use russh::keys::agent::{AgentIdentity, AgentSessionBinding};
use russh::keys::{HashAlg, PublicKey};
use russh::{AgentAuthError, SendError};
use tokio::net::UnixStream;

use super::identities::{Identities, list};
use super::key::{goes_on, rsa_hash};
use super::verdict::{Asked, Attempt, unusable};
use super::{Who, certificate};
use crate::gatekeeper::Gatekeeper;
use crate::refusal::words;

/// How long an agent may take to let us in and to list its keys.
const LISTING: Duration = Duration::from_secs(5);
/// How long it may take to sign; some ask a person first.
const SIGNING: Duration = Duration::from_secs(20);

/// Why the gateway cannot use the key that an inventory pins.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AgentDoubt {
    /// Nobody listens there.
    #[error("the SSH agent cannot be reached")]
    Unreachable(String),
    /// It runs as somebody else, who could then log in with what the gateway signs.
    #[error("the SSH agent belongs to another user (id {0})")]
    NotOurs(u32),
    /// It says nothing, or nothing that makes sense.
    #[error("the SSH agent does not list its keys")]
    Odd(String),
    /// It holds other keys.
    #[error("the SSH agent does not hold the key of this credential")]
    NotHeld,
}

/// Whether the agent at this socket holds the key with this fingerprint now.
pub async fn examine_agent(socket: &Path, fingerprint: &str) -> Result<(), AgentDoubt> {
    let mut stream = connect(socket).await?;
    let held = tokio::time::timeout(LISTING, list(&mut stream, fingerprint)).await;
    held.map_err(|_| silent())??.key.map(drop).ok_or(AgentDoubt::NotHeld)
}

/// Offers the pinned key and no other; first in the certificate that the agent has for it, if it has one.
pub(super) async fn log_in(
    handle: &mut Handle<Gatekeeper>,
    who: Who<'_>,
    fingerprint: &str,
    socket: &Path,
    now: Timestamp,
    start: &(dyn Fn() + Send + Sync),
) -> Result<Attempt, Failure> {
    let opened =
        tokio::time::timeout(LISTING, open(socket, fingerprint, handle.agent_session_binding())).await;
    let opened = opened.unwrap_or_else(|_| Err(silent()));
    let (mut agent, key, certificate) = opened.map_err(|doubt| failed(who, fingerprint, &doubt))?;
    let hash = rsa_hash(handle, &key, who).await?;
    start();
    let told = |error: AgentError| format!("the SSH agent did not sign: {error}");
    // An agent goes on holding a certificate that has expired; it is then not worth a try.
    let certificate = certificate.filter(|held| certificate::still_usable(held, now, who).is_ok());
    let mut described = None;
    if let Some(held) = certificate {
        let what = certificate::described(&held);
        let answer = handle.authenticate_certificate_with(who.user, held, hash, &mut agent).await;
        let answer = answer.map_err(told);
        if !goes_on(&answer, handle) {
            return Ok(Attempt { asked: Asked::Key { certificate: Some(what) }, answer });
        }
        described = Some(what);
    }
    let answer = handle.authenticate_publickey_with(who.user, key, hash, &mut agent).await.map_err(told);
    Ok(Attempt { asked: Asked::Key { certificate: described }, answer })
}

type Opened = (Patient, PublicKey, Option<russh::keys::Certificate>);

async fn open(
    socket: &Path,
    fingerprint: &str,
    binding: Option<&AgentSessionBinding>,
) -> Result<Opened, AgentDoubt> {
    let mut agent = AgentClient::connect(connect(socket).await?);
    if let Some(binding) = binding
        && let Err(error) = agent.bind_session(binding, false).await
    {
        // Agents that do not know the extension refuse it; keys bound to a destination then refuse to sign.
        tracing::debug!(%error, "the SSH agent does not bind to sessions");
    }
    let mut stream = agent.into_inner();
    let Identities { key, certificate } = list(&mut stream, fingerprint).await?;
    let key = key.ok_or(AgentDoubt::NotHeld)?;
    Ok((Patient(AgentClient::connect(stream)), key, certificate))
}

/// Only an agent that runs as the gateway's user, or as root, is spoken to.
async fn connect(socket: &Path) -> Result<UnixStream, AgentDoubt> {
    let unreachable = |error: std::io::Error| AgentDoubt::Unreachable(error.to_string());
    let stream = tokio::time::timeout(LISTING, UnixStream::connect(socket)).await;
    let stream = stream.map_err(|_| silent())?.map_err(unreachable)?;
    let peer = stream.peer_cred().map_err(unreachable)?.uid();
    if peer == 0 || peer == rustix::process::geteuid().as_raw() {
        Ok(stream)
    } else {
        Err(AgentDoubt::NotOurs(peer))
    }
}

fn silent() -> AgentDoubt {
    AgentDoubt::Odd(format!("no answer within {} s", LISTING.as_secs()))
}

fn failed(who: Who<'_>, fingerprint: &str, doubt: &AgentDoubt) -> Failure {
    let failure = unusable(who, &doubt.to_string());
    match doubt {
        AgentDoubt::Unreachable(why) | AgentDoubt::Odd(why) => failure.with_internal(words(why)),
        AgentDoubt::NotOurs(_) => {
            failure.with_hint("SSH_AUTH_SOCK must name an agent of the gateway's own user")
        }
        AgentDoubt::NotHeld => {
            let listed = words(fingerprint);
            failure.with_hint(format!("`ssh-add -l` in the gateway's environment must list `{listed}`"))
        }
    }
}

/// An agent that is not waited for for ever.
struct Patient(AgentClient<Box<dyn russh::keys::agent::client::AgentStream + Send + Unpin>>);

/// Why an agent did not sign.
#[derive(Debug, thiserror::Error)]
enum AgentError {
    #[error("{0}")]
    Agent(#[from] AgentAuthError),
    #[error("it did not answer in time")]
    Late,
}

impl From<SendError> for AgentError {
    fn from(error: SendError) -> Self {
        Self::Agent(error.into())
    }
}

impl russh::Signer for Patient {
    type Error = AgentError;

    async fn auth_sign(
        &mut self,
        key: &AgentIdentity,
        hash: Option<HashAlg>,
        data: Vec<u8>,
    ) -> Result<Vec<u8>, AgentError> {
        let signing = russh::Signer::auth_sign(&mut self.0, key, hash, data);
        Ok(tokio::time::timeout(SIGNING, signing).await.map_err(|_| AgentError::Late)??)
    }
}
