//! Which rules can be about a principal and a target at all, so that a decision looks at few of many.

use std::collections::HashMap;

use model::{Principal, Target};

use crate::rule::{PrincipalSelector, Rule, TargetExpr, TargetFactor};

/// Rules by the narrowest thing each says about who and where. What it finds is a superset.
#[derive(Debug, Default)]
pub(crate) struct Index {
    who: Interner,
    place: Interner,
    rules: HashMap<(u32, u32), Vec<u32>>,
}

/// Any principal, or any target.
const ANY: u32 = 0;

impl Index {
    pub(crate) fn new<'a>(rules: impl IntoIterator<Item = &'a Rule>) -> Self {
        let mut index = Self::default();
        for (at, rule) in rules.into_iter().enumerate() {
            let Ok(at) = u32::try_from(at) else { break };
            let who: Vec<u32> = rule.principals.iter().map(|selector| index.who_key(selector)).collect();
            for expr in &rule.targets {
                let place = index.place_key(expr);
                for who in &who {
                    index.rules.entry((*who, place)).or_default().push(at);
                }
            }
        }
        index
    }

    /// Positions of rules that may be about both, ascending, each once.
    pub(crate) fn candidates(&self, principal: &Principal, target: &Target) -> Vec<u32> {
        let groups = principal.groups.iter().filter_map(|group| self.who.known(Kind::Group, group.as_str()));
        let who: Vec<u32> = [ANY]
            .into_iter()
            .chain(self.who.known(Kind::Name, principal.id.as_str()))
            .chain(groups)
            .collect();
        let tags = target.tags.iter().filter_map(|tag| self.place.known(Kind::Group, tag));
        let place = [ANY].into_iter().chain(self.place.known(Kind::Name, target.name.as_str())).chain(tags);
        let mut found: Vec<u32> = place
            .flat_map(|place| who.iter().map(move |who| (*who, place)))
            .filter_map(|key| self.rules.get(&key))
            .flatten()
            .copied()
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    fn who_key(&mut self, selector: &PrincipalSelector) -> u32 {
        match selector {
            PrincipalSelector::Any => ANY,
            PrincipalSelector::One(id) => self.who.intern(Kind::Name, id.as_str()),
            PrincipalSelector::Group(group) => self.who.intern(Kind::Group, group.as_str()),
        }
    }

    fn place_key(&mut self, expr: &TargetExpr) -> u32 {
        let positive = || expr.factors.iter().filter(|factor| !factor.negated).map(|factor| &factor.of);
        let alias = positive().find_map(|factor| match factor {
            TargetFactor::Alias(name) => Some(name.as_str()),
            TargetFactor::Any
            | TargetFactor::Aliases(_)
            | TargetFactor::Tag(_)
            | TargetFactor::Address(_)
            | TargetFactor::Name(_) => None,
        });
        let tag = positive().find_map(|factor| match factor {
            TargetFactor::Tag(tag) => Some(tag.as_str()),
            TargetFactor::Any
            | TargetFactor::Aliases(_)
            | TargetFactor::Alias(_)
            | TargetFactor::Address(_)
            | TargetFactor::Name(_) => None,
        });
        match (alias, tag) {
            (Some(alias), _) => self.place.intern(Kind::Name, alias),
            (None, Some(tag)) => self.place.intern(Kind::Group, tag),
            (None, None) => ANY,
        }
    }
}

/// Names and groups share no numbers.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Name,
    Group,
}

#[derive(Debug, Default)]
struct Interner {
    names: HashMap<String, u32>,
    groups: HashMap<String, u32>,
}

impl Interner {
    fn known(&self, kind: Kind, text: &str) -> Option<u32> {
        self.of(kind).get(text).copied()
    }

    fn intern(&mut self, kind: Kind, text: &str) -> u32 {
        // Full after four thousand million names, which then all count as "any": slower, never narrower.
        let next = u32::try_from(self.names.len() + self.groups.len() + 1).unwrap_or(ANY);
        let map = match kind {
            Kind::Name => &mut self.names,
            Kind::Group => &mut self.groups,
        };
        *map.entry(text.to_owned()).or_insert(next)
    }

    fn of(&self, kind: Kind) -> &HashMap<String, u32> {
        match kind {
            Kind::Name => &self.names,
            Kind::Group => &self.groups,
        }
    }
}
