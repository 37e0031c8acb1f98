//! The table of `policy test`: where each case stands in its file.

use std::path::{Path, PathBuf};

use config::Loaded;
use model::Target;
use policy::{CaseFacts, CaseOutcome, Expected, RawCase, RawCases};
use serde_json::{Value, json};

use crate::failure::Stop;
use crate::{compose, verbs};

/// A table is written by people; what is larger is something else.
const LARGEST: u64 = 4 << 20;

/// A file of cases.
pub(super) struct Cases {
    file: PathBuf,
    pub(super) cases: Vec<RawCase>,
    lines: Vec<usize>,
}

/// Reads a table; a mistake is named with its line.
pub(super) fn read(file: &Path) -> Result<Cases, Stop> {
    let wrong = |what: String| Stop::configuration(format!("{}: {what}", file.display()));
    let length = std::fs::metadata(file).map_err(|error| wrong(error.to_string()))?.len();
    if length > LARGEST {
        return Err(wrong(format!("it is larger than {LARGEST} bytes")));
    }
    let text = std::fs::read_to_string(file).map_err(|error| wrong(error.to_string()))?;
    let line = |at: usize| text.get(..at).map_or(1, |before| before.matches('\n').count() + 1);
    let raw: RawCases = toml::from_str(&text).map_err(|error| {
        let at = error.span().map_or(1, |span| line(span.start));
        Stop::configuration(format!("{}:{at}: {}", file.display(), error.message().trim()))
    })?;
    if raw.case.is_empty() {
        return Err(wrong("there is no `[[case]]` in it, so it would show nothing".to_owned()));
    }
    let lines = raw.case.iter().map(|case| line(case.span().start)).collect();
    let cases = raw.case.into_iter().map(serde_spanned::Spanned::into_inner).collect();
    Ok(Cases { file: file.to_owned(), cases, lines })
}

/// What the files declare, for the cases to name.
pub(super) fn facts(loaded: &Loaded) -> CaseFacts {
    let principals = &loaded.configuration.principals;
    let hosts = loaded.inventory.hosts().map(model::Host::target);
    let upstreams = loaded.configuration.upstreams.iter().map(|upstream| Target::upstream(upstream.name));
    CaseFacts {
        principals: principals
            .iter()
            .map(|principal| (principal.id.clone(), principal.groups.clone()))
            .collect(),
        targets: hosts.chain(upstreams).collect(),
        tools: compose::tool_facts().chain(verbs::facts()).collect(),
    }
}

impl Cases {
    /// How a case came out, for people.
    pub(super) fn line(&self, outcome: &CaseOutcome) -> String {
        let mark = if outcome.passed { "ok    " } else { "FAILED" };
        let message = outcome.message.as_deref().filter(|_| !outcome.passed);
        let place = format!("{}:{}", self.file.display(), self.at(outcome));
        match message {
            Some(message) => format!("{mark}  {place}: {}\n          {message}", self.name(outcome)),
            None => format!("{mark}  {place}: {}", self.name(outcome)),
        }
    }

    /// How a case came out, for programs.
    pub(super) fn json(&self, outcome: &CaseOutcome) -> Value {
        let decided = outcome.decided.map(|decided| match decided {
            Expected::Allow => "allow",
            Expected::Deny => "deny",
            Expected::Approval => "approval",
        });
        json!({
            "case": self.name(outcome),
            "line": self.at(outcome),
            "ok": outcome.passed,
            "decided": decided,
            "rules": outcome.rules,
            "message": outcome.message,
        })
    }

    fn at(&self, outcome: &CaseOutcome) -> usize {
        self.lines.get(outcome.index).copied().unwrap_or(1)
    }

    fn name(&self, outcome: &CaseOutcome) -> String {
        let Some(case) = self.cases.get(outcome.index) else { return String::new() };
        let described = || {
            let on = case.command.as_ref().or(case.credential.as_ref()).map(|what| format!(" `{what}`"));
            format!("{} {}{}", case.principal, case.tool, on.unwrap_or_default())
        };
        case.name.clone().unwrap_or_else(described)
    }
}
