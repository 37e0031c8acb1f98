//! Stage 1: who is asking.

use std::net::IpAddr;
use std::sync::Arc;

use audit::Origin;
use model::Principal;

/// What a client presented. Everything in it is untrusted but what the transport itself established
/// (`os_user` from peer credentials, `certificate_names` from a verified chain, `client_ip` after trusted proxies).
#[derive(Debug, Clone, Copy, Default)]
pub struct Presented<'a> {
    /// Every key found in `X-API-Key` and `Authorization: Bearer`; more than one different key is a failure.
    pub api_keys: &'a [&'a str],
    /// Subject alternative names of the verified client certificate.
    pub certificate_names: &'a [String],
    /// The local user behind a socket or stdio.
    pub os_user: Option<&'a str>,
    /// The client's address.
    pub client_ip: Option<IpAddr>,
    /// `http`, `stdio`, `socket` or `control`.
    pub transport: &'static str,
    /// What the client calls itself.
    pub agent: Option<&'a str>,
}

/// What a client proved itself by, as the configuration writes it: enough to tell later whether it still counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proof {
    /// The hash of its API key.
    pub api_key: Option<Arc<str>>,
    /// The name in its certificate.
    pub certificate: Option<Arc<str>>,
}

/// A value that came from an authenticated principal. Only this module makes the first one.
#[derive(Debug, Clone)]
pub struct Authenticated<T> {
    principal: Arc<Principal>,
    proof: Proof,
    origin: Origin,
    inner: T,
}

/// Nobody we know. There is one text for all causes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("authentication failed")]
pub struct Unauthenticated;

impl Authenticated<()> {
    /// Only the directory's yes leads here.
    pub(crate) fn new(principal: Arc<Principal>, proof: Proof, presented: &Presented<'_>) -> Self {
        let origin = Origin {
            client_ip: presented.client_ip,
            transport: presented.transport,
            session: None,
            agent: presented.agent.map(str::to_owned),
            parent: None,
            actor: None,
        };
        Self { principal, proof, origin, inner: () }
    }

    /// The same client after a reload.
    pub(crate) fn renewed(&self, principal: &Arc<Principal>) -> Self {
        Self { principal: Arc::clone(principal), ..self.clone() }
    }

    /// In a session, by its number.
    #[must_use]
    pub fn in_session(mut self, number: u64) -> Self {
        self.origin.session = Some(number);
        self
    }

    /// An operator who may act as another principal, after `operator:impersonate` was permitted.
    pub(crate) fn acting_as(&self, principal: Arc<Principal>) -> Self {
        let actor = self.origin.actor.clone().unwrap_or_else(|| self.principal.id.clone());
        let origin = Origin { actor: Some(actor), ..self.origin.clone() };
        Self { principal, proof: self.proof.clone(), origin, inner: () }
    }
}

impl<T> Authenticated<T> {
    /// Who.
    pub fn principal(&self) -> &Arc<Principal> {
        &self.principal
    }

    /// By what.
    pub fn proof(&self) -> &Proof {
        &self.proof
    }

    /// Where from.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// What they sent.
    pub fn inner(&self) -> &T {
        &self.inner
    }

    /// The same principal with another value: what the front read after it knew who is asking.
    pub fn with<U>(&self, inner: U) -> Authenticated<U> {
        let (proof, origin) = (self.proof.clone(), self.origin.clone());
        Authenticated { principal: Arc::clone(&self.principal), proof, origin, inner }
    }
}

#[cfg(feature = "test-util")]
impl<T> Authenticated<T> {
    /// A principal that no configuration names, for the tests of the fronts.
    pub fn for_test(principal: Arc<Principal>, origin: Origin, inner: T) -> Self {
        Self { principal, proof: Proof::default(), origin, inner }
    }
}
