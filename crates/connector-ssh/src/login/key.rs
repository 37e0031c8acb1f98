//! A private key that the gateway holds for one call, and the certificate that goes with it.

use std::sync::Arc;

use model::{ErrorCode, Failure, Secret, Timestamp};
use russh::client::{AuthResult, Handle};
use russh::keys::agent::AgentIdentity;
use russh::keys::signature::Signer;
use russh::keys::ssh_encoding::Encode;
use russh::keys::ssh_key::Signature;
use russh::keys::ssh_key::private::KeypairData;
use russh::keys::{Certificate, HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey};
use russh::{MethodKind, SendError};

use super::verdict::{Asked, Attempt, not_for_us, unusable};
use super::{Who, certificate, forms};
use crate::gatekeeper::Gatekeeper;
use crate::refusal::words;

/// A key that was opened, with a certificate that could pass.
pub(crate) struct KeyLogin {
    key: Arc<PrivateKey>,
    certificate: Option<Certificate>,
}

impl KeyLogin {
    /// Opens a key. No part of its text, nor of its passphrase, is ever repeated.
    pub(super) async fn open(
        pem: &Secret<String>,
        passphrase: Option<&Secret<String>>,
        certificate: Option<&str>,
        now: Timestamp,
        who: Who<'_>,
    ) -> Result<Self, Failure> {
        let (pem, passphrase) = (pem.duplicate(), passphrase.map(Secret::duplicate));
        // An encrypted key is slow to open on purpose.
        let opening = tokio::task::spawn_blocking(move || {
            forms::open(pem.expose(), passphrase.as_ref().map(|p| p.expose().as_str()))
        });
        let key = match opening.await {
            Ok(Ok(key)) => key,
            Ok(Err(why)) => return Err(unreadable(who, &why)),
            // Something in it made the parser fall over; its text must not be in the panic's.
            Err(_) => return Err(unreadable(who, &forms::Closed::NoKey)),
        };
        let usable = |text| certificate::usable(text, key.public_key(), now, who);
        let certificate = certificate.map(usable).transpose()?;
        Ok(Self { key: Arc::new(key), certificate })
    }

    /// Offers the certificate first, and the bare key only if the host goes on after it has refused that.
    pub(super) async fn log_in(
        &self,
        handle: &mut Handle<Gatekeeper>,
        who: Who<'_>,
        start: &(dyn Fn() + Send + Sync),
    ) -> Result<Attempt, Failure> {
        let hash = rsa_hash(handle, self.key.public_key(), who).await?;
        start();
        let mut described = None;
        if let Some(certificate) = &self.certificate {
            let (mut signer, told) = (Held(&self.key), certificate::described(certificate));
            let signed =
                handle.authenticate_certificate_with(who.user, certificate.clone(), hash, &mut signer);
            let answer = signed.await.map_err(|error| error.to_string());
            if !goes_on(&answer, handle) {
                return Ok(Attempt { asked: Asked::Key { certificate: Some(told) }, answer });
            }
            described = Some(told);
        }
        let key = PrivateKeyWithHashAlg::new(Arc::clone(&self.key), hash);
        let answer = handle.authenticate_publickey(who.user, key).await.map_err(|error| error.to_string());
        Ok(Attempt { asked: Asked::Key { certificate: described }, answer })
    }
}

/// Whether the host refused a certificate and would still listen to the bare key.
pub(super) fn goes_on(answer: &Result<AuthResult, String>, handle: &Handle<Gatekeeper>) -> bool {
    match answer {
        Ok(AuthResult::Failure { remaining_methods, partial_success: false }) => {
            remaining_methods.contains(&MethodKind::PublicKey) && !handle.is_closed()
        }
        Ok(AuthResult::Success | AuthResult::Failure { .. }) | Err(_) => false,
    }
}

/// Which hash an RSA key signs with; SHA-1 never.
pub(super) async fn rsa_hash(
    handle: &Handle<Gatekeeper>,
    key: &PublicKey,
    who: Who<'_>,
) -> Result<Option<HashAlg>, Failure> {
    if !key.algorithm().is_rsa() {
        return Ok(None);
    }
    match handle.best_supported_rsa_hash().await {
        Ok(Some(Some(hash))) => Ok(Some(hash)),
        // The host does not say: every server of the last ten years takes this one.
        Ok(None) => Ok(Some(HashAlg::Sha512)),
        Ok(Some(None)) => Err(not_for_us(who, "takes RSA keys only with SHA-1, which is not safe,")
            .with_hint("use an Ed25519 key, or update the host's SSH server")),
        Err(error) => {
            let text = format!("`{}` ended the connection", who.host.name);
            Err(Failure::new(ErrorCode::TargetUnreachable, text).with_internal(words(&error.to_string())))
        }
    }
}

/// Signs with the key itself. russh's own certificate login would sign with SHA-1 if the key is RSA.
struct Held<'a>(&'a PrivateKey);

/// Why a signature could not be made or sent.
#[derive(Debug, thiserror::Error)]
enum Unsigned {
    #[error("the connection is gone")]
    Gone,
    #[error("the key does not sign")]
    Key,
}

impl From<SendError> for Unsigned {
    fn from(_: SendError) -> Self {
        Self::Gone
    }
}

impl russh::Signer for Held<'_> {
    type Error = Unsigned;

    async fn auth_sign(
        &mut self,
        _key: &AgentIdentity,
        hash: Option<HashAlg>,
        mut data: Vec<u8>,
    ) -> Result<Vec<u8>, Unsigned> {
        let signed = if let KeypairData::Rsa(pair) = self.0.key_data() {
            (pair, hash).try_sign(&data)
        } else {
            self.0.try_sign(&data)
        };
        let signature: Signature = signed.map_err(|_| Unsigned::Key)?;
        let mut blob = Vec::new();
        signature.encode(&mut blob).map_err(|_| Unsigned::Key)?;
        blob.encode(&mut data).map_err(|_| Unsigned::Key)?;
        Ok(data)
    }
}

fn unreadable(who: Who<'_>, why: &forms::Closed) -> Failure {
    unusable(who, &format!("the private key cannot be read ({why})")).with_hint(why.hint())
}
