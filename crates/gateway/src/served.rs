//! What there is at an endpoint, ours and of upstreams, and how all of it is.

use std::sync::Arc;

use model::Principal;
use serde_json::{Map, Value, json};
use tools::Tool;

use crate::gateway::Gateway;
use crate::live::Live;
use crate::resolve::tool_facts;
use crate::{Endpoint, Health};

impl Gateway {
    /// What upstreams offer is not what it was: whoever listens is told.
    pub fn offer_changed(&self) {
        self.under_way.decide_again(self);
        self.changed.send_modify(|times| *times += 1);
    }

    /// Whether there is anything at this endpoint. Who is asked that is known already.
    pub fn serves(&self, endpoint: Endpoint) -> bool {
        match endpoint {
            Endpoint::Upstream(upstream) => self.upstreams.declared(upstream),
            Endpoint::All | Endpoint::Credentials | Endpoint::Ssh | Endpoint::Gateway => true,
        }
    }

    /// The tool of this name at an endpoint, whoever asks.
    pub(crate) fn tool(&self, endpoint: Endpoint, name: &str) -> Option<Arc<dyn Tool>> {
        match endpoint {
            Endpoint::Upstream(upstream) => self.upstreams.tool_of(upstream, name),
            Endpoint::All | Endpoint::Credentials | Endpoint::Ssh | Endpoint::Gateway => {
                let ours = self.catalogue.tool(name).filter(|tool| endpoint.serves(tool.spec().set.as_str()));
                let theirs = || self.upstreams.tool(name).filter(|_| endpoint == Endpoint::All);
                ours.cloned().or_else(theirs)
            }
        }
    }

    pub(crate) fn visible_tools(
        &self,
        live: &Live,
        principal: &Principal,
        endpoint: Endpoint,
    ) -> Vec<Arc<dyn Tool>> {
        let mut tools: Vec<Arc<dyn Tool>> = match endpoint {
            Endpoint::Upstream(upstream) => self.upstreams.tools_of(upstream),
            Endpoint::All | Endpoint::Credentials | Endpoint::Ssh | Endpoint::Gateway => self
                .catalogue
                .tools()
                .filter(|tool| endpoint.serves(tool.spec().set.as_str()))
                .cloned()
                .collect(),
        };
        if endpoint == Endpoint::All {
            tools.extend(self.upstreams.tools());
            tools.sort_by(|one, other| one.spec().name.as_str().cmp(other.spec().name.as_str()));
        }
        tools.retain(|tool| live.snapshot.visible(principal, &tool_facts(tool.spec())));
        tools
    }

    /// What the record says of a list of tools: how many are offered and, of one upstream alone, how many it lists itself.
    pub(crate) fn counted(&self, endpoint: Endpoint, offered: usize) -> Map<String, Value> {
        let mut fields = Map::from_iter([("offered".to_owned(), json!(offered))]);
        if let Endpoint::Upstream(name) = endpoint {
            let upstream = self.upstreams.health().into_iter().find(|upstream| upstream.name == name);
            fields.extend(upstream.map(|upstream| ("listed".to_owned(), json!(upstream.listed))));
        }
        fields
    }

    /// Whether the gateway can do its work.
    pub fn health(&self) -> Health {
        let journal = self.journal.healthy();
        let live = self.live.load();
        let upstreams = self.upstreams.health();
        let needed = upstreams.iter().all(|upstream| !upstream.required || upstream.down.is_none());
        let each = upstreams.iter().map(|upstream| {
            let status = upstream.down.as_deref().unwrap_or("ok");
            (
                upstream.name.to_string(),
                json!({ "status": status, "tools": upstream.tools, "withheld": upstream.withheld, "required": upstream.required }),
            )
        });
        let ok = journal && needed;
        let details = json!({
            "status": if ok { "ok" } else { "failing" },
            "journal": if journal { "ok" } else { "cannot be written" },
            "snapshot": live.snapshot.hash().to_string(),
            "principals": live.directory.entries().len(),
            "hosts": live.inventory.hosts().count(),
            "upstreams": each.collect::<Map<String, Value>>(),
        });
        Health { ok, details }
    }
}
