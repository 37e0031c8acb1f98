//! Turns durable intents into leases.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use audit::Intended;
use model::{
    Clock, CredentialRef, CredentialUse, Entropy, ErrorCode, Failure, HandleToken, Host, Principal,
    TargetName,
};
use store::{ClaimRequest, StateStore, StoreError};

use crate::claim::{self, ClaimedHandle};
use crate::held::Held;
use crate::issue::belongs_to;
use crate::{Credential, CredentialSource, Fetch, FetchTime, HopCredential, Lease, VersionKey};

/// The longest life of a handle, whatever the configuration says.
const TTL_MAX: Duration = Duration::from_secs(600);

/// How long a source may take. Sources have their own, shorter limits; this one holds if they fail to keep them.
const FETCH_MAX: Duration = Duration::from_secs(60);

/// `[handles]`: how long handles live and whether one use ends them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandlePolicy {
    /// Life of a handle; at most ten minutes.
    pub ttl: Duration,
    /// Whether one use ends it.
    pub single_use: bool,
}

/// Turns durable intents into leases. Sources may be swapped on reload.
pub struct Broker {
    store: Arc<dyn StateStore>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    ssh_auth_sock: Option<PathBuf>,
    versions: Option<VersionKey>,
    held: Arc<Held>,
    configured: RwLock<Configured>,
}

struct Configured {
    sources: BTreeMap<String, Arc<dyn CredentialSource>>,
    handles: HandlePolicy,
}

impl Broker {
    /// Builds the broker on a store; `ssh_auth_sock` is the SSH agent's socket, if there is one. It has no sources
    /// until [`Broker::configure`].
    pub fn new(
        store: Arc<dyn StateStore>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        ssh_auth_sock: Option<PathBuf>,
    ) -> Self {
        // Without a version key secrets cannot be told apart, so that connections are not pooled; nothing else fails.
        let versions = VersionKey::draw(entropy.as_ref()).ok();
        let handles = HandlePolicy { ttl: Duration::from_secs(300), single_use: true };
        let configured = RwLock::new(Configured { sources: BTreeMap::new(), handles });
        Self { store, clock, entropy, ssh_auth_sock, versions, held: Arc::default(), configured }
    }

    /// Replaces sources and handle policy, whole. A life over ten minutes counts as ten minutes.
    pub fn configure(&self, sources: BTreeMap<String, Arc<dyn CredentialSource>>, handles: HandlePolicy) {
        let handles = HandlePolicy { ttl: handles.ttl.min(TTL_MAX), ..handles };
        *self.configured.write().unwrap_or_else(PoisonError::into_inner) = Configured { sources, handles };
    }

    /// Ends a handle before its time; `handle_unknown` if this principal has none such, or has ended it before.
    pub async fn release_handle(&self, principal: &Principal, token: &HandleToken) -> Result<(), Failure> {
        let (store, id, principal) = (self.store(), token.id(), principal.id.clone());
        let released =
            blocking(move || store.release_handle(&id, &principal).map_err(|error| state_failed(&error)))
                .await?;
        if !released {
            return Err(claim::unknown());
        }
        self.held.wipe(&token.id());
        Ok(())
    }

    /// Claims the handle or takes the host's own credential, and fetches the secret, and those of the jump hosts on the
    /// way. Nothing stays claimed on failure. `host` is the inventory entry of the action's target; `None` for acts on the
    /// gateway, whose lease is empty. A handle opens the target alone: jump hosts are always logged in to with their own
    /// credentials.
    pub async fn lease(
        &self,
        intended: Intended,
        host: Option<&Host>,
        hops: &[&Host],
    ) -> Result<Lease, Failure> {
        let action = intended.permit().action();
        match action.credential.clone() {
            CredentialUse::None => Ok(Lease::empty(intended)),
            CredentialUse::Handle(token) => {
                let host = host_of(host, &action.target.name)?;
                // Before the claim: a jump host whose credential cannot be had costs no handle.
                let hops = self.of_hops(hops).await?;
                let (credential, claim) = self.claimed(&intended, &token, host).await?;
                Ok(Lease::claimed(intended, credential, claim).by_way_of(hops))
            }
            CredentialUse::Inventory => {
                let host = host_of(host, &action.target.name)?;
                let (credential, key) = self.own_credential(host).await?;
                let hops = self.of_hops(hops).await?;
                Ok(Lease::own(intended, credential, key).by_way_of(hops))
            }
        }
    }

    async fn of_hops(&self, hops: &[&Host]) -> Result<Vec<HopCredential>, Failure> {
        let mut credentials = Vec::new();
        for hop in hops {
            let (credential, key) = self.own_credential(hop).await?;
            credentials.push(HopCredential { host: hop.name.clone(), credential, key });
        }
        Ok(credentials)
    }

    /// Ends a lease; gives a claimed handle back if no connector started. Secrets are wiped.
    pub async fn release(&self, lease: Lease) {
        lease.end().await;
    }

    /// Forgets handles that ended more than a day ago, and returns how many, and what was spent and has expired; to be called
    /// now and then.
    pub async fn sweep(&self) -> Result<u64, Failure> {
        let (store, now) = (self.store(), self.clock.now());
        blocking(move || {
            store
                .sweep_spent(now)
                .and_then(|_| store.sweep_handles(now))
                .map_err(|error| state_failed(&error))
        })
        .await
    }

    async fn claimed(
        &self,
        intended: &Intended,
        token: &HandleToken,
        host: &Host,
    ) -> Result<(Credential, ClaimedHandle), Failure> {
        let claim = self.claim(intended, token).await?;
        match self.credential_of(&claim, host).await {
            Ok(credential) => Ok((credential, claim)),
            Err(failure) => {
                claim.give_back().await;
                Err(failure)
            }
        }
    }

    async fn claim(&self, intended: &Intended, token: &HandleToken) -> Result<ClaimedHandle, Failure> {
        let permit = intended.permit();
        let (store, held, clock) = (self.store(), Arc::clone(&self.held), Arc::clone(&self.clock));
        let (id, principal, call) = (token.id(), permit.principal().id.clone(), intended.id());
        let (target, tool) = (permit.action().target.name.clone(), permit.action().tool.clone());
        // The claim is made inside the task: if the call is cancelled now, dropping the task's result gives it back.
        blocking(move || {
            let request = ClaimRequest {
                id: &id,
                principal: &principal,
                target: &target,
                tool: &tool,
                call,
                now: clock.now(),
                boot: clock.boot(),
                boot_id: clock.boot_id(),
            };
            let answer = store.claim_handle(&request).map_err(|error| state_failed(&error))?;
            ClaimedHandle::from_answer(answer, store, held, call)
        })
        .await
    }

    /// Fetches what a claimed handle stands for. What bound the handle at issue must hold at use, too: a reload or the
    /// source may have narrowed it since.
    async fn credential_of(&self, claim: &ClaimedHandle, host: &Host) -> Result<Credential, Failure> {
        let record = claim.record();
        if !host.admits(&record.credential) {
            return Err(claim::not_for_this_target());
        }
        let credential = match self.held.copy(&record.id) {
            Some(credential) => credential,
            None => match self.source(&record.credential)?.fetch_time() {
                FetchTime::AtUse => self.fetch(&record.credential, record.reason.as_deref()).await?,
                FetchTime::AtIssue => return Err(claim::expired()),
            },
        };
        if !belongs_to(&credential, host) {
            return Err(claim::not_for_this_target());
        }
        Ok(credential)
    }

    /// Asks the source, for a bounded time.
    pub(crate) async fn fetch(
        &self,
        name: &CredentialRef,
        reason: Option<&str>,
    ) -> Result<Credential, Failure> {
        let source = self.source(name)?;
        let fetch = source.fetch(Fetch { credential: name, reason });
        tokio::time::timeout(FETCH_MAX, fetch).await.unwrap_or_else(|_| {
            let message = format!("credential source `{}` did not answer in time", name.source());
            Err(Failure::new(ErrorCode::CredentialSourceDown, message))
        })
    }

    pub(crate) fn source(&self, name: &CredentialRef) -> Result<Arc<dyn CredentialSource>, Failure> {
        let configured = self.configured.read().unwrap_or_else(PoisonError::into_inner);
        configured.sources.get(name.source()).cloned().ok_or_else(|| {
            let message = format!("there is no credential source `{}`", name.source());
            Failure::new(ErrorCode::CredentialNotFound, message).with_hint(
                "a credential is named `SOURCE:SAFE/OBJECT`, with a source of the gateway's configuration",
            )
        })
    }

    pub(crate) fn handle_policy(&self) -> HandlePolicy {
        self.configured.read().unwrap_or_else(PoisonError::into_inner).handles
    }

    pub(crate) fn store(&self) -> Arc<dyn StateStore> {
        Arc::clone(&self.store)
    }

    pub(crate) fn held(&self) -> &Arc<Held> {
        &self.held
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        self.clock.as_ref()
    }

    pub(crate) fn entropy(&self) -> &dyn Entropy {
        self.entropy.as_ref()
    }

    pub(crate) fn versions(&self) -> Option<&VersionKey> {
        self.versions.as_ref()
    }

    pub(crate) fn ssh_auth_sock(&self) -> Option<&Path> {
        self.ssh_auth_sock.as_deref()
    }
}

/// Runs what may wait for the disk where that holds nobody up.
pub(crate) async fn blocking<T: Send + 'static>(
    operation: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(operation).await.unwrap_or_else(|error| {
        Err(Failure::new(ErrorCode::Internal, "the call was ended inside the gateway")
            .with_internal(error.to_string()))
    })
}

pub(crate) fn state_failed(error: &StoreError) -> Failure {
    Failure::new(ErrorCode::Internal, "the gateway's state cannot be read or written")
        .with_internal(error.to_string())
}

fn host_of<'a>(host: Option<&'a Host>, target: &TargetName) -> Result<&'a Host, Failure> {
    host.filter(|host| host.name == *target).ok_or_else(|| {
        Failure::new(ErrorCode::Internal, format!("no inventory entry came with the target `{target}`"))
    })
}
