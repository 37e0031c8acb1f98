//! `policy show|explain|test|lint`

mod cases;

use std::path::Path;

use config::Severity;
use policy::run_cases;
use serde_json::{Value, json};

use crate::cli::{As, Global, Policy};
use crate::commands::check;
use crate::failure::{Exit, Stop};
use crate::output::Output;
use crate::place::{Place, compiled, load};
use crate::{arguments, operators};

/// Does it.
pub(crate) fn run(global: &Global, policy: Policy, output: Output) -> Result<Exit, Stop> {
    match policy {
        Policy::Show => show(global, output),
        Policy::Explain { tool, arguments, who } => explain(global, &tool, &arguments, who, output),
        Policy::Test { file } => test(global, &file, output),
        Policy::Lint => lint(global, output),
    }
}

fn show(global: &Global, output: Output) -> Result<Exit, Stop> {
    let loaded = load(&Place::find(global.config.as_deref())?, output)?;
    let snapshot = compiled(&loaded, output)?.0;
    let (hash, cedar) = (snapshot.hash().to_string(), snapshot.to_cedar());
    output.answer(&json!({ "snapshot": hash, "cedar": cedar }), &cedar)?;
    output.note(&format!("snapshot {hash}"));
    Ok(Exit::Done)
}

/// The pipeline stopped after the decision, on the running gateway or on the same files in this process.
fn explain(global: &Global, tool: &str, given: &[String], who: As, output: Output) -> Result<Exit, Stop> {
    let mut request = operators::tool(tool, arguments::parse(tool, given)?, who);
    request.dry_run = true;
    let mut reply = operators::ask(global, request, output)?;
    // Scripts look for the one rule that decided.
    if let Some(explained) = reply.answer.structured.as_object_mut() {
        let first = explained.get("rules").and_then(Value::as_array).and_then(|rules| rules.first()).cloned();
        explained.entry("rule").or_insert(first.unwrap_or(Value::Null));
    }
    operators::show(&reply, output)
}

/// Everything that loads and is still doubtful.
fn lint(global: &Global, output: Output) -> Result<Exit, Stop> {
    let place = Place::find(global.config.as_deref())?;
    let loaded = load(&place, output)?;
    let doubts = compiled(&loaded, output)?.1;
    let rules = &loaded.configuration.policy;
    let findings: Vec<_> = loaded
        .warnings
        .into_iter()
        .chain(doubts)
        .filter(|finding| finding.severity == Severity::Warning && concerns(&finding.file, rules))
        .collect();
    if output.is_json() {
        output.json(&json!({ "findings": findings.iter().map(check::finding_json).collect::<Vec<_>>() }))?;
    } else {
        check::print(&findings, output);
        output.done(&format!("{} findings", findings.len()));
    }
    Ok(Exit::Done)
}

fn concerns(file: &Path, rules: &Path) -> bool {
    std::path::absolute(file).is_ok_and(|file| file.starts_with(rules))
}

fn test(global: &Global, file: &Path, output: Output) -> Result<Exit, Stop> {
    let cases = cases::read(file)?;
    let loaded = load(&Place::find(global.config.as_deref())?, output)?;
    let snapshot = compiled(&loaded, output)?.0;
    let outcomes = run_cases(&snapshot, &cases.cases, &cases::facts(&loaded));
    let failed = outcomes.iter().filter(|outcome| !outcome.passed).count();
    if output.is_json() {
        let all: Vec<Value> = outcomes.iter().map(|outcome| cases.json(outcome)).collect();
        output.json(&json!({ "ok": failed == 0, "cases": all }))?;
    } else {
        for outcome in &outcomes {
            output.text(&cases.line(outcome))?;
        }
    }
    if failed > 0 {
        return Err(Stop::failed(format!("{failed} of {} cases are decided otherwise", outcomes.len())));
    }
    output.done(&format!("{} cases are decided as expected", outcomes.len()));
    Ok(Exit::Done)
}
