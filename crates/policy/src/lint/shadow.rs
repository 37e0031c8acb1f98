//! Which rules say nothing that others do not say already.
//!
//! A yes is certain: leaving the rule out changes no decision and no obligation. A no may be too careful.

use model::FileAccess;

use super::is_operators;
use super::upstreams::names as names_upstreams;
use crate::Vocabulary;
use crate::command::CommandPattern;
use crate::path::PathPattern;
use crate::rule::{Effect, PrincipalSelector, Rule, TargetExpr, ToolSelector};

/// Whether the other rule does all that this one does, where this one asks for nothing.
pub(super) fn shadows(wide: &Rule, rule: &Rule, vocabulary: &Vocabulary) -> bool {
    let unconditional = wide.effect == rule.effect && wide.when.is_none();
    unconditional
        && match rule.effect {
            Effect::Permit => {
                is_plain(rule) && covers_scope(wide, rule, vocabulary) && permits_all(wide, rule)
            }
            Effect::Forbid => covers_scope(wide, rule, vocabulary) && forbids_all(wide, rule),
        }
}

/// Whether the forbid always matches where the permit does.
pub(super) fn ends(forbid: &Rule, permit: &Rule, vocabulary: &Vocabulary) -> bool {
    forbid.effect == Effect::Forbid
        && forbid.is_about_everything()
        && forbid.when.is_none()
        && covers_scope(forbid, permit, vocabulary)
}

/// An entry of a rule that another of the same list holds.
pub(super) struct Superfluous<'a> {
    pub(super) key: &'static str,
    pub(super) index: usize,
    pub(super) entry: &'a CommandPattern,
    pub(super) within: &'a CommandPattern,
}

/// Entries of `commands` and `opaque` without which the rule says the same.
pub(super) fn superfluous(rule: &Rule) -> impl Iterator<Item = Superfluous<'_>> {
    let lists = [("commands", &rule.commands), ("opaque", &rule.opaque)];
    lists.into_iter().flat_map(move |(key, list)| {
        let holds = move |wide: &CommandPattern, entry: &CommandPattern| {
            let widely = entry.is_narrower_wording(wide);
            let strictly = || match key {
                "opaque" => entry.is_within_opaque(wide),
                _ => entry.is_within(wide),
            };
            // An approval is demanded for what is said widely, and permits what is said strictly.
            match (rule.effect, &rule.approval) {
                (Effect::Forbid, _) => widely,
                (Effect::Permit, None) => strictly(),
                (Effect::Permit, Some(_)) => widely && strictly(),
            }
        };
        let list = list.as_deref().unwrap_or_default();
        list.iter().enumerate().filter_map(move |(index, entry)| {
            let other = list.iter().enumerate().find(|(at, wide)| {
                *at != index && holds(wide, entry) && (*at < index || !holds(entry, wide))
            });
            other.map(|(_, within)| Superfluous { key, index, entry, within })
        })
    })
}

fn is_plain(rule: &Rule) -> bool {
    rule.approval.is_none() && rule.networks.is_none() && rule.limits == model::Limits::default()
}

fn permits_all(wide: &Rule, rule: &Rule) -> bool {
    every(&rule.commands, &wide.commands, CommandPattern::is_within)
        && every(&rule.opaque, &wide.opaque, CommandPattern::is_within_opaque)
        && every(&rule.reads, &wide.reads, PathPattern::is_within)
        && every(&rule.writes, &wide.writes, PathPattern::is_within)
        && every(&rule.credentials, &wide.credentials, model::CredentialPattern::is_within)
}

/// Rules that forbid are read widely.
fn forbids_all(wide: &Rule, rule: &Rule) -> bool {
    if wide.is_about_everything() || rule.is_about_everything() {
        return wide.is_about_everything();
    }
    let narrower = CommandPattern::is_narrower_wording;
    let opaque = |pattern: &CommandPattern| {
        // What `commands` forbids is forbidden in opaque commands too.
        wide.opaque.iter().chain(&wide.commands).flatten().any(|wide| narrower(pattern, wide))
    };
    let path = |one: &PathPattern, other: &PathPattern| one == other || other.is_any();
    let files = |access| {
        let wide = wide.files(access).unwrap_or_default();
        rule.files(access).unwrap_or_default().iter().all(|one| wide.iter().any(|other| path(one, other)))
    };
    every(&rule.commands, &wide.commands, narrower)
        && rule.opaque.iter().flatten().all(opaque)
        && files(FileAccess::Read)
        && files(FileAccess::Write)
        && every(&rule.credentials, &wide.credentials, model::CredentialPattern::is_within)
}

/// Whether each entry of one list is within an entry of the other; a missing list has none.
fn every<T>(narrow: &Option<Vec<T>>, wide: &Option<Vec<T>>, within: impl Fn(&T, &T) -> bool) -> bool {
    narrow.iter().flatten().all(|one| wide.iter().flatten().any(|other| within(one, other)))
}

/// Whether the wide rule speaks wherever the narrow one does: to whom, through which tools, about which targets.
fn covers_scope(wide: &Rule, narrow: &Rule, vocabulary: &Vocabulary) -> bool {
    let principals = wide.principals.contains(&PrincipalSelector::Any)
        || narrow.principals.iter().all(|selector| wide.principals.contains(selector));
    let target = |expr: &TargetExpr| {
        wide.targets.iter().any(|other| expr.is_within(narrow.effect, other, wide.effect))
    };
    // One is not within another only because both speak of arguments.
    let arguments = wide.arguments.is_none() || wide.arguments == narrow.arguments;
    principals
        && arguments
        && narrow.targets.iter().all(target)
        && narrow.tools.iter().all(|selector| covers_tools(wide, narrow, selector, vocabulary))
}

/// Whether one names the upstream that has the other.
fn holds(whole: &ToolSelector, one: &ToolSelector) -> bool {
    match (whole, one) {
        (ToolSelector::Upstream(upstream), ToolSelector::One(tool)) => {
            tool.upstream().is_some_and(|(of, _)| of == *upstream)
        }
        (ToolSelector::Upstream(upstream), ToolSelector::Things(things)) => things.upstream == *upstream,
        _ => false,
    }
}

/// Tools that a set or tier holds are looked up; operators' verbs are no tools, so they go by what is written.
fn covers_tools(wide: &Rule, narrow: &Rule, selector: &ToolSelector, vocabulary: &Vocabulary) -> bool {
    let verbs = is_operators(selector) || (*selector == ToolSelector::Any && narrow.effect == Effect::Forbid);
    let any = wide.tools.contains(&ToolSelector::Any);
    let of_this = |tool: &&crate::ToolFacts| selector.matches(tool, narrow.effect);
    // What upstreams have is not known here: their tools go by what is written, too.
    let upstreams =
        names_upstreams(selector) || (*selector == ToolSelector::Any && !vocabulary.upstreams.is_empty());
    wide.tools.contains(selector)
        || (names_upstreams(selector) && wide.tools.iter().any(|other| holds(other, selector)))
        || (any && (!verbs || wide.effect == Effect::Forbid))
        || (is_operators(selector) && wide.tools.contains(&ToolSelector::AnyOperator))
        || (!verbs && !upstreams && vocabulary.tools.iter().filter(of_this).all(|tool| wide.names_tool(tool)))
}
