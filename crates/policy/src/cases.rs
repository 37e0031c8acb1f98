//! `policy test`: a table of what should be decided, and what is.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use model::{
    Action, CredentialRef, CredentialUse, ErrorCode, GroupName, Limits, MalformedName, Principal,
    PrincipalId, SubAction, Target, TargetKind, TargetName, Theirs, Thing, Tier, ToolName, ToolSet,
    UpstreamName,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_spanned::Spanned;

use crate::{Moment, NetworkFence, Snapshot, ToolFacts, command};

/// A file of cases: `[[case]]` tables.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawCases {
    /// The cases, in order.
    #[serde(default)]
    #[schemars(with = "Vec<RawCase>")]
    pub case: Vec<Spanned<RawCase>>,
}

/// One question and the answer it should get.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawCase {
    /// What the case is about, for reports.
    pub name: Option<String>,
    /// The principal.
    #[serde(rename = "as")]
    pub principal: String,
    /// Groups instead of those that the configuration gives the principal.
    pub groups: Option<Vec<String>>,
    /// The tool, `operator:VERB`, `resource:UPSTREAM/ADDRESS` or `prompt:UPSTREAM/NAME`.
    pub tool: String,
    /// The target's alias or address; `gateway` when left out.
    #[serde(alias = "host")]
    pub target: Option<String>,
    /// The literal address that would be dialled, to test `networks`.
    pub address: Option<String>,
    /// The shell line, for tools that run commands.
    pub command: Option<String>,
    /// `SOURCE:SAFE/OBJECT`, for `get_credential`.
    pub credential: Option<String>,
    /// The arguments of an upstream's tool.
    #[schemars(with = "Option<serde_json::Map<String, serde_json::Value>>")]
    pub arguments: Option<serde_json::Map<String, serde_json::Value>>,
    /// Hour of the day, UTC; 12 when left out.
    pub hour: Option<u8>,
    /// Monday 1 to Sunday 7, UTC; 3 when left out.
    pub weekday: Option<u8>,
    /// What should come out.
    pub expect: Expected,
    /// A rule that must be among those that decide.
    pub rule: Option<String>,
    /// The code that a denial must have, such as `denied.command`.
    pub code: Option<String>,
}

/// What a case expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Expected {
    /// Permitted without further conditions.
    Allow,
    /// Denied.
    Deny,
    /// Permitted once humans approve.
    Approval,
}

/// What cases are decided with: the names of the configuration and the inventory.
#[derive(Debug, Clone, Default)]
pub struct CaseFacts {
    /// Each principal's groups.
    pub principals: BTreeMap<PrincipalId, BTreeSet<GroupName>>,
    /// The inventory's targets.
    pub targets: Vec<Target>,
    /// The catalogue's tools and the operators' verbs (as `operator:VERB`).
    pub tools: Vec<ToolFacts>,
}

/// How one case came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseOutcome {
    /// Position in the file.
    pub index: usize,
    /// Whether it came out as expected.
    pub passed: bool,
    /// What was decided; `None` when the case itself is wrong.
    pub decided: Option<Expected>,
    /// The deciding rules.
    pub rules: Vec<String>,
    /// For a failed case what differs, for a passed one the denial's reason if there is one.
    pub message: Option<String>,
}

/// Decides every case.
pub fn run_cases(snapshot: &Snapshot, cases: &[RawCase], facts: &CaseFacts) -> Vec<CaseOutcome> {
    cases.iter().enumerate().map(|(index, case)| run(snapshot, index, case, facts)).collect()
}

fn run(snapshot: &Snapshot, index: usize, case: &RawCase, facts: &CaseFacts) -> CaseOutcome {
    let decision = match decide(snapshot, case, facts) {
        Ok(decision) => decision,
        Err(message) => {
            return CaseOutcome {
                index,
                passed: false,
                decided: None,
                rules: Vec::new(),
                message: Some(message),
            };
        }
    };
    let reason = decision.reason.as_deref().map_or_else(String::new, |reason| format!(": {reason}"));
    let wrong = if decision.decided != case.expect {
        Some(format!("expected {}, decided {}{reason}", word(case.expect), word(decision.decided)))
    } else if let Some(rule) = case.rule.as_ref().filter(|rule| !decision.rules.contains(rule)) {
        Some(format!("expected rule `{rule}`, decided by {:?}{reason}", decision.rules))
    } else if let Some(code) =
        case.code.as_ref().filter(|code| decision.code.map(ErrorCode::as_str) != Some(code.as_str()))
    {
        let got = decision.code.map_or("none", ErrorCode::as_str);
        Some(format!("expected code `{code}`, got `{got}`{reason}"))
    } else {
        None
    };
    let passed = wrong.is_none();
    CaseOutcome {
        index,
        passed,
        decided: Some(decision.decided),
        rules: decision.rules,
        message: wrong.or(decision.reason),
    }
}

struct Decided {
    decided: Expected,
    rules: Vec<String>,
    code: Option<ErrorCode>,
    reason: Option<String>,
}

fn decide(snapshot: &Snapshot, case: &RawCase, facts: &CaseFacts) -> Result<Decided, String> {
    let principal = principal(case, facts)?;
    let tool = tool(case, facts)?;
    let target = target(case, facts, &tool)?;
    let moment = moment(case)?;
    let parts = match parts(case, &target)? {
        Ok(parts) => parts,
        Err(refused) => {
            let reason = Some(refused.to_string());
            return Ok(Decided {
                decided: Expected::Deny,
                rules: Vec::new(),
                code: Some(ErrorCode::DeniedCommand),
                reason,
            });
        }
    };
    let action = Action {
        tool: tool.name,
        set: tool.set,
        tier: tool.tier,
        target,
        parts,
        command: None,
        credential: CredentialUse::None,
        limits: Limits::default(),
        arguments: serde_json::Value::Null,
        forward: None,
    };
    let address = address(case)?;
    Ok(match snapshot.authorise(&principal, action, moment, Limits::default(), &NetworkFence::default()) {
        Ok(allowed) if address.is_some_and(|address| !allowed.fences().admits_address(address)) => Decided {
            decided: Expected::Deny,
            rules: allowed.rules().iter().map(ToString::to_string).collect(),
            code: Some(ErrorCode::DeniedNetwork),
            reason: Some("the fences of the permitting rules do not admit the address".to_owned()),
        },
        Ok(allowed) => Decided {
            decided: if allowed.obligations().approvals.is_empty() {
                Expected::Allow
            } else {
                Expected::Approval
            },
            rules: allowed.rules().iter().map(ToString::to_string).collect(),
            code: None,
            reason: None,
        },
        Err(denial) => Decided {
            decided: Expected::Deny,
            rules: denial.rule.iter().map(ToString::to_string).collect(),
            code: Some(denial.code),
            reason: Some(denial.reason),
        },
    })
}

fn principal(case: &RawCase, facts: &CaseFacts) -> Result<Principal, String> {
    let id = PrincipalId::parse(&case.principal).map_err(|e| format!("`as`: {e}"))?;
    let groups = match (&case.groups, facts.principals.get(&id)) {
        (Some(groups), _) => groups
            .iter()
            .map(|group| GroupName::parse(group.strip_prefix("group:").unwrap_or(group)))
            .collect::<Result<_, _>>()
            .map_err(|e| format!("`groups`: {e}"))?,
        (None, Some(groups)) => groups.clone(),
        (None, None) => {
            return Err(format!(
                "`as`: no principal is called `{id}`; give it `groups` to test it all the same"
            ));
        }
    };
    Ok(Principal { id, groups })
}

fn tool(case: &RawCase, facts: &CaseFacts) -> Result<ToolFacts, String> {
    let name = tool_name(&case.tool).map_err(|e| format!("`tool`: {e}"))?;
    if let Some(Theirs { upstream, .. }) = name.theirs() {
        // What an upstream offers is known while it runs; rules decide whatever it offers.
        let target = Target::upstream(upstream);
        if !facts.targets.contains(&target) {
            return Err(format!("`tool`: no upstream is called `{upstream}`"));
        }
        let set = ToolSet::parse("upstream").map_err(|e| e.to_string())?;
        return Ok(ToolFacts { name, set, tier: Tier::Dangerous });
    }
    facts
        .tools
        .iter()
        .find(|tool| tool.name == name)
        .cloned()
        .ok_or_else(|| format!("`tool`: no tool is called `{name}`"))
}

/// A tool, or `resource:UPSTREAM/ADDRESS`, `prompt:UPSTREAM/NAME`.
fn tool_name(text: &str) -> Result<ToolName, MalformedName> {
    for (prefix, thing) in [("resource:", Thing::Resource), ("prompt:", Thing::Prompt)] {
        if let Some((upstream, name)) = text.strip_prefix(prefix).and_then(|rest| rest.split_once('/')) {
            let upstream = UpstreamName::parse(upstream)?;
            return ToolName::of_theirs(Theirs { upstream, thing, name });
        }
    }
    ToolName::parse(text)
}

fn target(case: &RawCase, facts: &CaseFacts, tool: &ToolFacts) -> Result<Target, String> {
    if let Some(Theirs { upstream, .. }) = tool.name.theirs() {
        return match case.target.as_deref() {
            None => Ok(Target::upstream(upstream)),
            Some(name) if name == upstream.as_str() => Ok(Target::upstream(upstream)),
            Some(_) => Err(format!("`target`: the tool acts on `{upstream}` alone")),
        };
    }
    match case.target.as_deref() {
        None | Some(Target::GATEWAY) => Ok(Target::gateway()),
        Some(written) => {
            let alias = facts.targets.iter().find(|target| target.name.as_str() == written);
            let outside = Target::outside(written);
            let same = |target: &&Target| {
                let address = target.address.as_deref();
                address == Some(written)
                    || (outside.is_some()
                        && address.and_then(Target::outside).map(|t| t.name)
                            == outside.as_ref().map(|t| t.name.clone()))
            };
            let target = alias.or_else(|| facts.targets.iter().find(same)).cloned();
            target
                .or_else(|| outside.clone().filter(|target| by_address(&target.name)))
                .ok_or_else(|| format!("`target`: no target is called `{written}`"))
        }
    }
}

/// A mistyped alias must not pass for a host outside of the inventory: those have a dot or a colon.
fn by_address(name: &TargetName) -> bool {
    name.as_str().contains(['.', ':'])
}

fn address(case: &RawCase) -> Result<Option<IpAddr>, String> {
    let parse =
        |text: &String| text.parse().map_err(|_| format!("`address`: `{text}` is no literal address"));
    case.address.as_ref().map(parse).transpose()
}

fn moment(case: &RawCase) -> Result<Moment, String> {
    let moment = Moment { hour: case.hour.unwrap_or(12), weekday: case.weekday.unwrap_or(3) };
    if moment.hour > 23 || !(1..=7).contains(&moment.weekday) {
        return Err("`hour` is 0 to 23 and `weekday` 1 (Monday) to 7".to_owned());
    }
    Ok(moment)
}

type Parts = Result<Vec<SubAction>, command::NotUnderstood>;

fn parts(case: &RawCase, target: &Target) -> Result<Parts, String> {
    if target.kind == TargetKind::Upstream {
        return match (&case.command, &case.credential) {
            (None, None) => {
                Ok(Ok(vec![SubAction::Upstream(Arc::new(case.arguments.clone().unwrap_or_default()))]))
            }
            _ => {
                Err("a tool of an upstream has `arguments`, and neither `command` nor `credential`"
                    .to_owned())
            }
        };
    }
    if case.arguments.is_some() {
        return Err("`arguments` is for tools of upstreams".to_owned());
    }
    match (&case.command, &case.credential) {
        (Some(_), Some(_)) => Err("a case has either `command` or `credential`".to_owned()),
        (Some(line), None) => Ok(command::parse(line).map(|line| line.parts().collect())),
        (None, Some(credential)) => {
            let credential = CredentialRef::parse(credential).map_err(|e| format!("`credential`: {e}"))?;
            Ok(Ok(vec![SubAction::Credential { credential, target: target.clone() }]))
        }
        (None, None) => Ok(Ok(vec![SubAction::Whole])),
    }
}

fn word(expected: Expected) -> &'static str {
    match expected {
        Expected::Allow => "allow",
        Expected::Deny => "deny",
        Expected::Approval => "approval",
    }
}
