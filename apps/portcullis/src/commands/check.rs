//! `check`

use config::{Diagnostic, Severity};
use gateway::{SystemClock, SystemEntropy};
use model::Clock;
use policy::LintCode;
use serde_json::{Value, json};

use crate::cli::Global;
use crate::compose;
use crate::failure::{Exit, Stop};
use crate::operators;
use crate::output::Output;
use crate::place::Place;

/// Reads and checks every file; prints every finding.
pub(crate) fn run(global: &Global, output: Output) -> Result<Exit, Stop> {
    let place = Place::find(global.config.as_deref())?;
    let mut confined = Vec::new();
    let (findings, summary): (Vec<Diagnostic>, String) = match config::load(place.file()) {
        Ok(loaded) => {
            let (rules, doubts) = match compose::compile(&loaded) {
                Ok((snapshot, doubts)) => (snapshot.rule_names().count(), doubts),
                Err(findings) => (0, findings.into_iter().collect()),
            };
            let hosts = loaded.inventory.hosts().count();
            let principals = loaded.configuration.principals.len();
            let summary = format!("{principals} principals, {hosts} hosts, {rules} rules");
            confined = compose::confinements(&loaded);
            let agent = operators::runtime()?.block_on(compose::agent_doubts(&loaded));
            let clock = SystemClock::new(&SystemEntropy).map_err(Stop::failed)?;
            let certificates = compose::certificate_doubts(&loaded, clock.now());
            let findings = loaded.warnings.into_iter().chain(doubts).chain(certificates).chain(agent);
            (findings.collect(), summary)
        }
        Err(findings) => (findings.into_iter().collect(), String::new()),
    };
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    if output.is_json() {
        let findings: Vec<Value> = findings.iter().map(finding_json).collect();
        let mut told = json!({ "ok": errors == 0, "errors": errors, "findings": findings });
        if let (false, Some(told)) = (confined.is_empty(), told.as_object_mut()) {
            told.insert("sandboxes".to_owned(), confined.iter().map(confined_json).collect());
        }
        output.json(&told)?;
    } else {
        print(&findings, output);
        for (upstream, confinement) in &confined {
            match confinement {
                Ok(confinement) => output.note(&format!("`{upstream}` would be confined by: {confinement}")),
                Err(why) => output.warning(&format!("`{upstream}` would not be started by this user: {why}")),
            }
        }
    }
    if errors > 0 {
        return Ok(output.stop(&Stop::configuration(counted(errors, findings.len() - errors))));
    }
    output.done(&format!("`{}` is right: {summary}", place.file().display()));
    Ok(Exit::Done)
}

/// Prints findings as `FILE:LINE:COLUMN: KEY: MESSAGE [CODE]`, which editors understand, each with its hint.
pub(crate) fn print(findings: &[Diagnostic], output: Output) {
    for finding in findings {
        let severity = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        output.finding(severity, &placed(finding), finding.hint.as_deref());
    }
}

fn placed(finding: &Diagnostic) -> String {
    let mut text = finding.file.display().to_string();
    if finding.line > 0 {
        text.push_str(&format!(":{}:{}", finding.line, finding.column));
    }
    if !finding.key.is_empty() {
        text.push_str(&format!(": {}", finding.key));
    }
    text.push_str(&format!(": {}", finding.message));
    if let Some(code) = finding.code {
        text.push_str(&format!(" [{code}]"));
    }
    text
}

pub(crate) fn finding_json(finding: &Diagnostic) -> Value {
    json!({
        "severity": if finding.severity == Severity::Error { "error" } else { "warning" },
        "file": finding.file.display().to_string(),
        "line": finding.line,
        "column": finding.column,
        "key": finding.key,
        "code": finding.code.map(LintCode::as_str),
        "message": finding.message,
        "hint": finding.hint,
    })
}

/// What a program would be confined by, started by the user who asks.
fn confined_json((upstream, confinement): &(String, Result<upstream::Confinement, String>)) -> Value {
    match confinement {
        Ok(confinement) => json!({ "upstream": upstream, "sandbox": confinement.to_string() }),
        Err(why) => json!({ "upstream": upstream, "refused": why }),
    }
}

fn counted(errors: usize, warnings: usize) -> String {
    let plural = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
    match warnings {
        0 => plural(errors, "error"),
        warnings => format!("{} and {}", plural(errors, "error"), plural(warnings, "warning")),
    }
}
