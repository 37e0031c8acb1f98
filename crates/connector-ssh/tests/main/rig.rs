//! One connector, one host, and leases that no broker gave.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use audit::Intended;
use broker::{Credential, Lease, Material};
use connector_ssh::{SshConnector, SshSettings};
use model::{
    Action, CallId, CommandLine, CredentialUse, Failure, HandleToken, Host, Limits, Outcome, Pipeline,
    Principal, PrincipalId, Secret, SimpleCommand, TargetName, Tier, ToolName, ToolSet,
};
use policy::{Fences, NetworkFence, Permit};
use tempfile::TempDir;
use testkit::{FakeClock, Sshd};
use tokio_util::sync::CancellationToken;
use tools::{HostRun, HostShell, SubEvents};

pub(crate) struct Rig {
    pub(crate) connector: Arc<SshConnector>,
    pub(crate) clock: Arc<FakeClock>,
    pub(crate) settings: SshSettings,
    pub(crate) known_hosts: PathBuf,
    pub(crate) host: Host,
    /// Jump hosts, with the passwords of their accounts.
    pub(crate) hops: Vec<(Host, String)>,
    _folder: TempDir,
}

/// One call: what differs between calls.
pub(crate) struct Call {
    pub(crate) line: &'static str,
    /// Instead of the line: one command of these words, also those that no line of a caller's could have.
    pub(crate) words: Option<Vec<String>>,
    pub(crate) material: fn(&str) -> Material,
    pub(crate) secret: String,
    pub(crate) username: Option<String>,
    /// `None`: on a handle, so nothing is shared.
    pub(crate) version: Option<&'static str>,
    pub(crate) timeout: Duration,
    pub(crate) output: u64,
    pub(crate) fence: NetworkFence,
    pub(crate) cancel: CancellationToken,
    pub(crate) events: Events,
    pub(crate) started: bool,
}

#[derive(Default)]
pub(crate) struct Events(pub(crate) Mutex<Vec<String>>);

#[async_trait]
impl SubEvents for Events {
    async fn begin(&self, event: &'static str, detail: &str) -> Result<(), Failure> {
        self.0.lock().unwrap().push(format!("begin {event}: {detail}"));
        Ok(())
    }

    async fn end(&self, event: &'static str, result: &str) -> Result<(), Failure> {
        self.0.lock().unwrap().push(format!("end {event}: {result}"));
        Ok(())
    }

    fn dialled(&self, address: std::net::IpAddr) {
        self.0.lock().unwrap().push(format!("dialled {address}"));
    }
}

pub(crate) fn password(secret: &str) -> Material {
    Material::Password(Secret::new(secret.to_owned()))
}

pub(crate) fn key(secret: &str) -> Material {
    Material::PrivateKey { pem: Secret::new(secret.to_owned()), passphrase: None, certificate: None }
}

/// What `material` makes, from an object: `password`, or `pem` with `passphrase` and `certificate`, or `agent` (a socket)
/// with `fingerprint`.
pub(crate) fn material(secret: &str) -> Material {
    let made: serde_json::Value = serde_json::from_str(secret).unwrap();
    let text = |name: &str| made[name].as_str().map(str::to_owned);
    match (text("password"), text("pem"), text("agent")) {
        (Some(password), _, _) => Material::Password(Secret::new(password)),
        (_, Some(pem), _) => Material::PrivateKey {
            pem: Secret::new(pem),
            passphrase: text("passphrase").map(Secret::new),
            certificate: text("certificate"),
        },
        (_, _, socket) => {
            Material::Agent { fingerprint: text("fingerprint").unwrap(), socket: socket.unwrap().into() }
        }
    }
}

impl Rig {
    pub(crate) fn new(address: &str, port: u16, user: &str, known: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let known_hosts = folder.path().join("known_hosts");
        std::fs::write(&known_hosts, format!("{known}\n")).unwrap();
        let settings = SshSettings { known_hosts: vec![known_hosts.clone()], ..SshSettings::default() };
        let clock = Arc::new(FakeClock::new());
        let connector =
            Arc::new(SshConnector::new(settings.clone(), Arc::clone(&clock) as Arc<dyn model::Clock>));
        let host = Host {
            port,
            user: Some(user.to_owned()),
            ..Host::new(TargetName::parse("web1").unwrap(), address)
        };
        Self { connector, clock, settings, known_hosts, host, hops: Vec::new(), _folder: folder }
    }

    pub(crate) fn of(sshd: &Sshd) -> Self {
        Self::new(sshd.host(), sshd.port(), sshd.user(), &sshd.known_hosts_line())
    }

    /// The same host under a name, which this resolver knows.
    pub(crate) fn named(mut self, name: &str, resolver: Arc<dyn connector_ssh::Resolver>) -> Self {
        let known = std::fs::read_to_string(&self.known_hosts).unwrap();
        std::fs::write(&self.known_hosts, known.replace(&self.host.address, name)).unwrap();
        let connector =
            SshConnector::new(self.settings.clone(), Arc::clone(&self.clock) as Arc<dyn model::Clock>);
        self.connector = Arc::new(connector.with_resolver(resolver));
        name.clone_into(&mut self.host.address);
        self
    }

    /// Another host of the same connector, which comes to know it.
    pub(crate) fn beside(&self, name: &str, sshd: &Sshd) -> Self {
        let known = std::fs::read_to_string(&self.known_hosts).unwrap();
        std::fs::write(&self.known_hosts, format!("{known}{}\n", sshd.known_hosts_line())).unwrap();
        let mut beside = Self::of(sshd);
        beside.host.name = TargetName::parse(name).unwrap();
        beside.connector = Arc::clone(&self.connector);
        beside
    }

    /// The same host by way of these, in order. Their keys become known under their addresses.
    pub(crate) fn by_way_of(mut self, hops: &[(&str, &Sshd)]) -> Self {
        let mut known = std::fs::read_to_string(&self.known_hosts).unwrap();
        for (name, sshd) in hops {
            known.push_str(&format!("{}\n", sshd.known_hosts_line()));
            let host = Host {
                port: sshd.port(),
                user: Some(sshd.user().to_owned()),
                ..Host::new(TargetName::parse(name).unwrap(), sshd.host())
            };
            self.hops.push((host, sshd.password().to_owned()));
        }
        self.host.jump = self.hops.iter().map(|(host, _)| host.name.clone()).collect();
        std::fs::write(&self.known_hosts, known).unwrap();
        self
    }

    pub(crate) async fn exec(&self, call: &mut Call) -> Result<Outcome, Failure> {
        self.with(call, |run| self.connector.exec(run)).await
    }

    pub(crate) async fn login(&self, call: &mut Call) -> Result<Outcome, Failure> {
        self.with(call, |run| self.connector.login(run)).await
    }

    async fn with<'c, F>(
        &self,
        call: &'c mut Call,
        act: impl FnOnce(HostRun<'c>) -> F,
    ) -> Result<Outcome, Failure>
    where
        F: Future<Output = Result<Outcome, Failure>> + 'c,
    {
        let hops = self.hops.iter().map(|(hop, secret)| {
            let credential =
                Credential { username: None, address: None, material: password(secret), version: None };
            (hop.name.clone(), credential, Some(secret.as_str()))
        });
        let lease = call.lease(&self.host).for_test_by_way_of(hops.collect());
        let lease: &'static Lease = Box::leak(Box::new(lease));
        let host: &'static Host = Box::leak(Box::new(self.host.clone()));
        let hops = self.hops.iter().map(|(hop, _)| &*Box::leak(Box::new(hop.clone()))).collect();
        let hops: &'static Vec<&'static Host> = Box::leak(Box::new(hops));
        let (timeout, output) = (call.timeout, call.output);
        let started = &mut call.started;
        let run = HostRun {
            lease,
            host,
            hops,
            timeout,
            output,
            cancel: &call.cancel,
            progress: &|_| (),
            sub_events: &call.events,
        };
        let result = act(run).await;
        *started = lease.started();
        result
    }
}

impl Call {
    /// With a password, shared.
    pub(crate) fn new(line: &'static str, secret: &str) -> Self {
        Self {
            line,
            words: None,
            material: password,
            secret: secret.to_owned(),
            username: None,
            version: Some("1"),
            timeout: Duration::from_secs(20),
            output: 1024 * 1024,
            fence: NetworkFence::default(),
            cancel: CancellationToken::new(),
            events: Events::default(),
            started: false,
        }
    }

    pub(crate) fn events(&self) -> Vec<String> {
        self.events.0.lock().unwrap().iter().filter(|event| !event.starts_with("dialled")).cloned().collect()
    }

    /// Where it went.
    pub(crate) fn dialled(&self) -> Vec<String> {
        let told = self.events.0.lock().unwrap();
        told.iter().filter_map(|event| event.strip_prefix("dialled ")).map(str::to_owned).collect()
    }

    fn lease(&self, host: &Host) -> Lease {
        static CALLS: AtomicU64 = AtomicU64::new(0);
        let line = match &self.words {
            Some(words) => {
                let commands = vec![SimpleCommand::new(words.clone())];
                CommandLine { first: Pipeline { commands }, rest: Vec::new() }
            }
            None => {
                policy::command::parse(self.line).unwrap_or_else(|refused| panic!("{}: {refused}", self.line))
            }
        };
        let credential = match self.version {
            Some(_) => CredentialUse::Inventory,
            None => {
                CredentialUse::Handle(HandleToken::parse(&format!("secret://{}", "a".repeat(43))).unwrap())
            }
        };
        let action = Action {
            tool: ToolName::parse("ssh_execute").unwrap(),
            set: ToolSet::parse("exec").unwrap(),
            tier: Tier::Dangerous,
            target: host.target(),
            parts: line.parts().collect(),
            command: Some(line),
            credential,
            limits: Limits::default(),
            arguments: serde_json::json!({}),
            forward: None,
        };
        let principal = Principal {
            id: PrincipalId::parse("tester").unwrap(),
            groups: std::collections::BTreeSet::new(),
        };
        let fences = Fences { network: self.fence.clone(), ..Fences::default() };
        let mut id = [0; 16];
        id[..8].copy_from_slice(&CALLS.fetch_add(1, Ordering::SeqCst).to_be_bytes());
        let intended = Intended::for_test(
            CallId::new(id),
            Permit::for_test(principal, action, Limits::default(), fences),
        );
        let material = (self.material)(&self.secret);
        let credential =
            Credential { username: self.username.clone(), address: None, material, version: None };
        Lease::for_test(intended, Some(credential), self.version)
    }
}

/// Waits until the account's `count-act` has been called this often: the command is running.
pub(crate) async fn acted(sshd: &Sshd, times: usize) {
    for _ in 0..1000 {
        if sshd.acts().len() >= times {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the command never ran: {}", sshd.log());
}

pub(crate) fn stdout(outcome: &Outcome) -> String {
    text(outcome, "stdout")
}

pub(crate) fn stderr(outcome: &Outcome) -> String {
    text(outcome, "stderr")
}

fn text(outcome: &Outcome, name: &str) -> String {
    let stream = outcome.streams.iter().find(|stream| stream.name == name).unwrap();
    String::from_utf8(stream.bytes.clone()).unwrap()
}
