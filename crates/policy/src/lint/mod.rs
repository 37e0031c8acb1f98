//! What is allowed but probably not meant. Warnings never change a decision.

mod code;
mod pairs;
mod shadow;
#[cfg(test)]
mod tests;
mod upstreams;

use std::collections::BTreeSet;

use model::{End, Redirection, SimpleCommand};

use crate::command::{self, CommandPattern, WordPattern};
use crate::problem::Place;
use crate::rule::{
    Effect, Factor, PrincipalSelector, Rule, TargetExpr, TargetFactor, ToolSelector, is_operator,
};
use crate::{LintWarning, ToolFacts, Vocabulary};

pub use code::LintCode;

/// Everything doubtful about the rules, in their order.
pub(crate) fn lint(rules: &[Rule], vocabulary: &Vocabulary) -> Vec<LintWarning> {
    let tags: BTreeSet<&str> = vocabulary.targets.iter().flat_map(|t| &t.tags).map(String::as_str).collect();
    let mut found = Found::default();
    for (at, rule) in rules.iter().enumerate() {
        found.rule = at;
        people(rule, vocabulary, &mut found);
        targets(rule, vocabulary, &tags, &mut found);
        commands(rule, &mut found);
        opaque(rule, &mut found);
        files(rule, &mut found);
        parts(rule, vocabulary, &mut found);
        upstreams::lint(rule, vocabulary, &mut found);
    }
    pairs::lint(rules, vocabulary, &mut found);
    found.warnings.sort_by_key(|warning| warning.place);
    found.warnings
}

/// Warnings so far, and which rule is looked at.
#[derive(Default)]
struct Found {
    rule: usize,
    warnings: Vec<LintWarning>,
}

impl Found {
    fn warn(&mut self, rule: &Rule, code: LintCode, at: (&str, Option<usize>), message: String, hint: &str) {
        self.warnings.push(LintWarning {
            code,
            place: Place::Rule(self.rule),
            field: at.0.to_owned(),
            index: at.1,
            span: rule.raw.span_of(at.0, at.1),
            message,
            hint: Some(hint.to_owned()),
        });
    }
}

fn people(rule: &Rule, vocabulary: &Vocabulary, found: &mut Found) {
    let unknown_group = |group| !vocabulary.groups.contains(group);
    for (index, selector) in rule.principals.iter().enumerate() {
        let at = ("principals", Some(index));
        match selector {
            PrincipalSelector::One(id) if !vocabulary.principals.contains(id) => {
                found.warn(
                    rule,
                    LintCode::UnknownPrincipal,
                    at,
                    format!("no principal is called `{id}`"),
                    CONFIGURATION,
                );
            }
            PrincipalSelector::Group(group) if unknown_group(group) => {
                found.warn(
                    rule,
                    LintCode::UnknownGroup,
                    at,
                    format!("no principal is in a group `{group}`"),
                    CONFIGURATION,
                );
            }
            PrincipalSelector::Any | PrincipalSelector::One(_) | PrincipalSelector::Group(_) => {}
        }
    }
    for group in rule.approval.iter().flat_map(|approval| &approval.by).filter(|group| unknown_group(group)) {
        let message = format!("no principal is in a group `{group}`, so nobody could approve");
        found.warn(rule, LintCode::UnknownGroup, ("approval", None), message, CONFIGURATION);
    }
}

const CONFIGURATION: &str = "principals and their groups are written in the configuration";

fn targets(rule: &Rule, vocabulary: &Vocabulary, tags: &BTreeSet<&str>, found: &mut Found) {
    for (index, expr) in rule.targets.iter().enumerate() {
        let at = ("targets", Some(index));
        let unknown = expr.factors.iter().find_map(|factor| unknown_factor(&factor.of, vocabulary, tags));
        if let Some((code, message)) = unknown {
            found.warn(rule, code, at, message, INVENTORY);
        } else if !expr.names_outside() && !matches_something(expr, rule.effect, vocabulary) {
            let message = "no target of the inventory matches".to_owned();
            found.warn(rule, LintCode::NoTarget, at, message, INVENTORY);
        }
        let name = |factor: &Factor| !factor.negated && matches!(factor.of, TargetFactor::Name(_));
        let bounded = rule.networks.as_ref().is_some_and(|networks| !networks.allow.is_empty());
        if rule.effect == Effect::Permit && !bounded && expr.factors.iter().any(name) {
            let message = "DNS alone decides which machines these names lead to".to_owned();
            let hint = "bound them: `networks = { allow = [\"10.0.0.0/8\"] }`";
            found.warn(rule, LintCode::NameUnbounded, at, message, hint);
        }
    }
}

const INVENTORY: &str = "targets and their tags are written in the inventory";

fn unknown_factor(
    factor: &TargetFactor,
    vocabulary: &Vocabulary,
    tags: &BTreeSet<&str>,
) -> Option<(LintCode, String)> {
    match factor {
        TargetFactor::Any | TargetFactor::Aliases(_) | TargetFactor::Address(_) | TargetFactor::Name(_) => {
            None
        }
        TargetFactor::Alias(name) => {
            let known =
                name.as_str() == model::Target::GATEWAY || vocabulary.targets.iter().any(|t| t.name == *name);
            (!known).then(|| (LintCode::UnknownTarget, format!("no target is called `{name}`")))
        }
        TargetFactor::Tag(tag) => (!tags.contains(tag.as_str()))
            .then(|| (LintCode::UnknownTag, format!("no target has the tag `{tag}`"))),
    }
}

fn matches_something(expr: &TargetExpr, effect: Effect, vocabulary: &Vocabulary) -> bool {
    let gateway = model::Target::gateway();
    std::iter::once(&gateway).chain(&vocabulary.targets).any(|target| expr.matches(target, effect))
}

fn commands(rule: &Rule, found: &mut Found) {
    for (index, pattern) in rule.commands.iter().flatten().enumerate() {
        let Some(sample) = sample(pattern) else { continue };
        let at = ("commands", Some(index));
        if let Err(refused) = command::parse(&command::simple(&sample)) {
            let message = format!("`{pattern}` can never match: {refused}");
            found.warn(
                rule,
                LintCode::NeverMatches,
                at,
                message,
                "commands like it are refused before any rule is asked",
            );
            continue;
        }
        if rule.effect == Effect::Forbid && has_option(pattern) {
            let message = format!("`{pattern}` names an option, which may have another spelling");
            let hint = "leave the option out, so that the command is forbidden with any";
            found.warn(rule, LintCode::OptionSpelling, at, message, hint);
        }
        if let Some(reason) = command::opaque(&sample).filter(|_| rule.effect == Effect::Permit) {
            let message = format!("`{pattern}` is opaque and not permitted by this: the program {reason}");
            found.warn(
                rule,
                LintCode::Opaque,
                at,
                message,
                "what is opaque is permitted by `opaque = [...]` alone",
            );
        }
    }
}

/// Entries of `opaque` that are never used, and such that let more through than a reader may think.
fn opaque(rule: &Rule, found: &mut Found) {
    for (index, pattern) in rule.opaque.iter().flatten().enumerate() {
        let at = ("opaque", Some(index));
        let Some(sample) = sample(pattern) else { continue };
        if let Err(refused) = command::parse(&command::simple(&sample)) {
            let message = format!("`{pattern}` can never match: {refused}");
            found.warn(
                rule,
                LintCode::NeverMatches,
                at,
                message,
                "commands like it are refused before any rule is asked",
            );
        } else if !may_be_opaque(pattern, &sample) {
            let message = format!("`{pattern}` is not opaque, so this entry does nothing");
            found.warn(rule, LintCode::NotOpaque, at, message, "what is understood is named in `commands`");
        }
    }
}

/// By name a program is opaque if it is so with any words; wildcards may stand for words that make it so.
fn may_be_opaque(pattern: &CommandPattern, sample: &SimpleCommand) -> bool {
    let named = sample.words.first().is_some_and(|program| command::is_opaque_with_some(program));
    command::opaque(sample).is_some() || (!is_fixed(pattern) && named)
}

/// Whether every word is written down, so that whoever sends the command chooses nothing of it. A program alone is not:
/// many read what they are to do from a pipe.
fn is_fixed(pattern: &CommandPattern) -> bool {
    pattern.words().len() > 1
        && pattern.words().iter().all(|word| matches!(word, WordPattern::Literal(_) | WordPattern::Int))
}

/// Paths that are refused before any rule is asked.
fn files(rule: &Rule, found: &mut Found) {
    for (key, patterns) in [("reads", &rule.reads), ("writes", &rule.writes)] {
        for (index, pattern) in patterns.iter().flatten().enumerate() {
            let Some(sample) = pattern.sample() else { continue };
            let mut example = SimpleCommand::new(vec!["cat".to_owned()]);
            example.redirections.push(Redirection { descriptor: 0, end: End::Read(sample) });
            if let Err(refused) = command::parse(&command::simple(&example)) {
                let message = format!("`{pattern}` can never match: {refused}");
                let hint = "`/dev/null` needs no rule, and nothing else of these folders can be redirected";
                found.warn(rule, LintCode::NeverMatches, (key, Some(index)), message, hint);
            }
        }
    }
}

fn has_option(pattern: &CommandPattern) -> bool {
    let option = |word: &WordPattern| matches!(word, WordPattern::Literal(text) if text.len() > 1 && text.starts_with('-'));
    pattern.words().iter().any(option)
}

/// Tools whose callers write commands or credentials, as far as their names say.
fn parts(rule: &Rule, vocabulary: &Vocabulary, found: &mut Found) {
    let names = |wanted: fn(&ToolFacts) -> bool| {
        vocabulary.tools.iter().any(|tool| wanted(tool) && rule.names_tool(tool))
    };
    let executes = names(|tool| tool.set.as_str() == "exec");
    let credentials = names(|tool| tool.name.as_str() == "get_credential");
    let others = names(|tool| tool.set.as_str() != "exec" && tool.name.as_str() != "get_credential");
    let key = (rule.tools_key(), None);
    let useful = others
        || (executes && (rule.commands.is_some() || rule.opaque.is_some()))
        || (credentials && rule.credentials.is_some());
    let elsewhere = rule.tools.iter().any(|selector| is_operators(selector) || upstreams::names(selector));
    if rule.effect == Effect::Permit && !useful && !elsewhere {
        let message = "the rule permits nothing: its tools need `commands` or `credentials`".to_owned();
        found.warn(
            rule,
            LintCode::PermitsNothing,
            key,
            message,
            "any must be written: `commands = [\"**\"]`",
        );
    }
    if rule.credentials.is_some() && !credentials {
        let message = "`credentials` is about `get_credential`, which the rule does not name".to_owned();
        found.warn(
            rule,
            LintCode::UnusedKey,
            ("credentials", None),
            message,
            "name the tool, or leave the key out",
        );
    }
}

fn is_operators(selector: &ToolSelector) -> bool {
    match selector {
        ToolSelector::AnyOperator => true,
        ToolSelector::One(name) => is_operator(name),
        ToolSelector::Any
        | ToolSelector::Upstream(_)
        | ToolSelector::Things(_)
        | ToolSelector::Set(_)
        | ToolSelector::Tier(_) => false,
    }
}

/// A command that the pattern matches; `None` for `**`, which needs none.
fn sample(pattern: &CommandPattern) -> Option<SimpleCommand> {
    if pattern.is_any() {
        return None;
    }
    let words = pattern.words().iter().filter_map(|word| match word {
        WordPattern::Literal(text) => Some(text.clone()),
        WordPattern::Glob(star) => Some(star.segments().join("x")),
        WordPattern::One | WordPattern::Word | WordPattern::Unit => Some("x".to_owned()),
        WordPattern::Int => Some("1".to_owned()),
        WordPattern::Path(prefix) => Some(format!("{}/x", prefix.trim_end_matches('/'))),
        WordPattern::Many => None,
    });
    let words: Vec<String> = words.collect();
    (!words.is_empty()).then(|| SimpleCommand::new(words))
}
