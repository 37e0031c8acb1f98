//! Lines that would pass instead of a denied one.

use std::collections::BTreeSet;

use model::{End, FileAccess, LexicalPath, RuleName, SimpleCommand, SubAction};

use crate::Snapshot;
use crate::authorise::{Asked, Considered};
use crate::command::{self, CommandPattern, WordPattern};
use crate::rule::{Part, Rule};
use crate::snapshot::CompiledRule;

/// Most lines that a denial offers, and most that are tried for it.
const MAX_OFFERED: usize = 5;
const MAX_TRIED: usize = 20;

/// What lines may be offered for: a denied part among the parts of its action.
pub(super) struct Offers<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) asked: Asked<'a>,
    pub(super) considered: &'a Considered<'a>,
    pub(super) parts: &'a [SubAction],
    pub(super) at: usize,
}

impl Offers<'_> {
    /// Lines that were tried and pass, from rules that apply here already, and that carry at least the approvals that
    /// rules ask for about any part of what was denied, in any wording of it.
    pub(super) fn lines(&self) -> Vec<String> {
        let candidates = match self.parts.get(self.at) {
            Some(SubAction::Command(denied)) => self.commands(denied),
            Some(SubAction::File { access, path }) => self.files(*access, path),
            Some(SubAction::Whole | SubAction::Upstream(_) | SubAction::Credential { .. }) | None => {
                Vec::new()
            }
        };
        let approvals = self.approvals();
        let mut offered: Vec<String> = Vec::new();
        for candidate in candidates.into_iter().take(MAX_TRIED) {
            let line = command::simple(&candidate);
            if offered.len() < MAX_OFFERED
                && !offered.contains(&line)
                && self.passes(&line, &candidate, &approvals)
            {
                offered.push(line);
            }
        }
        offered
    }

    /// What rules permit by words alone, the same program first.
    fn commands(&self, denied: &SimpleCommand) -> Vec<SimpleCommand> {
        let program = program(denied);
        let patterns = self
            .considered
            .permits()
            .flat_map(|r| r.rule.commands.iter().flatten().chain(r.rule.opaque.iter().flatten()));
        let mut candidates: Vec<SimpleCommand> = patterns.filter_map(literal).collect();
        candidates.sort_by_key(|candidate| candidate.words.first().is_none_or(|word| word != program));
        candidates.dedup();
        candidates
    }

    /// The command with a file that rules permit by name in the place of the denied one, and without it.
    fn files(&self, access: FileAccess, denied: &LexicalPath) -> Vec<SimpleCommand> {
        let before = self.parts.get(..self.at).unwrap_or_default();
        let Some(command) = before.iter().rev().find_map(|part| match part {
            SubAction::Command(command) => Some(command),
            SubAction::Whole
            | SubAction::Upstream(_)
            | SubAction::File { .. }
            | SubAction::Credential { .. } => None,
        }) else {
            return Vec::new();
        };
        let patterns = self.considered.permits().flat_map(|r| r.rule.files(access).unwrap_or_default());
        let instead = patterns.filter_map(|pattern| pattern.literal()).map(|path| {
            let mut command = command.clone();
            for redirection in &mut command.redirections {
                match &mut redirection.end {
                    End::Read(file) if access == FileAccess::Read && file == denied => *file = path.clone(),
                    End::Write(file, _) if access == FileAccess::Write && file == denied => {
                        *file = path.clone()
                    }
                    End::Read(_) | End::Write(..) | End::Join(_) => {}
                }
            }
            command
        });
        let mut without = command.clone();
        without.redirections.retain(|redirection| match &redirection.end {
            End::Read(file) | End::Write(file, _) => file != denied,
            End::Join(_) => true,
        });
        instead.chain([without]).collect()
    }

    /// Rules whose approval the denied act, or the program in it, would have to bring.
    fn approvals(&self) -> BTreeSet<&RuleName> {
        let asks = self.considered.permits().filter(|r| r.rule.approval.is_some());
        let names = |rule: &Rule, part: &SubAction| match part {
            SubAction::Command(command) => {
                let mut patterns = rule.commands.iter().chain(&rule.opaque).flatten();
                patterns.any(|pattern| pattern.is_about(program(command)))
            }
            SubAction::Whole
            | SubAction::Upstream(_)
            | SubAction::File { .. }
            | SubAction::Credential { .. } => false,
        };
        let about = |r: &&CompiledRule| {
            self.parts.iter().any(|part| names(&r.rule, part) || r.rule.covers_widely(&Part::new(part)))
        };
        asks.filter(about).map(|r| &r.rule.name).collect()
    }

    /// Decided like any line: every part of it, by the same snapshot.
    fn passes(&self, line: &str, candidate: &SimpleCommand, approvals: &BTreeSet<&RuleName>) -> bool {
        let Ok(parsed) = command::parse(line) else { return false };
        let mut owed: BTreeSet<RuleName> = BTreeSet::new();
        for part in parsed.parts() {
            match self.snapshot.part(self.asked, self.considered, &part) {
                Ok(grant) => owed.extend(grant.approvals.into_iter().map(|approval| approval.rule)),
                Err(_) => return false,
            }
        }
        parsed.commands().eq([candidate]) && approvals.iter().all(|rule| owed.contains(*rule))
    }
}

fn program(command: &SimpleCommand) -> &str {
    command.words.first().and_then(|program| program.rsplit('/').next()).unwrap_or_default()
}

/// The shortest line of a pattern in which nothing but numbers had to be made up.
fn literal(pattern: &CommandPattern) -> Option<SimpleCommand> {
    if pattern.is_any() {
        return None;
    }
    let mut words = Vec::new();
    for word in pattern.words() {
        match word {
            WordPattern::Literal(text) => words.push(text.clone()),
            WordPattern::Int => words.push("10".to_owned()),
            WordPattern::Many => {}
            WordPattern::One
            | WordPattern::Glob(_)
            | WordPattern::Word
            | WordPattern::Unit
            | WordPattern::Path(_) => return None,
        }
    }
    (!words.is_empty()).then(|| SimpleCommand::new(words))
}
