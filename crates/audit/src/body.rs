//! What an entry says, apart from its place in the chain.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use model::{CallId, Entropy};
use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use crate::text::{members, text};
use crate::word::Word;
use crate::{Event, JournalError};

/// The members of an entry in the order in which they are written; `seq`, `ts`, `prev` and `hash` are added
/// by the chain.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Body {
    pub(crate) id: Word,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) parent: Option<Word>,
    pub(crate) phase: &'static str,
    pub(crate) event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) principal: Option<Word>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) actor: Option<Word>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client_ip: Option<Word>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) transport: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) session: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) agent: Option<Word>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tool: Option<Word>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tier: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) target: Option<Word>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) decision: Option<Word>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) rules: Vec<Word>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) snapshot: Option<Word>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) action_digest: Option<Word>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) source: Option<Word>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) safe: Option<Word>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) object: Option<Word>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) handle_id: Option<Word>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ttl_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) command: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) exit_code: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error_code: Option<Word>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) vendor_code: Option<Word>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<Word>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) duration_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bytes_out: Option<u64>,
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) withheld: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) truncated: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) neutralised: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fault: Option<Word>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub(crate) fields: Map<String, Value>,
}

/// Longest agent name, in bytes.
pub(crate) const AGENT: usize = 200;
/// Longest reason, in bytes.
pub(crate) const REASON: usize = 2000;
/// Longest other text, in bytes.
pub(crate) const TEXT: usize = 500;
/// Longest JSON of an event's own fields, in bytes.
const FIELDS: usize = 32 * 1024;

#[cfg(test)]
impl Body {
    /// With every member, for the test that looks for them on the page about the format.
    pub(crate) fn full_for_test() -> Self {
        let text = || Some(Word::from("x"));
        Self {
            id: Word::default(),
            parent: text(),
            phase: "closed",
            event: "x",
            principal: text(),
            actor: text(),
            client_ip: text(),
            transport: Some("x"),
            session: Some(1),
            agent: text(),
            tool: text(),
            tier: Some("x"),
            target: text(),
            decision: text(),
            rules: vec![Word::default()],
            snapshot: text(),
            action_digest: text(),
            source: text(),
            safe: text(),
            object: text(),
            handle_id: text(),
            ttl_seconds: Some(1),
            command: Some(Value::Null),
            exit_code: Some(1),
            error_code: text(),
            vendor_code: text(),
            reason: text(),
            duration_ms: Some(1),
            bytes_out: Some(1),
            withheld: true,
            truncated: true,
            neutralised: true,
            fault: text(),
            fields: Map::from_iter([(String::new(), Value::Null)]),
        }
    }
}

impl Body {
    /// The end of the same call when its answer could not be released.
    pub(crate) fn withheld(self) -> Self {
        Self {
            phase: "closed",
            error_code: Some(model::ErrorCode::AuditUnavailable.as_str().into()),
            reason: Some("the answer was withheld, because its record could not be written".into()),
            ..self
        }
    }

    /// The members as JSON without braces.
    pub(crate) fn members(&self) -> Result<String, JournalError> {
        members(self).map_err(|cause| JournalError(format!("the entry cannot be written as JSON: {cause}")))
    }

    /// An entry of its own. Fields with the name of a common member are written as that member, so that
    /// queries find them.
    pub(crate) fn of_event(id: CallId, event: Event) -> Self {
        let actor = event.origin.actor.as_ref().or(event.principal.as_ref());
        let mut body = Self {
            id: id.to_string().into(),
            parent: event.origin.parent.map(|parent| parent.to_string().into()),
            phase: "closed",
            event: event.event,
            actor: actor.map(|actor| actor.to_shared().into()),
            principal: event.principal.as_ref().map(|principal| principal.to_shared().into()),
            client_ip: event.origin.client_ip.map(|ip| ip.to_canonical().to_string().into()),
            transport: Some(event.origin.transport).filter(|transport| !transport.is_empty()),
            session: event.origin.session,
            agent: event.origin.agent.as_deref().map(|agent| text(agent, AGENT).into()),
            tool: event.tool.as_ref().map(|tool| tool.to_shared().into()),
            ..Self::default()
        };
        for (key, value) in event.fields {
            body.take_field(&key, value);
        }
        if Value::Object(body.fields.clone()).to_string().len() > FIELDS {
            body.fields =
                Map::from_iter([("omitted".to_owned(), Value::String("larger than 32 KiB".to_owned()))]);
        }
        body
    }

    fn take_field(&mut self, key: &str, value: Value) {
        let slot = match key {
            "target" => &mut self.target,
            "decision" => &mut self.decision,
            "reason" => &mut self.reason,
            "error_code" => &mut self.error_code,
            "fault" => &mut self.fault,
            _ => {
                self.fields.insert(text(key, TEXT), without_handles(value));
                return;
            }
        };
        *slot = Some(text(value.as_str().unwrap_or(&value.to_string()), REASON).into());
    }
}

fn without_handles(value: Value) -> Value {
    match value {
        Value::String(raw) => Value::String(text(&raw, REASON)),
        Value::Array(items) => items.into_iter().map(without_handles).collect(),
        Value::Object(map) => Value::Object(
            map.into_iter().map(|(key, item)| (text(&key, TEXT), without_handles(item))).collect(),
        ),
        Value::Null | Value::Bool(_) | Value::Number(_) => value,
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}

/// Gives out ids that nobody can foresee, from one draw of randomness.
#[derive(Clone)]
pub(crate) struct Ids(Arc<(zeroize::Zeroizing<[u8; 32]>, AtomicU64)>);

impl Ids {
    pub(crate) fn new(entropy: &dyn Entropy) -> Result<Self, JournalError> {
        let mut seed = zeroize::Zeroizing::new([0; 32]);
        entropy.fill(&mut *seed).map_err(|cause| JournalError(cause.to_string()))?;
        Ok(Self(Arc::new((seed, AtomicU64::new(0)))))
    }

    pub(crate) fn next(&self) -> CallId {
        let (seed, counter) = &*self.0;
        let count = counter.fetch_add(1, Ordering::Relaxed);
        let hash: [u8; 32] =
            Sha256::new().chain_update(**seed).chain_update(count.to_be_bytes()).finalize().into();
        let mut id = [0; 16];
        id.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
        CallId::new(id)
    }

    /// An entry of the journal about itself.
    pub(crate) fn own_event(
        &self,
        event: &'static str,
        fields: Map<String, Value>,
    ) -> Result<String, JournalError> {
        Body { id: self.next().to_string().into(), phase: "closed", event, fields, ..Body::default() }
            .members()
    }
}
