//! How rules name principals, tools and targets.

mod things;
mod within;

use ipnet::IpNet;
use model::{
    GroupName, Principal, PrincipalId, Target, TargetKind, TargetName, Tier, ToolName, ToolSet, UpstreamName,
};

pub(crate) use self::things::Things;
use super::{Effect, networks};
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
    /// A tool, one of an upstream too, or one operator's verb.
    One(ToolName),
    /// All of an upstream: its tools, resources and prompts.
    Upstream(UpstreamName),
    /// Resources or prompts of an upstream.
    Things(Things),
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
    /// The address is a literal one in this network.
    Address(IpNet),
    /// The address is a name like this.
    Name(Star),
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
        if let Some(upstream) = text.strip_prefix("upstream:") {
            return UpstreamName::parse(upstream).map(Self::Upstream).map_err(|e| (e.to_string(), None));
        }
        if let Some(things) = Things::parse(text) {
            return things.map(Self::Things);
        }
        let name = ToolName::parse(text).map_err(|e| {
            let hint = "write a tool's name, `set:NAME`, `tier:NAME`, `UPSTREAM__TOOL`, `upstream:NAME`, `resource:NAME/GLOB`, `prompt:NAME/GLOB`, `operator:VERB`, `operator:*` or `*`";
            (e.to_string(), Some(hint.to_owned()))
        })?;
        if text.contains(UpstreamName::SEPARATOR) && name.upstream().is_none() {
            let hint = "write `UPSTREAM__TOOL`; an upstream's name is 1 to 20 of `a-z 0-9 -`";
            return Err((format!("`{text}` is not the tool of an upstream"), Some(hint.to_owned())));
        }
        Ok(Self::One(name))
    }

    pub(crate) fn matches(&self, tool: &ToolFacts, effect: Effect) -> bool {
        let operator = is_operator(&tool.name);
        match self {
            Self::Any => !operator || effect == Effect::Forbid,
            Self::One(name) => *name == tool.name,
            Self::Upstream(upstream) => tool.name.theirs().is_some_and(|theirs| theirs.upstream == *upstream),
            Self::Things(things) => tool.name.theirs().is_some_and(|theirs| things.matches(theirs, effect)),
            // What an upstream's tools do is the upstream's word: sets and tiers are about ours.
            Self::Set(set) => !operator && *set == tool.set && tool.name.theirs().is_none(),
            Self::Tier(tier) => !operator && *tier == tool.tier && tool.name.theirs().is_none(),
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
        let address = |factor: &&Factor| matches!(factor.of, TargetFactor::Address(_));
        let name = |factor: &Factor| !factor.negated && matches!(factor.of, TargetFactor::Name(_));
        if let Some(address) = factors.iter().find(address) {
            let instead = "what a name resolves to is known at the dial alone: write `networks = { allow = [...], block = [...] }`";
            if address.negated || factors.iter().any(name) {
                return Err((
                    format!("`{text}` cannot be told by the address as it is written"),
                    Some(instead.to_owned()),
                ));
            }
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

    /// Whether a host that no inventory declares is meant: only who names addresses or names means it.
    pub(crate) fn names_outside(&self) -> bool {
        let outside = |of: &TargetFactor| matches!(of, TargetFactor::Address(_) | TargetFactor::Name(_));
        self.factors.iter().any(|factor| !factor.negated && outside(&factor.of))
    }

    pub(crate) fn matches(&self, target: &Target, effect: Effect) -> bool {
        self.is_about(target, effect)
            && self.factors.iter().all(|factor| factor.of.matches(target) != factor.negated)
    }

    fn is_about(&self, target: &Target, effect: Effect) -> bool {
        match target.kind {
            TargetKind::Gateway => !self.is_only_negative(),
            TargetKind::Host => true,
            TargetKind::Outside => effect == Effect::Forbid || self.names_outside(),
            TargetKind::Upstream => effect == Effect::Forbid || !self.is_only_negative(),
        }
    }

    /// The network that this is about if the target, which is written as a name, resolves into it.
    pub(crate) fn if_resolved(&self, target: &Target, effect: Effect) -> Option<IpNet> {
        let network = self.factors.iter().find_map(|factor| match factor.of {
            TargetFactor::Address(network) => Some(network),
            TargetFactor::Any
            | TargetFactor::Alias(_)
            | TargetFactor::Aliases(_)
            | TargetFactor::Tag(_)
            | TargetFactor::Name(_) => None,
        })?;
        let named = target.address.is_some() && target.literal_address().is_none();
        let others = self
            .factors
            .iter()
            .filter(|factor| !matches!(factor.of, TargetFactor::Address(_)))
            .all(|factor| factor.of.matches(target) != factor.negated);
        (named && others && self.is_about(target, effect)).then_some(network)
    }
}

const EXPRESSIONS: &str = "write an alias (with `*` inside), `tag:NAME`, `address:NETWORK`, `name:GLOB`, or several joined by `&`, each with `!` before it \
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
        if let Some(network) = text.strip_prefix("address:") {
            return networks::network(network).map(Self::Address);
        }
        if let Some(glob) = text.strip_prefix("name:") {
            let glob = glob.strip_suffix('.').unwrap_or(glob).to_ascii_lowercase();
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '*');
            let wide = glob.contains("**") || !glob.contains(|c: char| c.is_ascii_alphanumeric());
            if glob.len() > 253 || wide || !glob.chars().all(plain) {
                return refuse(format!(
                    "`{text}` is no host name: labels of `a-z 0-9 - _` with `*`, at least one of them written"
                ));
            }
            return Ok(Self::Name(Star::parse(&glob)));
        }
        if text.contains(':') {
            return refuse(format!("`{text}` is no target expression"));
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
            Self::Address(network) => {
                target.literal_address().is_some_and(|address| network.contains(&address))
            }
            Self::Name(star) => target.address.as_deref().is_some_and(|address| {
                let name = address.strip_suffix('.').unwrap_or(address).to_ascii_lowercase();
                target.literal_address().is_none() && star.matches(&name, '/')
            }),
        }
    }
}
