//! Programs that run other programs, or write where their words do not show it.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use model::SimpleCommand;

/// One line of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpaqueProgram {
    /// The program's name without its folder.
    pub program: &'static str,
    /// Only when one of the words is this one (or starts with it and `=`); `None`: always.
    pub when: Option<&'static str>,
    /// Why, in a few words.
    pub reason: &'static str,
}

const LIST: &str = include_str!("../../data/opaque.txt");

static BY_PROGRAM: LazyLock<BTreeMap<&'static str, Vec<OpaqueProgram>>> = LazyLock::new(|| {
    let mut by_program: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for entry in opaque_programs() {
        by_program.entry(entry.program).or_default().push(entry);
    }
    by_program
});

/// The list, in the order of its file.
pub fn opaque_programs() -> impl Iterator<Item = OpaqueProgram> {
    LIST.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).filter_map(entry)
}

pub(super) fn reason(command: &SimpleCommand) -> Option<&'static str> {
    let program = command.words.first()?;
    let name = program.rsplit('/').next()?;
    let evaluates =
        EVALUATES.contains(&name) && command.words.iter().skip(1).any(|word| word.contains(['$', '`']));
    if evaluates {
        return Some("some shells take its words for arithmetic and run what is in them");
    }
    // Some file systems do not tell `BASH` from `bash`.
    let lower = name.to_ascii_lowercase();
    let entries = [name, without_version(name), &lower, without_version(&lower)]
        .into_iter()
        .find_map(|name| BY_PROGRAM.get(name))?;
    entries
        .iter()
        .find(|entry| entry.when.is_none_or(|word| has_word(command, word)))
        .map(|entry| entry.reason)
}

/// Built into shells of which some (ksh, zsh) evaluate operands as arithmetic, which can hold substitutions.
const EVALUATES: &[&str] =
    &["break", "continue", "exit", "kill", "printf", "return", "shift", "test", "ulimit", "umask", "wait"];

/// `python3.12` and `perl5.36` are `python` and `perl`.
fn without_version(name: &str) -> &str {
    name.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | '-'))
}

fn has_word(command: &SimpleCommand, word: &str) -> bool {
    command.words.iter().skip(1).any(|have| {
        have.strip_prefix(word).is_some_and(|rest| rest.is_empty() || rest.starts_with('=') || is_short(word))
            || (is_short(word) && bundles(have, word))
            || abbreviates(have, word)
    })
}

fn is_short(option: &str) -> bool {
    option.len() == 2 && option.starts_with('-')
}

/// Whether `-xvf` holds the option `-f`.
fn bundles(word: &str, option: &str) -> bool {
    let letter = option.chars().nth(1);
    word.starts_with('-')
        && !word.starts_with("--")
        && letter.is_some_and(|letter| word.chars().skip(1).any(|c| c == letter))
}

/// Whether `--outp` may stand for `--output`: GNU programs take any unambiguous beginning.
fn abbreviates(word: &str, option: &str) -> bool {
    let name = word.split('=').next().unwrap_or(word);
    option.starts_with("--") && name.len() > 2 && name.starts_with("--") && option.starts_with(name)
}

/// `PROGRAM[ WORD]: REASON`
fn entry(line: &'static str) -> Option<OpaqueProgram> {
    let (what, reason) = line.split_once(": ")?;
    let (program, when) = match what.split_once(' ') {
        Some((program, word)) => (program, Some(word)),
        None => (what, None),
    };
    Some(OpaqueProgram { program, when, reason })
}

#[cfg(test)]
mod tests {
    use super::{LIST, opaque_programs};

    #[test]
    fn the_list_is_well_formed() {
        let lines = LIST.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        assert_eq!(opaque_programs().count(), lines.count());
        let mut seen = std::collections::BTreeSet::new();
        for entry in opaque_programs() {
            assert!(
                entry.program.chars().all(|c| c.is_ascii_alphanumeric() || "_.+-[:".contains(c)),
                "{}",
                entry.program
            );
            assert!(!entry.reason.is_empty() && !entry.reason.ends_with('.'), "{}", entry.program);
            assert!(seen.insert((entry.program, entry.when)), "{} twice", entry.program);
        }
        assert!(seen.len() > 150);
    }
}
