//! Why not, and what would do: never more than the principal can already find out, never a way around an approval.

mod offers;

use model::{ErrorCode, FileAccess, LexicalPath, RuleName, SimpleCommand, SubAction, Target};

use offers::Offers;

use crate::authorise::{Asked, Considered};
use crate::command::{self, CommandPattern, WordPattern};
use crate::rule::{Part, Rule};
use crate::{Denial, NetworkFence, Snapshot};

/// Why a part is not permitted.
pub(crate) enum Refusal {
    /// The tool is not in the vocabulary of this snapshot.
    UnknownTool,
    /// The command can do what its words do not show.
    Opaque(&'static str),
    /// A rule forbids it.
    Forbidden(Option<RuleName>),
    /// A policy could not be evaluated. What Cedar says about it holds values of the policy, so it is not kept.
    Failed(Option<RuleName>),
    /// Nothing permits it.
    NoRule,
}

pub(crate) fn nothing_asked() -> Denial {
    plain(ErrorCode::DeniedNoRule, None, "the action has no parts, so there is nothing to permit".to_owned())
}

pub(crate) fn unsayable() -> Denial {
    let reason = "the facts of the call could not be put to the policy, so nothing is permitted".to_owned();
    plain(ErrorCode::DeniedForbidden, None, reason)
}

/// The denial of a target that no connector could dial, because its address is written and a fence refuses it.
pub(crate) fn undiallable(
    target: &Target,
    network: &NetworkFence,
    rules: &[(RuleName, NetworkFence)],
) -> Option<Denial> {
    let address = target.literal_address()?;
    let (rule, by) = if network.admits(address) {
        let (rule, _) = rules.iter().find(|(_, fence)| !fence.admits(address))?;
        (Some(rule.clone()), format!("`networks` of rule `{rule}`"))
    } else {
        (None, "`[network]` of the configuration".to_owned())
    };
    let reason = format!("{by} does not let `{}` be dialled at `{address}`", target.name);
    let mut denial = plain(ErrorCode::DeniedNetwork, rule, reason);
    denial.hint =
        Some("the operator decides on networks; of several rules each must admit the address".to_owned());
    Some(denial)
}

/// The denial of an action for one of its parts.
pub(crate) fn denial(
    snapshot: &Snapshot,
    asked: Asked<'_>,
    considered: &Considered<'_>,
    (parts, at): (&[SubAction], usize),
    refusal: Refusal,
) -> Denial {
    let Some(part) = parts.get(at) else { return nothing_asked() };
    let offers = || Offers { snapshot, asked, considered, parts, at }.lines();
    let what = describe(asked, considered, part);
    match refusal {
        Refusal::UnknownTool => plain(
            ErrorCode::DeniedNoRule,
            None,
            format!("the tool `{}` is not known to the policy", asked.tool.name),
        ),
        Refusal::Opaque(reason) => {
            let (rule, why) = nearest_opaque(considered, part);
            let reason =
                format!("{what}: the program {reason}, so its words do not show what it would do{why}");
            let mut denial = plain(ErrorCode::DeniedCommand, rule.map(|rule| rule.name.clone()), reason);
            denial.hint = Some("call the program that is meant directly; only a rule that names this one in `opaque` permits it".to_owned());
            denial.allowed_instead = offers();
            denial
        }
        Refusal::Forbidden(rule) => {
            let by = rule.as_ref().map_or_else(|| "a rule".to_owned(), |rule| format!("rule `{rule}`"));
            let mut denial = plain(ErrorCode::DeniedForbidden, rule, format!("{what}: {by} forbids it"));
            denial.hint = Some("no other rule can permit what a rule forbids".to_owned());
            denial
        }
        Refusal::Failed(rule) => {
            let by = rule.as_ref().map_or_else(String::new, |rule| format!(" rule `{rule}`"));
            let reason = format!("{what}: the policy{by} could not be evaluated, so nothing is permitted");
            let mut denial = plain(ErrorCode::DeniedForbidden, rule, reason);
            denial.hint = Some("the operator must correct the condition of that rule".to_owned());
            denial
        }
        Refusal::NoRule => no_rule(snapshot, asked, considered, part, &what, offers),
    }
}

fn no_rule(
    snapshot: &Snapshot,
    asked: Asked<'_>,
    considered: &Considered<'_>,
    part: &SubAction,
    what: &str,
    offers: impl Fn() -> Vec<String>,
) -> Denial {
    if considered.permits().next().is_none() {
        let reason = format!(
            "no rule lets `{}` use `{}` on `{}`",
            asked.principal.id, asked.tool.name, considered.target.name
        );
        let mut denial = plain(ErrorCode::DeniedNoRule, None, reason);
        let elsewhere = snapshot.visible(asked.principal, asked.tool);
        denial.hint = Some(if elsewhere {
            "rules permit the tool on other targets only; the operator can add this target".to_owned()
        } else {
            "ask the operator for a rule that allows it".to_owned()
        });
        return denial;
    }
    let code = match part {
        SubAction::Command(_) | SubAction::File { .. } => ErrorCode::DeniedCommand,
        SubAction::Whole | SubAction::Upstream(_) | SubAction::Credential { .. } => ErrorCode::DeniedNoRule,
    };
    let (rule, why) = match considered.permits().find(|r| r.rule.covers(&Part::new(part))) {
        Some(r) => {
            (Some(r.rule.as_ref()), "would permit it, but its condition `when` does not hold now".to_owned())
        }
        None => nearest(considered, part),
    };
    let reason = match rule {
        Some(rule) => format!("{what}: no rule permits it; the nearest, `{}`, {why}", rule.name),
        None => format!("{what}: no rule permits it"),
    };
    let mut denial = plain(code, rule.map(|rule| rule.name.clone()), reason);
    denial.allowed_instead = offers();
    denial.hint = Some(if denial.allowed_instead.is_empty() {
        "ask the operator for a rule that allows it".to_owned()
    } else {
        "lines such as those in `allowed_instead` are permitted here".to_owned()
    });
    denial
}

/// The rule that permits most of what was asked, and where it stops.
fn nearest<'a>(considered: &Considered<'a>, part: &SubAction) -> (Option<&'a Rule>, String) {
    match part {
        SubAction::Whole => (None, String::new()),
        SubAction::Upstream(_) => {
            let rule = considered.permits().map(|r| r.rule.as_ref()).find(|rule| rule.arguments.is_some());
            (rule, "is about other `arguments`".to_owned())
        }
        SubAction::Credential { credential, .. } => {
            let rule = considered.permits().map(|r| r.rule.as_ref()).find(|rule| rule.credentials.is_some());
            (rule, format!("is about other credentials than `{credential}`"))
        }
        SubAction::File { access, path } => nearest_file(considered, *access, path),
        SubAction::Command(command) => {
            let patterns =
                considered.permits().flat_map(|r| r.rule.commands.iter().flatten().map(|p| (&r.rule, p)));
            let best = patterns.max_by_key(|(_, pattern)| agreeing(pattern, command));
            match best {
                Some((rule, pattern)) => {
                    (Some(rule), format!("permits `{pattern}`: {}", differs(pattern, command)))
                }
                None => match considered.permits().next() {
                    Some(r) => {
                        (Some(r.rule.as_ref()), "has no `commands`, and any must be written".to_owned())
                    }
                    None => (None, String::new()),
                },
            }
        }
    }
}

/// The rule whose `opaque` comes nearest, and where it stops.
fn nearest_opaque<'a>(considered: &Considered<'a>, part: &SubAction) -> (Option<&'a Rule>, String) {
    let SubAction::Command(command) = part else { return (None, String::new()) };
    let patterns = considered.permits().flat_map(|r| r.rule.opaque.iter().flatten().map(|p| (&r.rule, p)));
    match patterns.max_by_key(|(_, pattern)| agreeing(pattern, command)) {
        Some((rule, pattern)) => {
            let why = differs(pattern, command);
            (Some(rule), format!("; the nearest rule, `{}`, has `{pattern}` in `opaque`: {why}", rule.name))
        }
        None => (None, String::new()),
    }
}

fn nearest_file<'a>(
    considered: &Considered<'a>,
    access: FileAccess,
    path: &LexicalPath,
) -> (Option<&'a Rule>, String) {
    let key = access.as_str();
    let patterns = considered
        .permits()
        .flat_map(|r| r.rule.files(access).unwrap_or_default().iter().map(|pattern| (&r.rule, pattern)));
    match patterns.max_by_key(|(_, pattern)| pattern.agreeing(path)) {
        Some((rule, pattern)) => {
            (Some(rule), format!("has `{pattern}` in `{key}s`: {}", pattern.differs(path)))
        }
        None => match considered.permits().next() {
            Some(r) => (Some(r.rule.as_ref()), format!("has no `{key}s`, and any must be written")),
            None => (None, String::new()),
        },
    }
}

/// How many words from the start agree.
fn agreeing(pattern: &CommandPattern, command: &SimpleCommand) -> usize {
    pattern.words().iter().zip(&command.words).take_while(|(pattern, word)| pattern.matches(word)).count()
}

fn differs(pattern: &CommandPattern, command: &SimpleCommand) -> String {
    let at = agreeing(pattern, command);
    let wildcard =
        matches!(pattern.words().get(at), Some(WordPattern::One | WordPattern::Many | WordPattern::Glob(_)));
    match command.words.get(at) {
        Some(word) if at < pattern.words().len() && wildcard && word.starts_with('-') => {
            format!("word {} is an option, which no wildcard stands for", at + 1)
        }
        Some(word) if at < pattern.words().len() => format!("word {} is `{}`", at + 1, shorten(word)),
        Some(_) => format!("it has only {} words", pattern.words().len()),
        None => format!("word {} is missing", at + 1),
    }
}

fn describe(asked: Asked<'_>, considered: &Considered<'_>, part: &SubAction) -> String {
    let target = &considered.target.name;
    match part {
        SubAction::Whole | SubAction::Upstream(_) => format!("`{}` on `{target}`", asked.tool.name),
        SubAction::Command(command) => {
            format!("the command `{}` on `{target}`", shorten(&command::simple(command)))
        }
        SubAction::File { access, path } => {
            let act = match access {
                FileAccess::Read => "reading",
                FileAccess::Write => "writing",
            };
            format!("{act} `{}` by redirection on `{target}`", shorten(path.as_str()))
        }
        SubAction::Credential { credential, .. } => format!("the credential `{credential}` on `{target}`"),
    }
}

fn shorten(text: &str) -> String {
    let mut short: String = text.chars().take(120).collect();
    if short.len() < text.len() {
        short.push_str("...");
    }
    short
}

fn plain(code: ErrorCode, rule: Option<RuleName>, reason: String) -> Denial {
    Denial { code, rule, reason, hint: None, allowed_instead: Vec::new() }
}
