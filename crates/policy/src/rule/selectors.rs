//! How rules name principals, tools and targets.

use model::{GroupName, Principal, PrincipalId, Target, TargetKind, TargetName, Tier, ToolName, ToolSet};

use super::Effect;
use crate::ToolFacts;
use crate::command::Star;

/// One entry of `principals`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PrincipalSelector {
    Any,
    One(PrincipalId),
    Group(GroupName),
}

/// One entry of `allow` or `forbid`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ToolSelector {
    /// Every tool that agents are offered; in `forbid` the operators' verbs too.
    Any,
    /// A tool or one operator's verb.
    One(ToolName),
    Set(ToolSet),
    Tier(Tier),
    AnyOperator,
}

/// One entry of `targets`: everything that is joined by `&` must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TargetExpr {
    pub(crate) factors: Vec<Factor>,
}

/// One side of a `&`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Factor {
    pub(crate) negated: bool,
    pub(crate) of: TargetFactor,
}

/// What a factor asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TargetFactor {
    Any,
    Alias(TargetName),
    Aliases(Star),
    Tag(String),
}

/// Why a selector is not one: a message and a hint.
pub(super) type Refused = (String, Option<String>);

impl PrincipalSelector {
    pub(super) fn parse(text: &str) -> Result<Self, Refused> {
        let said =
            |e: model::MalformedName| (e.to_string(), Some("write a name, `group:NAME`, or `*`".to_owned()));
        match text.strip_prefix("group:") {
            Some(group) => GroupName::parse(group).map(Self::Group).map_err(said),
            None if text == "*" => Ok(Self::Any),
            None => PrincipalId::parse(text).map(Self::One).map_err(said),
        }
    }

    pub(crate) fn matches(&self, principal: &Principal) -> bool {
        match self {
            Self::Any => true,
            Self::One(id) => *id == principal.id,
            Self::Group(group) => principal.groups.contains(group),
        }
    }
}

const TIERS: [Tier; 4] = [Tier::Read, Tier::LowAccess, Tier::Dangerous, Tier::Sudo];

impl ToolSelector {
    pub(super) fn parse(text: &str) -> Result<Self, Refused> {
        if text == "*" {
            return Ok(Self::Any);
        }
        if text == "operator:*" {
            return Ok(Self::AnyOperator);
        }
        if let Some(set) = text.strip_prefix("set:") {
            return ToolSet::parse(set).map(Self::Set).map_err(|e| (e.to_string(), None));
        }
        if let Some(tier) = text.strip_prefix("tier:") {
            return TIERS.into_iter().find(|known| known.as_str() == tier).map(Self::Tier).ok_or_else(|| {
                let hint = "the tiers are `read`, `low-access`, `dangerous` and `sudo`";
                (format!("unknown tier `{tier}`"), Some(hint.to_owned()))
            });
        }
        let upstream = ["upstream:", "resource:", "prompt:"].iter().any(|prefix| text.starts_with(prefix));
        if upstream || text.contains("__") {
            let message =
                format!("`{text}` names something of an upstream, which comes with a later version");
            return Err((message, None));
        }
        ToolName::parse(text).map(Self::One).map_err(|e| {
            let hint = "write a tool's name, `set:NAME`, `tier:NAME`, `operator:VERB`, `operator:*` or `*`";
            (e.to_string(), Some(hint.to_owned()))
        })
    }

    pub(crate) fn matches(&self, tool: &ToolFacts, effect: Effect) -> bool {
        let operator = is_operator(&tool.name);
        match self {
            Self::Any => !operator || effect == Effect::Forbid,
            Self::One(name) => *name == tool.name,
            Self::Set(set) => !operator && *set == tool.set,
            Self::Tier(tier) => !operator && *tier == tool.tier,
            Self::AnyOperator => operator,
        }
    }
}

/// Whether this is an operator's verb and no tool for agents.
pub(crate) fn is_operator(name: &ToolName) -> bool {
    name.as_str().starts_with("operator:")
}

impl TargetExpr {
    pub(super) fn parse(text: &str) -> Result<Self, Refused> {
        if text.contains(['|', '(', ')']) {
            return Err((format!("`{text}` is no target expression"), Some(EXPRESSIONS.to_owned())));
        }
        let factors =
            text.split('&').map(|factor| Factor::parse(factor.trim())).collect::<Result<Vec<_>, _>>()?;
        if factors.iter().any(|factor| factor.negated && factor.of == TargetFactor::Any) {
            return Err((format!("`{text}` matches no target"), Some(EXPRESSIONS.to_owned())));
        }
        Ok(Self { factors })
    }

    /// A tag, an alias or `*` says what is meant; `!` only takes away, and what only takes away is about
    /// the inventory, never about the gateway itself.
    pub(crate) fn is_only_negative(&self) -> bool {
        self.factors.iter().all(|factor| factor.negated)
    }

    pub(crate) fn is_any(&self) -> bool {
        self.factors.iter().all(|factor| !factor.negated && factor.of == TargetFactor::Any)
    }

    pub(crate) fn matches(&self, target: &Target) -> bool {
        let about = target.kind != TargetKind::Gateway || !self.is_only_negative();
        about && self.factors.iter().all(|factor| factor.of.matches(target) != factor.negated)
    }
}

const EXPRESSIONS: &str = "write an alias (with `*` inside), `tag:NAME`, or several joined by `&`, each with `!` before it \
                           to negate; for `or` write two entries";

impl Factor {
    fn parse(text: &str) -> Result<Self, Refused> {
        let (negated, text) = match text.strip_prefix('!') {
            Some(rest) => (true, rest.trim_start()),
            None => (false, text),
        };
        Ok(Self { negated, of: TargetFactor::parse(text)? })
    }
}

impl TargetFactor {
    fn parse(text: &str) -> Result<Self, Refused> {
        let refuse = |message: String| Err((message, Some(EXPRESSIONS.to_owned())));
        if text == "*" {
            return Ok(Self::Any);
        }
        if let Some(tag) = text.strip_prefix("tag:") {
            let plain =
                |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '@' | ':' | '/' | '=');
            if tag.is_empty() || tag.len() > 128 || !tag.chars().all(plain) {
                return refuse(format!("`{tag}` is not a tag: 1 to 128 of `a-z A-Z 0-9 _ - . @ : / =`"));
            }
            return Ok(Self::Tag(tag.to_owned()));
        }
        if let Some(prefix) = ["address:", "name:"].iter().find(|prefix| text.starts_with(**prefix)) {
            let message = format!("targets by `{prefix}` come with a later version");
            return Err((message, Some("write the inventory's aliases or tags".to_owned())));
        }
        if !text.contains('*') {
            return TargetName::parse(text)
                .map(Self::Alias)
                .map_err(|_| (format!("`{text}` is no target expression"), Some(EXPRESSIONS.to_owned())));
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '@' | '*');
        if text.contains("**") || text.len() > 128 || !text.chars().all(plain) {
            return refuse(format!("`{text}` is no target expression"));
        }
        Ok(Self::Aliases(Star::parse(text)))
    }

    pub(crate) fn matches(&self, target: &Target) -> bool {
        match self {
            Self::Any => true,
            Self::Alias(name) => *name == target.name,
            Self::Aliases(star) => star.matches(target.name.as_str(), '/'),
            Self::Tag(tag) => target.tags.contains(tag),
        }
    }
}
