//! Answers that are recorded as a sum: one entry a second for each principal, however often it asks.
//!
//! What is beyond a principal's rate must not fill the disk. It is counted before its answer leaves, and the writer owes
//! the count an entry: within a second, when the disk works again, or at the end.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, json};

use crate::JournalError;
use crate::body::Body;
use crate::log::Prepared;
use crate::word::Word;

/// How often a principal's sum is written.
pub(crate) const SUM_EVERY: Duration = Duration::from_secs(1);

/// What is counted and not yet written, by principal and actor: bounded by the configured principals.
#[derive(Debug, Default)]
pub(crate) struct Sums(BTreeMap<(Option<Word>, Option<Word>), Sum>);

#[derive(Debug)]
struct Sum {
    /// The first of them; the others came from wherever they came.
    first: Body,
    count: u64,
}

impl Sums {
    pub(crate) fn count(&mut self, call: Body) {
        let whose = (call.principal.clone(), call.actor.clone());
        let sum = self.0.entry(whose).or_insert(Sum { first: call, count: 0 });
        sum.count = sum.count.saturating_add(1);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The entries.
    pub(crate) fn entries(self) -> Vec<Prepared> {
        let written = self.0.into_values().map(|sum| -> Result<Prepared, JournalError> {
            let fields = Map::from_iter([("count".to_owned(), json!(sum.count))]);
            let body = Body {
                phase: "closed",
                event: "over_rate",
                tool: None,
                decision: Some("denied".into()),
                error_code: Some(model::ErrorCode::DeniedRate.as_str().into()),
                fault: Some(model::ErrorCode::DeniedRate.fault().as_str().into()),
                fields,
                ..sum.first
            };
            Ok(Prepared { members: body.members()?, change: None })
        });
        written.filter_map(Result::ok).collect()
    }
}
