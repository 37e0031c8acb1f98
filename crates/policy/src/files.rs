//! Cedar files that stand beside the rules.

use std::ops::Range;
use std::str::FromStr;

use cedar_policy::{
    ActionConstraint, Effect, EntityUid, Policy, PolicyId, PolicySet, PrincipalConstraint, ResourceConstraint,
};
use miette::Diagnostic;
use model::{Principal, RuleName, Target};

use crate::cedar::Facts;
use crate::problem::Place;
use crate::rule::bracket_depth;
use crate::{RuleProblem, ToolFacts};

/// The largest Cedar file, in bytes.
const MAX_FILE: usize = 1024 * 1024;

/// How deep brackets may nest in it: Cedar's parser recurses.
const MAX_DEPTH: usize = 64;

/// A file of Cedar policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CedarFile {
    /// The file's name, such as `site.cedar`.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// One policy of a Cedar file.
pub(crate) struct RawPolicy {
    pub(crate) policy: Policy,
    /// `@id("...")` if it has one, else file and number: what denials and audit entries say.
    pub(crate) name: RuleName,
    /// Which file.
    pub(crate) file: usize,
    scope: Scope,
}

struct Scope {
    principal: PrincipalConstraint,
    action: ActionConstraint,
    resource: ResourceConstraint,
}

/// The entities of one question with everything each is in.
pub(crate) struct Reach {
    pub(crate) principal: Vec<EntityUid>,
    pub(crate) action: Vec<EntityUid>,
    pub(crate) target: Vec<EntityUid>,
}

impl Reach {
    pub(crate) fn new(
        facts: &Facts,
        principal: &Principal,
        tool: &ToolFacts,
        target: Option<&Target>,
    ) -> Self {
        Self {
            principal: principal_reach(facts, principal),
            action: std::iter::once(facts.action_of(tool)).chain(facts.action_groups(tool)).collect(),
            target: target.map(|target| resource_reach(facts, tool, target)).unwrap_or_default(),
        }
    }
}

fn principal_reach(facts: &Facts, principal: &Principal) -> Vec<EntityUid> {
    let groups = principal.groups.iter().map(|group| facts.group(group.as_str()));
    std::iter::once(facts.principal(principal)).chain(groups).collect()
}

/// The tool of an upstream lies in its target.
fn resource_reach(facts: &Facts, tool: &ToolFacts, target: &Target) -> Vec<EntityUid> {
    let whole = target_reach(facts, target);
    match tool.name.theirs() {
        Some(_) => std::iter::once(facts.resource(tool, target)).chain(whole).collect(),
        None => whole,
    }
}

fn target_reach(facts: &Facts, target: &Target) -> Vec<EntityUid> {
    std::iter::once(facts.target(target)).chain(target.tags.iter().map(|tag| facts.tag(tag))).collect()
}

/// Reads one file into policies.
pub(crate) fn parse(file: &CedarFile, at: usize) -> Result<Vec<RawPolicy>, Vec<RuleProblem>> {
    let problem = |message: String| RuleProblem::new("cedar", message).place(Place::Cedar(at));
    if file.text.len() > MAX_FILE {
        return Err(vec![problem(format!("the file is larger than {MAX_FILE} bytes"))]);
    }
    if bracket_depth(&file.text) > MAX_DEPTH {
        return Err(vec![problem(format!("brackets nest deeper than {MAX_DEPTH} levels"))]);
    }
    let set = PolicySet::from_str(&file.text).map_err(|errors| {
        errors
            .iter()
            .map(|error| problem(error.to_string()).span(span_of(error)).hint(help_of(error)))
            .collect::<Vec<_>>()
    })?;
    if set.templates().next().is_some() {
        return Err(vec![problem("templates (`?principal`, `?resource`) are never linked here".to_owned())]);
    }
    let mut policies: Vec<&Policy> = set.policies().collect();
    // Cedar numbers them `policy0`, `policy1` ... in the order of the text.
    policies.sort_by_key(|policy| {
        policy.id().to_string().trim_start_matches("policy").parse::<usize>().unwrap_or(usize::MAX)
    });
    policies.into_iter().enumerate().map(|(number, policy)| raw_policy(file, at, number, policy)).collect()
}

fn raw_policy(
    file: &CedarFile,
    at: usize,
    number: usize,
    policy: &Policy,
) -> Result<RawPolicy, Vec<RuleProblem>> {
    let numbered = format!("{}#{number}", file.name);
    let name = policy.annotation("id").filter(|id| !id.is_empty()).unwrap_or(&numbered);
    let name = RuleName::parse(name).map_err(|e| {
        vec![RuleProblem::new("cedar", e.to_string()).place(Place::Cedar(at)).hint("change `@id`")]
    })?;
    let scope = Scope {
        principal: policy.principal_constraint(),
        action: policy.action_constraint(),
        resource: policy.resource_constraint(),
    };
    let policy = policy.new_id(PolicyId::new(format!("cedar:{numbered}")));
    Ok(RawPolicy { policy, name, file: at, scope })
}

impl RawPolicy {
    /// Whether the scope can match; what it says no to, Cedar would pass over without evaluating further.
    pub(crate) fn may_apply(&self, reach: &Reach) -> bool {
        self.scope.principal_matches(&reach.principal)
            && self.scope.action_matches(&reach.action)
            && self.scope.resource_matches(&reach.target)
    }

    pub(crate) fn permits_somewhere(&self, facts: &Facts, principal: &Principal, tool: &ToolFacts) -> bool {
        let reach = Reach::new(facts, principal, tool, None);
        self.policy.effect() == Effect::Permit
            && self.scope.principal_matches(&reach.principal)
            && self.scope.action_matches(&reach.action)
    }

    pub(crate) fn forbids_everywhere(&self, facts: &Facts, principal: &Principal, tool: &ToolFacts) -> bool {
        let reach = Reach::new(facts, principal, tool, None);
        self.policy.effect() == Effect::Forbid
            && !self.policy.has_non_scope_constraint()
            && self.scope.principal_matches(&reach.principal)
            && self.scope.action_matches(&reach.action)
            && self.scope.resource == ResourceConstraint::Any
    }
}

impl RawPolicy {
    pub(crate) fn permits_something(&self, facts: &Facts, principal: &Principal, target: &Target) -> bool {
        self.policy.effect() == Effect::Permit && self.scope.is_about(facts, principal, target)
    }

    pub(crate) fn forbids_everything(&self, facts: &Facts, principal: &Principal, target: &Target) -> bool {
        self.policy.effect() == Effect::Forbid
            && !self.policy.has_non_scope_constraint()
            && self.scope.action == ActionConstraint::Any
            && self.scope.is_about(facts, principal, target)
    }
}

impl Scope {
    fn is_about(&self, facts: &Facts, principal: &Principal, target: &Target) -> bool {
        self.principal_matches(&principal_reach(facts, principal))
            && self.resource_matches(&target_reach(facts, target))
    }

    fn principal_matches(&self, reach: &[EntityUid]) -> bool {
        match &self.principal {
            PrincipalConstraint::Any | PrincipalConstraint::Is(_) => true,
            PrincipalConstraint::Eq(uid) => reach.first() == Some(uid),
            PrincipalConstraint::In(uid) | PrincipalConstraint::IsIn(_, uid) => reach.contains(uid),
        }
    }

    fn action_matches(&self, reach: &[EntityUid]) -> bool {
        match &self.action {
            ActionConstraint::Any => true,
            ActionConstraint::Eq(uid) => reach.first() == Some(uid),
            ActionConstraint::In(uids) => uids.iter().any(|uid| reach.contains(uid)),
        }
    }

    fn resource_matches(&self, reach: &[EntityUid]) -> bool {
        match &self.resource {
            ResourceConstraint::Any | ResourceConstraint::Is(_) => true,
            ResourceConstraint::Eq(uid) => reach.first() == Some(uid),
            ResourceConstraint::In(uid) | ResourceConstraint::IsIn(_, uid) => reach.contains(uid),
        }
    }
}

pub(crate) fn span_of(error: &dyn Diagnostic) -> Option<Range<usize>> {
    let label = error.labels()?.next()?;
    Some(label.offset()..label.offset() + label.len())
}

pub(crate) fn help_of(error: &dyn Diagnostic) -> String {
    error.help().map_or_else(|| "the schema is in docs/policy.md".to_owned(), |help| help.to_string())
}
