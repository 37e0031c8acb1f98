//! What the broker promises, against a real store and a source in memory.

mod handles;
mod held;
mod own;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use audit::Intended;
use model::{
    Action, BootInstant, CallId, Clock, CredentialPattern, CredentialRef, CredentialUse, Entropy, ErrorCode,
    Failure, Fault, HandleToken, Host, Limits, NoEntropy, Principal, PrincipalId, SubAction, TargetName,
    Tier, Timestamp, ToolName, ToolSet,
};
use store::SqliteStore;

use crate::{Broker, CredentialSource, FakeSource, HandlePolicy, IssueRequest, Issued, Lease, Material};

const SECRET: &str = "canary-Jx7#pQ2!vK9z";

/// A clock that goes when it is told to.
struct FakeClock {
    seconds: AtomicU64,
    boot_id: Mutex<&'static str>,
}

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_000_000).after(Duration::from_secs(self.seconds.load(Ordering::SeqCst)))
    }

    fn boot(&self) -> BootInstant {
        BootInstant::new(Duration::from_secs(self.seconds.load(Ordering::SeqCst)))
    }

    fn boot_id(&self) -> &str {
        *self.boot_id.lock().unwrap()
    }
}

/// Bytes that differ from draw to draw.
struct Counting(AtomicU8);

impl Entropy for Counting {
    fn fill(&self, out: &mut [u8]) -> Result<(), NoEntropy> {
        out.fill(self.0.fetch_add(1, Ordering::SeqCst));
        Ok(())
    }
}

struct World {
    folder: tempfile::TempDir,
    clock: Arc<FakeClock>,
    source: Arc<FakeSource>,
    broker: Arc<Broker>,
    calls: AtomicU8,
}

impl World {
    fn new() -> Self {
        Self::with(FakeSource::new(), HandlePolicy { ttl: Duration::from_secs(300), single_use: true })
    }

    fn with(source: FakeSource, handles: HandlePolicy) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(FakeClock { seconds: AtomicU64::new(50), boot_id: Mutex::new("boot-1") });
        let store = SqliteStore::open(&folder.path().join("store.db")).unwrap();
        let source = Arc::new(source);
        source.set(&root(), Some("svc_root"), None, SECRET);
        let entropy = Arc::new(Counting(AtomicU8::new(0)));
        let broker = Arc::new(Broker::new(Arc::new(store), Arc::clone(&clock) as _, entropy, None));
        let sources: BTreeMap<String, Arc<dyn CredentialSource>> =
            [("keystore".to_owned(), Arc::clone(&source) as _)].into();
        broker.configure(sources, handles);
        Self { folder, clock, source, broker, calls: AtomicU8::new(0) }
    }

    fn pass(&self, seconds: u64) {
        self.clock.seconds.fetch_add(seconds, Ordering::SeqCst);
    }

    async fn issue(&self, hosts: &[Host]) -> Result<Issued, Failure> {
        self.issue_because(None, hosts).await
    }

    async fn issue_because(&self, reason: Option<&str>, hosts: &[Host]) -> Result<Issued, Failure> {
        let request = IssueRequest {
            credential: root(),
            targets: hosts.to_vec(),
            tools: vec![ToolName::parse("ssh_execute").unwrap()],
            reason: reason.map(str::to_owned),
        };
        self.broker.issue(&claude(), request).await
    }

    fn intend(&self, credential: CredentialUse, host: &Host) -> Intended {
        self.intend_as(claude(), "ssh_execute", credential, host)
    }

    fn intend_as(&self, who: Principal, tool: &str, credential: CredentialUse, host: &Host) -> Intended {
        let action = Action {
            tool: ToolName::parse(tool).unwrap(),
            set: ToolSet::parse("exec").unwrap(),
            tier: Tier::Dangerous,
            target: host.target(),
            parts: vec![SubAction::Whole],
            command: None,
            credential,
            limits: Limits::default(),
            arguments: serde_json::json!({}),
            forward: None,
        };
        let call = CallId::new([self.calls.fetch_add(1, Ordering::SeqCst); 16]);
        crate::intended_for_test(call, who, action, Limits::default())
    }

    async fn lease(&self, token: &HandleToken, host: &Host) -> Result<Lease, Failure> {
        let intended = self.intend(CredentialUse::Handle(token.clone()), host);
        self.broker.lease(intended, Some(host), &[]).await
    }

    async fn own(&self, host: &Host) -> Result<Lease, Failure> {
        self.broker.lease(self.intend(CredentialUse::Inventory, host), Some(host), &[]).await
    }
}

fn root() -> CredentialRef {
    CredentialRef::parse("keystore:PROD/root").unwrap()
}

fn claude() -> Principal {
    Principal { id: PrincipalId::parse("claude").unwrap(), groups: BTreeSet::new() }
}

fn host(name: &str, address: &str) -> Host {
    Host {
        credentials: vec![CredentialPattern::parse("keystore:PROD/*").unwrap()],
        ..Host::new(TargetName::parse(name).unwrap(), address)
    }
}

fn web1() -> Host {
    host("web1", "10.0.0.11")
}

fn has_password(lease: &Lease, expected: &str) -> bool {
    match lease.credential().map(|credential| &credential.material) {
        Some(Material::Password(password)) => password.same_as(expected.as_bytes()),
        Some(Material::PrivateKey { .. } | Material::Agent { .. }) | None => false,
    }
}

fn code<T>(result: Result<T, Failure>) -> ErrorCode {
    result.err().unwrap().code()
}

/// Everything a failure says, to whomever.
fn all_text(failure: &Failure) -> String {
    format!("{failure:?}")
}
