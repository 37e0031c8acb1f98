//! What the configuration says of an upstream.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use model::{SecretLocation, Tier, UpstreamName};

/// An upstream as declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamSettings {
    /// Its name.
    pub name: UpstreamName,
    /// Program and arguments; no shell.
    pub command: Vec<String>,
    /// The program's whole environment.
    pub env: Vec<(String, EnvValue)>,
    /// The tools that may be used; `None` is all.
    pub tools: Option<BTreeSet<String>>,
    /// Tiers of tools that are not `dangerous`.
    pub tier: BTreeMap<String, Tier>,
    /// How long a call may take.
    pub timeout: Option<Duration>,
    /// Calls that may be under way.
    pub max_concurrent: usize,
    /// Whether the gateway is unhealthy without it.
    pub required: bool,
}

/// The value of an environment variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvValue {
    /// What everybody may read.
    Plain(String),
    /// A secret, by where it is written down; fetched at each start.
    Secret(SecretLocation),
}

impl UpstreamSettings {
    pub(crate) fn lists(&self, tool: &str) -> bool {
        self.tools.as_ref().is_none_or(|listed| listed.contains(tool))
    }

    pub(crate) fn tier_of(&self, tool: &str) -> Tier {
        self.tier.get(tool).copied().unwrap_or(Tier::Dangerous)
    }
}
