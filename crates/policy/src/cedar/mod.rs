//! Rules, requests and the schema in Cedar's terms.

mod facts;
mod known;
mod schema;
mod sets;
mod translate;

pub(crate) use facts::Facts;
pub(crate) use known::Scene;
pub(crate) use schema::schema;
pub(crate) use sets::Sets;
pub(crate) use translate::{built_in_policy, rule_policy};

/// Entity types of the schema, and the action groups that are no sets or tiers.
pub(crate) mod names {
    pub(crate) const PRINCIPAL: &str = "Principal";
    pub(crate) const GROUP: &str = "Group";
    pub(crate) const ACTION: &str = "Action";
    pub(crate) const TARGET: &str = "Target";
    pub(crate) const TAG: &str = "Tag";
    /// `UPSTREAM/TOOL`, in the target that the upstream is.
    pub(crate) const UPSTREAM_TOOL: &str = "UpstreamTool";
    /// The action that every tool of an upstream is: which one is the resource.
    pub(crate) const UPSTREAM_CALL: &str = "UpstreamCall";
    /// `UPSTREAM/ADDRESS`, in the target that the upstream is.
    pub(crate) const UPSTREAM_RESOURCE: &str = "UpstreamResource";
    /// The action of reading any of them, and of asking how its address could go on.
    pub(crate) const UPSTREAM_READ: &str = "UpstreamRead";
    /// `UPSTREAM/NAME`, in the target that the upstream is; and the action of getting any of them.
    pub(crate) const UPSTREAM_PROMPT: &str = "UpstreamPrompt";
    /// What acts on upstreams are actions as.
    pub(crate) const UPSTREAM_ACTIONS: [&str; 3] = [UPSTREAM_CALL, UPSTREAM_READ, UPSTREAM_PROMPT];
    /// In it: every tool that agents are offered.
    pub(crate) const ALL_TOOLS: &str = "tool:*";
    /// In it: every verb of operators.
    pub(crate) const ALL_VERBS: &str = "operator:*";
}
