//! Logging in: with a password, with a key and its certificate, or with a key that an agent holds.
//!
//! No account is ever locked by us: a password is sent once, in whichever of the two ways the host has for it, and of
//! keys only the one that the credential names is offered.

mod agent;
mod certificate;
mod forms;
mod identities;
mod key;
mod legacy;
mod password;
mod verdict;

use std::path::Path;

use broker::{Credential, Material};
use model::{ErrorCode, Failure, Host, Secret, Timestamp};
use russh::client::Handle;

use self::key::KeyLogin;
use crate::gatekeeper::{Gatekeeper, Seen};

pub use self::agent::{AgentDoubt, examine_agent};

/// A credential made ready, so that one that cannot work fails before anything is dialled.
pub(crate) enum Login<'a> {
    Password(&'a Secret<String>),
    Key(Box<KeyLogin>),
    Agent { fingerprint: &'a str, socket: &'a Path, now: Timestamp },
}

/// Who logs in where.
#[derive(Clone, Copy)]
pub(crate) struct Who<'a> {
    pub(crate) user: &'a str,
    pub(crate) host: &'a Host,
}

/// The account: the credential's, else the inventory's.
pub(crate) fn account(host: &Host, credential: &Credential) -> Result<String, Failure> {
    credential.username.clone().or_else(|| host.user.clone()).filter(|user| !user.is_empty()).ok_or_else(
        || {
            Failure::new(
                ErrorCode::TargetAuth,
                format!("nothing says which account to use on `{}`", host.name),
            )
            .with_hint("the credential has no user name and the inventory has no `user` for this host")
        },
    )
}

impl<'a> Login<'a> {
    pub(crate) async fn prepare(
        material: &'a Material,
        user: &str,
        host: &Host,
        now: Timestamp,
    ) -> Result<Self, Failure> {
        match material {
            Material::Password(password) => Ok(Self::Password(password)),
            Material::Agent { fingerprint, socket } => Ok(Self::Agent { fingerprint, socket, now }),
            Material::PrivateKey { pem, passphrase, certificate } => {
                let who = Who { user, host };
                let key = KeyLogin::open(pem, passphrase.as_ref(), certificate.as_deref(), now, who);
                Ok(Self::Key(Box::new(key.await?)))
            }
        }
    }

    /// Logs in. `start` is called right before the first message that uses the credential.
    pub(crate) async fn log_in(
        &self,
        handle: &mut Handle<Gatekeeper>,
        seen: &Seen,
        user: &str,
        host: &Host,
        start: &(dyn Fn() + Send + Sync),
    ) -> Result<(), Failure> {
        let who = Who { user, host };
        let attempt = match self {
            Self::Password(password) => password::log_in(handle, who, password, start).await?,
            Self::Key(key) => key.log_in(handle, who, start).await?,
            Self::Agent { fingerprint, socket, now } => {
                agent::log_in(handle, who, fingerprint, socket, *now, start).await?
            }
        };
        verdict::judge(attempt, handle, seen, who)
    }
}
