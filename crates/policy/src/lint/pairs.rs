//! What two rules do to each other.

use model::{FileAccess, SubAction};

use super::{Found, is_fixed, is_operators, sample};
use crate::command::{self, CommandPattern};
use crate::path::PathPattern;
use crate::rule::{Effect, Part, PrincipalSelector, Rule, ToolSelector};
use crate::{LintWarning, Place, Vocabulary};

/// Above this many rules they are not compared with each other.
const MAX_COMPARED: usize = 2000;

pub(super) fn lint(rules: &[Rule], vocabulary: &Vocabulary, found: &mut Found) {
    if rules.len() > MAX_COMPARED {
        found.warnings.push(not_compared());
        return;
    }
    for (at, rule) in rules.iter().enumerate().filter(|(_, rule)| rule.effect == Effect::Permit) {
        found.rule = at;
        let key = (rule.tools_key(), None);
        if let Some(forbid) = rules.iter().find(|other| other.effect == Effect::Forbid && ends(other, rule)) {
            let message = format!("rule `{}` forbids all that this rule permits", forbid.name);
            found.warn(rule, "forbidden", key, message, "leave one of them out");
            continue;
        }
        let others = rules.iter().enumerate().filter(|(other, _)| *other != at);
        let wider = others
            .clone()
            .find(|(other, wide)| adds_nothing(rule, wide) && (*other < at || !adds_nothing(wide, rule)));
        if let Some((_, wide)) = wider {
            let message = format!("rule `{}` permits all that this rule permits", wide.name);
            found.warn(rule, "shadowed", key, message, "leave this rule out, or narrow the other");
        }
        everything_beside(rule, rules, vocabulary, found);
        if rule.approval.is_some() {
            for (_, other) in
                others.filter(|(_, other)| other.effect == Effect::Permit && other.approval.is_none())
            {
                if let Some(example) = way_around(rule, other, vocabulary) {
                    let message = format!(
                        "the approval can be avoided: rule `{}` permits {example} without it",
                        other.name
                    );
                    let hint = "narrow the other rule, or widen the commands and tools of this one";
                    found.warn(rule, "approval-avoidable", ("approval", None), message, hint);
                }
            }
        }
    }
}

/// `**` beside a rule about commands: a forbidden program can be copied under another name. A program that runs others,
/// with words of the caller's choice, needs no copy.
fn everything_beside(rule: &Rule, rules: &[Rule], vocabulary: &Vocabulary, found: &mut Found) {
    let any = rule.commands.iter().flatten().position(CommandPattern::is_any);
    let open = rule.opaque.iter().flatten().enumerate().find(|(_, pattern)| !is_fixed(pattern));
    if rule.approval.is_some() || (any.is_none() && open.is_none()) {
        return;
    }
    let narrows = |other: &&Rule| {
        let some = other.commands.iter().flatten().any(|pattern| !pattern.is_any());
        let asks = match other.effect {
            Effect::Forbid => some,
            Effect::Permit => some && other.approval.is_some(),
        };
        asks && may_meet(rule, other) && share_a_target(rule, other, vocabulary)
    };
    let Some(other) = rules.iter().find(narrows) else { return };
    if let Some(index) = any {
        let message = format!(
            "`**` also permits to copy a program under a name that rule `{}` does not know",
            other.name
        );
        let hint = "list the commands that are needed instead of `**`";
        found.warn(rule, "any-command", ("commands", Some(index)), message, hint);
    }
    if let Some((index, pattern)) = open {
        let message = format!(
            "`{pattern}` can do what rule `{}` is about in words that no rule understands",
            other.name
        );
        let hint = "write its words down, or ask for the same approval here";
        found.warn(rule, "any-opaque", ("opaque", Some(index)), message, hint);
    }
}

fn not_compared() -> LintWarning {
    LintWarning {
        code: "not-compared",
        place: Place::Rule(0),
        field: "rule".to_owned(),
        index: None,
        span: None,
        message: format!(
            "there are more than {MAX_COMPARED} rules, so they were not compared with each other"
        ),
        hint: None,
    }
}

/// Whether the forbid always matches where the permit does.
fn ends(forbid: &Rule, permit: &Rule) -> bool {
    forbid.is_about_everything() && forbid.when.is_none() && covers_scope(forbid, permit)
}

fn adds_nothing(rule: &Rule, wide: &Rule) -> bool {
    let plain = rule.approval.is_none() && rule.networks.is_none() && rule.limits == model::Limits::default();
    let commands =
        |wide: &[CommandPattern], pattern: &CommandPattern| wide.iter().any(|w| w.is_any() || w == pattern);
    let credentials = |wide: &[model::CredentialPattern], pattern| {
        wide.iter().any(|w| *w == model::CredentialPattern::Any || w == pattern)
    };
    wide.effect == Effect::Permit
        && plain
        && wide.when.is_none()
        && covers_scope(wide, rule)
        && rule.commands.iter().flatten().all(|p| commands(wide.commands.as_deref().unwrap_or_default(), p))
        && rule.opaque.iter().flatten().all(|p| commands(wide.opaque.as_deref().unwrap_or_default(), p))
        && [FileAccess::Read, FileAccess::Write].into_iter().all(|access| {
            let wider = wide.files(access).unwrap_or_default();
            rule.files(access).unwrap_or_default().iter().all(|p| wider.iter().any(|w| w.is_any() || w == p))
        })
        && rule
            .credentials
            .iter()
            .flatten()
            .all(|p| credentials(wide.credentials.as_deref().unwrap_or_default(), p))
}

/// By what is written: entry for entry the same, or a `*`.
fn covers_scope(wide: &Rule, narrow: &Rule) -> bool {
    let principals = wide.principals.contains(&PrincipalSelector::Any)
        || narrow.principals.iter().all(|selector| wide.principals.contains(selector));
    let targets = wide.targets.iter().any(|expr| expr.is_any())
        || narrow.targets.iter().all(|expr| wide.targets.contains(expr));
    let tool = |selector: &ToolSelector| {
        let any = wide.tools.contains(&ToolSelector::Any);
        let verb = is_operators(selector);
        wide.tools.contains(selector)
            || (any && (!verb || wide.effect == Effect::Forbid))
            || (verb && wide.tools.contains(&ToolSelector::AnyOperator))
    };
    principals && targets && narrow.tools.iter().all(tool)
}

/// A command that does what the rule wants approved, sent so that only the other rule permits it.
///
/// Other wordings need no look: what the rule asks for holds for them too.
fn way_around(strict: &Rule, lax: &Rule, vocabulary: &Vocabulary) -> Option<String> {
    if !may_meet(strict, lax) || !share_a_target(strict, lax, vocabulary) {
        return None;
    }
    let tool = vocabulary.tools.iter().find(|tool| lax.names_tool(tool) && !strict.names_tool(tool))?;
    let commands = strict.commands.iter().chain(&strict.opaque).flatten().filter_map(sample).map(|sample| {
        let shown = command::simple(&sample);
        (SubAction::Command(sample), shown)
    });
    let files = [FileAccess::Read, FileAccess::Write].into_iter().flat_map(|access| {
        let samples = strict.files(access).unwrap_or_default().iter().filter_map(PathPattern::sample);
        samples.map(move |path| {
            let shown = format!("{} {path}", if access == FileAccess::Read { "<" } else { ">" });
            (SubAction::File { access, path }, shown)
        })
    });
    commands
        .chain(files)
        .find(|(part, _)| lax.covers(&Part::new(part)))
        .map(|(_, shown)| format!("`{shown}` through `{}`", tool.name))
}

fn share_a_target(one: &Rule, other: &Rule, vocabulary: &Vocabulary) -> bool {
    vocabulary.targets.iter().any(|target| one.names_target(target) && other.names_target(target))
}

/// Whether one principal could fall under both; who is in which group is not known here.
fn may_meet(one: &Rule, other: &Rule) -> bool {
    one.principals.iter().any(|a| {
        other.principals.iter().any(|b| match (a, b) {
            (PrincipalSelector::One(a), PrincipalSelector::One(b)) => a == b,
            _ => true,
        })
    })
}
