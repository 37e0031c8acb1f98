//! `operator:impersonate`: acting as another principal is a right of its own.

use std::sync::Arc;

use async_trait::async_trait;
use model::Failure;
use serde_json::{Map, Value, json};
use tools::{Field, Kind, Tool, ToolRun};

use super::verb::{Act, Named, Verb, required, values};

struct Impersonate;

pub(super) fn verb() -> Arc<dyn Tool> {
    let named = Named {
        name: "operator:impersonate",
        title: "Act as another principal",
        description: "Lets the operator make calls as another principal. Each of them is authorised and recorded by itself.",
        fields: vec![Field::required("principal", Kind::Text(64), "Whom to act as.")],
    };
    Verb::tool(named, Impersonate)
}

#[async_trait]
impl Act for Impersonate {
    /// The yes is all there is to it: the gateway makes the principal, if there is one.
    async fn act(
        &self,
        arguments: &Map<String, Value>,
        _run: ToolRun<'_>,
    ) -> Result<Map<String, Value>, Failure> {
        Ok(values([("principal", json!(required(arguments, "principal")?))]))
    }

    fn text(&self, values: &Map<String, Value>) -> String {
        format!("Acting as: {}", values.get("principal").and_then(Value::as_str).unwrap_or_default())
    }
}
