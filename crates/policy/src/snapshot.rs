//! The compiled whole of the rules, and the decision it makes.

use model::{Action, Limits, Principal, SnapshotHash, Target, Tier, ToolName, ToolSet};

use crate::{Allowed, Denial, NetworkFence};

/// An immutable compiled policy. Swapped whole on reload.
pub struct Snapshot {
    hash: SnapshotHash,
}

/// When a decision is made, as facts (`context.time`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Hour of the day, UTC.
    pub hour: u8,
    /// Monday 1 to Sunday 7, UTC.
    pub weekday: u8,
}

/// What visibility needs to know of a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolFacts {
    /// Its name.
    pub name: ToolName,
    /// Its set.
    pub set: ToolSet,
    /// Its tier.
    pub tier: Tier,
}

impl Snapshot {
    /// A policy without rules: denies everything but what is built in.
    pub fn empty() -> Self {
        todo!()
    }

    /// What a permit names.
    pub fn hash(&self) -> SnapshotHash {
        self.hash
    }

    /// Decides. `fallback` limits count where no permitting rule sets a value; `network` is the global fence.
    pub fn authorise(
        &self,
        principal: &Principal,
        action: Action,
        moment: Moment,
        fallback: Limits,
        network: &NetworkFence,
    ) -> Result<Allowed, Denial> {
        let _ = (principal, action, moment, fallback, network);
        todo!()
    }

    /// Whether some rule could permit this tool to this principal on some target.
    pub fn visible(&self, principal: &Principal, tool: &ToolFacts) -> bool {
        let _ = (principal, tool);
        todo!()
    }

    /// Whether some rule could permit this principal anything at all on this target, and no unconditional forbid
    /// covers all of it. A target that is not seen is "not found". The gateway itself is always seen.
    pub fn sees(&self, principal: &Principal, target: &Target) -> bool {
        let _ = (principal, target);
        todo!()
    }

    /// Everything, as Cedar text.
    pub fn to_cedar(&self) -> String {
        todo!()
    }
}
