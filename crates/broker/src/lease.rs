//! The right to use credentials for one call.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use audit::Intended;
use guard::Scanner;
use model::{Action, HandleId, Secret, TargetName};

use crate::claim::ClaimedHandle;
use crate::{Credential, Material, Standing};

/// Credentials for one call, bound to its durable intent. Only the broker makes one; connectors ask for it.
///
/// Dropping a lease does what [`crate::Broker::release`] does, only without waiting for it.
pub struct Lease {
    intended: Intended,
    credential: Option<Credential>,
    key: Option<CredentialKey>,
    hops: Vec<HopCredential>,
    claim: Option<ClaimedHandle>,
    standing: Option<Arc<Standing>>,
    handle: Option<HandleId>,
    started: AtomicBool,
}

/// What one jump host on the way is logged in to with: its own credential, whatever opens the target.
pub struct HopCredential {
    /// The jump host.
    pub host: TargetName,
    /// Its credential. The account in it wins over the inventory's.
    pub credential: Credential,
    /// As [`Lease::credential_key`], of this credential.
    pub key: Option<CredentialKey>,
}

/// Which secret a pooled connection was opened with: the credential by name and the version of its secret.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CredentialKey(String);

impl CredentialKey {
    pub(crate) fn new(name: &str, version: &str) -> Self {
        Self(format!("{name}#{version}"))
    }
}

impl Lease {
    /// A lease without credentials: the act stays on the gateway.
    pub(crate) fn empty(intended: Intended) -> Self {
        Self::new(intended, None, None, None)
    }

    /// A lease on the target's own credential.
    pub(crate) fn own(intended: Intended, credential: Credential, key: Option<CredentialKey>) -> Self {
        Self::new(intended, Some(credential), key, None)
    }

    /// A lease on what a handle stands for.
    pub(crate) fn claimed(intended: Intended, credential: Credential, claim: ClaimedHandle) -> Self {
        Self::new(intended, Some(credential), None, Some(claim))
    }

    /// With the credentials of the jump hosts on the way.
    #[must_use]
    pub(crate) fn by_way_of(mut self, hops: Vec<HopCredential>) -> Self {
        self.hops = hops;
        self
    }

    fn new(
        intended: Intended,
        credential: Option<Credential>,
        key: Option<CredentialKey>,
        claim: Option<ClaimedHandle>,
    ) -> Self {
        let handle = claim.as_ref().map(|claim| claim.record().id.clone());
        Self {
            intended,
            credential,
            key,
            hops: Vec::new(),
            claim,
            standing: None,
            handle,
            started: AtomicBool::new(false),
        }
    }

    /// With what an upstream was started with: the call is on that start of it and on no other.
    #[must_use]
    pub fn standing_on(mut self, standing: Option<Arc<Standing>>) -> Self {
        self.standing = standing;
        self
    }

    /// What the upstream of the call was started with.
    pub fn standing(&self) -> Option<&Arc<Standing>> {
        self.standing.as_ref()
    }

    /// What finds every secret that the call could tell.
    pub fn scanner(&self) -> Arc<Scanner> {
        match &self.standing {
            Some(standing) => standing.scanner(),
            None => Arc::new(Scanner::new(self.secrets())),
        }
    }

    /// What finds them by now: something that lives longer than a call may have got others meanwhile. `before` is what
    /// [`Lease::scanner`] gave.
    pub fn scanner_now(&self, before: &Arc<Scanner>) -> Arc<Scanner> {
        self.standing.as_ref().map_or_else(|| Arc::clone(before), |standing| standing.scanner())
    }

    /// The call that the lease is for.
    pub fn intended(&self) -> &Intended {
        &self.intended
    }

    /// What may be done: exactly this.
    pub fn action(&self) -> &Action {
        self.intended.permit().action()
    }

    /// The credential for the target, if the action uses one. Its account wins over the inventory's.
    pub fn credential(&self) -> Option<&Credential> {
        self.credential.as_ref()
    }

    /// What a jump host on the way to the target is logged in to with.
    pub fn hop(&self, host: &TargetName) -> Option<&HopCredential> {
        self.hops.iter().find(|hop| hop.host == *host)
    }

    /// The handle that the call used, for the record.
    pub fn handle_id(&self) -> Option<&HandleId> {
        self.handle.as_ref()
    }

    /// What a pooled connection must have been opened with to be used for this call. `None`: its connection must not be
    /// shared, because the call is on a handle or the source cannot tell one secret from the next.
    pub fn credential_key(&self) -> Option<&CredentialKey> {
        self.key.as_ref()
    }

    /// The connector says that it starts now: from here a claimed handle stays consumed.
    pub fn start(&self) {
        self.started.store(true, Ordering::SeqCst);
    }

    /// Whether a connector has started.
    pub fn started(&self) -> bool {
        self.started.load(Ordering::SeqCst)
    }

    /// Whether the call has used up a handle, so that another call needs another one.
    pub fn has_used_up_its_handle(&self) -> bool {
        self.started() && self.claim.as_ref().is_some_and(|claim| claim.record().single_use)
    }

    /// Every secret of the lease, for the guard's scanner.
    pub fn secrets(&self) -> Vec<&Secret<String>> {
        let hops = self.hops.iter().map(|hop| &hop.credential);
        self.credential.iter().chain(hops).flat_map(|credential| secrets(&credential.material)).collect()
    }

    /// Wipes the secrets, and settles the claim.
    pub(crate) async fn end(mut self) {
        drop(self.credential.take());
        self.hops.clear();
        if let Some(claim) = self.claim.take() {
            if self.started() {
                claim.keep();
            } else {
                claim.give_back().await;
            }
        }
    }

    /// A lease that no broker gave, for the tests of connectors.
    #[cfg(any(test, feature = "test-util"))]
    pub fn for_test(intended: Intended, credential: Option<Credential>, version: Option<&str>) -> Self {
        let key = version.map(|version| CredentialKey::new("test", version));
        Self::new(intended, credential, key, None)
    }

    /// The same, by way of jump hosts.
    #[cfg(any(test, feature = "test-util"))]
    #[must_use]
    pub fn for_test_by_way_of(self, hops: Vec<(TargetName, Credential, Option<&str>)>) -> Self {
        let hops = hops.into_iter().map(|(host, credential, version)| HopCredential {
            host,
            credential,
            key: version.map(|version| CredentialKey::new("test", version)),
        });
        self.by_way_of(hops.collect())
    }
}

fn secrets(material: &Material) -> Vec<&Secret<String>> {
    match material {
        Material::Password(password) => vec![password],
        Material::PrivateKey { pem, passphrase, .. } => std::iter::once(pem).chain(passphrase).collect(),
        Material::Agent { .. } => Vec::new(),
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.started()
            && let Some(claim) = self.claim.take()
        {
            claim.keep();
        }
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (call, handle) = (self.intended.id(), &self.handle);
        f.debug_struct("Lease").field("call", &call).field("handle", handle).finish_non_exhaustive()
    }
}
