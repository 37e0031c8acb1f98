//! What every tool has.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use broker::Lease;
use model::{
    Abilities, Action, Answer, ClientInput, CredentialUse, ErrorCode, Failure, Host, Inventory, Limits,
    Outcome, SubAction, Target, Tier, ToolName, ToolSet,
};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::{Desk, HostShell, Notices, Schema, SubEvents};

/// A tool as it is listed.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolSpec {
    /// Its one name.
    pub name: ToolName,
    /// Its set in rules.
    pub set: ToolSet,
    /// Its tier.
    pub tier: Tier,
    /// A short title for people.
    pub title: Cow<'static, str>,
    /// One or two sentences for the agent.
    pub description: Cow<'static, str>,
    /// What it takes.
    pub input: Schema,
    /// What its structured answer looks like, as JSON Schema 2020-12.
    pub output: Value,
    /// Hints for clients.
    pub annotations: Annotations,
    /// The audit event its completion is recorded as.
    pub event: &'static str,
}

impl ToolSpec {
    /// An action of this tool on the gateway itself, without parts and without a credential.
    pub fn on_gateway(&self, arguments: Value) -> Action {
        Action {
            tool: self.name.clone(),
            set: self.set.clone(),
            tier: self.tier,
            target: Target::gateway(),
            parts: vec![SubAction::Whole],
            command: None,
            credential: CredentialUse::None,
            limits: Limits::default(),
            arguments,
            forward: None,
        }
    }
}

/// A tool's definition as its upstream wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// Byte for byte, for clients of that upstream alone.
    pub own: Arc<str>,
    /// The upstream's name for it.
    pub own_name: Arc<str>,
    /// With the name that it has among all tools, and with what deceives a reader made visible.
    pub offered: Arc<str>,
    /// That name: the tool's own one name, or as much of it as clients take.
    pub offered_name: Arc<str>,
}

/// Hints for clients, derived from the tier and corrected per tool. No decision rests on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Annotations {
    /// Changes nothing.
    pub read_only: bool,
    /// May destroy something.
    pub destructive: bool,
    /// Doing it twice is like doing it once.
    pub idempotent: bool,
    /// Reaches beyond the gateway.
    pub open_world: bool,
}

impl Annotations {
    /// What the tier says of itself.
    pub fn of(tier: Tier) -> Self {
        let changes = matches!(tier, Tier::Dangerous | Tier::Sudo);
        Self {
            read_only: tier == Tier::Read,
            destructive: changes,
            idempotent: tier == Tier::Read,
            open_world: changes,
        }
    }
}

/// What `resolve` may look at.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    /// Declared targets.
    pub inventory: &'a Inventory,
    /// Names of the configured credential sources.
    pub sources: &'a [String],
    /// Whether policy could let this principal do anything at all on a target; what it cannot see is "not found".
    pub sees: &'a (dyn Fn(&Target) -> bool + Sync),
    /// Whether a tool is visible to this principal.
    pub sees_tool: &'a (dyn Fn(&ToolSpec) -> bool + Sync),
    /// What the client answered to questions of an earlier run. What a run does with it must be in the action: policy
    /// decides on that, and the run sees nothing else.
    pub input: Option<&'a ClientInput>,
    /// What the client can be asked.
    pub abilities: Abilities,
}

impl<'a> Scene<'a> {
    /// The host an agent means by an alias or an address, if it may know of it. A host that the inventory does not
    /// declare it may know of when a rule names its address.
    pub fn host(&self, alias_or_address: &str) -> Result<Cow<'a, Host>, Failure> {
        let declared = self.inventory.find_host(alias_or_address).map(Cow::Borrowed);
        let found = declared.or_else(|| self.inventory.outside(alias_or_address).map(Cow::Owned));
        found.filter(|host| (self.sees)(&host.target())).ok_or_else(|| {
            let shown: String = alias_or_address.chars().take(80).collect();
            Failure::new(ErrorCode::TargetUnknown, format!("there is no host `{shown}`"))
                .with_hint("give an alias or the exact address of a host in the inventory; read `portcullis://hosts` for those you may use")
        })
    }
}

/// What `run` gets.
#[derive(Clone, Copy)]
pub struct ToolRun<'a> {
    /// The right to act.
    pub lease: &'a Lease,
    /// The inventory entry of the target, for acts on hosts.
    pub host: Option<&'a Host>,
    /// The jump hosts on the way to it.
    pub hops: &'a [&'a Host],
    /// Declared targets.
    pub inventory: &'a Inventory,
    /// The connector to hosts.
    pub shell: &'a dyn HostShell,
    /// The gateway itself.
    pub desk: &'a dyn Desk,
    /// How long all of it may take.
    pub timeout: Duration,
    /// How many bytes of output are kept.
    pub output: u64,
    /// When to stop.
    pub cancel: &'a CancellationToken,
    /// Told how many bytes have come so far.
    pub progress: &'a (dyn Fn(u64) + Send + Sync),
    /// Tells the client how it goes.
    pub notices: &'a dyn Notices,
    /// Where acts beside the main one are recorded.
    pub sub_events: &'a dyn SubEvents,
}

/// A tool.
#[async_trait]
pub trait Tool: Send + Sync {
    /// How it is listed.
    fn spec(&self) -> &ToolSpec;

    /// What these arguments (already checked against the schema) would do. Looks at nothing but the scene.
    fn resolve(&self, arguments: &Map<String, Value>, scene: Scene<'_>) -> Result<Action, Failure>;

    /// Does it.
    async fn run(&self, run: ToolRun<'_>) -> Result<Outcome, Failure>;

    /// Whether a run looks at nothing but what the gateway has in memory: no target, no disk, no state that it changes.
    fn only_looks(&self) -> bool {
        false
    }

    /// How an upstream wrote it down, if it is the tool of one.
    fn definition(&self) -> Option<&Definition> {
        None
    }

    /// Shows a success. Failures are shown alike for all tools, by [`crate::failed`].
    fn render(&self, action: &Action, outcome: Outcome) -> Answer;
}
