//! Rules: who, which tools, where, which commands and credentials, and what must be met before.

mod parse;
mod raw;
mod selectors;
#[cfg(test)]
mod tests;

use std::time::Duration;

use model::{CredentialPattern, FileAccess, GroupName, Limits, Principal, RuleName, SubAction, Target};

pub(crate) use parse::bracket_depth;
pub use raw::{RawApproval, RawLimits, RawRule, RawRules};
pub(crate) use selectors::{PrincipalSelector, TargetExpr, TargetFactor, ToolSelector, is_operator};

use crate::ToolFacts;
use crate::command::CommandPattern;
use crate::path::PathPattern;

/// A checked rule. Whether the names in it exist is a matter of [`crate::Snapshot::compile`].
#[derive(Debug, Clone)]
pub struct Rule {
    pub(crate) name: RuleName,
    pub(crate) effect: Effect,
    pub(crate) tools: Vec<ToolSelector>,
    pub(crate) principals: Vec<PrincipalSelector>,
    pub(crate) targets: Vec<TargetExpr>,
    pub(crate) commands: Option<Vec<CommandPattern>>,
    pub(crate) reads: Option<Vec<PathPattern>>,
    pub(crate) writes: Option<Vec<PathPattern>>,
    pub(crate) credentials: Option<Vec<CredentialPattern>>,
    pub(crate) limits: Limits,
    pub(crate) approval: Option<Approval>,
    pub(crate) when: Option<Condition>,
    pub(crate) raw: RawRule,
}

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    Permit,
    Forbid,
}

/// Humans who must approve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Approval {
    pub(crate) by: Vec<GroupName>,
    pub(crate) count: u32,
    pub(crate) within: Duration,
    pub(crate) reason: bool,
}

/// A Cedar expression in Cedar's JSON form, as Cedar's own parser read it.
#[derive(Debug, Clone)]
pub(crate) struct Condition {
    pub(crate) json: serde_json::Value,
}

impl Rule {
    /// The rule's name.
    pub fn name(&self) -> &RuleName {
        &self.name
    }

    /// The key that lists the tools.
    pub(crate) fn tools_key(&self) -> &'static str {
        match self.effect {
            Effect::Permit => "allow",
            Effect::Forbid => "forbid",
        }
    }

    pub(crate) fn names_principal(&self, principal: &Principal) -> bool {
        self.principals.iter().any(|selector| selector.matches(principal))
    }

    pub(crate) fn names_tool(&self, tool: &ToolFacts) -> bool {
        self.tools.iter().any(|selector| selector.matches(tool, self.effect))
    }

    pub(crate) fn names_target(&self, target: &Target) -> bool {
        self.targets.iter().any(|expr| expr.matches(target))
    }

    /// Whether the rule speaks about this part, its condition apart.
    ///
    /// In `allow`, a key that is missing permits none of the parts it is about. In `forbid`, a rule with
    /// neither key is about every part, and a rule with one only about the parts that it binds.
    pub(crate) fn covers(&self, part: &SubAction) -> bool {
        let forbids = self.effect == Effect::Forbid;
        match part {
            SubAction::Whole => !forbids || self.is_about_everything(),
            SubAction::Command(command) => match &self.commands {
                Some(patterns) if forbids => patterns.iter().any(|pattern| pattern.matches_widely(command)),
                Some(patterns) => patterns.iter().any(|pattern| pattern.matches(command)),
                None => forbids && self.is_about_everything(),
            },
            SubAction::File { access, path } => match self.files(*access) {
                Some(patterns) if forbids => patterns.iter().any(|pattern| pattern.matches_widely(path)),
                Some(patterns) => patterns.iter().any(|pattern| pattern.matches(path)),
                None => forbids && self.is_about_everything(),
            },
            SubAction::Credential { credential, .. } => match &self.credentials {
                Some(patterns) => patterns.iter().any(|pattern| pattern.covers(credential)),
                None => forbids && self.is_about_everything(),
            },
        }
    }

    /// Whether a part may be another wording of what this rule is about: what it then asks for holds, though only
    /// [`Self::covers`] says what it permits.
    pub(crate) fn covers_widely(&self, part: &SubAction) -> bool {
        match part {
            SubAction::Command(command) => {
                self.commands.iter().flatten().any(|pattern| pattern.matches_widely(command))
            }
            SubAction::File { access, path } => {
                self.files(*access).iter().copied().flatten().any(|pattern| pattern.matches_widely(path))
            }
            SubAction::Whole | SubAction::Credential { .. } => false,
        }
    }

    /// The paths it names for this use.
    pub(crate) fn files(&self, access: FileAccess) -> Option<&[PathPattern]> {
        match access {
            FileAccess::Read => self.reads.as_deref(),
            FileAccess::Write => self.writes.as_deref(),
        }
    }

    pub(crate) fn is_about_everything(&self) -> bool {
        self.commands.is_none() && self.reads.is_none() && self.writes.is_none() && self.credentials.is_none()
    }
}
