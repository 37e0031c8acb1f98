//! What becomes of a command line before and after the decision.

use anyhow::{Context, ensure};
use model::{Action, CredentialUse, Limits, Target, TargetKind, TargetName, Tier, ToolName, ToolSet};
use serde_json::json;

use crate::act::Once;

/// One program and its arguments.
pub(crate) const SIMPLE: &str = "systemctl status nginx";
/// Quotes of each kind, and a backslash.
pub(crate) const QUOTED: &str =
    r#"grep -rn 'Failed password' "/var/log/auth.log" --include=\*.log -e "it's""#;
/// Everything that is understood.
pub(crate) const PIPELINE: &str = "journalctl --no-pager -n 50 -u 'nginx.service' 2>/dev/null | grep -c error && df -h / >> /tmp/report; \
     sort -k 2 /tmp/report | uniq -c | head -n 20";
/// What no rule permits but by name.
pub(crate) const SUBSTITUTION: &str = "systemctl restart $(cat /tmp/service)";

/// A line is understood.
pub(crate) fn analysis(line: &'static str) -> anyhow::Result<Once> {
    let commands = policy::command::parse(line)?.commands().count();
    Ok(Box::new(move || {
        policy::command::parse(std::hint::black_box(line))
            .is_ok_and(|parsed| parsed.commands().count() == commands)
    }))
}

/// A line is refused.
#[expect(clippy::unnecessary_wraps, reason = "as every other act is prepared")]
pub(crate) fn refusal(line: &'static str) -> anyhow::Result<Once> {
    Ok(Box::new(move || policy::command::parse(std::hint::black_box(line)).is_err()))
}

/// The text that is sent is written, and is read as the same line again.
pub(crate) fn canonical(line: &str) -> anyhow::Result<Once> {
    let parsed = policy::command::parse(line)?;
    let text = policy::command::canonical(&parsed);
    ensure!(policy::command::parse(&text)? == parsed, "the canonical text is another line");
    Ok(Box::new(move || policy::command::canonical(std::hint::black_box(&parsed)) == text))
}

/// What permit, approval and entry are bound to.
pub(crate) fn digest(line: &str) -> anyhow::Result<Once> {
    let (action, other) = (action(line)?, action("true")?);
    let digest = action.digest();
    ensure!(digest != other.digest(), "two actions of one digest");
    Ok(Box::new(move || std::hint::black_box(&action).digest() == digest))
}

/// A line on the host that the benchmark's rules are about.
pub(crate) fn action(line: &str) -> anyhow::Result<Action> {
    let parsed = policy::command::parse(line).context("the benchmark's line")?;
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
        parts: parsed.parts().collect(),
        command: Some(parsed),
        credential: CredentialUse::Inventory,
        limits: Limits::default(),
        arguments: json!({ "host": "bench", "command": line, "timeout": 30 }),
        forward: None,
    })
}
