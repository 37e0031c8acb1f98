//! `operator:health`

use std::sync::{Arc, OnceLock, Weak};

use async_trait::async_trait;
use gateway::Gateway;
use model::{ErrorCode, Failure};
use serde_json::{Map, Value};
use tools::{Tool, ToolRun};

use super::verb::{Act, Named, Verb};

struct Health {
    gateway: Arc<OnceLock<Weak<Gateway>>>,
}

pub(super) fn verb(gateway: Arc<OnceLock<Weak<Gateway>>>) -> Arc<dyn Tool> {
    let named = Named {
        name: "operator:health",
        title: "Health",
        description: "Tells whether the gateway can do its work, part by part.",
        fields: Vec::new(),
    };
    Verb::tool(named, Health { gateway })
}

#[async_trait]
impl Act for Health {
    async fn act(
        &self,
        _arguments: &Map<String, Value>,
        _run: ToolRun<'_>,
    ) -> Result<Map<String, Value>, Failure> {
        let gateway =
            self.gateway.get().and_then(Weak::upgrade).ok_or_else(|| super::ours("the gateway is ending"))?;
        let health = gateway.health();
        let details = health.details.as_object().cloned().unwrap_or_default();
        if health.ok {
            return Ok(details);
        }
        Err(Failure::new(
            ErrorCode::Internal,
            format!("the gateway cannot do its work:\n{}", lines(&details)),
        ))
    }

    fn text(&self, values: &Map<String, Value>) -> String {
        lines(values)
    }
}

fn lines(details: &Map<String, Value>) -> String {
    let shown = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let lines: Vec<String> =
        details.iter().map(|(part, state)| format!("{part}: {}", shown(state))).collect();
    lines.join("\n")
}
