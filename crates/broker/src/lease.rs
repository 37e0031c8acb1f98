//! The right to use credentials for one call.

use std::sync::atomic::{AtomicBool, Ordering};

use audit::Intended;
use model::{Action, Secret};

use crate::{Credential, Material};

/// Credentials for one call, bound to its durable intent. Only the broker makes one; connectors ask for it.
pub struct Lease {
    intended: Intended,
    credential: Option<Credential>,
    started: AtomicBool,
}

impl Lease {
    pub(crate) fn new(intended: Intended, credential: Option<Credential>) -> Self {
        Self { intended, credential, started: AtomicBool::new(false) }
    }

    /// The call that the lease is for.
    pub fn intended(&self) -> &Intended {
        &self.intended
    }

    /// What may be done: exactly this.
    pub fn action(&self) -> &Action {
        self.intended.permit().action()
    }

    /// The credential for the target, if the action uses one.
    pub fn credential(&self) -> Option<&Credential> {
        self.credential.as_ref()
    }

    /// The connector says that it starts now: from here a claimed handle stays consumed.
    pub fn start(&self) {
        self.started.store(true, Ordering::SeqCst);
    }

    /// Whether a connector has started.
    pub fn started(&self) -> bool {
        self.started.load(Ordering::SeqCst)
    }

    /// Every secret of the lease, for the guard's scanner.
    pub fn secrets(&self) -> Vec<&Secret<String>> {
        match self.credential.as_ref().map(|c| &c.material) {
            Some(Material::Password(password)) => vec![password],
            Some(Material::PrivateKey { pem, passphrase }) => std::iter::once(pem).chain(passphrase).collect(),
            Some(Material::Agent { .. }) | None => Vec::new(),
        }
    }
}
