//! A whole gateway in one process: real policy, journal, broker, store and guard; a fake host and a fake source.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use audit::{AuthFailureMeter, Journal, JournalConfig, RecordCommands, SealKey, SigningKey};
use broker::{Broker, FakeSource, HandlePolicy};
use gateway::{
    Authenticated, Directory, Endpoint, Entry, Gateway, GatewayParts, Live, Presented, StateSeal, ToolCall,
    api_key,
};
use guard::Guard;
use model::{
    Answer, Clock, CredentialPattern, CredentialRef, CredentialSpec, Entropy, GroupName, Host, Inventory,
    Limits, Principal, PrincipalId, TargetName,
};
use policy::{NetworkFence, RawRules, Rule, Snapshot, ToolFacts, Vocabulary};
use serde_json::Value;
use store::SqliteStore;
use testkit::{FakeClock, SeededEntropy};
use tokio_util::sync::CancellationToken;
use tools::Catalogue;

use crate::fakes::FakeShell;

/// The secret behind every credential of the harness. Its characters need escaping everywhere.
pub(crate) const CANARY: &str = "c4nary <\"&'>$ p%ss\\word/42";

/// Who may do what on which of `web1`, `web2` and `vault1`.
pub(crate) const RULES: &str = r#"
[[rule]]
name = "look at web servers"
allow = ["ssh_execute"]
principals = ["group:sre"]
targets = ["tag:web"]
commands = ["uptime", "df -h"]

[[rule]]
name = "may use the web credentials"
allow = ["get_credential"]
principals = ["group:sre"]
targets = ["tag:web"]
credentials = ["vault:PROD/*"]

[[rule]]
name = "restart needs a human"
allow = ["ssh_execute"]
principals = ["group:sre"]
targets = ["tag:web"]
commands = ["systemctl restart *"]
approval = { by = ["group:oncall"], count = 1, within = "15m", reason = true }
"#;

pub(crate) struct Harness {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) shell: Arc<FakeShell>,
    pub(crate) source: Arc<FakeSource>,
    journal: Journal,
    clock: Arc<FakeClock>,
    keys: BTreeMap<&'static str, String>,
    entries: Vec<Entry>,
    folder: tempfile::TempDir,
}

impl Harness {
    pub(crate) async fn new(rules: &str) -> Self {
        Self::with_guard(rules, Guard::new()).await
    }

    pub(crate) async fn with_guard(rules: &str, guard: Guard) -> Self {
        Self::with(rules, guard, RecordCommands::Sealed).await
    }

    /// Principals `agent` and `other` (group sre, `other` is the local user `op`) and `nobody` (no group).
    pub(crate) async fn with(rules: &str, guard: Guard, commands: fn(SealKey) -> RecordCommands) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(FakeClock::new());
        let entropy: Arc<dyn Entropy> = Arc::new(SeededEntropy::new(1));
        let journal = open_journal(folder.path(), Arc::clone(&clock) as _, &entropy, commands);
        let store = Arc::new(SqliteStore::open(&folder.path().join("store.sqlite")).unwrap());
        let source = Arc::new(FakeSource::new());
        source.set(
            &CredentialRef::parse("vault:PROD/root").unwrap(),
            Some("root"),
            Some("192.0.2.1"),
            CANARY,
        );
        source.set(&CredentialRef::parse("vault:PROD/web").unwrap(), Some("web"), None, CANARY);
        let seal =
            StateSeal::new(Arc::clone(&entropy), Arc::clone(&clock) as _, Arc::clone(&store) as _).unwrap();
        let broker = Arc::new(Broker::new(store, Arc::clone(&clock) as _, Arc::clone(&entropy), None));
        broker.configure(
            BTreeMap::from_iter([("vault".to_owned(), Arc::clone(&source) as _)]),
            HandlePolicy { ttl: Duration::from_secs(300), single_use: true },
        );
        let (keys, entries) = principals(&*entropy);
        let shell = Arc::new(FakeShell::new());
        let gateway = Arc::new(Gateway::new(GatewayParts {
            journal: journal.clone(),
            broker,
            guard,
            catalogue: Arc::new(Catalogue::new()),
            verbs: Vec::new(),
            offer: None,
            seal,
            upstreams: Arc::new(tools::NoUpstreams),
            shell: Arc::clone(&shell) as _,
            clock: Arc::clone(&clock) as _,
            meter: Arc::new(AuthFailureMeter::new()),
            live: live(rules, &entries),
        }));
        Self { gateway, shell, source, journal, clock, keys, entries, folder }
    }

    pub(crate) fn reload(&self, rules: &str) {
        self.gateway.swap(live(rules, &self.entries));
    }

    /// With something else beside the rules.
    pub(crate) fn reload_with(&self, rules: &str, change: impl FnOnce(&mut Live)) {
        let mut live = live(rules, &self.entries);
        change(&mut live);
        self.gateway.swap(live);
    }

    /// Everybody but one.
    pub(crate) fn without(&self, principal: &str) -> Directory {
        let others = self.entries.iter().filter(|entry| entry.principal.id.as_str() != principal);
        Directory::new(others.cloned().collect())
    }

    pub(crate) fn let_a_minute_pass(&self) {
        self.clock.advance(Duration::from_secs(60));
    }

    pub(crate) fn who(&self, principal: &str) -> Authenticated<()> {
        let keys = [self.keys[principal].as_str()];
        let presented = Presented { api_keys: &keys, transport: "http", ..Presented::default() };
        self.gateway.authenticate(&presented).expect("a known key")
    }

    pub(crate) async fn call(&self, tool: &str, arguments: Value) -> Answer {
        self.call_as("agent", tool, arguments).await
    }

    pub(crate) async fn call_as(&self, principal: &str, tool: &str, arguments: Value) -> Answer {
        self.call_with(principal, tool, arguments, CancellationToken::new()).await.expect("a recorded answer")
    }

    /// `None` is an answer that was withheld because it could not be recorded.
    pub(crate) async fn call_with(
        &self,
        principal: &str,
        tool: &str,
        arguments: Value,
        cancel: CancellationToken,
    ) -> Option<Answer> {
        self.send(self.who(principal), tool, arguments, cancel).await
    }

    pub(crate) async fn call_by(
        &self,
        who: Authenticated<()>,
        tool: &str,
        arguments: Value,
    ) -> Option<Answer> {
        self.send(who, tool, arguments, CancellationToken::new()).await
    }

    async fn send(
        &self,
        who: Authenticated<()>,
        tool: &str,
        arguments: Value,
        cancel: CancellationToken,
    ) -> Option<Answer> {
        let arguments = serde_json::value::to_raw_value(&arguments).unwrap();
        let call = ToolCall { cancel, ..ToolCall::new(Endpoint::All, tool, Some(arguments)) };
        self.gateway.call(who.with(call)).await.ok().map(|recorded| recorded.into_inner())
    }

    pub(crate) async fn tools(&self, principal: &str) -> Vec<String> {
        let list =
            self.gateway.list_tools(self.who(principal).with(Endpoint::All)).await.unwrap().into_inner();
        list.tools.iter().map(|tool| tool.spec().name.to_string()).collect()
    }

    pub(crate) async fn resource(&self, principal: &str, uri: &str) -> Option<String> {
        let asked = self.who(principal).with(uri.to_owned());
        self.gateway.read_resource(asked).await.unwrap().into_inner().map(|resource| match resource.body {
            model::ResourceBody::Text(text) => text,
            model::ResourceBody::Bytes(bytes) => format!("{} bytes", bytes.len()),
        })
    }

    /// Ends the journal, which then has everything.
    pub(crate) async fn end(&self) {
        self.journal.shutdown().await.unwrap();
    }

    /// Every entry of the journal so far.
    pub(crate) fn journal(&self) -> Vec<Value> {
        let bytes = self.journal_bytes();
        bytes
            .split(|byte| *byte == b'\n')
            .filter(|l| !l.is_empty())
            .map(|l| serde_json::from_slice(l).unwrap())
            .collect()
    }

    pub(crate) fn journal_bytes(&self) -> Vec<u8> {
        let mut files: Vec<_> =
            std::fs::read_dir(self.folder.path().join("journal")).unwrap().collect::<Result<_, _>>().unwrap();
        files.sort_by_key(|file| file.file_name());
        files
            .iter()
            .filter(|f| f.file_name().to_string_lossy().ends_with(".jsonl"))
            .flat_map(|f| std::fs::read(f.path()).unwrap())
            .collect()
    }
}

fn open_journal(
    folder: &Path,
    clock: Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
    commands: fn(SealKey) -> RecordCommands,
) -> Journal {
    let signing = SigningKey::create(&folder.join("audit.key"), &**entropy).unwrap();
    let seal = SealKey::create(&folder.join("seal.key"), &**entropy).unwrap();
    let config =
        JournalConfig::new(folder.join("journal"), signing, commands(seal), folder.join("heads.jsonl"));
    Journal::open(config, clock, Arc::clone(entropy)).unwrap()
}

fn principals(entropy: &dyn Entropy) -> (BTreeMap<&'static str, String>, Vec<Entry>) {
    let mut keys = BTreeMap::new();
    let mut entries = Vec::new();
    for (id, groups) in [("agent", vec!["sre"]), ("other", vec!["sre"]), ("nobody", vec![])] {
        let (key, hash) = api_key::generate(entropy).unwrap();
        keys.insert(id, key.reveal().to_owned());
        let groups = groups.into_iter().map(|group| GroupName::parse(group).unwrap()).collect();
        let principal = Arc::new(Principal { id: PrincipalId::parse(id).unwrap(), groups });
        entries.push(Entry {
            principal,
            api_keys: vec![hash],
            certificate: None,
            from: Vec::new(),
            os_user: (id == "other").then(|| "op".to_owned()),
            keyless: false,
        });
    }
    (keys, entries)
}

fn live(rules: &str, entries: &[Entry]) -> Live {
    let inventory = Inventory::new([
        host("web1", "192.0.2.1", "web"),
        host("web2", "192.0.2.2", "web"),
        host("vault1", "192.0.2.3", "vault"),
    ]);
    Live {
        directory: Directory::new(entries.to_vec()),
        snapshot: Arc::new(snapshot(rules, &inventory)),
        inventory,
        sources: vec!["vault".to_owned()],
        limits: Limits::default(),
        network: NetworkFence::default(),
    }
}

fn host(name: &str, address: &str, tag: &str) -> Host {
    Host {
        tags: [tag.to_owned()].into(),
        credential: Some(CredentialSpec::Stored(CredentialRef::parse("vault:PROD/web").unwrap())),
        credentials: vec![CredentialPattern::parse("vault:PROD/*").unwrap()],
        ..Host::new(TargetName::parse(name).unwrap(), address)
    }
}

fn snapshot(rules: &str, inventory: &Inventory) -> Snapshot {
    let raw: RawRules = toml::from_str(rules).unwrap();
    let rules: Vec<Rule> = raw.rule.into_iter().map(|rule| Rule::parse(rule.into_inner()).unwrap()).collect();
    let facts = |tool: &Arc<dyn tools::Tool>| {
        let spec = tool.spec();
        ToolFacts { name: spec.name.clone(), set: spec.set.clone(), tier: spec.tier }
    };
    let vocabulary = Vocabulary {
        tools: Catalogue::new().tools().map(facts).collect(),
        verbs: vec!["impersonate".to_owned(), "reload".to_owned()],
        targets: inventory.hosts().map(Host::target).collect(),
        ..Vocabulary::default()
    };
    Snapshot::compile(rules, Vec::new(), &vocabulary).unwrap().0
}

/// Everything that is logged by this process from now on.
pub(crate) fn captured_log() -> Captured {
    static LOG: std::sync::OnceLock<Captured> = std::sync::OnceLock::new();
    let log = LOG.get_or_init(|| {
        let captured = Captured::default();
        let writer = captured.clone();
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(move || writer.clone())
            .init();
        captured
    });
    log.clone()
}

#[derive(Clone, Default)]
pub(crate) struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    pub(crate) fn take(&self) -> Vec<u8> {
        self.0.lock().unwrap().clone()
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
