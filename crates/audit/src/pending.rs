//! A call between its opening and its record, and the proofs that come of it.

use std::sync::Arc;

use model::{Action, BootInstant, CallId, Principal, ToolName};
use policy::Permit;

use crate::body::{AGENT, Body, REASON, TEXT};
use crate::journal::Inner;
use crate::log::Prepared;
use crate::open_calls::{Change, OpenCall};
use crate::text::text;
use crate::word::Word;
use crate::{CompletionFacts, JournalError, Origin};

/// A call that has been opened and not yet recorded. Dropping it writes a closed entry.
pub struct Pending {
    pub(crate) journal: Arc<Inner>,
    id: CallId,
    /// What every entry of this call says.
    common: Box<Body>,
    opened: BootInstant,
    pub(crate) stage: Stage,
    /// Whether there is no act whose intent would have to stand alone if the end could not be written.
    pub(crate) only_looks: bool,
    /// The intent of a call that only looks, until it is written with the end.
    pub(crate) intent: Option<Prepared>,
    /// Whether this is an act beside the main one of its call.
    pub(crate) part: bool,
}

/// How far a call has come in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Nothing is written.
    Open,
    /// An intent is written or on its way.
    Intended,
    /// The end is written or on its way.
    Ended,
}

/// A permit whose intent is durable, or held until the end of a call that only looks. Only the journal makes one; no lease without it.
#[derive(Debug)]
pub struct Intended {
    pub(crate) id: CallId,
    pub(crate) permit: Permit,
    /// The intent of a call that only looks: nothing may be done on it.
    pub(crate) only_looks: bool,
}

/// A value whose completion is in the journal: the only thing the front may send as a result.
#[derive(Debug)]
pub struct Recorded<T>(pub(crate) T);

impl std::fmt::Debug for Pending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pending").field("id", &self.id).field("stage", &self.stage).finish_non_exhaustive()
    }
}

impl Pending {
    pub(crate) fn new(journal: Arc<Inner>, principal: &Principal, origin: Origin, tool: &ToolName) -> Self {
        let id = journal.ids.next();
        let common = Box::new(Body {
            id: id.to_string().into(),
            parent: origin.parent.map(|parent| parent.to_string().into()),
            principal: Some(principal.id.to_shared().into()),
            actor: Some(origin.actor.as_ref().unwrap_or(&principal.id).to_shared().into()),
            client_ip: origin.client_ip.map(|ip| ip.to_canonical().to_string().into()),
            transport: Some(origin.transport).filter(|transport| !transport.is_empty()),
            session: origin.session,
            agent: origin.agent.as_deref().map(|agent| text(agent, AGENT).into()),
            tool: Some(tool.to_shared().into()),
            ..Body::default()
        });
        let opened = journal.clock.boot();
        let stage = Stage::Open;
        Self { journal, id, common, opened, stage, only_looks: false, intent: None, part: false }
    }

    /// Says that this call looks at nothing but the gateway's memory. In tier `read` its intent is then written right
    /// before its end, in one write: there is no act that a crash between them could leave without its record, and the
    /// answer leaves after both as ever.
    pub fn only_looks(&mut self) {
        self.only_looks = true;
    }

    /// The call's id.
    pub fn id(&self) -> CallId {
        self.id
    }

    /// What its caller wrote where a tool's name belongs, if that is none: without it nobody could say what was tried.
    pub fn called(&mut self, written: &str) {
        self.common.fields.insert("called".to_owned(), text(written, TEXT).into());
    }

    pub(crate) fn common(&self) -> &Body {
        &self.common
    }

    /// The intent's entry; what it says stays for the entries after it.
    pub(crate) fn intent(&mut self, permit: &Permit, event: &'static str) -> Result<Prepared, JournalError> {
        let action = permit.action();
        self.common.principal = Some(permit.principal().id.to_shared().into());
        self.common.tier = Some(action.tier.as_str());
        self.common.target = Some(action.target.name.to_shared().into());
        self.common.rules = permit.rules().iter().map(|rule| rule.to_shared().into()).collect();
        self.common.snapshot = Some(permit.snapshot().to_string().into());
        self.common.action_digest = Some(action.digest().to_string().into());
        // A part of a call has not the whole's command; a call that goes on with its client's answers has its own.
        let command = match command_of(action).filter(|_| !self.part) {
            Some(command) => self.journal.command(self.common.id.as_str(), &command)?,
            None => None,
        };
        let body = Body {
            phase: "intent",
            event,
            decision: Some("allowed".into()),
            handle_id: handle_of(action),
            command,
            ..Body::clone(&self.common)
        };
        Ok(Prepared { members: body.members()?, change: Some(Change::Opens(self.as_open_call())) })
    }

    /// The entry that ends the call.
    pub(crate) fn end(&self, facts: &CompletionFacts, report: &guard::Report) -> Result<Body, JournalError> {
        let limited = |raw: &Option<String>| raw.as_deref().map(|raw| Word::from(text(raw, TEXT)));
        let mut common = Body::clone(&self.common);
        common.fields.extend(facts.fields.clone());
        // The intent has it already; a call that never came so far has it here.
        let command = match (&facts.command, self.stage) {
            (Some(command), Stage::Open) => self.journal.command(self.common.id.as_str(), command)?,
            (Some(_) | None, _) => None,
        };
        let rules = facts.rules.iter().map(|rule| rule.to_shared().into()).collect();
        // A connector's error that held a secret was withheld from the agent; the journal does not keep it either.
        let reason = facts.reason.as_deref().filter(|_| !report.withheld);
        // What is said about a command must not lie open where the command itself does not.
        let reason = reason.filter(|_| !facts.quotes_command || self.journal.commands_are_clear());
        let elapsed = self.journal.clock.boot().since(self.opened);
        Ok(Body {
            phase: if self.stage == Stage::Intended { "complete" } else { "closed" },
            event: facts.event,
            target: limited(&facts.target).or(common.target),
            decision: Some(facts.decision.into()),
            rules: if facts.rules.is_empty() { common.rules } else { rules },
            action_digest: facts
                .action_digest
                .map(|digest| digest.to_string().into())
                .or(common.action_digest),
            source: facts.credential.as_ref().map(|credential| text(credential.source(), TEXT).into()),
            safe: facts.credential.as_ref().map(|credential| text(credential.safe(), TEXT).into()),
            object: facts.credential.as_ref().map(|credential| text(credential.object(), TEXT).into()),
            handle_id: facts.handle_id.as_ref().map(|id| id.to_string().into()),
            ttl_seconds: facts.ttl_seconds,
            command,
            exit_code: facts.exit_code,
            error_code: facts.error_code.map(|code| code.as_str().into()),
            vendor_code: limited(&facts.vendor_code).filter(|_| !report.withheld),
            reason: reason.map(|reason| text(reason, REASON).into()),
            duration_ms: Some(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)),
            bytes_out: Some(report.bytes_out),
            withheld: report.withheld,
            truncated: report.truncated,
            neutralised: report.neutralised,
            fault: facts.fault.map(|fault| fault.as_str().into()),
            ..common
        })
    }

    pub(crate) fn ending(&self, body: &Body) -> Result<Prepared, JournalError> {
        Ok(Prepared { members: body.members()?, change: Some(Change::Closes(self.common.id.clone())) })
    }

    fn as_open_call(&self) -> OpenCall {
        OpenCall {
            id: self.common.id.clone(),
            parent: self.common.parent.clone(),
            principal: self.common.principal.clone(),
            tool: self.common.tool.clone(),
            target: self.common.target.clone(),
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if self.stage == Stage::Ended {
            return;
        }
        let facts = CompletionFacts {
            event: "call_dropped",
            decision: "failed",
            reason: Some("the call ended without an answer".to_owned()),
            ..CompletionFacts::default()
        };
        let body = self.end(&facts, &guard::Report::default()).map(|body| Body { phase: "closed", ..body });
        match body.and_then(|body| self.ending(&body)) {
            Ok(entry) => self.journal.write_unawaited(self.intent.take(), entry),
            Err(error) => tracing::error!(%error, call = %self.id, "the end of a call cannot be recorded"),
        }
    }
}

/// Of what is sent on to an upstream so much is kept, in characters.
const LONGEST: usize = 32_768;

/// The command as the agent wrote it.
fn command_of(action: &Action) -> Option<String> {
    if let Some(forward) = &action.forward {
        return Some(forward.act.chars().take(LONGEST).collect());
    }
    action.command.as_ref()?;
    let written = action.arguments.get("command").and_then(serde_json::Value::as_str);
    Some(written.map_or_else(|| serde_json::Value::from(words(action)).to_string(), ToOwned::to_owned))
}

/// For tools that make a command of their own: the words, as JSON.
fn words(action: &Action) -> Vec<Vec<String>> {
    action.command.iter().flat_map(|line| line.commands()).map(|command| command.words.clone()).collect()
}

fn handle_of(action: &Action) -> Option<Word> {
    match &action.credential {
        model::CredentialUse::Handle(token) => Some(token.id().to_string().into()),
        model::CredentialUse::None | model::CredentialUse::Inventory => None,
    }
}

impl Intended {
    /// The call's id.
    pub fn id(&self) -> CallId {
        self.id
    }

    /// What was permitted.
    pub fn permit(&self) -> &Permit {
        &self.permit
    }
}

#[cfg(any(test, feature = "test-util"))]
impl Intended {
    /// An intent that no journal holds, for the tests of what comes after it.
    pub fn for_test(id: CallId, permit: Permit) -> Self {
        Self { id, permit, only_looks: false }
    }
}

impl<T> Recorded<T> {
    /// The value, to be sent.
    pub fn into_inner(self) -> T {
        self.0
    }

    /// A look at it.
    pub fn inner(&self) -> &T {
        &self.0
    }

    /// Another shape of the same value, never more than was recorded. Only the gateway calls this.
    pub fn map<U>(self, shape: impl FnOnce(T) -> U) -> Recorded<U> {
        Recorded(shape(self.0))
    }
}

#[cfg(any(test, feature = "test-util"))]
impl<T> Recorded<T> {
    /// A value that no journal holds, for the tests of the fronts.
    pub fn for_test(value: T) -> Self {
        Self(value)
    }
}
