//! CPU of one policy decision, on this thread alone.

use anyhow::Context;
use gateway::thread_cpu_time;
use model::{
    Action, Clock, CredentialUse, Limits, Principal, PrincipalId, Target, TargetKind, TargetName, Tier,
    ToolName, ToolSet,
};
use policy::{Moment, NetworkFence, RawRules, Rule, Snapshot, ToolFacts, Vocabulary};
use serde_json::Value;
use tools::Catalogue;

use super::Figure;
use super::stage::{RULES, rules};

const DECISIONS: u32 = 2000;

/// Far more rules than most have: a decision among them should cost what it costs among few.
const MANY: usize = 10_000;

/// A line as agents write them.
const LINE: &str = "journalctl --no-pager -n 50 -u 'nginx.service' 2>/dev/null | grep -c error";

/// Measures permitted and denied commands among few rules and many, how long those take to compile, and the analysis
/// of a line.
pub(super) fn measure(clock: &dyn Clock) -> anyhow::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for count in [RULES, MANY] {
        figures.extend(among(count, clock)?);
    }
    let line = || policy::command::parse(LINE);
    let parsed = line().map_err(|refused| anyhow::anyhow!("the benchmark's line: {refused}"))?;
    figures.push(Figure::plain("analysis of a command line, CPU", micros(|| line().is_ok()), "us"));
    figures.push(Figure::plain(
        "quoting of an analysed line, CPU",
        micros(|| !policy::command::canonical(&parsed).is_empty()),
        "us",
    ));
    Ok(figures)
}

fn among(count: usize, clock: &dyn Clock) -> anyhow::Result<[Figure; 3]> {
    let begun = clock.boot();
    let snapshot = snapshot(count)?;
    let compiled = clock.boot().since(begun);
    let principal =
        Principal { id: PrincipalId::parse("agent")?, groups: [model::GroupName::parse("agents")?].into() };
    let (permitted, denied) = (action("true")?, action("reboot")?);
    let decide = |action: &Action| {
        let moment = Moment { hour: 12, weekday: 3 };
        snapshot
            .authorise(&principal, action.clone(), moment, Limits::default(), &NetworkFence::default())
            .is_ok()
    };
    anyhow::ensure!(decide(&permitted) && !decide(&denied), "the benchmark's own rules do not hold");
    Ok([
        Figure::plain(format!("reading and compiling {count} rules"), compiled.as_secs_f64() * 1e3, "ms"),
        Figure::plain(
            format!("policy decision, permitted, {count} rules, CPU"),
            micros(|| decide(&permitted)),
            "us",
        ),
        Figure::plain(
            format!("policy decision, denied and explained, {count} rules, CPU"),
            micros(|| decide(&denied)),
            "us",
        ),
    ])
}

/// The least CPU time of one run, over some series.
fn micros(run: impl Fn() -> bool) -> f64 {
    let series = || {
        let begun = thread_cpu_time();
        for _ in 0..DECISIONS / 5 {
            std::hint::black_box(run());
        }
        thread_cpu_time().saturating_sub(begun) / (DECISIONS / 5)
    };
    (0..5).map(|_| series()).min().unwrap_or_default().as_secs_f64() * 1e6
}

fn snapshot(count: usize) -> anyhow::Result<Snapshot> {
    let raw: RawRules = toml::from_str(&rules(count)).context("the benchmark's rules")?;
    let rules: Result<Vec<Rule>, _> =
        raw.rule.into_iter().map(|rule| Rule::parse(rule.into_inner())).collect();
    let rules = rules.map_err(|problems| anyhow::anyhow!("the benchmark's rules: {problems:?}"))?;
    let facts = |tool: &std::sync::Arc<dyn tools::Tool>| {
        let spec = tool.spec();
        ToolFacts { name: spec.name.clone(), set: spec.set.clone(), tier: spec.tier }
    };
    let vocabulary =
        Vocabulary { tools: Catalogue::new().tools().map(facts).collect(), ..Vocabulary::default() };
    let compiled = Snapshot::compile(rules, Vec::new(), &vocabulary);
    compiled
        .map(|(snapshot, _)| snapshot)
        .map_err(|problems| anyhow::anyhow!("the benchmark's rules: {problems:?}"))
}

fn action(command: &str) -> anyhow::Result<Action> {
    let line = policy::command::parse(command)?;
    Ok(Action {
        tool: ToolName::parse("ssh_execute")?,
        set: ToolSet::parse("exec")?,
        tier: Tier::Dangerous,
        target: Target {
            name: TargetName::parse("bench")?,
            kind: TargetKind::Host,
            tags: ["bench".to_owned()].into(),
            address: Some("127.0.0.1".to_owned()),
        },
        parts: line.parts().collect(),
        command: Some(line),
        credential: CredentialUse::Inventory,
        limits: Limits::default(),
        arguments: Value::Null,
        forward: None,
    })
}
