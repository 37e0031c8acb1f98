//! What the sources promise, each against the real thing: files, variables, programs.

mod build;
mod ccp;
mod command;
mod environment;
mod examine;
mod folder;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use broker::{Credential, CredentialSource, Fetch, Material, VersionKey};
use model::{BootInstant, Clock, CredentialRef, Entropy, ErrorCode, Failure, NoEntropy, Timestamp};

use crate::Environment;

pub(crate) const SECRET: &str = "canary-Jx7#pQ2!vK9z";
pub(crate) const KEY: &str =
    "-----BEGIN OPENSSH PRIVATE KEY-----\ncanary\n-----END OPENSSH PRIVATE KEY-----\n";

/// A clock that stands still.
pub(crate) struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_000_000)
    }

    fn boot(&self) -> BootInstant {
        BootInstant::new(Duration::from_secs(50))
    }

    fn boot_id(&self) -> &str {
        "boot-1"
    }
}

/// Bytes that differ from draw to draw.
#[derive(Default)]
pub(crate) struct Counting(AtomicU8);

impl Entropy for Counting {
    fn fill(&self, out: &mut [u8]) -> Result<(), NoEntropy> {
        out.fill(self.0.fetch_add(1, Ordering::SeqCst));
        Ok(())
    }
}

pub(crate) fn versions() -> VersionKey {
    VersionKey::draw(&Counting::default()).unwrap()
}

pub(crate) fn variables(of: &[(&str, &str)]) -> Environment {
    let map: BTreeMap<String, OsString> =
        of.iter().map(|(k, v)| ((*k).to_owned(), OsString::from(v))).collect();
    Arc::new(move |name| map.get(name).cloned())
}

/// Writes a file that only its owner can read.
pub(crate) fn private(path: &Path, content: &[u8]) {
    std::fs::write(path, content).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

pub(crate) fn named(text: &str) -> CredentialRef {
    CredentialRef::parse(&format!("s:{text}")).unwrap()
}

pub(crate) async fn fetch(source: &dyn CredentialSource, name: &str) -> Result<Credential, Failure> {
    source.fetch(Fetch { credential: &named(name), reason: None }).await
}

pub(crate) fn is_password(credential: &Credential, expected: &str) -> bool {
    match &credential.material {
        Material::Password(password) => password.same_as(expected.as_bytes()),
        Material::PrivateKey { .. } | Material::Agent { .. } => false,
    }
}

/// The failure of a fetch, which must show no secret to anybody.
pub(crate) async fn failure(source: &dyn CredentialSource, name: &str) -> Failure {
    let failure = fetch(source, name).await.err().unwrap_or_else(|| panic!("`{name}` was found"));
    assert!(!format!("{failure:?}").contains("canary"), "{failure:?}");
    failure
}

pub(crate) async fn refused(source: &dyn CredentialSource, name: &str, code: ErrorCode, internal: &str) {
    let failure = failure(source, name).await;
    assert_eq!(failure.code(), code, "{failure:?}");
    let text = format!("{} {}", failure.message(), failure.internal().unwrap_or_default());
    assert!(text.contains(internal), "{text} lacks `{internal}`");
}
