//! From what stands in a file to a checked rule.

use std::time::Duration;

use cedar_policy::{Expression, Policy, pst};
use model::{CredentialPattern, GroupName, Limits, RuleName};
use serde_spanned::Spanned;

use super::selectors::Refused;
use super::{
    Approval, Arguments, Condition, Effect, PrincipalSelector, RawApproval, RawLimits, RawRule, Rule,
    TargetExpr, ToolSelector, networks,
};
use crate::command::CommandPattern;
use crate::path::PathPattern;
use crate::{RuleProblem, quantity};

/// The most entries one key of a rule may have.
const MAX_ENTRIES: usize = 1000;
/// The longest Cedar expression, in bytes, and how deep it may nest: Cedar's parser recurses. Longer
/// conditions belong into a Cedar file.
const MAX_WHEN: usize = 1024;
const MAX_WHEN_DEPTH: usize = 8;
/// The most operators and dots in it: a chain of them nests too.
const MAX_WHEN_CHAIN: usize = 64;

impl Rule {
    /// Checks everything about a rule that can be known without the inventory and the tools.
    ///
    /// # Errors
    ///
    /// Every problem of the rule, not only the first.
    pub fn parse(raw: RawRule) -> Result<Self, Vec<RuleProblem>> {
        let mut problems = Vec::new();
        for (key, span) in raw.later() {
            problems
                .push(RuleProblem::new(key, format!("`{key}` comes with a later version")).span(Some(span)));
        }
        let name = name(&raw, &mut problems);
        let effect = effect(&raw, &mut problems);
        let tools_key = if raw.forbid.is_some() { "forbid" } else { "allow" };
        let tools = raw.forbid.as_ref().or(raw.allow.as_ref());
        let tools = list(tools, tools_key, &mut problems, ToolSelector::parse);
        let principals =
            required(raw.principals.as_ref(), "principals", &mut problems, PrincipalSelector::parse);
        let targets = required(raw.targets.as_ref(), "targets", &mut problems, TargetExpr::parse);
        let commands = optional(raw.commands.as_ref(), "commands", &mut problems, command);
        let opaque = optional(raw.opaque.as_ref(), "opaque", &mut problems, command);
        let reads = optional(raw.reads.as_ref(), "reads", &mut problems, PathPattern::parse);
        let writes = optional(raw.writes.as_ref(), "writes", &mut problems, PathPattern::parse);
        let credentials = optional(raw.credentials.as_ref(), "credentials", &mut problems, |text| {
            CredentialPattern::parse(text)
                .map_err(|e| (e.to_string(), Some("write `SOURCE:SAFE/OBJECT` with `*`, or `**`".into())))
        });
        let arguments = raw.arguments.as_ref().map(|raw| Arguments::read(raw, &mut problems));
        let networks = raw.networks.as_ref().map(|raw| networks::read(raw, &mut problems));
        let limits =
            raw.limits.as_ref().map_or_else(Limits::default, |limits| read_limits(limits, &mut problems));
        let approval = raw.approval.as_ref().map(|approval| read_approval(approval, &mut problems));
        let when = raw.when.as_ref().and_then(|when| read_when(when, &mut problems));
        match (name, effect) {
            (Some(name), Some(effect)) if problems.is_empty() => Ok(Self {
                name,
                effect,
                tools,
                principals,
                targets,
                commands,
                opaque,
                reads,
                writes,
                credentials,
                arguments,
                networks,
                limits,
                approval,
                when,
                raw,
            }),
            _ => Err(problems),
        }
    }
}

fn name(raw: &RawRule, problems: &mut Vec<RuleProblem>) -> Option<RuleName> {
    let Some(name) = &raw.name else {
        problems
            .push(RuleProblem::new("name", "`name` is missing").hint("denials and audit entries name rules"));
        return None;
    };
    let text = name.get_ref();
    let reserved = text.starts_with("built-in") || text.contains(".cedar#") || text.trim() != text;
    match RuleName::parse(text) {
        Ok(name) if !reserved => Some(name),
        Ok(_) => {
            let message = format!("`{text}` cannot be a rule's name");
            let hint = "it must not begin with `built-in`, hold `.cedar#`, or begin or end with a blank";
            problems.push(RuleProblem::new("name", message).span(Some(name.span())).hint(hint));
            None
        }
        Err(e) => {
            problems.push(RuleProblem::new("name", e.to_string()).span(Some(name.span())));
            None
        }
    }
}

fn effect(raw: &RawRule, problems: &mut Vec<RuleProblem>) -> Option<Effect> {
    let both = "write exactly one of `allow` and `forbid`";
    match (&raw.allow, &raw.forbid) {
        (Some(_), None) => Some(Effect::Permit),
        (None, Some(_)) => {
            let only_permits = [
                ("networks", raw.networks.as_ref().map(Spanned::span)),
                ("limits", raw.limits.as_ref().map(Spanned::span)),
                ("approval", raw.approval.as_ref().map(Spanned::span)),
            ];
            for (key, span) in only_permits {
                if span.is_some() {
                    let message = format!("`{key}` has no meaning in a rule that forbids");
                    problems.push(
                        RuleProblem::new(key, message).span(span).hint("leave it out, or write `allow`"),
                    );
                }
            }
            Some(Effect::Forbid)
        }
        (Some(_), Some(_)) => {
            problems.push(
                RuleProblem::new("forbid", "a rule cannot both allow and forbid")
                    .span(raw.span_of("forbid", None))
                    .hint(both),
            );
            None
        }
        (None, None) => {
            problems.push(RuleProblem::new("rule", "neither `allow` nor `forbid` is written").hint(both));
            None
        }
    }
}

fn required<T>(
    values: Option<&Vec<Spanned<String>>>,
    key: &'static str,
    problems: &mut Vec<RuleProblem>,
    parse: impl Fn(&str) -> Result<T, Refused>,
) -> Vec<T> {
    if values.is_none() {
        let message = format!("`{key}` is missing");
        problems.push(
            RuleProblem::new(key, message).hint(format!("it must be written; `{key} = [\"*\"]` means all")),
        );
    }
    list(values, key, problems, parse)
}

fn optional<T>(
    values: Option<&Vec<Spanned<String>>>,
    key: &'static str,
    problems: &mut Vec<RuleProblem>,
    parse: impl Fn(&str) -> Result<T, Refused>,
) -> Option<Vec<T>> {
    values.map(|values| list(Some(values), key, problems, parse))
}

pub(super) fn list<T>(
    values: Option<&Vec<Spanned<String>>>,
    key: &'static str,
    problems: &mut Vec<RuleProblem>,
    parse: impl Fn(&str) -> Result<T, Refused>,
) -> Vec<T> {
    let Some(values) = values else { return Vec::new() };
    if values.is_empty() {
        let message = format!("`{key}` is empty, so the rule can never match");
        problems.push(RuleProblem::new(key, message).hint("leave the rule out, or say what is meant"));
    }
    if values.len() > MAX_ENTRIES {
        problems.push(RuleProblem::new(key, format!("`{key}` has more than {MAX_ENTRIES} entries")));
        return Vec::new();
    }
    let mut parsed = Vec::new();
    for (index, value) in values.iter().enumerate() {
        match parse(value.get_ref()) {
            Ok(one) => parsed.push(one),
            Err((message, hint)) => {
                let mut problem = RuleProblem::new(key, message).element(index).span(Some(value.span()));
                problem.hint = hint;
                problems.push(problem);
            }
        }
    }
    parsed
}

fn command(text: &str) -> Result<CommandPattern, Refused> {
    CommandPattern::parse(text).map_err(|e| {
        let from = text.get(e.at..).filter(|rest| !rest.is_empty() && e.at > 0);
        let message = match from {
            Some(rest) => format!("{e}, at `{}`", rest.chars().take(40).collect::<String>()),
            None => e.to_string(),
        };
        (message, e.hint)
    })
}

fn read_limits(raw: &Spanned<RawLimits>, problems: &mut Vec<RuleProblem>) -> Limits {
    let RawLimits { timeout, output, calls_per_minute } = raw.get_ref();
    let timeout = timeout
        .as_ref()
        .and_then(|text| read_duration("limits.timeout", text, Duration::from_secs(86_400), problems));
    let output = output.as_ref().and_then(|text| {
        let size = quantity::size(text.get_ref());
        if size.is_none() {
            let message = format!("`{}` is not a size", text.get_ref());
            problems.push(
                RuleProblem::new("limits.output", message)
                    .span(Some(text.span()))
                    .hint("write it as `128KiB`"),
            );
        }
        size
    });
    if let Some(calls) = calls_per_minute.as_ref().filter(|calls| *calls.get_ref() == 0) {
        let hint = "use a rule with `forbid`";
        problems.push(
            RuleProblem::new("limits.calls_per_minute", "0 calls can never be made")
                .span(Some(calls.span()))
                .hint(hint),
        );
    }
    Limits { timeout, output, calls_per_minute: calls_per_minute.as_ref().map(|calls| *calls.get_ref()) }
}

fn read_approval(raw: &Spanned<RawApproval>, problems: &mut Vec<RuleProblem>) -> Approval {
    let RawApproval { by, count, within, reason } = raw.get_ref();
    let groups = list(Some(by), "approval.by", problems, |text| {
        let hint = || Some("approvers are named as `group:NAME`".to_owned());
        let group =
            text.strip_prefix("group:").ok_or_else(|| (format!("`{text}` is not a group"), hint()))?;
        GroupName::parse(group).map_err(|e| (e.to_string(), hint()))
    });
    if let Some(count) = count.as_ref().filter(|count| !(1..=10).contains(count.get_ref())) {
        let message = format!("`{}` approvers cannot be asked for", count.get_ref());
        problems
            .push(RuleProblem::new("approval.count", message).span(Some(count.span())).hint("write 1 to 10"));
    }
    let most = Duration::from_secs(86_400);
    let within = match within {
        Some(text) => read_duration("approval.within", text, most, problems).unwrap_or(most),
        None => Duration::from_secs(900),
    };
    Approval {
        by: groups,
        count: count.as_ref().map_or(1, |count| *count.get_ref()),
        within,
        reason: *reason,
    }
}

fn read_duration(
    field: &str,
    text: &Spanned<String>,
    most: Duration,
    problems: &mut Vec<RuleProblem>,
) -> Option<Duration> {
    let duration = quantity::duration(text.get_ref()).filter(|duration| *duration <= most);
    if duration.is_none() {
        let message = format!("`{}` is not a duration of at most a day", text.get_ref());
        problems.push(
            RuleProblem::new(field, message).span(Some(text.span())).hint("write it as `30s` or `15m`"),
        );
    }
    duration
}

/// Cedar's parser reads the text as one expression; only its JSON form is used from there on, so no text
/// can end the condition and begin something else.
fn read_when(raw: &Spanned<String>, problems: &mut Vec<RuleProblem>) -> Option<Condition> {
    let text = raw.get_ref();
    let json = condition_json(text);
    match json {
        Ok(json) => Some(Condition { json }),
        Err(message) => {
            let hint = "write a Cedar expression such as `context.time.hour >= 8`";
            problems.push(RuleProblem::new("when", message).span(Some(raw.span())).hint(hint));
            None
        }
    }
}

fn condition_json(text: &str) -> Result<serde_json::Value, String> {
    let chain = text.matches(['&', '|']).count() / 2 + text.matches(['+', '*', '.']).count();
    if text.len() > MAX_WHEN || nesting(text) > MAX_WHEN_DEPTH || chain > MAX_WHEN_CHAIN {
        return Err(format!(
            "a condition has at most {MAX_WHEN} bytes, {MAX_WHEN_CHAIN} operators, and {MAX_WHEN_DEPTH} levels of \
             brackets, `if`, `!` and `-`"
        ));
    }
    let expression: Expression = text.parse().map_err(|e| format!("it is not a Cedar expression: {e}"))?;
    let refused = |e: &dyn std::fmt::Display| format!("it cannot be used as a condition: {e}");
    let expression = pst::Expr::try_from(expression.as_ref().clone()).map_err(|e| refused(&e))?;
    let scope = (pst::PrincipalConstraint::Any, pst::ActionConstraint::Any, pst::ResourceConstraint::Any);
    let id = pst::PolicyID("condition".into());
    let mut policy = pst::Template::new(id, pst::Effect::Permit, scope.0, scope.1, scope.2);
    policy.try_add_clause(pst::Clause::When(expression.into())).map_err(|e| refused(&e))?;
    let policy = pst::StaticPolicy::try_from(policy).map_err(|e| refused(&e))?;
    let policy = Policy::from_pst(pst::Policy::Static(policy)).map_err(|e| refused(&e))?;
    let json = policy.to_json().map_err(|e| refused(&e))?;
    json.pointer("/conditions/0/body").cloned().ok_or_else(|| "it cannot be used as a condition".to_owned())
}

/// How deep brackets nest, and every `if`, `!` and `-` as one level more.
fn nesting(text: &str) -> usize {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let ifs = text.split(|c| !word(c)).filter(|part| *part == "if").count();
    bracket_depth(text) + ifs + text.matches(['!', '-']).count()
}

/// How deep brackets nest.
pub(crate) fn bracket_depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for c in text.chars() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}
