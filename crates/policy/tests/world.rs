//! A small world to decide about.

use std::collections::BTreeSet;

use model::{
    Action, CredentialRef, CredentialUse, GroupName, Limits, Principal, PrincipalId, SubAction, Target,
    TargetKind, TargetName, Tier, ToolName, ToolSet,
};
use policy::{
    Allowed, CedarFile, Denial, LintWarning, Moment, NetworkFence, RawRules, Rule, RuleProblem, Snapshot,
    ToolFacts, Vocabulary,
};

pub(crate) const NOON: Moment = Moment { hour: 12, weekday: 5 };

pub(crate) fn tool(name: &str) -> ToolFacts {
    let (set, tier) = match name {
        "ssh_execute" => ("exec", Tier::Dangerous),
        "ssh_other" => ("exec", Tier::Sudo),
        "get_credential" | "release_credential" => ("credentials", Tier::LowAccess),
        "whoami" | "explain" | "ssh_plan" => ("gateway", Tier::Read),
        _ if name.starts_with("operator:") => ("operator", Tier::LowAccess),
        _ => ("gateway", Tier::Read),
    };
    ToolFacts { name: ToolName::parse(name).unwrap(), set: ToolSet::parse(set).unwrap(), tier }
}

pub(crate) fn vocabulary() -> Vocabulary {
    let tools =
        ["ssh_execute", "ssh_other", "get_credential", "release_credential", "whoami", "explain", "ssh_plan"];
    Vocabulary {
        tools: tools.into_iter().map(tool).collect(),
        verbs: vec!["reload".into(), "health".into()],
        principals: ["bot", "human"].into_iter().map(|p| PrincipalId::parse(p).unwrap()).collect(),
        groups: ["sre", "oncall"].into_iter().map(|g| GroupName::parse(g).unwrap()).collect(),
        targets: vec![
            target("web1", &["production", "web"]),
            target("web2", &["staging", "web"]),
            target("db1", &["production", "payment"]),
            target("lab", &[]),
        ],
        upstreams: [("github", Some(["get_issue".to_owned(), "push".to_owned()].into())), ("files", None)]
            .map(|(name, tools)| (model::UpstreamName::parse(name).unwrap(), tools))
            .into(),
    }
}

pub(crate) fn target(name: &str, tags: &[&str]) -> Target {
    Target {
        name: TargetName::parse(name).unwrap(),
        kind: TargetKind::Host,
        tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        address: Some(format!("{name}.example.internal")),
    }
}

/// `bot` or `bot:group,group`.
pub(crate) fn principal(text: &str) -> Principal {
    let (id, groups) = text.split_once(':').unwrap_or((text, ""));
    let groups: BTreeSet<_> =
        groups.split(',').filter(|g| !g.is_empty()).map(|g| GroupName::parse(g).unwrap()).collect();
    Principal { id: PrincipalId::parse(id).unwrap(), groups }
}

pub(crate) fn place(name: &str) -> Target {
    if name == Target::GATEWAY {
        return Target::gateway();
    }
    vocabulary().targets.into_iter().find(|t| t.name.as_str() == name).unwrap_or_else(|| target(name, &[]))
}

pub(crate) fn rules(text: &str) -> Vec<Rule> {
    let raw: RawRules = toml::from_str(text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    raw.rule
        .into_iter()
        .map(|raw| Rule::parse(raw.into_inner()).unwrap_or_else(|e| panic!("{e:?}\n{text}")))
        .collect()
}

pub(crate) fn compile(text: &str, cedar: &str) -> Result<(Snapshot, Vec<LintWarning>), Vec<RuleProblem>> {
    let files = (!cedar.is_empty()).then(|| CedarFile { name: "site.cedar".into(), text: cedar.into() });
    Snapshot::compile(rules(text), files.into_iter().collect(), &vocabulary())
}

pub(crate) fn snapshot(text: &str, cedar: &str) -> Snapshot {
    compile(text, cedar).unwrap_or_else(|e| panic!("{e:#?}")).0
}

pub(crate) fn action(name: &str, host: &str, parts: Vec<SubAction>) -> Action {
    let facts = tool(name);
    Action {
        tool: facts.name,
        set: facts.set,
        tier: facts.tier,
        target: place(host),
        parts,
        command: None,
        credential: CredentialUse::None,
        limits: Limits::default(),
        arguments: serde_json::Value::Null,
        forward: None,
    }
}

pub(crate) fn decide(snapshot: &Snapshot, who: &str, action: Action) -> Result<Allowed, Denial> {
    snapshot.authorise(&principal(who), action, NOON, Limits::default(), &NetworkFence::default())
}

pub(crate) fn run(snapshot: &Snapshot, who: &str, host: &str, line: &str) -> Result<Allowed, Denial> {
    run_with(snapshot, who, "ssh_execute", host, line)
}

pub(crate) fn run_with(
    snapshot: &Snapshot,
    who: &str,
    tool: &str,
    host: &str,
    line: &str,
) -> Result<Allowed, Denial> {
    let line = policy::command::parse(line).unwrap_or_else(|e| panic!("{line}: {e}"));
    decide(snapshot, who, action(tool, host, line.parts().collect()))
}

pub(crate) fn whole(snapshot: &Snapshot, who: &str, tool: &str, host: &str) -> Result<Allowed, Denial> {
    decide(snapshot, who, action(tool, host, vec![SubAction::Whole]))
}

pub(crate) fn credential(
    snapshot: &Snapshot,
    who: &str,
    name: &str,
    hosts: &[&str],
) -> Result<Allowed, Denial> {
    let parts = hosts.iter().map(|host| SubAction::Credential {
        credential: CredentialRef::parse(name).unwrap(),
        target: place(host),
    });
    decide(snapshot, who, action("get_credential", "gateway", parts.collect()))
}
