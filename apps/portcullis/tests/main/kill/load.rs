//! What agents do while the gateway is killed under them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use testkit::{Era, McpHttp, Portcullis};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::book::Book;
use super::rig::{Rig, code};

/// Handles that are taken in a round; two calls race for each.
const HANDLES: usize = 3;

/// The calls of one round.
pub(crate) struct Load {
    round: u32,
    clients: Vec<Arc<McpHttp>>,
    pub(crate) handles: Vec<String>,
    next: AtomicU32,
    calls: Mutex<Vec<Call>>,
}

/// One call, and what came of it.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) token: String,
    pub(crate) kind: Kind,
    /// `ok`, the code of a refusal, or nothing when the connection broke.
    pub(crate) answer: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// With the host's own credential.
    Own,
    /// On the handle with this number.
    Handle(usize),
    /// What no rule allows.
    Denied,
}

impl Load {
    /// Connects, and takes the handles. `warm`: every host has a connection that can be shared.
    pub(crate) async fn prepare(rig: &Rig, gateway: &Portcullis, round: u32, warm: bool) -> Arc<Self> {
        let mut clients = Vec::new();
        for era in [Era::Modern, Era::Legacy("2025-11-25"), Era::Modern] {
            clients.push(rig.client(gateway, era).await.unwrap());
        }
        let mut handles = Vec::new();
        for _ in 0..HANDLES {
            let arguments = json!({ "safe": "prod", "object_name": "web" });
            let issued = clients[0].call("get_credential", arguments).await.unwrap();
            handles.push(
                issued.structured()["handle"].as_str().unwrap_or_else(|| panic!("{issued:?}")).to_owned(),
            );
        }
        let load =
            Arc::new(Self { round, clients, handles, next: AtomicU32::new(0), calls: Mutex::default() });
        for host in ["web1", "web2"].into_iter().filter(|_| warm) {
            assert!(load.own_call(0, host).await, "{:?}", load.calls());
        }
        load
    }

    /// Calls until the gateway is gone.
    pub(crate) fn start(self: &Arc<Self>, runtime: &Runtime) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        let _inside = runtime.enter();
        for client in 0..self.clients.len() {
            for host in ["web1", "web1", "web2", "web2"] {
                let load = Arc::clone(self);
                tasks.spawn(async move { while load.own_call(client, host).await {} });
            }
            let load = Arc::clone(self);
            tasks.spawn(async move { while load.denied_call(client).await {} });
        }
        for number in 0..HANDLES {
            for client in [number, number + 1] {
                let load = Arc::clone(self);
                tasks.spawn(async move {
                    load.handle_call(client, number).await;
                });
            }
        }
        tasks
    }

    /// Waits until every call has ended, which they do when the gateway is gone.
    pub(crate) async fn end(&self, mut tasks: JoinSet<()>) {
        let all = async {
            while let Some(done) = tasks.join_next().await {
                done.unwrap();
            }
        };
        tokio::time::timeout(Duration::from_secs(60), all).await.expect("calls end with the gateway");
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    async fn own_call(&self, client: usize, host: &str) -> bool {
        let token = self.token("ok");
        let command = format!("count-act {token}");
        self.call(client, token, Kind::Own, json!({ "host": host, "command": command })).await
    }

    async fn handle_call(&self, client: usize, number: usize) -> bool {
        let token = self.token("ok");
        let command = format!("count-act {token}");
        let handle = &self.handles[number];
        let arguments = json!({ "host": "web1", "command": command, "secret_handle": handle });
        self.call(client, token, Kind::Handle(number), arguments).await
    }

    async fn denied_call(&self, client: usize) -> bool {
        let (no, ok) = (self.token("no"), self.token("ok"));
        let (token, command) = match self.next.load(Ordering::Relaxed) % 3 {
            0 => (no.clone(), format!("count-act {no}")),
            // The first half alone would be allowed.
            1 => (ok.clone(), format!("count-act {ok} && count-act {no}")),
            _ => (ok.clone(), format!("sh -c 'count-act {ok}'")),
        };
        self.call(client, token, Kind::Denied, json!({ "host": "web1", "command": command })).await
    }

    async fn call(&self, client: usize, token: String, kind: Kind, arguments: Value) -> bool {
        let client = &self.clients[client % self.clients.len()];
        let answer = client.call("ssh_execute", arguments).await.ok().map(|answer| code(&answer).to_owned());
        let goes_on = answer.is_some();
        self.calls.lock().unwrap().push(Call { token, kind, answer });
        goes_on
    }

    fn token(&self, prefix: &str) -> String {
        format!("{prefix}-{}-{}", self.round, self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// Every answer that arrived was true, and written down before it left.
    pub(crate) fn assert_answers(&self, acts: &BTreeMap<String, u32>, book: &Book) {
        for call in self.calls() {
            let acted = acts.get(&call.token).copied().unwrap_or_default();
            let command = format!("count-act {}", call.token);
            match (call.kind, call.answer.as_deref()) {
                (Kind::Denied, answer) => {
                    assert!(answer.is_none_or(|code| code.starts_with("denied.")), "{call:?}");
                    assert_eq!(acted, 0, "{call:?}");
                    assert!(!book.is_intended(&command), "{call:?}");
                }
                (Kind::Own | Kind::Handle(_), Some("ok")) => {
                    assert_eq!(acted, 1, "{call:?}");
                    assert!(book.is_completed(&command), "answered and not recorded: {call:?}");
                }
                (Kind::Handle(_), Some("handle_already_consumed")) => assert_eq!(acted, 0, "{call:?}"),
                (Kind::Own | Kind::Handle(_), None) => assert!(acted <= 1, "{call:?}"),
                (Kind::Own | Kind::Handle(_), Some(_)) => panic!("nothing was wrong with it: {call:?}"),
            }
        }
        for number in 0..HANDLES {
            let acted = self.acts_of_handle(number, acts);
            assert!(acted <= 1, "handle {number} of round {} was good for {acted} acts", self.round);
        }
    }

    /// How many acts a handle was good for.
    pub(crate) fn acts_of_handle(&self, number: usize, acts: &BTreeMap<String, u32>) -> u32 {
        let calls = self.calls().into_iter().filter(|call| call.kind == Kind::Handle(number));
        calls.map(|call| acts.get(&call.token).copied().unwrap_or_default()).sum()
    }

    /// Uses each handle once more on the next gateway; returns how many of them still worked.
    pub(crate) async fn use_handles_again(&self, rig: &Rig, gateway: &Portcullis) -> usize {
        let client = rig.client(gateway, Era::Modern).await.unwrap();
        let mut worked = 0;
        for (number, handle) in self.handles.iter().enumerate() {
            let token = self.token("ok");
            let command = format!("count-act {token}");
            let arguments = json!({ "host": "web1", "command": command, "secret_handle": handle });
            let answer = client.call("ssh_execute", arguments).await.unwrap();
            let answer = code(&answer).to_owned();
            worked += usize::from(answer == "ok");
            let call = Call { token, kind: Kind::Handle(number), answer: Some(answer) };
            self.calls.lock().unwrap().push(call);
        }
        worked
    }
}

/// How often each token was acted.
pub(crate) fn counted(acts: &[String]) -> BTreeMap<String, u32> {
    let mut counted = BTreeMap::new();
    for token in acts {
        *counted.entry(token.clone()).or_default() += 1;
    }
    counted
}
