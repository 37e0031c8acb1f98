//! The pipeline calls each stage once, and nobody else begins a record or takes a lease.

use super::findings::Findings;
use super::scan::{functions, occurrences};
use super::sources::{RustFile, Workspace};

const PIPELINE: &str = "crates/gateway/src/pipeline.rs";
const LONGEST: usize = 60;

/// The stages after authentication, as the pipeline calls them.
const STAGES: &[&str] = &[
    "resolve(",
    "authorise(",
    "discharge(",
    "journal.begin(",
    "broker.lease(",
    "execute(",
    "guard.admit(",
    "broker.release(",
    "journal.complete(",
];

/// Stages that nothing but the pipeline may call.
const ONLY_HERE: &[&str] = &["journal.begin(", "broker.lease(", "broker.release("];

/// Packages where somebody could go around the pipeline.
const AROUND: &[&str] = &["gateway", "mcp", "tools", "connector-ssh", "upstream", "portcullis"];

/// Checks the pipeline and its surroundings.
pub(crate) fn check(workspace: &Workspace, findings: &mut Findings) {
    match workspace.files.iter().find(|file| file.path == PIPELINE) {
        Some(file) => check_pipeline(file, findings),
        None => findings.broken(PIPELINE, "the pipeline is missing"),
    }
    for file in workspace.of(AROUND).filter(|file| file.path != PIPELINE) {
        for stage in ONLY_HERE {
            for line in calls(file, stage) {
                findings.broken(
                    &format!("{}:{line}", file.path),
                    format!("only the pipeline calls `{stage}..)`"),
                );
            }
        }
    }
}

fn check_pipeline(file: &RustFile, findings: &mut Findings) {
    for stage in STAGES {
        match calls(file, stage).len() {
            1 => {}
            0 => findings.broken(PIPELINE, format!("the stage `{stage}..)` is never called")),
            times => findings.broken(PIPELINE, format!("the stage `{stage}..)` is called {times} times")),
        }
    }
    for function in functions(&file.code).iter().filter(|function| function.lines.len() > LONGEST) {
        findings.broken(
            PIPELINE,
            format!("`{}` has {} lines, at most {LONGEST}", function.name, function.lines.len()),
        );
    }
}

/// Lines (from 1) with a call, which a definition is not. Calls may be broken over lines: blanks do not count.
fn calls(file: &RustFile, stage: &str) -> Vec<usize> {
    let defined = format!("fn {stage}");
    let mut lines = Vec::new();
    let mut packed = String::new();
    let mut line_of = Vec::new();
    for (number, line) in file.code.lines().enumerate() {
        let line = if file.is_test_line(number) { "" } else { line.trim() };
        // A line that goes on with a dot belongs to the one before.
        if !line.starts_with('.') {
            packed.push(' ');
            line_of.push(number + 1);
        }
        packed.push_str(line);
        line_of.resize(packed.len(), number + 1);
    }
    for at in occurrences(&packed, stage) {
        let definition =
            packed.get(..at).is_some_and(|before| format!("{before}{stage}").ends_with(&defined));
        if !definition {
            lines.extend(line_of.get(at).copied());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "async fn stages() {\n resolve(a); authorise(b); discharge(c);\n gateway\n  .journal\n  \
                        .begin(d).await?; broker.lease(e); execute(f); guard.admit(g); guard.admit_answer(h); \
                        broker.release(i);\n journal.complete(j);\n}\n";

    fn found(text: &str) -> Vec<String> {
        let mut findings = Findings::default();
        check_pipeline(&RustFile::new(PIPELINE.into(), "gateway".into(), text), &mut findings);
        findings.take_broken()
    }

    #[test]
    fn each_stage_is_called_once() {
        assert_eq!(found(GOOD), Vec::<String>::new());
        assert!(found(&GOOD.replace("execute(f);", ""))[0].contains("`execute(..)` is never called"));
        assert!(found(&GOOD.replace("execute(f);", "execute(f); execute(g);"))[0].contains("2 times"));
        assert!(
            found(&format!("{GOOD}fn long() {{\n{}}}\n", "a;\n".repeat(60)))[0]
                .contains("`long` has 62 lines")
        );
    }

    #[test]
    fn a_definition_is_no_call() {
        let file = RustFile::new(
            "a.rs".into(),
            "gateway".into(),
            "pub(crate) fn discharge(a: B) {}\nfn c() { discharge(d) }",
        );
        assert_eq!(calls(&file, "discharge("), [2]);
    }
}
