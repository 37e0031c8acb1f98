//! What tests of other crates need of this one: a source that is no real one, and an intent that no journal holds.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use audit::Intended;
use model::{Action, CallId, CredentialRef, ErrorCode, Failure, Limits, Principal};
use policy::{Fences, Permit};
use zeroize::Zeroizing;

use crate::{Credential, CredentialSource, Fetch, FetchTime, Material};

/// An intent for an action that nobody decided on. With [`crate::Lease::for_test`] it makes a lease for a connector's tests.
pub fn intended_for_test(call: CallId, principal: Principal, action: Action, limits: Limits) -> Intended {
    Intended::for_test(call, Permit::for_test(principal, action, limits, Fences::default()))
}

/// A credential source in memory. It counts its fetches and can be told to fail.
#[derive(Default)]
pub struct FakeSource {
    entries: Mutex<BTreeMap<String, FakeEntry>>,
    reasons: Mutex<Vec<Option<String>>>,
    down: AtomicBool,
    at_issue: bool,
}

struct FakeEntry {
    username: Option<String>,
    address: Option<String>,
    secret: String,
}

impl FakeSource {
    /// An empty source.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty source whose secrets are fetched when a handle is issued.
    pub fn at_issue() -> Self {
        Self { at_issue: true, ..Self::default() }
    }

    /// Puts or rotates a password, or a private key if the text is one.
    pub fn set(&self, name: &CredentialRef, username: Option<&str>, address: Option<&str>, secret: &str) {
        let entry = FakeEntry {
            username: username.map(str::to_owned),
            address: address.map(str::to_owned),
            secret: secret.to_owned(),
        };
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_string(), entry);
    }

    /// From now on (or no longer) every fetch fails with `credential.source_down`.
    pub fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    /// How often it was asked.
    pub fn fetches(&self) -> usize {
        self.reasons().len()
    }

    /// The reason of each fetch so far.
    pub fn reasons(&self) -> Vec<Option<String>> {
        self.reasons.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl CredentialSource for FakeSource {
    async fn fetch(&self, fetch: Fetch<'_>) -> Result<Credential, Failure> {
        let reason = fetch.reason.map(str::to_owned);
        self.reasons.lock().unwrap_or_else(PoisonError::into_inner).push(reason);
        if self.down.load(Ordering::SeqCst) {
            return Err(Failure::new(ErrorCode::CredentialSourceDown, "the fake source is down"));
        }
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.get(&fetch.credential.to_string()).ok_or_else(|| {
            Failure::new(
                ErrorCode::CredentialNotFound,
                format!("there is no credential `{}`", fetch.credential),
            )
        })?;
        let material = Material::from_bytes(Zeroizing::new(entry.secret.clone().into_bytes()), None)
            .map_err(|error| Failure::new(ErrorCode::CredentialRefused, error.to_string()))?;
        Ok(Credential {
            username: entry.username.clone(),
            address: entry.address.clone(),
            material,
            version: Some(format!("length-{}", entry.secret.len())),
        })
    }

    fn fetch_time(&self) -> FetchTime {
        if self.at_issue { FetchTime::AtIssue } else { FetchTime::AtUse }
    }
}
