//! A rule as a Cedar policy, through Cedar's JSON form.

use cedar_policy::{Policy, PolicyId};
use model::{FileAccess, Target, Thing};
use serde_json::{Value, json};

use super::names;
use crate::command::Star;
use crate::rule::{Effect, PrincipalSelector, Rule, TargetExpr, TargetFactor, ToolSelector};
use crate::vocabulary::BUILT_IN;

/// The Cedar policy of a rule.
///
/// # Errors
///
/// What Cedar says when it does not take the policy; for a checked rule that is a defect.
pub(crate) fn rule_policy(rule: &Rule, id: &str) -> Result<Policy, String> {
    let mut conditions = Vec::new();
    let principal = match rule.principals.as_slice() {
        [PrincipalSelector::One(id)] => json!({ "op": "==", "entity": uid(names::PRINCIPAL, id.as_str()) }),
        [PrincipalSelector::Group(group)] => {
            json!({ "op": "in", "entity": uid(names::GROUP, group.as_str()) })
        }
        several => {
            conditions.extend(any_of(several.iter().map(principal_condition)));
            json!({ "op": "All" })
        }
    };
    conditions.extend(upstream_condition(rule));
    conditions.extend(any_of(rule.targets.iter().map(target_condition)));
    // A rule that forbids everything need not be matched outside of Cedar.
    let by_address = rule.targets.iter().any(TargetExpr::names_outside);
    let by_pattern = rule.tools.iter().any(|selector| matches!(selector, ToolSelector::Things(_)));
    if rule.effect == Effect::Permit || !rule.is_about_everything() || by_address || by_pattern {
        let matched = json!({ ".": { "left": var("context"), "attr": "matched" } });
        conditions.push(json!({ "contains": { "left": matched, "right": value(rule.name.as_str()) } }));
    }
    conditions.extend(rule.when.as_ref().map(|when| when.json.clone()));
    policy(id, rule.effect, &principal, &action(rule), conditions, annotations(rule))
}

/// The policy behind what needs no rule.
pub(crate) fn built_in_policy(id: &str) -> Result<Policy, String> {
    let tools: Vec<Value> = BUILT_IN.iter().map(|tool| uid(names::ACTION, tool)).collect();
    let all = json!({ "op": "All" });
    let action = json!({ "op": "in", "entities": tools });
    let gateway = binary("==", var("resource"), entity(names::TARGET, Target::GATEWAY));
    let notes = json!({ "name": "built-in", "note": "needs no rule; a rule that forbids ends it" });
    policy(id, Effect::Permit, &all, &action, vec![gateway], notes)
}

fn policy(
    id: &str,
    effect: Effect,
    principal: &Value,
    action: &Value,
    conditions: Vec<Value>,
    annotations: Value,
) -> Result<Policy, String> {
    let effect = match effect {
        Effect::Permit => "permit",
        Effect::Forbid => "forbid",
    };
    let conditions: Vec<Value> =
        conditions.into_iter().map(|body| json!({ "kind": "when", "body": body })).collect();
    let json = json!({
        "effect": effect,
        "principal": principal,
        "action": action,
        "resource": { "op": "All" },
        "conditions": conditions,
        "annotations": annotations,
    });
    let policy = Policy::from_json(Some(PolicyId::new(id)), json).map_err(|e| e.to_string())?;
    // The same policy in the form whose copies share their expressions: a decision copies what it slices.
    Policy::from_pst(policy.to_pst().map_err(|e| e.to_string())?).map_err(|e| e.to_string())
}

fn action(rule: &Rule) -> Value {
    let mut entities = Vec::new();
    for selector in &rule.tools {
        entities.push(match selector {
            ToolSelector::Any if rule.effect == Effect::Forbid => return json!({ "op": "All" }),
            ToolSelector::Any => uid(names::ACTION, names::ALL_TOOLS),
            ToolSelector::Upstream(_) => {
                entities.extend(names::UPSTREAM_ACTIONS.map(|action| uid(names::ACTION, action)));
                continue;
            }
            ToolSelector::Things(things) => uid(names::ACTION, action_on(things.thing)),
            ToolSelector::One(name) if name.upstream().is_some() => uid(names::ACTION, names::UPSTREAM_CALL),
            ToolSelector::One(name) => uid(names::ACTION, name.as_str()),
            ToolSelector::Set(set) => uid(names::ACTION, &format!("set:{set}")),
            ToolSelector::Tier(tier) => uid(names::ACTION, &format!("tier:{}", tier.as_str())),
            ToolSelector::AnyOperator => uid(names::ACTION, names::ALL_VERBS),
        });
    }
    json!({ "op": "in", "entities": entities })
}

fn action_on(thing: Thing) -> &'static str {
    match thing {
        Thing::Tool => names::UPSTREAM_CALL,
        Thing::Resource => names::UPSTREAM_READ,
        Thing::Prompt => names::UPSTREAM_PROMPT,
    }
}

/// Which things of upstreams are meant: all of a kind are one action. Patterns are matched outside of Cedar.
fn upstream_condition(rule: &Rule) -> Option<Value> {
    let mut any = false;
    let mut tools = Vec::new();
    for selector in &rule.tools {
        match selector {
            ToolSelector::Any => any = true,
            ToolSelector::Upstream(upstream) => {
                tools.push(binary("in", var("resource"), entity(names::TARGET, upstream.as_str())));
            }
            ToolSelector::Things(things) => {
                let action = binary("==", var("action"), entity(names::ACTION, action_on(things.thing)));
                let whose = binary("in", var("resource"), entity(names::TARGET, things.upstream.as_str()));
                tools.push(binary("&&", action, whose));
            }
            ToolSelector::One(name) => tools.extend(name.upstream().map(|(upstream, tool)| {
                let tool = format!("{upstream}/{tool}");
                binary("==", var("resource"), entity(names::UPSTREAM_TOOL, &tool))
            })),
            ToolSelector::Set(_) | ToolSelector::Tier(_) | ToolSelector::AnyOperator => {}
        }
    }
    let theirs =
        names::UPSTREAM_ACTIONS.map(|action| binary("==", var("action"), entity(names::ACTION, action)));
    let theirs = theirs.into_iter().reduce(|left, right| binary("||", left, right))?;
    let other = json!({ "!": { "arg": theirs } });
    let others = rule.tools.iter().any(|selector| !is_upstreams(selector));
    let meant = tools.into_iter().reduce(|left, right| binary("||", left, right)).filter(|_| !any)?;
    Some(if others { binary("||", other, meant) } else { meant })
}

fn is_upstreams(selector: &ToolSelector) -> bool {
    match selector {
        ToolSelector::Upstream(_) | ToolSelector::Things(_) => true,
        ToolSelector::One(name) => name.upstream().is_some(),
        ToolSelector::Any | ToolSelector::Set(_) | ToolSelector::Tier(_) | ToolSelector::AnyOperator => false,
    }
}

/// `None` when nothing is narrowed: some alternative is always true.
fn any_of(alternatives: impl Iterator<Item = Option<Value>>) -> Option<Value> {
    let alternatives: Option<Vec<Value>> = alternatives.collect();
    alternatives?.into_iter().reduce(|left, right| binary("||", left, right))
}

fn principal_condition(selector: &PrincipalSelector) -> Option<Value> {
    match selector {
        PrincipalSelector::Any => None,
        PrincipalSelector::One(id) => {
            Some(binary("==", var("principal"), entity(names::PRINCIPAL, id.as_str())))
        }
        PrincipalSelector::Group(group) => {
            Some(binary("in", var("principal"), entity(names::GROUP, group.as_str())))
        }
    }
}

fn target_condition(expr: &TargetExpr) -> Option<Value> {
    let mut factors: Vec<Value> = Vec::new();
    if expr.is_only_negative() {
        let kind = json!({ ".": { "left": var("resource"), "attr": "kind" } });
        factors.push(json!({ "!": { "arg": binary("==", kind, value("gateway")) } }));
    }
    for factor in &expr.factors {
        let Some(condition) = factor_condition(&factor.of) else { continue };
        factors.push(if factor.negated { json!({ "!": { "arg": condition } }) } else { condition });
    }
    factors.into_iter().reduce(|left, right| binary("&&", left, right))
}

fn factor_condition(factor: &TargetFactor) -> Option<Value> {
    match factor {
        TargetFactor::Any => None,
        TargetFactor::Alias(name) => {
            Some(binary("in", var("resource"), entity(names::TARGET, name.as_str())))
        }
        TargetFactor::Tag(tag) => Some(binary("in", var("resource"), entity(names::TAG, tag))),
        TargetFactor::Aliases(star) => {
            let name = json!({ ".": { "left": var("resource"), "attr": "name" } });
            Some(json!({ "like": { "left": name, "pattern": like(star) } }))
        }
        // Matched outside of Cedar, in any spelling of the address: `context.matched` says so.
        TargetFactor::Address(_) | TargetFactor::Name(_) => None,
    }
}

fn like(star: &Star) -> Vec<Value> {
    let mut pattern = Vec::new();
    for (at, segment) in star.segments().iter().enumerate() {
        if at > 0 {
            pattern.push(json!("Wildcard"));
        }
        if !segment.is_empty() {
            pattern.push(json!({ "Literal": segment }));
        }
    }
    pattern
}

/// What Cedar does not evaluate, for people who read the policy: name, words, credentials, obligations.
fn annotations(rule: &Rule) -> Value {
    let mut notes = serde_json::Map::new();
    let mut note = |key: &str, text: String| notes.insert(key.to_owned(), Value::String(text));
    note("name", rule.name.to_string());
    let listed =
        |items: Vec<String>| items.iter().map(|item| format!("`{item}`")).collect::<Vec<_>>().join(", ");
    let things: Vec<String> = rule.tools.iter().filter_map(things).collect();
    if !things.is_empty() {
        note("things", listed(things));
    }
    if let Some(commands) = &rule.commands {
        note("commands", listed(commands.iter().map(ToString::to_string).collect()));
    }
    if let Some(opaque) = &rule.opaque {
        note("opaque", listed(opaque.iter().map(ToString::to_string).collect()));
    }
    for access in [FileAccess::Read, FileAccess::Write] {
        if let Some(files) = rule.files(access) {
            note(&format!("{}s", access.as_str()), listed(files.iter().map(ToString::to_string).collect()));
        }
    }
    if let Some(credentials) = &rule.credentials {
        note("credentials", listed(credentials.iter().map(ToString::to_string).collect()));
    }
    if let Some(arguments) = &rule.arguments {
        note("arguments", arguments.to_string());
    }
    if rule.targets.iter().any(TargetExpr::names_outside) {
        let written = rule.raw.targets.iter().flatten();
        note("targets", listed(written.map(|target| target.get_ref().clone()).collect()));
    }
    if let Some(fence) = &rule.networks {
        let nets = |nets: &[ipnet::IpNet]| listed(nets.iter().map(ToString::to_string).collect());
        note("networks", format!("allow {}; block {}", nets(&fence.allow), nets(&fence.block)));
    }
    if let Some(approval) = &rule.approval {
        let by: Vec<_> = approval.by.iter().map(|group| format!("group:{group}")).collect();
        let reason = if approval.reason { ", with a reason" } else { "" };
        note(
            "approval",
            format!("{} of {} within {:?}{reason}", approval.count, by.join(", "), approval.within),
        );
    }
    let limits = [
        rule.limits.timeout.map(|timeout| format!("timeout {timeout:?}")),
        rule.limits.output.map(|output| format!("output {output} bytes")),
        rule.limits.calls_per_minute.map(|calls| format!("{calls} calls per minute")),
    ];
    let limits: Vec<String> = limits.into_iter().flatten().collect();
    if !limits.is_empty() {
        note("limits", limits.join(", "));
    }
    Value::Object(notes)
}

/// The pattern of an entry that is one.
fn things(selector: &ToolSelector) -> Option<String> {
    match selector {
        ToolSelector::Things(things) => Some(things.to_string()),
        ToolSelector::Any
        | ToolSelector::One(_)
        | ToolSelector::Upstream(_)
        | ToolSelector::Set(_)
        | ToolSelector::Tier(_)
        | ToolSelector::AnyOperator => None,
    }
}

fn uid(kind: &str, id: &str) -> Value {
    json!({ "type": kind, "id": id })
}

fn entity(kind: &str, id: &str) -> Value {
    json!({ "Value": { "__entity": uid(kind, id) } })
}

fn var(name: &str) -> Value {
    json!({ "Var": name })
}

fn value(text: &str) -> Value {
    json!({ "Value": text })
}

fn binary(operator: &str, left: Value, right: Value) -> Value {
    json!({ operator: { "left": left, "right": right } })
}
