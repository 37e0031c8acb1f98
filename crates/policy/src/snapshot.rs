//! The compiled whole of the rules: what decides, what is shown, what a permit names.

use std::collections::BTreeSet;
use std::sync::Arc;

use cedar_policy::{Authorizer, Policy};
use model::{Principal, SnapshotHash, Target, TargetKind, ToolName};

use crate::cedar::{Facts, Sets};
use crate::files::RawPolicy;
use crate::index::Index;
use crate::listed::{Listed, Whose};
use crate::rule::{Effect, Rule, TargetExpr, ToolSelector};
use crate::vocabulary::BUILT_IN;
use crate::{CedarFile, LintWarning, RuleProblem, ToolFacts, Vocabulary, compile, show};

/// An immutable compiled policy. Swapped whole on reload.
pub struct Snapshot {
    pub(crate) hash: SnapshotHash,
    /// Names of every tool and verb that exists.
    pub(crate) tools: BTreeSet<ToolName>,
    pub(crate) rules: Vec<CompiledRule>,
    pub(crate) index: Index,
    pub(crate) files: Vec<CedarFile>,
    pub(crate) raw: Vec<RawPolicy>,
    pub(crate) built_in: Policy,
    pub(crate) facts: Facts,
    pub(crate) sets: Sets,
    pub(crate) listed: Listed,
    pub(crate) authorizer: Authorizer,
}

/// A rule beside its Cedar form.
pub(crate) struct CompiledRule {
    pub(crate) rule: Arc<Rule>,
    pub(crate) policy: Policy,
}

/// When a decision is made, as facts (`context.time`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Hour of the day, UTC.
    pub hour: u8,
    /// Monday 1 to Sunday 7, UTC.
    pub weekday: u8,
}

impl Snapshot {
    /// A policy without rules: denies everything but what is built in.
    pub fn empty() -> Self {
        match Self::compile(Vec::<Rule>::new(), Vec::new(), &Vocabulary::default()) {
            Ok((snapshot, _)) => snapshot,
            Err(problems) => unreachable!("without rules nothing can be wrong with them: {problems:?}"),
        }
    }

    /// Compiles rules and Cedar files into one policy.
    ///
    /// # Errors
    ///
    /// Every problem: names that do not exist, rules of one name, conditions and Cedar files that do not fit
    /// the schema.
    pub fn compile(
        rules: impl IntoIterator<Item: Into<Arc<Rule>>>,
        cedar: Vec<CedarFile>,
        vocabulary: &Vocabulary,
    ) -> Result<(Self, Vec<LintWarning>), Vec<RuleProblem>> {
        compile::compile(rules.into_iter().map(Into::into).collect(), cedar, vocabulary)
    }

    /// What a permit names.
    pub fn hash(&self) -> SnapshotHash {
        self.hash
    }

    /// Whether some permit's principal and action scope match, and no forbid without condition does.
    ///
    /// Decides what is listed, and in the pipeline whether a tool exists for this principal at all.
    pub fn visible(&self, principal: &Principal, tool: &ToolFacts) -> bool {
        if !self.knows(&tool.name) {
            return false;
        }
        let built_in = BUILT_IN.contains(&tool.name.as_str());
        let listing = self.listed.of(tool, || self.listing(tool, built_in));
        let permitted = built_in
            || listing.permitted.has(principal)
            || self.raw.iter().any(|raw| raw.permits_somewhere(&self.facts, principal, tool));
        let forbidden = listing.forbidden.has(principal)
            || self.raw.iter().any(|raw| raw.forbids_everywhere(&self.facts, principal, tool));
        permitted && !forbidden
    }

    /// Whether a tool exists. Those of upstreams come and go, whatever the rules were compiled with.
    pub(crate) fn knows(&self, tool: &ToolName) -> bool {
        self.tools.contains(tool) || tool.theirs().is_some()
    }

    /// Whom rules permit a tool somewhere, and whom they forbid it everywhere.
    fn listing(&self, tool: &ToolFacts, built_in: bool) -> (Whose, Whose) {
        let rules = |effect: Effect| {
            let of_tool = move |rule: &&Rule| rule.effect == effect && rule.names_tool(tool);
            self.rules.iter().map(|compiled| compiled.rule.as_ref()).filter(of_tool)
        };
        let upstream = tool.name.theirs().map(|theirs| Target::upstream(theirs.upstream));
        let everywhere = |rule: &&Rule| {
            let all = |expr: &TargetExpr| {
                expr.is_any()
                    || (built_in && expr.matches(&Target::gateway(), rule.effect))
                    || upstream.as_ref().is_some_and(|target| expr.matches(target, rule.effect))
            };
            rule.is_about_everything() && rule.when.is_none() && rule.targets.iter().any(all)
        };
        // A tool of an upstream acts on that upstream alone.
        let here = |rule: &&Rule| upstream.as_ref().is_none_or(|target| rule.names_target(target));
        let permitted = Whose::new(rules(Effect::Permit).filter(here).flat_map(|rule| &rule.principals));
        let forbids = rules(Effect::Forbid).filter(everywhere);
        (permitted, Whose::new(forbids.flat_map(|rule| &rule.principals)))
    }

    /// Whether some rule could permit this principal anything at all on this target, and no forbid without
    /// condition covers all of it. A target that is not seen is "not found". The gateway itself is always seen.
    pub fn sees(&self, principal: &Principal, target: &Target) -> bool {
        if target.kind == TargetKind::Gateway {
            return true;
        }
        let here: Vec<&Rule> = self
            .index
            .candidates(principal, target)
            .into_iter()
            .filter_map(|at| self.rules.get(usize::try_from(at).ok()?))
            .map(|compiled| compiled.rule.as_ref())
            .filter(|rule| rule.names_principal(principal) && rule.names_target(target))
            .collect();
        let permitted = here.iter().any(|rule| rule.effect == Effect::Permit)
            || (target.kind != TargetKind::Outside
                && self.raw.iter().any(|raw| raw.permits_something(&self.facts, principal, target)));
        let all_tools = |rule: &Rule| rule.tools.contains(&ToolSelector::Any);
        let forbidden =
            here.iter().any(|rule| {
                rule.effect == Effect::Forbid
                    && rule.is_about_everything()
                    && rule.when.is_none()
                    && all_tools(rule)
            }) || self.raw.iter().any(|raw| raw.forbids_everything(&self.facts, principal, target));
        permitted && !forbidden
    }

    /// Everything that decides, as Cedar text: what is built in, the rules, the Cedar files as they are.
    pub fn to_cedar(&self) -> String {
        show::to_cedar(self)
    }

    /// The names of the rules, in order.
    pub fn rule_names(&self) -> impl Iterator<Item = &model::RuleName> {
        self.rules.iter().map(|compiled| &compiled.rule.name)
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot")
            .field("hash", &self.hash)
            .field("rules", &self.rules.len())
            .finish_non_exhaustive()
    }
}
