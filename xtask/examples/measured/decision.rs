//! One decision among few rules and many.

use std::fmt::Write as _;

use anyhow::{Context, ensure};
use model::{Action, GroupName, Limits, Principal, PrincipalId, Tier, ToolName, ToolSet};
use policy::{Moment, NetworkFence, RawRules, Rule, Snapshot, ToolFacts, Vocabulary};

use crate::act::Once;
use crate::command::action;

/// The one rule that is about the principal's host permits the command.
pub(crate) fn permitted(rules: usize) -> anyhow::Result<Once> {
    let (desk, action) = (Desk::new(rules)?, action("uptime")?);
    ensure!(!desk.permits(&self::action("reboot")?), "the benchmark's rules permit too much");
    Ok(Box::new(move || desk.permits(std::hint::black_box(&action))))
}

/// No rule permits the command, and the denial says which came near.
pub(crate) fn denied(rules: usize) -> anyhow::Result<Once> {
    let (desk, action) = (Desk::new(rules)?, action("reboot")?);
    ensure!(desk.permits(&self::action("uptime")?), "the benchmark's rules permit nothing");
    Ok(Box::new(move || !desk.permits(std::hint::black_box(&action))))
}

/// Rules, and somebody who asks.
struct Desk {
    snapshot: Snapshot,
    principal: Principal,
}

impl Desk {
    fn new(rules: usize) -> anyhow::Result<Self> {
        let groups = [GroupName::parse("agents")?].into();
        let principal = Principal { id: PrincipalId::parse("agent")?, groups };
        Ok(Self { snapshot: snapshot(rules)?, principal })
    }

    fn permits(&self, action: &Action) -> bool {
        let moment = Moment { hour: 12, weekday: 3 };
        let (limits, fence) = (Limits::default(), NetworkFence::default());
        self.snapshot.authorise(&self.principal, action.clone(), moment, limits, &fence).is_ok()
    }
}

fn snapshot(count: usize) -> anyhow::Result<Snapshot> {
    let raw: RawRules = toml::from_str(&text(count)).context("the benchmark's rules")?;
    let rules: Result<Vec<Rule>, _> =
        raw.rule.into_iter().map(|rule| Rule::parse(rule.into_inner())).collect();
    let rules = rules.map_err(|problems| anyhow::anyhow!("the benchmark's rules: {problems:?}"))?;
    let tool = ToolFacts {
        name: ToolName::parse("ssh_execute")?,
        set: ToolSet::parse("exec")?,
        tier: Tier::Dangerous,
    };
    let vocabulary = Vocabulary { tools: vec![tool], ..Vocabulary::default() };
    let compiled = Snapshot::compile(rules, Vec::new(), &vocabulary);
    let compiled = compiled.map_err(|problems| anyhow::anyhow!("the benchmark's rules: {problems:?}"))?;
    Ok(compiled.0)
}

/// Rules as they are in the field: all name the principal's group, and all but one are about other hosts.
fn text(count: usize) -> String {
    let mut text = String::new();
    for at in 1..=count {
        let (tag, commands) = if at == count {
            ("bench".to_owned(), r#"["uptime"]"#)
        } else {
            (format!("team-{at}"), r#"["uptime", "df -h", "systemctl status *"]"#)
        };
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "[[rule]]\nname = \"team {at}\"\nallow = [\"ssh_execute\"]\nprincipals = [\"group:team-{at}\", \"group:agents\"]\n\
             targets = [\"tag:{tag}\"]\ncommands = {commands}\n\n"
        );
    }
    text
}
