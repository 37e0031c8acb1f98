//! A gate for the tests: keys `key-a` and `key-b`, and tools that echo, wait, tell progress or lose their record.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use gateway::{
    Authenticated, Completing, Digest, Endpoint, GaveUp, Health, NotRecorded, Notice, Origin, Presented,
    PromptCall, PromptListing, Recorded, ResourceListing, TemplateListing, TheirList, ToolCall, ToolList,
    Unauthenticated, Unlisted, UpstreamOffers, View, Watching,
};
use mcp::Gate;
use model::{
    Answer, Asked, LogLevel, Principal, PrincipalId, Question, ResourceBody, ResourceContent, Said, Turn,
};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, watch};

pub(crate) struct TestGate {
    /// Permits let `wait` calls end.
    pub(crate) release: Arc<Semaphore>,
    pub(crate) waiting: Arc<AtomicUsize>,
    pub(crate) cancelled: Arc<AtomicUsize>,
    pub(crate) calls: AtomicUsize,
    pub(crate) misused: AtomicUsize,
    pub(crate) connected: AtomicUsize,
    pub(crate) sick: AtomicBool,
    pub(crate) last_ip: Mutex<Option<IpAddr>>,
    pub(crate) unanswered: AtomicUsize,
    /// Everybody sees something else after each change.
    pub(crate) changed: watch::Sender<u64>,
}

impl TestGate {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            release: Arc::new(Semaphore::new(0)),
            waiting: Arc::default(),
            cancelled: Arc::default(),
            calls: AtomicUsize::new(0),
            misused: AtomicUsize::new(0),
            connected: AtomicUsize::new(0),
            sick: AtomicBool::new(false),
            last_ip: Mutex::new(None),
            unanswered: AtomicUsize::new(0),
            changed: watch::Sender::new(0),
        })
    }

    pub(crate) fn identity(self: &Arc<Self>) -> mcp::Identity {
        let gate: Arc<dyn Gate> = Arc::clone(self) as Arc<dyn Gate>;
        mcp::local_identity(&gate, "local".to_owned(), "stdio")
    }
}

/// Waits until something that another task does has happened.
pub(crate) async fn until(what: &str, happened: impl Fn() -> bool) {
    for _ in 0..500 {
        if happened() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never happened: {what}");
}

fn name_of(presented: &Presented<'_>) -> Option<&'static str> {
    let mut keys = presented.api_keys.iter();
    match (keys.next(), presented.certificate_names, presented.os_user) {
        (Some(key), _, _) if keys.any(|other| other != key) => None,
        (Some(&"key-a"), _, _) => Some("a"),
        (Some(&"key-b"), _, _) => Some("b"),
        (None, [name], _) if name == "agent.example" => Some("c"),
        (None, [], Some(user)) if user == "local" || is_this_user(user) => Some("local"),
        _ => None,
    }
}

/// Whether the tests run as this user.
fn is_this_user(user: &str) -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|own| user == gateway::control::user_name(own.uid()))
}

#[async_trait]
impl Gate for TestGate {
    fn authenticate(&self, presented: &Presented<'_>) -> Result<Authenticated<()>, Unauthenticated> {
        *self.last_ip.lock().unwrap() = presented.client_ip;
        let name = name_of(presented).ok_or(Unauthenticated)?;
        let principal = Principal { id: PrincipalId::parse(name).unwrap(), groups: Default::default() };
        Ok(Authenticated::for_test(Arc::new(principal), Origin::default(), ()))
    }

    async fn call(self: Arc<Self>, call: Authenticated<ToolCall>) -> Result<Recorded<Answer>, NotRecorded> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        // As in the gateway, a call goes on when nobody waits for it.
        tokio::spawn(async move {
            let (principal, call) = (call.principal().id.to_string(), call.inner());
            let structured = match call.tool.as_str() {
                "echo" => {
                    let arguments = call.arguments.as_ref().map_or("{}", |raw| raw.get());
                    json!({ "principal": principal, "arguments": arguments, "endpoint": format!("{:?}", call.endpoint) })
                }
                "wait" => {
                    self.waiting.fetch_add(1, Ordering::SeqCst);
                    let release = Arc::clone(&self.release);
                    tokio::select! {
                        permit = release.acquire_owned() => { permit.unwrap().forget(); json!({ "waited": true }) }
                        () = call.cancel.cancelled() => {
                            self.cancelled.fetch_add(1, Ordering::SeqCst);
                            json!({ "cancelled": true })
                        }
                    }
                }
                "progress" => {
                    for bytes in [10, 20] {
                        if let Some(progress) = &call.progress {
                            progress(bytes);
                        }
                        tokio::time::sleep(Duration::from_millis(1000)).await;
                    }
                    json!({ "progressed": call.progress.is_some() })
                }
                "ask" => match &call.input.answers {
                    Some(answers) => json!({ "answered": read(answers) }),
                    None => {
                        let form = Question::Form { message: "who?".to_owned(), schema: json!({ "type": "object" }) };
                        let asked = Asked { questions: [("who".to_owned(), form)].into(), state: None, parked: None };
                        return Ok(Recorded::for_test(Answer { turn: Turn::Client(asked), ..Answer::default() }));
                    }
                },
                "talk" => {
                    for level in LogLevel::ALL {
                        if let Some(tell) = &call.notices {
                            tell(Notice::Log { level, tool: "talk".to_owned(), text: "said".to_owned() });
                        }
                    }
                    json!({ "talked": call.notices.is_some() })
                }
                "unrecorded" => return Err(NotRecorded),
                _ => json!({ "status": "failed" }),
            };
            let is_error = structured["status"] == "failed";
            Ok(Recorded::for_test(Answer { text: structured.to_string(), structured, is_error, ..Answer::default() }))
        })
        .await
        .unwrap()
    }

    async fn list_tools(
        self: Arc<Self>,
        at: Authenticated<Endpoint>,
    ) -> Result<Recorded<ToolList>, Unlisted> {
        let catalogue = tools::Catalogue::new();
        let served = catalogue.tools().filter(|tool| at.inner().serves(tool.spec().set.as_str())).cloned();
        Ok(Recorded::for_test(ToolList { tools: served.collect(), alone: false }))
    }

    async fn list_resources(
        self: Arc<Self>,
        _who: Authenticated<()>,
    ) -> Result<Recorded<Vec<ResourceListing>>, Unlisted> {
        let listing = |n: usize| ResourceListing {
            uri: format!("test://{n}"),
            name: n.to_string(),
            title: n.to_string(),
            description: String::new(),
            mime_type: "text/plain",
        };
        Ok(Recorded::for_test((0..250).map(listing).collect()))
    }

    async fn read_resource(
        self: Arc<Self>,
        uri: Authenticated<String>,
    ) -> Result<Recorded<Option<ResourceContent>>, NotRecorded> {
        let uri = uri.inner().clone();
        let found = uri == "test://1";
        Ok(Recorded::for_test(found.then(|| ResourceContent {
            uri,
            mime_type: "text/plain".to_owned(),
            body: ResourceBody::Text("one".to_owned()),
        })))
    }

    async fn list_prompts(
        self: Arc<Self>,
        _who: Authenticated<()>,
    ) -> Result<Recorded<Vec<PromptListing>>, Unlisted> {
        Ok(Recorded::for_test(Vec::new()))
    }

    async fn get_prompt(
        self: Arc<Self>,
        asked: Authenticated<PromptCall>,
    ) -> Result<Recorded<Answer>, NotRecorded> {
        let text = format!("no prompt `{}`", asked.inner().name);
        Ok(Recorded::for_test(Answer { text, is_error: true, ..Answer::default() }))
    }

    async fn complete(
        self: Arc<Self>,
        asked: Authenticated<Completing>,
    ) -> Result<Recorded<Vec<String>>, Unlisted> {
        Ok(Recorded::for_test(vec![format!("{}-completed", asked.inner().written)]))
    }

    fn templates(&self) -> Vec<TemplateListing> {
        let (uri_template, name, description) = ("test://{n}", "n", "One number.");
        vec![TemplateListing { uri_template, name, description, mime_type: "text/plain" }]
    }

    async fn list_theirs(
        self: Arc<Self>,
        _asked: Authenticated<TheirList>,
    ) -> Result<Recorded<Answer>, Unlisted> {
        Err(NotRecorded.into())
    }

    fn offers(&self, _endpoint: Endpoint) -> Option<UpstreamOffers> {
        None
    }

    fn serves(&self, endpoint: Endpoint) -> bool {
        !matches!(endpoint, Endpoint::Upstream(_))
    }

    fn watch(&self, _at: &Authenticated<Endpoint>, _uri: &str) -> Option<Watching> {
        None
    }

    fn view(&self, at: &Authenticated<Endpoint>, watched: &[String]) -> View {
        let seen = Digest::of([at.principal().id.as_str(), &self.changed.borrow().to_string()]);
        View {
            prompts: Digest::of([]),
            tools: seen,
            resources: seen,
            watched: watched.iter().map(|uri| (uri.clone(), Some(seen))).collect(),
        }
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    fn renew(&self, who: &Authenticated<()>) -> Result<Authenticated<()>, Unauthenticated> {
        Ok(who.clone())
    }

    async fn unanswered(self: Arc<Self>, _who: Authenticated<GaveUp>) {
        self.unanswered.fetch_add(1, Ordering::SeqCst);
    }

    async fn session_misused(self: Arc<Self>, _who: Authenticated<()>) {
        self.misused.fetch_add(1, Ordering::SeqCst);
    }

    async fn agent_connected(self: Arc<Self>, _who: Authenticated<()>) {
        self.connected.fetch_add(1, Ordering::SeqCst);
    }

    fn health(&self) -> Health {
        let details = json!({ "journal": "detail" });
        Health { ok: !self.sick.load(Ordering::SeqCst), details }
    }
}

/// What a program reads of a tool's answer.
pub(crate) fn structured(message: &Value) -> &Value {
    &message["result"]["structuredContent"]
}

/// What a client answered, as values.
fn read(answers: &BTreeMap<String, Said>) -> Value {
    let value = |(name, said): (&String, &Said)| match said {
        Said::Answer(json) | Said::Refusal(json) => (name.clone(), serde_json::from_str(json).unwrap()),
    };
    Value::Object(answers.iter().map(value).collect())
}
