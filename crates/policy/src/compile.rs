//! From checked rules and Cedar files to a snapshot.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cedar_policy::{Authorizer, Policy, PolicySet, ValidationMode, Validator};
use model::{FileAccess, SnapshotHash, ToolName};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::cedar::{Facts, Sets, built_in_policy, rule_policy, schema};
use crate::files::{self, RawPolicy, help_of, span_of};
use crate::index::Index;
use crate::listed::Listed;
use crate::problem::Place;
use crate::rule::{Rule, ToolSelector};
use crate::snapshot::CompiledRule;
use crate::vocabulary::BUILT_IN;
use crate::{CedarFile, LintWarning, RuleProblem, Snapshot, Vocabulary, lint};

/// The id of the policy behind what needs no rule.
pub(crate) const BUILT_IN_ID: &str = "built-in";

/// Cedar's parser and validator recurse deeper than the stacks of ordinary threads are long.
const STACK: usize = 256 * 1024 * 1024;

type Compiled = Result<(Snapshot, Vec<LintWarning>), Vec<RuleProblem>>;

/// Compiles, and then judges what came of it. Each on a thread of its own: what a thread leaves behind when it ends goes back
/// to the system, as far as nothing of it is kept, and of what the validator needs nothing is.
pub(crate) fn compile(rules: Vec<Arc<Rule>>, cedar: Vec<CedarFile>, vocabulary: &Vocabulary) -> Compiled {
    let mut problems = names(&rules, vocabulary);
    let snapshot = on_long_stack(|| build(rules, cedar, vocabulary, &mut problems))?;
    let warnings = on_long_stack(|| judge(&snapshot, vocabulary, &mut problems))?;
    if !problems.is_empty() {
        problems.sort_by_key(|problem| problem.place);
        return Err(problems);
    }
    Ok((snapshot, warnings))
}

/// Runs on a thread with a long stack, of which only what is used takes memory.
fn on_long_stack<T: Send>(act: impl FnOnce() -> Result<T, String> + Send) -> Result<T, Vec<RuleProblem>> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("policy-compile".to_owned()).stack_size(STACK);
        match thread.spawn_scoped(scope, act) {
            Ok(running) => running.join().unwrap_or_else(|_| Err("compiling the policy failed".to_owned())),
            Err(e) => Err(format!("no thread to compile the policy on: {e}")),
        }
    })
    .map_err(|message| vec![RuleProblem::new("rule", format!("internal: {message}"))])
}

/// Everything that is kept. What does not compile is left out of it, and a problem.
fn build(
    rules: Vec<Arc<Rule>>,
    cedar: Vec<CedarFile>,
    vocabulary: &Vocabulary,
    problems: &mut Vec<RuleProblem>,
) -> Result<Snapshot, String> {
    let (compiled, raw) = (policies(rules, problems), raw_policies(&cedar, problems));
    Ok(Snapshot {
        hash: hash(&compiled, &cedar),
        tools: tool_names(vocabulary),
        index: Index::new(compiled.iter().map(|compiled| compiled.rule.as_ref())),
        rules: compiled,
        files: cedar,
        raw,
        built_in: built_in_policy(BUILT_IN_ID)?,
        facts: Facts::new()?,
        sets: Sets::default(),
        listed: Listed::default(),
        authorizer: Authorizer::new(),
    })
}

/// What is wrong with the conditions, and what only looks wrong.
fn judge(
    snapshot: &Snapshot,
    vocabulary: &Vocabulary,
    problems: &mut Vec<RuleProblem>,
) -> Result<Vec<LintWarning>, String> {
    let validator = Validator::new(schema(vocabulary)?);
    problems.extend(conditions(&snapshot.rules, &validator));
    problems.extend(raw_conditions(&snapshot.raw, &validator));
    if !problems.is_empty() {
        return Ok(Vec::new());
    }
    let rules: Vec<Rule> = snapshot.rules.iter().map(|compiled| Rule::clone(&compiled.rule)).collect();
    Ok(lint::lint(&rules, vocabulary))
}

/// Names that must exist, and rules that must have names of their own.
fn names(rules: &[Arc<Rule>], vocabulary: &Vocabulary) -> Vec<RuleProblem> {
    let mut problems = Vec::new();
    let mut seen = BTreeMap::new();
    for (at, rule) in rules.iter().enumerate() {
        if seen.insert(rule.name.as_str(), at).is_some() {
            let message = format!("another rule is called `{}`", rule.name);
            problems.push(
                RuleProblem::new("name", message).span(rule.raw.span_of("name", None)).place(Place::Rule(at)),
            );
        }
        for (index, selector) in rule.tools.iter().enumerate() {
            if let Some((message, hint)) = unknown(selector, vocabulary) {
                let span = rule.raw.span_of(rule.tools_key(), Some(index));
                let problem =
                    RuleProblem::new(rule.tools_key(), message).element(index).span(span).hint(hint);
                problems.push(problem.place(Place::Rule(at)));
            }
        }
    }
    problems
}

fn unknown(selector: &ToolSelector, vocabulary: &Vocabulary) -> Option<(String, String)> {
    match selector {
        // Which tools an upstream has is known while it runs: what is unknown of it is a warning.
        ToolSelector::Any
        | ToolSelector::AnyOperator
        | ToolSelector::Tier(_)
        | ToolSelector::Upstream(_)
        | ToolSelector::Things(_) => None,
        ToolSelector::One(name) if name.upstream().is_some() || vocabulary.knows_tool(name.as_str()) => None,
        ToolSelector::One(name) if name.as_str().starts_with("operator:") => {
            let verbs: Vec<_> = vocabulary.verbs.iter().map(|verb| format!("`operator:{verb}`")).collect();
            Some((format!("unknown operator's verb `{name}`"), format!("the verbs are {}", verbs.join(", "))))
        }
        ToolSelector::One(name) => {
            let tools: Vec<_> = vocabulary.tools.iter().map(|tool| format!("`{}`", tool.name)).collect();
            Some((format!("unknown tool `{name}`"), format!("the tools are {}", tools.join(", "))))
        }
        ToolSelector::Set(set) if vocabulary.knows_set(set) => None,
        ToolSelector::Set(set) => {
            let sets: BTreeSet<_> =
                vocabulary.tools.iter().map(|tool| format!("`set:{}`", tool.set)).collect();
            let message = if LATER_SETS.contains(&set.as_str()) {
                format!("the tools of set `{set}` come with a later version")
            } else {
                format!("unknown set `{set}`")
            };
            Some((message, format!("the sets are {}", sets.into_iter().collect::<Vec<_>>().join(", "))))
        }
    }
}

/// Sets whose tools are not built yet.
const LATER_SETS: &[&str] = &[
    "database",
    "docker",
    "file-ops",
    "fleet",
    "host",
    "pkg",
    "powershell",
    "session",
    "sftp-read",
    "shell",
    "sudo",
    "systemctl",
];

fn policies(rules: Vec<Arc<Rule>>, problems: &mut Vec<RuleProblem>) -> Vec<CompiledRule> {
    let mut compiled = Vec::with_capacity(rules.len());
    for (at, rule) in rules.into_iter().enumerate() {
        // A number keeps the id short; the name is in the annotations.
        match rule_policy(&rule, &format!("rule:{at}")) {
            Ok(policy) => compiled.push(CompiledRule { rule, policy }),
            Err(message) => {
                problems.push(
                    RuleProblem::new("rule", format!("Cedar does not take it: {message}"))
                        .place(Place::Rule(at)),
                );
            }
        }
    }
    compiled
}

fn raw_policies(files: &[CedarFile], problems: &mut Vec<RuleProblem>) -> Vec<RawPolicy> {
    let mut policies = Vec::new();
    let mut names = BTreeSet::new();
    for (at, file) in files.iter().enumerate() {
        if !names.insert(&file.name) {
            let message = format!("two Cedar files are called `{}`", file.name);
            problems.push(RuleProblem::new("cedar", message).place(Place::Cedar(at)));
            continue;
        }
        match files::parse(file, at) {
            Ok(parsed) => policies.extend(parsed),
            Err(found) => problems.extend(found),
        }
    }
    policies
}

/// Rules are built to fit the schema; only what an operator wrote in Cedar can miss it.
fn conditions(compiled: &[CompiledRule], validator: &Validator) -> Vec<RuleProblem> {
    let mut problems = Vec::new();
    for (at, CompiledRule { rule, policy }) in compiled.iter().enumerate() {
        if rule.when.is_none() {
            continue;
        }
        for (_, message, hint) in validate(validator, policy) {
            let span = rule.raw.span_of("when", None);
            problems.push(RuleProblem::new("when", message).span(span).hint(hint).place(Place::Rule(at)));
        }
    }
    problems
}

fn raw_conditions(raw: &[RawPolicy], validator: &Validator) -> Vec<RuleProblem> {
    let found = raw
        .iter()
        .flat_map(|raw| validate(validator, &raw.policy).into_iter().map(|found| (raw.file, found)));
    found
        .map(|(file, (span, message, hint))| {
            RuleProblem::new("cedar", message).span(span).hint(hint).place(Place::Cedar(file))
        })
        .collect()
}

type Found = (Option<std::ops::Range<usize>>, String, String);

fn validate(validator: &Validator, policy: &Policy) -> Vec<Found> {
    let mut set = PolicySet::new();
    if let Err(e) = set.add(policy.clone()) {
        return vec![(None, e.to_string(), String::new())];
    }
    let result = validator.validate(&set, ValidationMode::Strict);
    result
        .validation_errors()
        .map(|error| {
            let text = error.to_string();
            let message = text.split_once("`, ").map_or(text.as_str(), |(_, rest)| rest).to_owned();
            (span_of(error), message, help_of(error))
        })
        .collect()
}

fn tool_names(vocabulary: &Vocabulary) -> BTreeSet<ToolName> {
    let verbs = vocabulary.verbs.iter().filter_map(|verb| ToolName::parse(&format!("operator:{verb}")).ok());
    let built_in = BUILT_IN.iter().filter_map(|name| ToolName::parse(name).ok());
    vocabulary.tools.iter().map(|tool| tool.name.clone()).chain(verbs).chain(built_in).collect()
}

/// Over what decides: each rule's Cedar form with the parts that are matched outside of Cedar, and the files.
fn hash(rules: &[CompiledRule], files: &[CedarFile]) -> SnapshotHash {
    let mut sha = Sha256::new();
    sha.update(b"portcullis policy 2\n");
    for CompiledRule { rule, policy } in rules {
        let commands: Option<Vec<String>> =
            rule.commands.as_ref().map(|list| list.iter().map(ToString::to_string).collect());
        let opaque: Option<Vec<String>> =
            rule.opaque.as_ref().map(|list| list.iter().map(ToString::to_string).collect());
        let credentials: Option<Vec<String>> =
            rule.credentials.as_ref().map(|list| list.iter().map(ToString::to_string).collect());
        let files = |access| -> Option<Vec<String>> {
            rule.files(access).map(|list| list.iter().map(ToString::to_string).collect())
        };
        let approval = rule.approval.as_ref().map(|approval| format!("{approval:?}"));
        let line = json!({
            "cedar": policy.to_json().ok(),
            "commands": commands,
            "opaque": opaque,
            "reads": files(FileAccess::Read),
            "writes": files(FileAccess::Write),
            "credentials": credentials,
            "arguments": rule.arguments.as_ref().map(|arguments| format!("{arguments:?}")),
            "networks": rule.networks.as_ref().map(|networks| format!("{networks:?}")),
            "targets": format!("{:?}", rule.targets),
            "limits": format!("{:?}", rule.limits),
            "approval": approval,
        });
        sha.update(line.to_string().as_bytes());
        sha.update(b"\n");
    }
    for file in files {
        sha.update(json!([file.name, file.text]).to_string().as_bytes());
        sha.update(b"\n");
    }
    SnapshotHash::new(sha.finalize().into())
}
