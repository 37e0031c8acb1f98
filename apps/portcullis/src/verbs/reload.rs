//! `operator:reload`

use std::sync::Arc;

use async_trait::async_trait;
use config::{Changes, Diagnostic};
use model::{ErrorCode, Failure, PrincipalId};
use serde_json::{Map, Value, json};
use tools::{Tool, ToolRun};

use super::verb::{Act, Named, Verb, values};

/// Takes changed files over, whole or not at all.
#[async_trait]
pub(crate) trait Reload: Send + Sync {
    /// Reads, checks and swaps, and records that in the journal. On any error everything stays as it was.
    ///
    /// # Errors
    /// Every finding, already fit for people.
    async fn reload(&self, by: By) -> Result<Reloaded, String>;
}

/// Who wants a reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    /// Somebody who says so (`portcullis reload`, SIGHUP), and who with it lets frozen principals go on.
    Operator,
    /// Files that have changed. That nobody looked at anything else is why it lifts nothing.
    Watch,
}

/// What a reload did.
pub(crate) struct Reloaded {
    /// What is different now.
    pub(crate) changes: Changes,
    /// What somebody should look at.
    pub(crate) warnings: Vec<Diagnostic>,
    /// Principals that were frozen and may go on.
    pub(crate) thawed: Vec<PrincipalId>,
}

struct Verbed {
    reload: Arc<dyn Reload>,
}

pub(super) fn verb(reload: Arc<dyn Reload>) -> Arc<dyn Tool> {
    let named = Named {
        name: "operator:reload",
        title: "Reload",
        description: "Reads configuration, inventory and rules again and puts them in force, all or nothing.",
        fields: Vec::new(),
    };
    Verb::tool(named, Verbed { reload })
}

#[async_trait]
impl Act for Verbed {
    async fn act(
        &self,
        _arguments: &Map<String, Value>,
        _run: ToolRun<'_>,
    ) -> Result<Map<String, Value>, Failure> {
        let done = self.reload.reload(By::Operator).await.map_err(|findings| {
            Failure::new(ErrorCode::ConfigInvalid, format!("what was in force stays in force:\n{findings}"))
                .with_hint("`portcullis check` shows the same before a reload")
        })?;
        let warnings: Vec<String> = done.warnings.iter().map(ToString::to_string).collect();
        let changes: Vec<String> = done.changes.changes.iter().map(ToString::to_string).collect();
        Ok(values([
            ("changed", json!(!done.changes.is_empty())),
            ("changes", json!(changes)),
            ("warnings", json!(warnings)),
            ("needs_restart", json!(done.changes.restart)),
            ("thawed", json!(done.thawed.iter().map(PrincipalId::as_str).collect::<Vec<_>>())),
        ]))
    }

    fn text(&self, values: &Map<String, Value>) -> String {
        let list = |name: &str| {
            values.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
        };
        let mut text = match values.get("changed") {
            Some(Value::Bool(true)) => "Reloaded.".to_owned(),
            Some(_) | None => "Nothing has changed.".to_owned(),
        };
        for line in list("changes").chain(list("warnings")) {
            text.push_str(&format!("\n{line}"));
        }
        for line in list("thawed") {
            text.push_str(&format!("\nnot frozen any more: {line}"));
        }
        for line in list("needs_restart") {
            text.push_str(&format!("\nneeds a restart: {line}"));
        }
        text
    }
}
