use std::collections::BTreeSet;

use model::{Principal, PrincipalId, SubAction, Target, TargetKind, TargetName, Tier, ToolName, ToolSet};

use super::{Asked, Considered};
use crate::vocabulary::BUILT_IN;
use crate::{Moment, RawRules, Rule, Snapshot, ToolFacts, Vocabulary};

fn tool(name: &str) -> ToolFacts {
    ToolFacts {
        name: ToolName::parse(name).unwrap(),
        set: ToolSet::parse("gateway").unwrap(),
        tier: Tier::Read,
    }
}

fn snapshot(rules: &str) -> Snapshot {
    let tools = BUILT_IN.iter().copied().chain(["ssh_execute"]).map(tool).collect();
    let raw: RawRules = toml::from_str(rules).unwrap();
    let rules = raw.rule.into_iter().map(|raw| Rule::parse(raw.into_inner()).unwrap());
    Snapshot::compile(rules, Vec::new(), &Vocabulary { tools, ..Vocabulary::default() }).unwrap().0
}

/// What is said of every tool of the catalogue on the gateway and on a host, the short way and by Cedar.
fn both_ways(snapshot: &Snapshot) -> Vec<(Option<String>, Option<String>)> {
    let principal = Principal { id: PrincipalId::parse("bot").unwrap(), groups: BTreeSet::new() };
    let host = Target {
        name: TargetName::parse("web1").unwrap(),
        kind: TargetKind::Host,
        tags: BTreeSet::new(),
        address: None,
    };
    let mut said = Vec::new();
    for (name, target) in
        BUILT_IN.iter().chain(&["ssh_execute"]).flat_map(|n| [(n, Target::gateway()), (n, host.clone())])
    {
        let tool = tool(name);
        let asked = Asked { principal: &principal, tool: &tool, moment: Moment { hour: 12, weekday: 3 } };
        let considered = Considered::new(snapshot, asked, &target).unwrap();
        let matched = &considered.rules;
        let text = |grant: Result<super::Grant, _>| grant.ok().map(|grant| format!("{grant:?}"));
        said.push((
            text(snapshot.evaluate(asked, &considered, &SubAction::Whole, matched)),
            text(snapshot.evaluate_by_cedar(asked, &considered, &SubAction::Whole, matched)),
        ));
    }
    said
}

#[test]
fn what_needs_no_rule_is_decided_as_cedar_decides_it() {
    let said = both_ways(&snapshot(""));
    assert_eq!(said.iter().filter(|(short, _)| short.is_some()).count(), BUILT_IN.len(), "{said:?}");
    assert!(said.iter().all(|(short, cedar)| short == cedar), "{said:?}");
}

#[test]
fn a_rule_that_forbids_what_needs_no_rule_is_asked() {
    let rule = "[[rule]]\nname = 'no'\nforbid = ['whoami']\nprincipals = ['*']\ntargets = ['*']\n";
    let said = both_ways(&snapshot(rule));
    assert_eq!(said.iter().filter(|(short, _)| short.is_some()).count(), BUILT_IN.len() - 1, "{said:?}");
    assert!(said.iter().all(|(short, cedar)| short == cedar), "{said:?}");
}
