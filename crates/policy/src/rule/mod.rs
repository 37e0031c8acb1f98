//! Rules: who, which tools, where, which commands and credentials, and what must be met before.

mod arguments;
mod networks;
mod parse;
mod raw;
mod selectors;
#[cfg(test)]
mod tests;

use std::time::Duration;

use ipnet::IpNet;
use model::{
    CredentialPattern, CredentialRef, FileAccess, GroupName, LexicalPath, Limits, Principal, RuleName,
    SubAction, Target,
};
use serde_json::{Map, Value};

pub(crate) use arguments::Arguments;
pub(crate) use parse::bracket_depth;
pub use raw::{RawApproval, RawLimits, RawNetworks, RawRule, RawRules};
pub(crate) use selectors::{Factor, PrincipalSelector, TargetExpr, TargetFactor, ToolSelector, is_operator};

use crate::command::{CommandPattern, Reading};
use crate::path::PathPattern;
use crate::{NetworkFence, ToolFacts};

/// A checked rule. Whether the names in it exist is a matter of [`crate::Snapshot::compile`].
#[derive(Debug, Clone)]
pub struct Rule {
    pub(crate) name: RuleName,
    pub(crate) effect: Effect,
    pub(crate) tools: Vec<ToolSelector>,
    pub(crate) principals: Vec<PrincipalSelector>,
    pub(crate) targets: Vec<TargetExpr>,
    pub(crate) commands: Option<Vec<CommandPattern>>,
    pub(crate) opaque: Option<Vec<CommandPattern>>,
    pub(crate) reads: Option<Vec<PathPattern>>,
    pub(crate) writes: Option<Vec<PathPattern>>,
    pub(crate) credentials: Option<Vec<CredentialPattern>>,
    pub(crate) arguments: Option<Arguments>,
    pub(crate) networks: Option<NetworkFence>,
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
    pub(crate) json: Value,
}

/// A part of an action as rules read it.
pub(crate) enum Part<'a> {
    Whole,
    Upstream(&'a Map<String, Value>),
    Command(Reading<'a>),
    File(FileAccess, &'a LexicalPath),
    Credential(&'a CredentialRef),
}

impl<'a> Part<'a> {
    pub(crate) fn new(part: &'a SubAction) -> Self {
        match part {
            SubAction::Whole => Self::Whole,
            SubAction::Upstream(arguments) => Self::Upstream(arguments),
            SubAction::Command(command) => Self::Command(Reading::new(command)),
            SubAction::File { access, path } => Self::File(*access, path),
            SubAction::Credential { credential, .. } => Self::Credential(credential),
        }
    }

    /// Why the words of the command do not show what it does, if so.
    pub(crate) fn opaque(&self) -> Option<&'static str> {
        match self {
            Self::Command(reading) => reading.opaque,
            Self::Whole | Self::Upstream(_) | Self::File(..) | Self::Credential(_) => None,
        }
    }
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
        self.targets.iter().any(|expr| expr.matches(target, self.effect))
    }

    /// Networks that a rule that forbids is about, of a target that is written as a name: where the name leads is known
    /// at the dial alone.
    pub(crate) fn forbidden_networks(&self, target: &Target) -> Vec<IpNet> {
        let about = |expr: &TargetExpr| expr.if_resolved(target, self.effect);
        if self.effect == Effect::Forbid {
            self.targets.iter().filter_map(about).collect()
        } else {
            Vec::new()
        }
    }

    /// Whether the rule speaks about this part, its condition apart.
    ///
    /// In `allow`, a key that is missing permits none of the parts it is about, and `commands` no opaque command. In
    /// `forbid`, a rule with none of the keys is about every part, and a rule with some only about the parts that they
    /// bind.
    pub(crate) fn covers(&self, part: &Part<'_>) -> bool {
        if self.effect == Effect::Forbid {
            return self.is_about_everything() || self.covers_widely(part);
        }
        // A rule that speaks of upstreams' arguments speaks of nothing else.
        if self.arguments.is_some() && !matches!(part, Part::Upstream(_)) {
            return false;
        }
        match part {
            Part::Whole => true,
            Part::Upstream(arguments) => self.arguments.as_ref().is_none_or(|rule| rule.permit(arguments)),
            Part::Command(reading) if reading.opaque.is_some() => {
                self.opaque.iter().flatten().any(|pattern| pattern.permits_opaque(reading))
            }
            Part::Command(reading) => {
                self.commands.iter().flatten().any(|pattern| pattern.matches(reading.command))
            }
            Part::File(access, path) => {
                self.files(*access).iter().copied().flatten().any(|pattern| pattern.matches(path))
            }
            Part::Credential(credential) => {
                self.credentials.iter().flatten().any(|pattern| pattern.covers(credential))
            }
        }
    }

    /// Whether a part may be another wording of what this rule is about: what it forbids, and what it asks for beside
    /// what [`Self::covers`] says it permits.
    pub(crate) fn covers_widely(&self, part: &Part<'_>) -> bool {
        match part {
            Part::Whole => false,
            Part::Upstream(arguments) => self.arguments.as_ref().is_some_and(|rule| rule.narrow(arguments)),
            Part::Command(reading) => {
                self.commands.iter().flatten().any(|pattern| pattern.narrows(reading))
                    || self.opaque.iter().flatten().any(|pattern| pattern.narrows_opaque(reading))
            }
            Part::File(access, path) => {
                self.files(*access).iter().copied().flatten().any(|pattern| pattern.matches_widely(path))
            }
            Part::Credential(credential) => {
                self.credentials.iter().flatten().any(|pattern| pattern.covers(credential))
            }
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
        let commands = self.commands.is_none() && self.opaque.is_none();
        let files = self.reads.is_none() && self.writes.is_none();
        commands && files && self.credentials.is_none() && self.arguments.is_none()
    }
}
