//! What a principal sees at a moment, so that it can be told when that has changed.

use std::collections::BTreeMap;

use model::UpstreamName;
use tools::ListOf;

use crate::gateway::Gateway;
use crate::live::Live;
use crate::theirs::may_know;
use crate::{Authenticated, Endpoint};

/// What a principal sees, as digests: enough to know a difference, too little to show anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Of the tools it may know of.
    pub tools: Digest,
    /// Of the resources it may know of.
    pub resources: Digest,
    /// Of the prompts it may know of.
    pub prompts: Digest,
    /// Of each resource that it watches; `None` for what is not there, or not for this principal.
    pub watched: BTreeMap<String, Option<Digest>>,
}

/// A digest of something seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Of these texts, in this order.
    pub fn of<'t>(texts: impl IntoIterator<Item = &'t str>) -> Self {
        let mut hasher = blake3::Hasher::new();
        for text in texts {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        }
        Self(*hasher.finalize().as_bytes())
    }
}

/// What this principal sees now.
pub(crate) fn view(gateway: &Gateway, live: &Live, at: &Authenticated<Endpoint>, watched: &[String]) -> View {
    let tools = gateway.visible_tools(live, at.principal(), *at.inner());
    let tools = tools.iter().map(|tool| match tool.definition() {
        Some(definition) => &*definition.own,
        None => tool.spec().name.as_str(),
    });
    if let Endpoint::Upstream(upstream) = *at.inner() {
        return theirs(gateway, live, at, upstream, Digest::of(tools), watched);
    }
    let resources = gateway.listed_resources(live, at.principal());
    let listed =
        resources.iter().flat_map(|resource| [resource.uri.as_str(), &resource.title, &resource.description]);
    let content = |uri: &String| {
        let content = gateway.glance(live, at.principal(), uri)?;
        Some(Digest::of([content.as_str()]))
    };
    View {
        tools: Digest::of(tools),
        resources: Digest::of(listed),
        // They do not change while a gateway runs.
        prompts: Digest::of([]),
        watched: watched.iter().map(|uri| (uri.clone(), content(uri))).collect(),
    }
}

/// The same of an upstream. Its lists are not kept, so how often it said that they changed stands for them, and the rules that
/// leave things out of them.
fn theirs(
    gateway: &Gateway,
    live: &Live,
    at: &Authenticated<Endpoint>,
    upstream: UpstreamName,
    tools: Digest,
    watched: &[String],
) -> View {
    let (resources, prompts) = gateway.upstreams.changes_of_lists(upstream);
    let rules = live.snapshot.hash().to_string();
    let content = |uri: &String| {
        let changes = gateway.upstreams.changes_of(upstream, uri)?;
        let known = may_know(live, at.principal(), upstream, ListOf::Resources, uri);
        known.then(|| Digest::of([changes.to_string().as_str()]))
    };
    View {
        tools,
        resources: Digest::of([resources.to_string().as_str(), &rules]),
        prompts: Digest::of([prompts.to_string().as_str(), &rules]),
        watched: watched.iter().map(|uri| (uri.clone(), content(uri))).collect(),
    }
}
