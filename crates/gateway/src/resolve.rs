//! Stage 2: which tool, which action.

use std::sync::Arc;

use model::{
    Abilities, Action, ClientInput, ErrorCode, Failure, Forward, Principal, Target, Theirs, Thing, ToolName,
    UpstreamName,
};
use policy::ToolFacts;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use tools::{Errand, Scene, Tool, ToolSpec};

use crate::Endpoint;
use crate::gateway::Gateway;
use crate::live::Live;

/// Where a name is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shelf {
    /// What agents call.
    Tools,
    /// Operators' verbs, which agents never see.
    Verbs,
    /// Reading resources, which is asked for by address.
    Resources,
    /// Getting prompts, which is asked for by name.
    Prompts,
    /// What upstreams have beside tools.
    Errands(Errand),
}

/// A tool and what it would do.
pub(crate) struct Resolved {
    pub(crate) tool: Arc<dyn Tool>,
    pub(crate) action: Action,
}

/// What is asked for, before anybody knows whether it exists.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) shelf: Shelf,
    pub(crate) endpoint: Endpoint,
    pub(crate) name: &'a str,
    pub(crate) arguments: &'a Map<String, Value>,
    /// Whether an operator asks as another principal. Verbs are not reached that way, or the right to try out what an
    /// agent may do would be every right that any other operator has.
    pub(crate) acting: bool,
    /// What its client answered to questions.
    pub(crate) input: Option<&'a ClientInput>,
    /// What its client can be asked.
    pub(crate) abilities: Abilities,
    /// What is sent on to an upstream.
    pub(crate) forward: Option<&'a Forward>,
}

/// Finds the tool, checks the arguments and makes the action; "not found" also for what is not visible.
pub(crate) fn resolve(
    gateway: &Gateway,
    live: &Live,
    principal: &Principal,
    wanted: Wanted<'_>,
) -> Result<Resolved, Failure> {
    let Wanted { shelf, endpoint, name, arguments, acting, input, abilities, forward } = wanted;
    let found = match shelf {
        Shelf::Tools => gateway.tool(endpoint, name),
        Shelf::Verbs => gateway.verb(name).filter(|_| !acting).cloned(),
        Shelf::Resources => gateway.resource_tool(name).cloned(),
        Shelf::Prompts => gateway.prompt_tool(name).cloned(),
        Shelf::Errands(errand) => gateway.errand(endpoint, errand, name),
    };
    let visible = |tool: &Arc<dyn Tool>| live.snapshot.visible(principal, &tool_facts(tool.spec()));
    let tool = found.filter(visible).ok_or_else(|| unknown(shelf, name))?;
    tool.spec().input.check(arguments)?;
    let sees = |target: &Target| live.snapshot.sees(principal, target);
    let sees_tool = |spec: &ToolSpec| live.snapshot.visible(principal, &tool_facts(spec));
    let scene = Scene {
        inventory: &live.inventory,
        sources: &live.sources,
        sees: &sees,
        sees_tool: &sees_tool,
        input,
        abilities,
    };
    let mut action = tool.resolve(arguments, scene)?;
    if tool.spec().name.theirs().is_some() {
        action.forward = Some(forward.cloned().unwrap_or_else(|| composed(name, arguments)));
    }
    Ok(Resolved { tool, action })
}

/// What is sent on for a call that no client of the protocol wrote.
fn composed(name: &str, arguments: &Map<String, Value>) -> Forward {
    let params: Arc<str> = json!({ "name": name, "arguments": arguments }).to_string().into();
    Forward::new(Arc::clone(&params), params, false)
}

/// The arguments as an object; nothing is an empty one.
pub(crate) fn arguments(raw: Option<&RawValue>) -> Result<Map<String, Value>, Failure> {
    let Some(raw) = raw else { return Ok(Map::new()) };
    serde_json::from_str(raw.get()).map_err(|_| {
        Failure::new(ErrorCode::InputInvalid, "`arguments` is not an object").with_hint("send a JSON object")
    })
}

/// What policy needs to know of a tool.
pub(crate) fn tool_facts(spec: &ToolSpec) -> ToolFacts {
    ToolFacts { name: spec.name.clone(), set: spec.set.clone(), tier: spec.tier }
}

/// The name the record gets: the tool's, or `unknown` where the caller wrote something that is no name.
pub(crate) fn tool_name(written: &str, shelf: Shelf, endpoint: Endpoint) -> ToolName {
    let named = match shelf {
        Shelf::Tools => match endpoint {
            Endpoint::Upstream(upstream) => ToolName::of_upstream(upstream, written),
            // What has another form is named where it is asked for.
            Endpoint::All | Endpoint::Credentials | Endpoint::Ssh | Endpoint::Gateway => {
                ToolName::parse(written).map(|name| if names_tool(&name) { name } else { unnamed() })
            }
        },
        Shelf::Errands(errand) => match endpoint {
            Endpoint::Upstream(upstream) => {
                ToolName::of_theirs(Theirs { upstream, thing: errand.thing(), name: written })
            }
            Endpoint::All | Endpoint::Credentials | Endpoint::Ssh | Endpoint::Gateway => Ok(unnamed()),
        },
        Shelf::Resources | Shelf::Prompts => ToolName::parse(written),
        Shelf::Verbs => ToolName::parse(&format!("operator:{written}")),
    };
    named.unwrap_or_else(|_| unnamed())
}

fn names_tool(name: &ToolName) -> bool {
    name.theirs().is_none_or(|theirs| theirs.thing == Thing::Tool)
}

/// Of what was written as a name, and is none.
const UNNAMED: &str = "unknown";

/// Whether the record has no name for what was called.
pub(crate) fn is_unnamed(name: &ToolName) -> bool {
    name.as_str() == UNNAMED
}

fn unnamed() -> ToolName {
    ToolName::parse(UNNAMED).unwrap_or_else(|_| unreachable!("a literal"))
}

/// Whether a call is on an upstream, as far as its names tell.
pub(crate) fn goes_upstream(endpoint: Endpoint, shelf: Shelf, name: &str) -> bool {
    let prefixed = || {
        name.split_once(UpstreamName::SEPARATOR)
            .is_some_and(|(upstream, _)| UpstreamName::parse(upstream).is_ok())
    };
    match shelf {
        Shelf::Tools => matches!(endpoint, Endpoint::Upstream(_)) || prefixed(),
        Shelf::Errands(_) => true,
        Shelf::Verbs | Shelf::Resources | Shelf::Prompts => false,
    }
}

fn unknown(shelf: Shelf, name: &str) -> Failure {
    let shown: String = name.chars().take(80).collect();
    let (what, hint) = match shelf {
        Shelf::Errands(errand) => match errand.thing() {
            Thing::Resource => {
                ("resource", "list the resources to see some that you may read at this endpoint")
            }
            Thing::Prompt | Thing::Tool => {
                ("prompt", "list the prompts to see those you may get at this endpoint")
            }
        },
        Shelf::Tools | Shelf::Verbs | Shelf::Resources | Shelf::Prompts => {
            ("tool", "list the tools to see those you may use at this endpoint")
        }
    };
    Failure::new(ErrorCode::InputInvalid, format!("there is no {what} `{shown}` for you here"))
        .with_hint(hint)
}
