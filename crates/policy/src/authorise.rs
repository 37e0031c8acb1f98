//! The decision: one Cedar request per part, all must be permitted, anything unclear is a no.

#[cfg(test)]
mod tests;

use std::sync::{Arc, LazyLock};

use cedar_policy::{Decision, Entities, PolicyId, PolicySet, Request};
use ipnet::IpNet;
use model::{Action, Limits, Principal, RuleName, SubAction, Target, TargetKind};

use crate::cedar::Scene;
use crate::compile::BUILT_IN_ID;
use crate::decision::Basis;
use crate::explain::{self, Refusal};
use crate::files::Reach;
use crate::rule::{Effect, Part};
use crate::snapshot::CompiledRule;
use crate::vocabulary::BUILT_IN;
use crate::{
    Allowed, ApprovalRequirement, Denial, Fences, Moment, NetworkFence, Obligations, Snapshot, ToolFacts,
};

/// What permits one part, or all of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Grant {
    pub(crate) rules: Vec<RuleName>,
    pub(crate) limits: Limits,
    pub(crate) approvals: Vec<ApprovalRequirement>,
    /// Each with the rule that sets it.
    pub(crate) fences: Vec<(RuleName, NetworkFence)>,
}

/// Who asks, for which tool, when.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) principal: &'a Principal,
    pub(crate) tool: &'a ToolFacts,
    pub(crate) moment: Moment,
}

impl Snapshot {
    /// Decides. `fallback` limits count where no permitting rule sets a value; `network` is the global fence.
    ///
    /// Of an action's credential parts those that are not permitted are left out; of all other parts each
    /// must be permitted.
    ///
    /// # Errors
    ///
    /// A denial that says which part, why, and what to do.
    pub fn authorise(
        &self,
        principal: &Principal,
        mut action: Action,
        moment: Moment,
        fallback: Limits,
        network: &NetworkFence,
    ) -> Result<Allowed, Denial> {
        let tool = ToolFacts { name: action.tool.clone(), set: action.set.clone(), tier: action.tier };
        let asked = Asked { principal, tool: &tool, moment };
        let (grant, parts) = self.decide(asked, &action.target, &action.parts)?;
        action.parts = parts;
        let limits = grant.limits.or(fallback).strictest(action.limits);
        if let Some(denial) = explain::undiallable(&action.target, network, &grant.fences) {
            return Err(denial);
        }
        let rules = grant.fences.into_iter().map(|(_, fence)| fence).collect();
        let fences = Fences { network: network.clone(), rules };
        let obligations = Obligations { approvals: grant.approvals };
        let basis = Basis { rules: grant.rules, limits, fences, snapshot: self.hash() };
        Ok(Allowed::new(principal.clone(), action, basis, obligations))
    }

    /// The grant over all parts, and the parts that are permitted.
    pub(crate) fn decide(
        &self,
        asked: Asked<'_>,
        target: &Target,
        parts: &[SubAction],
    ) -> Result<(Grant, Vec<SubAction>), Denial> {
        let mut whole = Grant::default();
        let mut permitted = Vec::new();
        let mut refused_credential = None;
        let mut place: Option<Considered<'_>> = None;
        for (at, part) in parts.iter().enumerate() {
            let target = match part {
                SubAction::Credential { target, .. } => target,
                SubAction::Whole
                | SubAction::Upstream(_)
                | SubAction::Command(_)
                | SubAction::File { .. } => target,
            };
            let considered = match place.take().filter(|considered| std::ptr::eq(considered.target, target)) {
                Some(considered) => considered,
                None => Considered::new(self, asked, target).map_err(|_| explain::unsayable())?,
            };
            match (self.part(asked, &considered, part), part) {
                (Ok(grant), _) => {
                    whole.add(grant);
                    permitted.push(part.clone());
                }
                (Err(refusal), SubAction::Credential { .. }) => {
                    refused_credential.get_or_insert_with(|| {
                        explain::denial(self, asked, &considered, (parts, at), refusal)
                    });
                }
                (
                    Err(refusal),
                    SubAction::Whole
                    | SubAction::Upstream(_)
                    | SubAction::Command(_)
                    | SubAction::File { .. },
                ) => {
                    return Err(explain::denial(self, asked, &considered, (parts, at), refusal));
                }
            }
            place = Some(considered);
        }
        match (permitted.is_empty(), refused_credential) {
            (false, _) => Ok((whole, permitted)),
            (true, Some(denial)) => Err(denial),
            (true, None) => Err(explain::nothing_asked()),
        }
    }

    /// One part: its Cedar request, and once more for rules whose approval holds for other wordings too.
    pub(crate) fn part(
        &self,
        asked: Asked<'_>,
        considered: &Considered<'_>,
        part: &SubAction,
    ) -> Result<Grant, Refusal> {
        if !self.knows(&asked.tool.name) {
            return Err(Refusal::UnknownTool);
        }
        let read = Part::new(part);
        let matched: Vec<&CompiledRule> =
            considered.rules.iter().copied().filter(|r| r.rule.covers(&read)).collect();
        let permits = |r: &CompiledRule| r.rule.effect == Effect::Permit;
        if let Some(reason) = read.opaque()
            && !matched.iter().any(|r| permits(r))
        {
            return Err(Refusal::Opaque(reason));
        }
        let mut grant = self.evaluate(asked, considered, part, &matched)?;
        // A Cedar file's permit alone is none for what cannot be understood, nor for a host that is not declared: a
        // rule must name it.
        let named = || matched.iter().any(|r| permits(r) && grant.rules.contains(&r.rule.name));
        match read.opaque() {
            Some(reason) if !named() => return Err(Refusal::Opaque(reason)),
            None if considered.target.kind == TargetKind::Outside && !named() => return Err(Refusal::NoRule),
            Some(_) | None => {}
        }
        let reworded = |r: &&&CompiledRule| {
            r.rule.approval.is_some() && !r.rule.covers(&read) && r.rule.covers_widely(&read)
        };
        let also: Vec<&CompiledRule> = considered.rules.iter().filter(reworded).copied().collect();
        if !also.is_empty() {
            let all: Vec<&CompiledRule> = matched.into_iter().chain(also).collect();
            let wider = self.evaluate(asked, considered, part, &all)?;
            grant.add(Grant { rules: Vec::new(), ..wider });
        }
        grant.fences.extend(considered.forbidden_networks(&read));
        Ok(grant)
    }

    fn evaluate(
        &self,
        asked: Asked<'_>,
        considered: &Considered<'_>,
        part: &SubAction,
        matched: &[&CompiledRule],
    ) -> Result<Grant, Refusal> {
        // Its policy asks for this tool on the gateway, which is what `built_in` says, and nothing else is there to be asked.
        if considered.built_in && matched.is_empty() && considered.raw.is_empty() {
            return Ok(grant(&[Origin::BuiltIn]));
        }
        self.evaluate_by_cedar(asked, considered, part, matched)
    }

    /// The same by Cedar, whatever is asked.
    fn evaluate_by_cedar(
        &self,
        asked: Asked<'_>,
        considered: &Considered<'_>,
        part: &SubAction,
        matched: &[&CompiledRule],
    ) -> Result<Grant, Refusal> {
        let names = matched.iter().map(|r| r.rule.name.as_str());
        let request = self
            .facts
            .request(&considered.scene, part, asked.moment, names)
            .map_err(|_| Refusal::Failed(None))?;
        let policies = considered.policies(self, matched).map_err(|_| Refusal::Failed(None))?;
        self.ask(&request, &policies, &considered.scene.entities)
    }

    /// Cedar passes over a policy that it cannot evaluate, also one that forbids: here that is a no.
    fn ask(&self, request: &Request, policies: &PolicySet, entities: &Entities) -> Result<Grant, Refusal> {
        let response = self.authorizer.is_authorized(request, policies, entities);
        if let Some(error) = response.diagnostics().errors().next() {
            let rule = match error {
                cedar_policy::AuthorizationError::PolicyEvaluationError(e) => {
                    self.origin(e.policy_id()).name()
                }
            };
            return Err(Refusal::Failed(rule));
        }
        let mut origins: Vec<Origin<'_>> =
            response.diagnostics().reason().map(|id| self.origin(id)).collect();
        origins.sort_by_key(Origin::position);
        match response.decision() {
            Decision::Allow => Ok(grant(&origins)),
            Decision::Deny => match origins.first() {
                Some(origin) => Err(Refusal::Forbidden(origin.name())),
                None => Err(Refusal::NoRule),
            },
        }
    }

    fn origin(&self, id: &PolicyId) -> Origin<'_> {
        let text: &str = id.as_ref();
        if text == BUILT_IN_ID {
            return Origin::BuiltIn;
        }
        let numbered = text.strip_prefix("rule:").and_then(|number| number.parse::<usize>().ok());
        if let Some((at, compiled)) = numbered.and_then(|at| Some((at, self.rules.get(at)?))) {
            return Origin::Rule(at, compiled);
        }
        match self.raw.iter().find(|raw| raw.policy.id() == id) {
            Some(raw) => Origin::Cedar(&raw.name),
            None => Origin::Unknown,
        }
    }
}

fn grant(origins: &[Origin<'_>]) -> Grant {
    let mut grant = Grant::default();
    for origin in origins {
        let (limits, approval) = match origin {
            Origin::Rule(_, compiled) => (compiled.rule.limits, compiled.rule.approval.as_ref()),
            Origin::BuiltIn | Origin::Cedar(_) | Origin::Unknown => (Limits::default(), None),
        };
        let approvals = approval.zip(origin.name()).map(|(approval, rule)| ApprovalRequirement {
            rule,
            by: approval.by.clone(),
            count: approval.count,
            within: approval.within,
            reason: approval.reason,
        });
        let fences = match origin {
            Origin::Rule(_, compiled) => compiled.rule.networks.clone(),
            Origin::BuiltIn | Origin::Cedar(_) | Origin::Unknown => None,
        };
        let fences = origin.name().zip(fences).into_iter().collect();
        let rules = origin.name().into_iter().collect();
        grant.add(Grant { rules, limits, approvals: approvals.into_iter().collect(), fences });
    }
    grant
}

impl Grant {
    /// The strictest of both: every obligation, the smallest limits.
    fn add(&mut self, other: Self) {
        for rule in other.rules {
            if !self.rules.contains(&rule) {
                self.rules.push(rule);
            }
        }
        for approval in other.approvals {
            if !self.approvals.contains(&approval) {
                self.approvals.push(approval);
            }
        }
        for fence in other.fences {
            if !self.fences.contains(&fence) {
                self.fences.push(fence);
            }
        }
        self.limits = self.limits.strictest(other.limits);
    }
}

/// What decisions call the policy behind what needs no rule.
static BUILT_IN_NAME: LazyLock<Option<RuleName>> = LazyLock::new(|| RuleName::parse(BUILT_IN_ID).ok());

/// Where a deciding policy came from.
enum Origin<'a> {
    BuiltIn,
    Rule(usize, &'a CompiledRule),
    Cedar(&'a RuleName),
    Unknown,
}

impl Origin<'_> {
    fn name(&self) -> Option<RuleName> {
        match self {
            Self::BuiltIn => BUILT_IN_NAME.clone(),
            Self::Rule(_, compiled) => Some(compiled.rule.name.clone()),
            Self::Cedar(name) => Some((*name).clone()),
            Self::Unknown => None,
        }
    }

    fn position(&self) -> (u8, usize, String) {
        match self {
            Self::Rule(at, _) => (0, *at, String::new()),
            Self::Cedar(name) => (1, 0, name.to_string()),
            Self::BuiltIn => (2, 0, String::new()),
            Self::Unknown => (3, 0, String::new()),
        }
    }
}

/// The slice of the policy that can be about one principal, tool and target.
pub(crate) struct Considered<'a> {
    pub(crate) target: &'a Target,
    /// Rules whose principals, tools and targets match.
    pub(crate) rules: Vec<&'a CompiledRule>,
    /// Rules that forbid, on networks that the target's name may lead to.
    fencing: Vec<(&'a CompiledRule, Vec<IpNet>)>,
    raw: Vec<&'a crate::files::RawPolicy>,
    scene: Arc<Scene>,
    built_in: bool,
}

impl<'a> Considered<'a> {
    pub(crate) fn new(snapshot: &'a Snapshot, asked: Asked<'_>, target: &'a Target) -> Result<Self, String> {
        let scene = snapshot.facts.scene(asked.principal, asked.tool, target)?;
        let candidates = snapshot.index.candidates(asked.principal, target);
        let (mut rules, mut fencing) = (Vec::new(), Vec::new());
        for r in candidates.into_iter().filter_map(|at| snapshot.rules.get(usize::try_from(at).ok()?)) {
            if !(r.rule.names_tool(asked.tool) && r.rule.names_principal(asked.principal)) {
                continue;
            }
            if r.rule.names_target(target) {
                rules.push(r);
            } else {
                let networks = r.rule.forbidden_networks(target);
                fencing.extend((!networks.is_empty()).then_some((r, networks)));
            }
        }
        let raw = if snapshot.raw.is_empty() {
            Vec::new()
        } else {
            let reach = Reach::new(&snapshot.facts, asked.principal, asked.tool, Some(target));
            snapshot.raw.iter().filter(|raw| raw.may_apply(&reach)).collect()
        };
        let built_in = target.kind == TargetKind::Gateway && BUILT_IN.contains(&asked.tool.name.as_str());
        Ok(Self { target, rules, fencing, raw, scene, built_in })
    }

    /// Rules that permit and apply here, whether or not they cover the part.
    pub(crate) fn permits(&self) -> impl Iterator<Item = &'a CompiledRule> {
        self.rules.iter().copied().filter(|r| r.rule.effect == Effect::Permit)
    }

    /// What a rule forbids on a network holds at the dial, where the target's address is known. Its condition `when` is
    /// taken to hold.
    fn forbidden_networks<'b>(
        &'b self,
        part: &'b Part<'_>,
    ) -> impl Iterator<Item = (RuleName, NetworkFence)> + 'b {
        self.fencing.iter().filter(|(r, _)| r.rule.covers(part)).map(|(r, networks)| {
            (r.rule.name.clone(), NetworkFence { allow: Vec::new(), block: networks.clone() })
        })
    }

    /// Rules that do not match are left out: their policies ask for the match first.
    fn policies(&self, snapshot: &Snapshot, matched: &[&CompiledRule]) -> Result<Arc<PolicySet>, String> {
        let all = self
            .built_in
            .then_some(&snapshot.built_in)
            .into_iter()
            .chain(matched.iter().map(|r| &r.policy))
            .chain(self.raw.iter().map(|raw| &raw.policy));
        snapshot.sets.of(all)
    }
}
