//! A whole gateway in one process, with an open policy.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use async_trait::async_trait;
use audit::{AuthFailureMeter, Journal, JournalConfig, RecordCommands, SealKey, SigningKey};
use broker::Broker;
use gateway::{
    Directory, Entry, Gateway, GatewayParts, Live, StateSeal, SystemClock, SystemEntropy, api_key,
};
use guard::Guard;
use mcp::{Front, FrontConfig, HostRules, HttpLimits, Parts, SessionLimits};
use model::{
    Abilities, Clock, Entropy, ErrorCode, Failure, Inventory, Limits, Outcome, Principal, PrincipalId,
    UpstreamName,
};
use policy::{NetworkFence, RawRules, Rule, Snapshot, ToolFacts, Vocabulary};
use store::{SqliteStore, StateStore};
use tokio::sync::watch;
use tools::{Catalogue, HostRun, HostShell, Tool, Upstreams};
use upstream::{
    HttpSettings, Ledger, Load, Networks, PinBook, Pinning, Pins, Reach, Sandbox, SandboxSettings,
    UpstreamPool, UpstreamSettings,
};

use super::offer::FixtureOffer;
use super::{door, tool};

const OPEN: &str = r#"
[[rule]]
name = "open"
allow = ["*"]
principals = ["*"]
targets = ["*"]
"#;

/// Takes one tool out of sight, as a reload could.
const HIDING: &str = r#"
[[rule]]
name = "hidden"
forbid = ["test_sometimes_there"]
principals = ["*"]
targets = ["*"]
"#;

/// What stands behind a fixture, if something does: it is then at `/mcp/fixture`.
pub(crate) enum Behind {
    /// Nothing.
    Nothing,
    /// A program, on standard input and output.
    #[cfg_attr(
        test,
        expect(dead_code, reason = "a gateway starts programs through itself, which a test is not")
    )]
    Program(Vec<String>),
    /// A server at this address.
    Http(String),
}

/// What puts other rules in force while the gateway runs.
pub(crate) type Late = Arc<OnceLock<Weak<Gateway>>>;

/// A running fixture.
pub(crate) struct Fixture {
    /// Where the suite knocks; no key is needed.
    pub(crate) door: SocketAddr,
    /// The listener behind the door.
    pub(crate) front: SocketAddr,
    /// The keys of the principals `suite` and `other`.
    pub(crate) keys: [String; 2],
    /// The gateway.
    pub(crate) gateway: Arc<Gateway>,
    /// Where its journal is.
    pub(crate) folder: PathBuf,
    _front: Front,
    _temporary: Option<tempfile::TempDir>,
}

impl Fixture {
    /// Starts one with the machine's clocks.
    pub(crate) async fn start() -> Self {
        let clock = SystemClock::new(&SystemEntropy).expect("random bytes");
        Self::start_with(Arc::new(clock), SessionLimits::default()).await
    }

    /// Starts one.
    pub(crate) async fn start_with(clock: Arc<dyn Clock>, sessions: SessionLimits) -> Self {
        let temporary = tempfile::tempdir().expect("a temporary folder");
        let fixture = Self::start_at(temporary.path(), clock, sessions).await;
        Self { _temporary: Some(temporary), ..fixture }
    }

    /// Starts one in this folder, with the keys, the journal and the state that an earlier one left there.
    pub(crate) async fn start_at(folder: &Path, clock: Arc<dyn Clock>, sessions: SessionLimits) -> Self {
        Self::start_with_behind(folder, clock, sessions, Behind::Nothing).await
    }

    /// The same, with a server behind it.
    pub(crate) async fn start_with_behind(
        folder: &Path,
        clock: Arc<dyn Clock>,
        sessions: SessionLimits,
        behind: Behind,
    ) -> Self {
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        let late = Late::default();
        let (gateway, keys) = gateway(folder, &clock, &entropy, &late, behind);
        let _ = late.set(Arc::downgrade(&gateway));
        let config = FrontConfig {
            http: vec!["127.0.0.1:0".parse().expect("an address")],
            metrics: None,
            tls: None,
            trusted_proxies: None,
            hosts: HostRules::parse(&[], &[]).expect("no rules"),
            has_principals: true,
            alone: None,
            lanes: 2,
            limits: HttpLimits::default(),
            sessions,
        };
        let gate = Arc::clone(&gateway) as Arc<dyn mcp::Gate>;
        let parts = Parts { gate, clock, entropy, metrics: Arc::new(String::new) };
        let front = Front::start(config, parts).await.expect("a listener on loopback");
        let address = *front.addresses().first().expect("one listener");
        let door = door::open(address, keys[0].clone()).await;
        let folder = folder.to_owned();
        Self { door, front: address, keys, gateway, folder, _front: front, _temporary: None }
    }
}

fn gateway(
    folder: &Path,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
    late: &Late,
    behind: Behind,
) -> (Arc<Gateway>, [String; 2]) {
    let store: Arc<dyn StateStore> =
        Arc::new(SqliteStore::open(&folder.join("store.sqlite")).expect("a state store"));
    let seal = StateSeal::new(Arc::clone(entropy), Arc::clone(clock), Arc::clone(&store));
    let (keys, entries) = principals(folder, &**entropy);
    let directory = Arc::new(entries);
    let catalogue = Arc::new(Catalogue::of(tool::all(late, &directory)));
    let broker = Arc::new(Broker::new(store, Arc::clone(clock), Arc::clone(entropy), None));
    let (upstreams, changes) = upstreams(&broker, behind);
    let gateway = Gateway::new(GatewayParts {
        journal: journal(folder, clock, entropy),
        upstreams,
        broker,
        guard: Guard::new(),
        live: live(&directory, &facts(catalogue.tools()), false),
        catalogue,
        verbs: Vec::new(),
        offer: Some(Arc::new(FixtureOffer)),
        seal: seal.expect("random bytes"),
        shell: Arc::new(NoHosts),
        clock: Arc::clone(clock),
        meter: Arc::new(AuthFailureMeter::new()),
    });
    let gateway = Arc::new(gateway);
    if let Some(changes) = changes {
        tokio::spawn(follow(changes, Arc::downgrade(&gateway)));
    }
    (gateway, keys)
}

/// Clients hear of it when what stands behind offers something else.
async fn follow(mut changes: watch::Receiver<u64>, gateway: Weak<Gateway>) {
    while changes.changed().await.is_ok() {
        let Some(gateway) = gateway.upgrade() else { return };
        gateway.offer_changed();
    }
}

fn upstreams(broker: &Arc<Broker>, behind: Behind) -> (Arc<dyn Upstreams>, Option<watch::Receiver<u64>>) {
    let reach = match behind {
        Behind::Nothing => return (Arc::new(tools::NoUpstreams), None),
        Behind::Program(command) => {
            Reach::Program { command, env: Vec::new(), folder: "/".into(), sandbox: unconfined() }
        }
        Behind::Http(url) => Reach::Http(Box::new(HttpSettings {
            url,
            bearer: None,
            oauth: None,
            headers: Vec::new(),
            ca: None,
            identity: None,
            networks: Networks::default(),
        })),
    };
    let pool = UpstreamPool::new(Arc::clone(broker), Arc::new(Unwritten), Arc::new(Unwritten));
    pool.configure(vec![UpstreamSettings {
        name: UpstreamName::parse("fixture").expect("a literal"),
        reach,
        tools: None,
        tier: BTreeMap::new(),
        timeout: None,
        load: Load { concurrent: 64, of_one_principal: 64, per_minute: None },
        pin: Pinning::Off,
        client_requests: Abilities { form: true, page: true, sample: true, roots: true },
        required: true,
    }]);
    let changes = pool.changes();
    (Arc::new(pool), Some(changes))
}

/// It is ours, and so is what it stands behind.
fn unconfined() -> SandboxSettings {
    let (user, read, write, guarded) = (None, Vec::new(), Vec::new(), Vec::new());
    SandboxSettings { sandbox: Sandbox::Off, user, read, write, guarded }
}

/// Starts and ends of what stands behind are none of the suite's business, nor is what was accepted of it.
struct Unwritten;

#[async_trait]
impl Ledger for Unwritten {
    async fn record(
        &self,
        _event: &'static str,
        _upstream: UpstreamName,
        _fields: serde_json::Map<String, serde_json::Value>,
    ) -> Result<(), Failure> {
        Ok(())
    }
}

#[async_trait]
impl PinBook for Unwritten {
    async fn pins(&self, _upstream: UpstreamName) -> Result<Pins, Failure> {
        Ok(Pins::new())
    }

    async fn keep(&self, _upstream: UpstreamName, _pins: Pins, _gone: Vec<String>) -> Result<(), Failure> {
        Ok(())
    }
}

fn journal(folder: &Path, clock: &Arc<dyn Clock>, entropy: &Arc<dyn Entropy>) -> Journal {
    let (signing, seal) = (folder.join("audit.key"), folder.join("seal.key"));
    let (signing, seal) = if signing.exists() {
        (SigningKey::load(&signing), SealKey::load(&seal))
    } else {
        (SigningKey::create(&signing, &**entropy), SealKey::create(&seal, &**entropy))
    };
    let (signing, seal) = (signing.expect("a signing key"), seal.expect("a seal key"));
    let (journal, heads) = (folder.join("journal"), folder.join("heads.jsonl"));
    let config = JournalConfig::new(journal, signing, RecordCommands::Sealed(seal), heads);
    Journal::open(config, Arc::clone(clock), Arc::clone(entropy)).expect("a journal")
}

fn principals(folder: &Path, entropy: &dyn Entropy) -> ([String; 2], Vec<Entry>) {
    let make = |id: &str| {
        let (key, hash) = kept_key(&folder.join(format!("{id}.key")), entropy);
        let id = PrincipalId::parse(id).expect("a literal");
        let principal = Arc::new(Principal { id, groups: Default::default() });
        let os_user = Some(principal.id.to_string());
        let (api_keys, from) = (vec![hash], Vec::new());
        let entry = Entry { principal, api_keys, certificate: None, from, os_user, keyless: false };
        (key, entry)
    };
    let ((suite, first), (other, second)) = (make("suite"), make("other"));
    ([suite, other], vec![first, second])
}

/// A key and its hash: those of the file, or new ones that are written there.
fn kept_key(file: &Path, entropy: &dyn Entropy) -> (String, String) {
    if !file.exists() {
        let (key, hash) = api_key::generate(entropy).expect("random bytes");
        std::fs::write(file, format!("{} {hash}", key.reveal())).expect("a key file");
    }
    let text = std::fs::read_to_string(file).expect("a key file");
    let (key, hash) = text.split_once(' ').expect("a key and its hash");
    (key.to_owned(), hash.to_owned())
}

/// What policy knows of these tools.
pub(crate) fn facts<'t>(tools: impl Iterator<Item = &'t Arc<dyn Tool>>) -> Vec<ToolFacts> {
    let facts = |tool: &Arc<dyn Tool>| {
        let spec = tool.spec();
        ToolFacts { name: spec.name.clone(), set: spec.set.clone(), tier: spec.tier }
    };
    tools.map(facts).collect()
}

/// The open policy, with one tool hidden or not.
pub(crate) fn live(entries: &[Entry], tools: &[ToolFacts], hiding: bool) -> Live {
    let text = if hiding { format!("{OPEN}{HIDING}") } else { OPEN.to_owned() };
    let raw: RawRules = toml::from_str(&text).expect("rules");
    let rules: Vec<Rule> =
        raw.rule.into_iter().map(|rule| Rule::parse(rule.into_inner()).expect("a rule")).collect();
    let vocabulary = Vocabulary { tools: tools.to_vec(), ..Vocabulary::default() };
    Live {
        directory: Directory::new(entries.to_vec()),
        inventory: Inventory::new([]),
        snapshot: Arc::new(Snapshot::compile(rules, Vec::new(), &vocabulary).expect("a policy").0),
        sources: Vec::new(),
        limits: Limits {
            timeout: Some(Duration::from_secs(60)),
            calls_per_minute: Some(1_000_000),
            ..Limits::default()
        },
        network: NetworkFence::default(),
    }
}

/// There are no hosts to reach.
struct NoHosts;

#[async_trait]
impl HostShell for NoHosts {
    async fn exec(&self, _run: HostRun<'_>) -> Result<Outcome, Failure> {
        Err(Failure::new(ErrorCode::TargetUnknown, "there are no hosts"))
    }

    async fn login(&self, _run: HostRun<'_>) -> Result<Outcome, Failure> {
        Err(Failure::new(ErrorCode::TargetUnknown, "there are no hosts"))
    }
}
