//! Rule files as the policy crate's rules, and its findings as ours.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use model::{CredentialPattern, Target};
use policy::{
    CedarFile, LintCode, LintWarning, RawRules, Rule, RuleProblem, Snapshot, ToolFacts, Vocabulary,
};
use toml::de::DeValue;

use crate::Loaded;
use crate::configuration::Sources;
use crate::diagnostic::{Diagnostic, Diagnostics, Report, Severity};
use crate::forms::{Wrong, printable};
use crate::node::{Node, Place, Table, TextFile};
use crate::text::Text;

/// A checked rule, and where it is written.
#[derive(Debug, Clone)]
pub(crate) struct WrittenRule {
    pub(crate) rule: Arc<Rule>,
    origin: Origin,
    /// Position in its file.
    index: usize,
    /// What it says, whatever its place and layout: equal for equal rules.
    pub(crate) meaning: String,
}

/// A Cedar file, and where it lies.
#[derive(Debug, Clone)]
pub(crate) struct WrittenCedar {
    pub(crate) file: CedarFile,
    origin: Origin,
}

#[derive(Debug, Clone)]
struct Origin {
    path: PathBuf,
    text: Text,
    span: Range<usize>,
}

/// Reads the checked structures of all files together. A file with mistakes in its structure is left out.
pub(crate) fn read(files: &[Table<'_>], sources: &Sources) -> Vec<WrittenRule> {
    let mut taken: BTreeMap<String, Place<'_>> = BTreeMap::new();
    let mut rules = Vec::new();
    let sound = |file: &Table<'_>| !file.place.report.has_errors_in(&file.place.file.shown);
    let sound: Vec<_> = files.iter().map(sound).collect();
    for (file, sound) in files.iter().zip(sound) {
        let tables: Vec<_> = file.list("rule").iter().filter_map(Node::table).collect();
        for table in &tables {
            check_name(table, &mut taken);
            check_sources(table, sources);
        }
        if sound {
            rules.extend(parse(file, &tables));
        }
    }
    rules
}

/// Takes a Cedar file over; the policy crate checks it.
pub(crate) fn cedar(file: &TextFile) -> WrittenCedar {
    let name = file.shown.file_name().unwrap_or_default().to_string_lossy().into_owned();
    WrittenCedar {
        file: CedarFile { name, text: file.text.as_str().to_owned() },
        origin: Origin::of(file, 0..0),
    }
}

impl Loaded {
    /// The rules, in the order of the files' names.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter().map(|written| written.rule.as_ref())
    }

    /// Compiles rules and Cedar files against the tools and operators' verbs that exist, and what these files declare.
    ///
    /// # Errors
    /// Every rule that names what does not exist and every Cedar file that is wrong, each with its place.
    pub fn compile(
        &self,
        tools: Vec<ToolFacts>,
        verbs: Vec<String>,
    ) -> Result<(Snapshot, Vec<Diagnostic>), Diagnostics> {
        let report = Report::default();
        let rules = self.rules.iter().map(|written| Arc::clone(&written.rule));
        let cedar = self.cedar.iter().map(|written| written.file.clone()).collect();
        let snapshot = match Snapshot::compile(rules, cedar, &self.vocabulary(tools, verbs)) {
            Ok((snapshot, warnings)) => {
                warnings.into_iter().for_each(|warning| report.add(self.tell(Finding::from(warning))));
                Some(snapshot)
            }
            Err(problems) => {
                problems.into_iter().for_each(|problem| report.add(self.tell(Finding::from(problem))));
                None
            }
        };
        report.conclude(snapshot)
    }

    fn vocabulary(&self, tools: Vec<ToolFacts>, verbs: Vec<String>) -> Vocabulary {
        let principals = &self.configuration.principals;
        let groups: BTreeSet<_> = principals.iter().flat_map(|principal| principal.groups.clone()).collect();
        let targets =
            std::iter::once(Target::gateway()).chain(self.inventory.hosts().map(model::Host::target));
        let upstreams = &self.configuration.upstreams;
        let targets = targets.chain(upstreams.iter().map(|upstream| Target::upstream(upstream.name)));
        Vocabulary {
            tools,
            verbs,
            principals: principals.iter().map(|principal| principal.id.clone()).collect(),
            groups,
            targets: targets.collect(),
            upstreams: upstreams.iter().map(|upstream| (upstream.name, upstream.tools.clone())).collect(),
        }
    }

    fn tell(&self, finding: Finding) -> Diagnostic {
        let place = match finding.place {
            Some(policy::Place::Rule(at)) => self.rules.get(at).map(|rule| (&rule.origin, Some(rule.index))),
            Some(policy::Place::Cedar(at)) => self.cedar.get(at).map(|cedar| (&cedar.origin, None)),
            None => None,
        };
        let (line, column) = place.map_or((0, 0), |(origin, _)| {
            let span = finding.span.as_ref().unwrap_or(&origin.span);
            origin.text.position(span.start)
        });
        Diagnostic {
            file: place.map_or_else(|| self.configuration.policy.clone(), |(origin, _)| origin.path.clone()),
            line,
            column,
            key: place
                .and_then(|(_, index)| index)
                .map(|index| key(index, &finding.field, finding.index))
                .unwrap_or_default(),
            code: finding.code,
            message: one_line(finding.message),
            hint: finding.hint.map(one_line),
            severity: finding.severity,
        }
    }
}

impl Origin {
    fn of(file: &TextFile, span: Range<usize>) -> Self {
        Self { path: file.shown.clone(), text: file.text.clone(), span }
    }
}

/// What the policy crate says about a rule or Cedar file.
struct Finding {
    place: Option<policy::Place>,
    field: String,
    index: Option<usize>,
    span: Option<Range<usize>>,
    code: Option<LintCode>,
    message: String,
    hint: Option<String>,
    severity: Severity,
}

impl From<RuleProblem> for Finding {
    fn from(problem: RuleProblem) -> Self {
        let RuleProblem { place, field, index, span, message, hint } = problem;
        Self { place, field, index, span, code: None, message, hint, severity: Severity::Error }
    }
}

impl From<LintWarning> for Finding {
    fn from(warning: LintWarning) -> Self {
        let LintWarning { code, place, field, index, span, message, hint } = warning;
        let (place, code) = (Some(place), Some(code));
        Self { place, field, index, span, code, message, hint, severity: Severity::Warning }
    }
}

/// Cedar's texts may span lines.
fn one_line(text: String) -> String {
    printable(&text.replace('\n', " "))
}

fn key(rule: usize, field: &str, element: Option<usize>) -> String {
    let field = if field == "rule" { String::new() } else { format!(".{field}") };
    let element = element.map(|index| format!("[{index}]")).unwrap_or_default();
    format!("rule[{rule}]{field}{element}")
}

fn check_name<'a>(table: &Table<'a>, taken: &mut BTreeMap<String, Place<'a>>) {
    let Some(node) = table.node("name") else { return };
    let Some(name) = node.text() else { return };
    match taken.get(name) {
        Some(first) => {
            node.place.error(format!("the same name is already at {}", first.seen_from(&node.place)))
        }
        None => {
            taken.insert(name.to_owned(), node.place);
        }
    }
}

fn check_sources(table: &Table<'_>, sources: &Sources) {
    for node in table.list("credentials") {
        if let Some(Ok(CredentialPattern::Parts { source, .. })) = node.text().map(CredentialPattern::parse) {
            sources.must_know(&source, &node.place);
        }
    }
}

fn parse(file: &Table<'_>, tables: &[Table<'_>]) -> Vec<WrittenRule> {
    let raw: RawRules = match toml::from_str(file.place.file.text.as_str()) {
        Ok(raw) => raw,
        // The structure has been checked, so only a gap between that check and the policy crate ends here.
        Err(error) => {
            let span = error.span().unwrap_or(0..0);
            Place { span, ..file.place.clone() }.error(Wrong::new(printable(error.message())));
            return Vec::new();
        }
    };
    let mut rules = Vec::new();
    for (index, (raw, table)) in raw.rule.into_iter().zip(tables).enumerate() {
        match Rule::parse(raw.into_inner()) {
            Ok(rule) => rules.push(WrittenRule {
                rule: Arc::new(rule),
                origin: Origin::of(file.place.file, table.place.span.clone()),
                index,
                meaning: table
                    .entries
                    .iter()
                    .map(|(name, value)| member(name.get_ref(), value.get_ref()))
                    .collect(),
            }),
            Err(problems) => {
                for problem in problems {
                    let written = || table.entries.get(problem.field.as_str()).map(toml::Spanned::span);
                    let span = problem.span.or_else(written).unwrap_or_else(|| table.place.span.clone());
                    let key = key(index, &problem.field, problem.index);
                    let wrong =
                        Wrong { message: one_line(problem.message), hint: problem.hint.map(one_line) };
                    Place { key, span, ..file.place.clone() }.error(wrong);
                }
            }
        }
    }
    rules
}

fn member(name: &str, value: &DeValue<'_>) -> String {
    format!("{name:?}={},", meaning(value))
}

fn meaning(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("{text:?}"),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.as_str().to_owned(),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(moment) => moment.to_string(),
        DeValue::Array(items) => {
            let items: Vec<_> = items.iter().map(|item| meaning(item.get_ref())).collect();
            format!("[{}]", items.join(","))
        }
        DeValue::Table(entries) => {
            let members: String =
                entries.iter().map(|(name, value)| member(name.get_ref(), value.get_ref())).collect();
            format!("{{{members}}}")
        }
    }
}
