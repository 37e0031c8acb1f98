//! What two rules do to each other.

use model::{FileAccess, SubAction};

use super::shadow::{Superfluous, ends, shadows, superfluous};
use super::{Found, LintCode, is_fixed, sample};
use crate::command::{self, CommandPattern};
use crate::path::PathPattern;
use crate::rule::{Effect, Part, PrincipalSelector, Rule};
use crate::{LintWarning, Place, Vocabulary};

/// Above this many rules they are not compared with each other.
const MAX_COMPARED: usize = 2000;

pub(super) fn lint(rules: &[Rule], vocabulary: &Vocabulary, found: &mut Found) {
    if rules.len() > MAX_COMPARED {
        found.warnings.push(not_compared());
        return;
    }
    for (at, rule) in rules.iter().enumerate() {
        found.rule = at;
        match rule.effect {
            Effect::Forbid => shadowed(at, rule, rules, vocabulary, found),
            Effect::Permit if forbidden(rule, rules, vocabulary, found) => {}
            Effect::Permit => {
                shadowed(at, rule, rules, vocabulary, found);
                everything_beside(rule, rules, vocabulary, found);
                avoidable(rule, rules, vocabulary, found);
            }
        }
    }
}

fn avoidable(rule: &Rule, rules: &[Rule], vocabulary: &Vocabulary, found: &mut Found) {
    let unasked = |other: &&Rule| other.effect == Effect::Permit && other.approval.is_none();
    for other in rules.iter().filter(unasked).filter(|_| rule.approval.is_some()) {
        if let Some(example) = way_around(rule, other, vocabulary) {
            let message =
                format!("the approval can be avoided: rule `{}` permits {example} without it", other.name);
            let hint = "narrow the other rule, or widen the commands and tools of this one";
            found.warn(rule, LintCode::ApprovalAvoidable, ("approval", None), message, hint);
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
        found.warn(rule, LintCode::AnyCommand, ("commands", Some(index)), message, hint);
    }
    if let Some((index, pattern)) = open {
        let message = format!(
            "`{pattern}` can do what rule `{}` is about in words that no rule understands",
            other.name
        );
        let hint = "write its words down, or ask for the same approval here";
        found.warn(rule, LintCode::AnyOpaque, ("opaque", Some(index)), message, hint);
    }
}

fn forbidden(rule: &Rule, rules: &[Rule], vocabulary: &Vocabulary, found: &mut Found) -> bool {
    let Some(forbid) = rules.iter().find(|other| ends(other, rule, vocabulary)) else { return false };
    let message = format!("rule `{}` forbids all that this rule permits", forbid.name);
    let key = (rule.tools_key(), None);
    found.warn(rule, LintCode::Forbidden, key, message, "leave one of them out");
    true
}

/// Of two rules that say the same the later one is superfluous.
fn shadowed(at: usize, rule: &Rule, rules: &[Rule], vocabulary: &Vocabulary, found: &mut Found) {
    let wider = rules.iter().enumerate().find(|(other, wide)| {
        *other != at && shadows(wide, rule, vocabulary) && (*other < at || !shadows(rule, wide, vocabulary))
    });
    let Some((_, wide)) = wider else { return entries(rule, found) };
    let does = match rule.effect {
        Effect::Permit => "permits",
        Effect::Forbid => "forbids",
    };
    let message = format!("rule `{}` {does} all that this rule {does}", wide.name);
    let key = (rule.tools_key(), None);
    found.warn(rule, LintCode::Shadowed, key, message, "leave this rule out, or narrow the other");
}

fn entries(rule: &Rule, found: &mut Found) {
    for Superfluous { key, index, entry, within } in superfluous(rule) {
        let message = format!("`{entry}` is within `{within}`, so this entry does nothing");
        found.warn(rule, LintCode::Shadowed, (key, Some(index)), message, "leave one of them out");
    }
}

fn not_compared() -> LintWarning {
    LintWarning {
        code: LintCode::NotCompared,
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
