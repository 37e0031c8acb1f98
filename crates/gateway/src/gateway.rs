//! The gateway as its fronts see it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use audit::{AuthFailureMeter, CompletionFacts, Event, Journal, JournalError, Origin, Recorded};
use broker::Broker;
use guard::Guard;
use model::{Abilities, Answer, Clock, ErrorCode, PrincipalId, ToolName};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;
use tools::{Catalogue, HostShell, Offer, Tool, ToolSpec, Upstreams};

use crate::authorise::{decide, spend};
use crate::freeze::Freezes;
use crate::impersonate::Impersonate;
use crate::live::Live;
use crate::pipeline;
use crate::prompts::GetPrompt;
use crate::rates::Rates;
use crate::resolve::{Shelf, Wanted, resolve, tool_name};
use crate::resources::ReadResource;
use crate::state_seal::StateSeal;
use crate::under_way::UnderWay;
use crate::unlosable::Unlosable;
use crate::view::{View, view};
use crate::{
    Authenticated, Endpoint, GaveUp, NotActing, NotRecorded, Presented, ToolCall, ToolList, Unauthenticated,
    Unlisted,
};

/// One running gateway. Shared by every front as `Arc<Gateway>`.
pub struct Gateway {
    pub(crate) journal: Journal,
    pub(crate) broker: Arc<Broker>,
    pub(crate) guard: Guard,
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) shell: Arc<dyn HostShell>,
    pub(crate) upstreams: Arc<dyn Upstreams>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rates: Rates,
    pub(crate) freezes: Freezes,
    pub(crate) under_way: UnderWay,
    meter: Arc<AuthFailureMeter>,
    calls: TaskTracker,
    pub(crate) live: ArcSwap<Live>,
    verbs: BTreeMap<String, Arc<dyn Tool>>,
    read_resource: Arc<dyn Tool>,
    get_prompt: Arc<dyn Tool>,
    pub(crate) offer: Option<Arc<dyn Offer>>,
    pub(crate) seal: StateSeal,
    pub(crate) changed: watch::Sender<u64>,
}

/// What a gateway is built from; the application makes every part.
pub struct GatewayParts {
    /// The journal of the state folder.
    pub journal: Journal,
    /// Handles and leases.
    pub broker: Arc<Broker>,
    /// The guard; a transparent one only in the canary tests' positive control.
    pub guard: Guard,
    /// The built-in tools.
    pub catalogue: Arc<Catalogue>,
    /// Operators' verbs, named `operator:VERB`.
    pub verbs: Vec<Arc<dyn Tool>>,
    /// Resources and prompts beside the gateway's own.
    pub offer: Option<Arc<dyn Offer>>,
    /// Seals what tools carry from a question to its answers.
    pub seal: StateSeal,
    /// The connector to hosts.
    pub shell: Arc<dyn HostShell>,
    /// The third-party servers.
    pub upstreams: Arc<dyn Upstreams>,
    /// The clocks.
    pub clock: Arc<dyn Clock>,
    /// Counts failed authentications for the journal.
    pub meter: Arc<AuthFailureMeter>,
    /// What is in force at the start.
    pub live: Live,
}

impl Gateway {
    /// Puts the parts together.
    pub fn new(parts: GatewayParts) -> Self {
        let GatewayParts {
            journal,
            broker,
            guard,
            catalogue,
            verbs,
            offer,
            seal,
            shell,
            upstreams,
            clock,
            meter,
            live,
        } = parts;
        Self {
            journal,
            broker,
            guard,
            shell,
            upstreams,
            clock,
            meter,
            calls: TaskTracker::new(),
            rates: Rates::default(),
            freezes: Freezes::default(),
            under_way: UnderWay::default(),
            live: ArcSwap::from_pointee(live),
            verbs: std::iter::once(Arc::new(Impersonate::new()) as Arc<dyn Tool>)
                .chain(verbs)
                .map(|verb| (verb.spec().name.to_string(), verb))
                .collect(),
            read_resource: Arc::new(ReadResource::new(Arc::clone(&catalogue), offer.clone())),
            get_prompt: Arc::new(GetPrompt::new(offer.clone())),
            offer,
            seal,
            changed: watch::Sender::new(0),
            catalogue,
        }
    }

    /// What is in force now.
    pub fn live(&self) -> Arc<Live> {
        self.live.load_full()
    }

    /// Puts something else in force, whole. No permit of the old policy becomes an intent any more, and calls under way
    /// that the new one does not permit are ended; all others go on under what they started with.
    pub fn swap(&self, live: Live) {
        self.live.store(Arc::new(live));
        self.under_way.decide_again(self);
        self.changed.send_modify(|times| *times += 1);
    }

    /// Told whenever something else is in force.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// What a principal sees now, to be compared with what it saw before.
    pub fn view(&self, at: &Authenticated<Endpoint>, watched: &[String]) -> View {
        view(self, &self.live(), at, watched)
    }

    /// Lets principals go on that were frozen, and says whose freeze it was. For an operator's explicit act only.
    pub fn thaw(&self) -> Vec<PrincipalId> {
        self.freezes.lift()
    }

    /// Stage 1. Failures are counted and recorded aggregated; they all look alike to the client.
    pub fn authenticate(&self, presented: &Presented<'_>) -> Result<Authenticated<()>, Unauthenticated> {
        let live = self.live.load();
        match live.directory.identify(presented) {
            Ok((principal, proof)) => Ok(Authenticated::new(Arc::clone(principal), proof, presented)),
            Err(stranger) => {
                self.meter.count(presented.client_ip, presented.transport, stranger.reason());
                Err(Unauthenticated)
            }
        }
    }

    /// The same client again, as it is known now: its principal may have other groups, or what proved it counts no more.
    pub fn renew(&self, who: &Authenticated<()>) -> Result<Authenticated<()>, Unauthenticated> {
        let live = self.live.load();
        live.directory.renew(who).map(|principal| who.renewed(principal)).ok_or(Unauthenticated)
    }

    /// The pipeline, from resolve to record. It goes on to its record when the caller stops waiting.
    pub async fn call(
        self: &Arc<Self>,
        call: Authenticated<ToolCall>,
    ) -> Result<Recorded<Answer>, NotRecorded> {
        let shelf = call.inner().errand.map_or(Shelf::Tools, Shelf::Errands);
        self.start(call, shelf).await
    }

    /// Waits, not for ever, until every call has reached its record, also those whose caller has gone. `false` if some
    /// have not. For the end, when no front lets anybody in any more.
    pub async fn settled(&self, patience: Duration) -> bool {
        self.calls.close();
        tokio::time::timeout(patience, self.calls.wait()).await.is_ok()
    }

    /// The same pipeline for an operator's verb (`operator:reload`), which is a tool that agents never see.
    ///
    /// `call.tool` is the verb without its prefix; `call.endpoint` is not looked at.
    pub async fn operate(
        self: &Arc<Self>,
        call: Authenticated<ToolCall>,
    ) -> Result<Recorded<Answer>, NotRecorded> {
        self.start(call, Shelf::Verbs).await
    }

    /// Another principal on an operator's behalf: `stdio --as`, `call --as`. The operator needs `operator:impersonate`,
    /// which is authorised and recorded like any verb.
    pub async fn impersonate(
        self: &Arc<Self>,
        operator: &Authenticated<()>,
        principal: &str,
    ) -> Result<Authenticated<()>, NotActing> {
        let arguments = Value::Object(impersonation(principal)).to_string();
        let arguments = RawValue::from_string(arguments).ok();
        let call = ToolCall::new(Endpoint::All, "impersonate", arguments);
        let answer = self.operate(operator.with(call)).await?.into_inner();
        if answer.is_error {
            return Err(NotActing::of(&answer));
        }
        let live = self.live.load();
        let principal = live.directory.principal(principal).ok_or(NotActing::NotAllowed)?;
        Ok(operator.acting_as(Arc::clone(principal)))
    }

    /// Whether an operator may still act as a principal: the same decision without its record, as for a dry run.
    pub(crate) fn still_acting(
        &self,
        operator: &Authenticated<()>,
        principal: &str,
    ) -> Result<Authenticated<()>, Unauthenticated> {
        let (live, arguments) = (self.live(), impersonation(principal));
        let wanted = Wanted {
            shelf: Shelf::Verbs,
            endpoint: Endpoint::All,
            name: "impersonate",
            arguments: &arguments,
            acting: operator.origin().actor.is_some(),
            input: None,
            abilities: Abilities::default(),
            forward: None,
        };
        let allowed = resolve(self, &live, operator.principal(), wanted)
            .ok()
            .and_then(|resolved| decide(self, &live, operator.principal(), resolved.action).ok())
            .is_some_and(|allowed| allowed.obligations().approvals.is_empty());
        match live.directory.principal(principal).filter(|_| allowed) {
            Some(principal) => Ok(operator.acting_as(Arc::clone(principal))),
            None => {
                tracing::warn!(operator = %operator.principal().id, principal, "acting as this principal is not permitted any more");
                self.meter.count(
                    operator.origin().client_ip,
                    operator.origin().transport,
                    "may not act as another",
                );
                Err(Unauthenticated)
            }
        }
    }

    /// The tools this principal may know of at an endpoint. Listing costs a call of its budget.
    pub async fn list_tools(&self, at: Authenticated<Endpoint>) -> Result<Recorded<ToolList>, Unlisted> {
        let live = self.live();
        let alone = matches!(at.inner(), Endpoint::Upstream(_));
        let tools = ToolList { tools: self.visible_tools(&live, at.principal(), *at.inner()), alone };
        let fields = self.counted(*at.inner(), tools.tools.len());
        self.listed_with(&at.with(()), "tools_list", fields, tools).await
    }

    /// Records that a session was used by another principal than its own; best effort. It costs a call, beyond the budget
    /// it is only counted.
    pub async fn session_misused(&self, who: Authenticated<()>) {
        self.note("session_misused", &who).await;
    }

    /// Records that an agent began a session or a stream; best effort. It costs a call, beyond the budget it is only
    /// counted.
    pub async fn agent_connected(&self, who: Authenticated<()>) {
        self.note("agent_connected", &who).await;
    }

    /// Records that a client was asked and did not answer, so that its call came to nothing; best effort.
    pub async fn unanswered(&self, who: Authenticated<GaveUp>) {
        let GaveUp { endpoint, tool, errand, parked } = who.inner();
        if let Some(parked) = parked {
            self.upstreams.give_up(*parked);
        }
        let shelf = errand.map_or(Shelf::Tools, Shelf::Errands);
        let tool = Some(tool_name(tool, shelf, *endpoint));
        let fields = Map::from_iter([
            ("decision".to_owned(), json!("failed")),
            ("error_code".to_owned(), json!(ErrorCode::InputUnanswered.as_str())),
        ]);
        let (principal, origin) = (Some(who.principal().id.clone()), who.origin().clone());
        self.record(Event { event: "input_unanswered", principal, origin, tool, fields }).await;
    }

    async fn note(&self, event: &'static str, who: &Authenticated<()>) {
        if self.over_rate(&self.live(), who, event).is_some() {
            return;
        }
        let principal = Some(who.principal().id.clone());
        let origin = who.origin().clone();
        self.record(Event { event, principal, origin, tool: None, fields: Map::new() }).await;
    }

    pub(crate) async fn record_freeze(&self, who: PrincipalId, origin: &Origin) {
        tracing::warn!(principal = %who, "frozen: the credential in use came up in its outputs again and again");
        let fields = Map::from_iter([("decision".to_owned(), json!("denied"))]);
        let origin = Origin { actor: None, ..origin.clone() };
        self.record(Event { event: "principal_frozen", principal: Some(who), origin, tool: None, fields })
            .await;
    }

    async fn record(&self, event: Event) {
        let name = event.event;
        if let Err(error) = self.journal.event(event).await {
            tracing::error!(%error, event = name, "an event could not be recorded");
        }
    }

    /// Names and specs of the verbs, for rules and completions.
    pub fn verbs(&self) -> impl Iterator<Item = &ToolSpec> {
        self.verbs.values().map(|verb| verb.spec())
    }

    pub(crate) fn verb(&self, name: &str) -> Option<&Arc<dyn Tool>> {
        self.verbs.get(&format!("operator:{name}"))
    }

    pub(crate) fn resource_tool(&self, name: &str) -> Option<&Arc<dyn Tool>> {
        (name == ReadResource::NAME).then_some(&self.read_resource)
    }

    pub(crate) fn prompt_tool(&self, name: &str) -> Option<&Arc<dyn Tool>> {
        (name == GetPrompt::NAME).then_some(&self.get_prompt)
    }

    pub(crate) fn not_recorded(&self, error: &JournalError) -> NotRecorded {
        tracing::error!(%error, "an answer was withheld because its record could not be written");
        NotRecorded
    }

    /// A call outlives the connection it came on: a dropped client cancels it, it never loses its record.
    pub(crate) async fn start(
        self: &Arc<Self>,
        call: Authenticated<ToolCall>,
        shelf: Shelf,
    ) -> Result<Recorded<Answer>, NotRecorded> {
        let gateway = Arc::clone(self);
        let running = async move { pipeline::run(&gateway, call, shelf).await };
        Unlosable::new(running, &self.calls).await.unwrap_or_else(|| {
            tracing::error!("a call ended in a defect");
            Err(NotRecorded)
        })
    }

    pub(crate) async fn listed<T: Send>(
        &self,
        who: &Authenticated<()>,
        event: &'static str,
        listing: T,
    ) -> Result<Recorded<T>, Unlisted> {
        self.listed_with(who, event, Map::new(), listing).await
    }

    async fn listed_with<T: Send>(
        &self,
        who: &Authenticated<()>,
        event: &'static str,
        fields: Map<String, Value>,
        listing: T,
    ) -> Result<Recorded<T>, Unlisted> {
        if let Some(counted) = self.over_rate(&self.live(), who, event) {
            return Err(counted.map_or_else(Unlisted::NotRecorded, |_| Unlisted::OverRate));
        }
        let name = ToolName::parse(event).map_err(|_| NotRecorded)?;
        let pending = self.journal.pending(who.principal(), who.origin().clone(), &name);
        let facts = CompletionFacts { event, decision: "allowed", fields, ..CompletionFacts::default() };
        let guarded = self.guard.admit_own(listing);
        Ok(self
            .journal
            .complete(pending, &facts, guarded)
            .await
            .map_err(|error| self.not_recorded(&error))?)
    }

    /// Takes one call off the budget for what is no call; if there is none left, it is counted for a sum.
    pub(crate) fn over_rate(
        &self,
        live: &Live,
        who: &Authenticated<()>,
        event: &str,
    ) -> Option<Result<Recorded<()>, NotRecorded>> {
        spend(self, live, who.principal())?;
        let counted = ToolName::parse(event).map_err(|_| NotRecorded).and_then(|name| {
            let pending = self.journal.pending(who.principal(), who.origin().clone(), &name);
            let answer = self.guard.admit_own(());
            self.journal.sum_up(pending, answer).map_err(|error| self.not_recorded(&error))
        });
        Some(counted)
    }
}

fn impersonation(principal: &str) -> Map<String, Value> {
    Map::from_iter([("principal".to_owned(), Value::String(principal.to_owned()))])
}
