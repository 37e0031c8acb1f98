//! The names rules may use, and the names that are merely known.

use std::collections::{BTreeMap, BTreeSet};

use model::{GroupName, PrincipalId, Target, Tier, ToolName, ToolSet, UpstreamName};

/// What exists outside of the rules. Unknown tools, sets and verbs are errors; the others are warnings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vocabulary {
    /// Every tool of the catalogue.
    pub tools: Vec<ToolFacts>,
    /// Operators' verbs, without the `operator:` before them.
    pub verbs: Vec<String>,
    /// Principals of the configuration.
    pub principals: BTreeSet<PrincipalId>,
    /// Groups of the configuration.
    pub groups: BTreeSet<GroupName>,
    /// Targets of the inventory; the gateway need not be among them.
    pub targets: Vec<Target>,
    /// Upstreams, each with the tools that may be used of it; `None` is all.
    pub upstreams: BTreeMap<UpstreamName, Option<BTreeSet<String>>>,
}

/// What policy needs to know of a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolFacts {
    /// Its name.
    pub name: ToolName,
    /// Its set.
    pub set: ToolSet,
    /// Its tier.
    pub tier: Tier,
}

/// Permitted on the gateway without a rule, unless a rule forbids it.
pub(crate) const BUILT_IN: [&str; 6] =
    ["explain", "get_prompt", "read_resource", "release_credential", "ssh_plan", "whoami"];

impl Vocabulary {
    /// Whether an action of this name can exist.
    pub(crate) fn knows_tool(&self, name: &str) -> bool {
        BUILT_IN.contains(&name)
            || self.tools.iter().any(|tool| tool.name.as_str() == name)
            || name.strip_prefix("operator:").is_some_and(|verb| self.verbs.iter().any(|known| known == verb))
    }

    pub(crate) fn knows_set(&self, set: &ToolSet) -> bool {
        self.tools.iter().any(|tool| tool.set == *set)
    }
}
