//! Calls whose intent is in the journal and whose end is not yet.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::word::Word;

/// What is known of a call between its intent and its end: enough to close it after a crash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OpenCall {
    pub(crate) id: Word,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) parent: Option<Word>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) principal: Option<Word>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tool: Option<Word>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) target: Option<Word>,
}

/// The set of them, by id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct OpenCalls(BTreeMap<Word, OpenCall>);

/// What an entry does to the set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    /// An intent.
    Opens(OpenCall),
    /// The end of a call.
    Closes(Word),
}

#[derive(Deserialize)]
struct Carried {
    fields: CarriedFields,
}

#[derive(Deserialize)]
struct CarriedFields {
    open: Vec<OpenCall>,
}

impl OpenCalls {
    pub(crate) fn apply(&mut self, change: &Change) {
        match change {
            Change::Opens(call) => drop(self.0.insert(call.id.clone(), call.clone())),
            Change::Closes(id) => drop(self.0.remove(id)),
        }
    }

    /// Takes an entry into account that was read back. An entry that carries the set over replaces it.
    pub(crate) fn follow(&mut self, event: &str, phase: &str, id: &str, line: &[u8]) {
        if phase == "intent" {
            if let Ok(call) = serde_json::from_slice::<OpenCall>(line) {
                self.apply(&Change::Opens(call));
            }
        } else if carries(event) {
            if let Ok(carried) = serde_json::from_slice::<Carried>(line) {
                self.0 = carried.fields.open.into_iter().map(|call| (call.id.clone(), call)).collect();
            }
        } else {
            self.0.remove(&Word::from(id.to_owned()));
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn calls(&self) -> impl Iterator<Item = &OpenCall> {
        self.0.values()
    }

    /// For an entry that carries the set into a new file.
    pub(crate) fn to_json(&self) -> Value {
        self.calls().map(|call| serde_json::to_value(call).unwrap_or(Value::Null)).collect()
    }
}

/// First entry of a file that follows a full one.
pub(crate) const ROTATED: &str = "journal_rotated";
/// Entry of a file that follows one that failed, after what it repeats.
pub(crate) const MOVED: &str = "journal_moved";

/// Whether this event begins a file by saying which calls are open.
pub(crate) fn carries(event: &str) -> bool {
    event == ROTATED || event == MOVED
}
