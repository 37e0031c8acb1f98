//! Logging in with a password, a key, or a key that an agent holds.

use std::path::Path;
use std::sync::Arc;

use broker::{Credential, Material};
use model::{ErrorCode, Failure, Fault, Host, Secret};
use russh::MethodSet;
use russh::client::{AuthResult, Handle};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{HashAlg, PrivateKey, PrivateKeyWithHashAlg};

use crate::gatekeeper::{Gatekeeper, Seen};
use crate::refusal::words;

/// A credential made ready, so that one that cannot work fails before anything is dialled.
pub(crate) enum Login<'a> {
    Password(&'a Secret<String>),
    Key(Arc<PrivateKey>),
    Agent { fingerprint: &'a str, socket: &'a Path },
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
    pub(crate) async fn prepare(material: &'a Material, user: &str, host: &Host) -> Result<Self, Failure> {
        match material {
            Material::Password(password) => Ok(Self::Password(password)),
            Material::Agent { fingerprint, socket } => Ok(Self::Agent { fingerprint, socket }),
            Material::PrivateKey { pem, passphrase } => {
                let (pem, passphrase) = (pem.duplicate(), passphrase.as_ref().map(Secret::duplicate));
                let encrypted = passphrase.is_some();
                // An encrypted key is slow to open on purpose.
                let opened = tokio::task::spawn_blocking(move || {
                    let passphrase = passphrase.as_ref().map(|p| p.expose().as_str());
                    russh::keys::decode_secret_key(pem.expose(), passphrase)
                });
                // The parser's words could repeat the key's, so they are not passed on.
                match opened.await {
                    Ok(Ok(key)) => Ok(Self::Key(Arc::new(key))),
                    Ok(Err(_)) | Err(_) => Err(unreadable_key(user, host, encrypted)),
                }
            }
        }
    }

    /// Logs in. `start` is called right before the first authentication message.
    pub(crate) async fn log_in(
        &self,
        handle: &mut Handle<Gatekeeper>,
        seen: &Seen,
        user: &str,
        host: &Host,
        start: &(dyn Fn() + Send + Sync),
    ) -> Result<(), Failure> {
        let result = match self {
            Self::Password(password) => {
                start();
                handle.authenticate_password(user, password.expose().clone()).await.map_err(|e| e.to_string())
            }
            Self::Key(key) => {
                let hash = rsa_hash(handle, key.algorithm().is_rsa(), user, host).await?;
                start();
                let key = PrivateKeyWithHashAlg::new(Arc::clone(key), hash);
                handle.authenticate_publickey(user, key).await.map_err(|e| e.to_string())
            }
            Self::Agent { fingerprint, socket } => {
                let (mut agent, identity) = held_key(handle, socket, fingerprint, user, host).await?;
                let key = identity.public_key().into_owned();
                let hash = rsa_hash(handle, key.algorithm().is_rsa(), user, host).await?;
                start();
                let signed = handle.authenticate_publickey_with(user, key, hash, &mut agent).await;
                signed.map_err(|error| format!("the SSH agent did not sign: {error}"))
            }
        };
        judge(result, handle, seen, user, host, self.method())
    }

    fn method(&self) -> &'static str {
        match self {
            Self::Password(_) => "password",
            Self::Key(_) | Self::Agent { .. } => "publickey",
        }
    }
}

fn judge(
    result: Result<AuthResult, String>,
    handle: &Handle<Gatekeeper>,
    seen: &Seen,
    user: &str,
    host: &Host,
    method: &'static str,
) -> Result<(), Failure> {
    let refused =
        |text: String| Failure::new(ErrorCode::TargetAuth, format!("`{}` {text} for `{user}`", host.name));
    match result {
        Ok(AuthResult::Success) => Ok(()),
        Ok(AuthResult::Failure { remaining_methods, partial_success: true }) => {
            Err(refused(format!("accepted the {method} and asks for more ({})", list(&remaining_methods)))
                .with_hint("logins in several steps are not supported"))
        }
        // russh tells a lost connection as a refusal without any method.
        Ok(AuthResult::Failure { remaining_methods, .. })
            if remaining_methods.is_empty() && handle.is_closed() =>
        {
            let end = seen.end().unwrap_or_default();
            Err(refused(format!("ended the connection during the {method} login")).with_internal(words(&end)))
        }
        Ok(AuthResult::Failure { remaining_methods, .. }) => {
            let offers = list(&remaining_methods);
            let failure = refused(format!("refused the {method} login"));
            Err(if remaining_methods.iter().any(|kind| <&str>::from(kind) == method) {
                failure.with_hint(format!(
                    "the credential is wrong or the account is closed to it; the host accepts: {offers}"
                ))
            } else {
                failure
                    .with_hint(format!("the host does not accept this kind of login; it accepts: {offers}"))
            })
        }
        Err(error) => {
            Err(refused(format!("could not be asked for a {method} login")).with_internal(words(&error)))
        }
    }
}

fn list(methods: &MethodSet) -> String {
    let names: Vec<&str> = methods.iter().map(<&str>::from).collect();
    if names.is_empty() { "nothing that is known here".to_owned() } else { names.join(", ") }
}

/// Which hash an RSA key signs with; SHA-1 never.
async fn rsa_hash(
    handle: &Handle<Gatekeeper>,
    is_rsa: bool,
    user: &str,
    host: &Host,
) -> Result<Option<HashAlg>, Failure> {
    if !is_rsa {
        return Ok(None);
    }
    match handle.best_supported_rsa_hash().await {
        Ok(Some(Some(hash))) => Ok(Some(hash)),
        // The host does not say: every server of the last ten years takes this one.
        Ok(None) => Ok(Some(HashAlg::Sha512)),
        Ok(Some(None)) => Err(Failure::new(
            ErrorCode::TargetAuth,
            format!("`{}` takes RSA keys only with SHA-1, which is not safe, for `{user}`", host.name),
        )
        .with_hint("use an Ed25519 key, or update the host's SSH server")),
        Err(error) => {
            Err(Failure::new(ErrorCode::TargetUnreachable, format!("`{}` ended the connection", host.name))
                .with_internal(words(&error.to_string())))
        }
    }
}

async fn held_key(
    handle: &Handle<Gatekeeper>,
    socket: &Path,
    fingerprint: &str,
    user: &str,
    host: &Host,
) -> Result<(AgentClient<tokio::net::UnixStream>, AgentIdentity), Failure> {
    let failed = |what: &str| {
        Failure::new(ErrorCode::TargetAuth, format!("{what}, so `{user}` cannot log in to `{}`", host.name))
            .with_fault(Fault::Us)
    };
    let connected = AgentClient::connect_uds(socket).await;
    let mut agent = connected
        .map_err(|error| failed("the SSH agent cannot be reached").with_internal(error.to_string()))?;
    if let Some(binding) = handle.agent_session_binding()
        && let Err(error) = agent.bind_session(binding, false).await
    {
        // Agents that do not know the extension refuse it; keys bound to a destination then refuse to sign.
        tracing::debug!(%error, "the SSH agent does not bind to sessions");
    }
    let identities = agent.request_identities().await;
    let identities = identities
        .map_err(|error| failed("the SSH agent does not list its keys").with_internal(error.to_string()))?;
    let held = identities.into_iter().find(|identity| {
        matches!(identity, AgentIdentity::PublicKey { key, .. } if key.fingerprint(HashAlg::Sha256).to_string() == fingerprint)
    });
    held.map(|identity| (agent, identity)).ok_or_else(|| {
        failed("the SSH agent does not hold the key of this credential").with_hint(format!(
            "`ssh-add -l` in the gateway's environment must list `{}`",
            words(fingerprint)
        ))
    })
}

fn unreadable_key(user: &str, host: &Host, encrypted: bool) -> Failure {
    let why = if encrypted {
        "its passphrase is wrong or it is no private key"
    } else {
        "it is encrypted or no private key"
    };
    Failure::new(
        ErrorCode::TargetAuth,
        format!("the private key for `{user}` on `{}` cannot be read: {why}", host.name),
    )
    .with_fault(Fault::Us)
}
