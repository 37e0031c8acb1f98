//! Programs that run other programs, or write where their words do not show it.

use std::sync::LazyLock;

use model::SimpleCommand;

use super::name::{MAX_NAME_PIECES, base, spellings};
use super::pattern::Star;
use super::wide::abbreviates;

/// One line of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpaqueProgram {
    /// The program's name without its folder.
    pub program: &'static str,
    /// With which words.
    pub when: OpaqueWhen,
    /// Why, in a few words.
    pub reason: &'static str,
}

/// With which words a program is opaque.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum OpaqueWhen {
    /// With any.
    Always,
    /// When one of the words is this one, or starts with it and `=`, or abbreviates it.
    Word(&'static str),
    /// When both are among the words.
    Words(&'static str, &'static str),
    /// When a word matches this, in any case of letters: text with `*`, each for any characters.
    Like(&'static str),
    /// When a word that is no option names a file or an address: it has a `/` or a package's ending.
    File,
    /// With both.
    WordAndFile(&'static str),
    /// With two words or more that are no options.
    TwoOperands,
}

const LIST: &str = include_str!("../../data/opaque.txt");

/// The list's lines by program; those of one in the order of the file. Only the lines that are asked for are read: all of
/// them, read, would be four times their text.
static BY_PROGRAM: LazyLock<Box<[&str]>> = LazyLock::new(|| {
    let mut lines: Box<[&str]> = lines().collect();
    lines.sort_by_key(|line| program_of(line));
    lines
});

/// What the list says of a program of exactly this name.
fn entries(program: &str) -> impl Iterator<Item = OpaqueProgram> {
    let lines: &'static [&'static str] = &BY_PROGRAM;
    let from = lines.partition_point(|line| program_of(line) < program);
    let listed = lines.get(from..).unwrap_or_default();
    let (lines, _) = listed.split_at(listed.partition_point(|line| program_of(line) == program));
    lines.iter().filter_map(|line| entry(line))
}

/// The list, in the order of its file.
pub fn opaque_programs() -> impl Iterator<Item = OpaqueProgram> {
    lines().filter_map(entry)
}

fn lines() -> impl Iterator<Item = &'static str> {
    LIST.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

pub(super) fn reason(command: &SimpleCommand) -> Option<&'static str> {
    let program = command.words.first()?;
    let name = base(program);
    let evaluates =
        EVALUATES.contains(&name) && command.words.iter().skip(1).any(|word| word.contains(['$', '`']));
    if evaluates {
        return Some("some shells take its words for arithmetic and run what is in them");
    }
    if name.matches(['-', '.']).count() >= MAX_NAME_PIECES {
        return Some("has a name of more parts than names of programs have");
    }
    // Some file systems do not tell `BASH` from `bash`.
    let lower = name.to_ascii_lowercase();
    let other = (lower != name).then_some(lower.as_str());
    let reading = Reading { abbreviates: abbreviates(name), valued: valued(name) };
    spellings(name)
        .chain(other.into_iter().flat_map(spellings))
        .flat_map(|spelling| entries(spelling).map(move |entry| (spelling, entry)))
        // What is built into a shell has one name: `read` is, `sensors-read` is not.
        .filter(|(spelling, entry)| entry.reason != BUILT_IN || spelling.len() == name.len())
        .find(|(_, entry)| entry.holds(command, reading))
        .map(|(_, entry)| entry.reason)
}

/// Whether a program of this name is opaque with some words.
pub(super) fn is_listed(program: &str) -> bool {
    let lower = base(program).to_ascii_lowercase();
    EVALUATES.contains(&lower.as_str())
        || spellings(&lower).any(|spelling| entries(spelling).next().is_some())
}

/// Whether an option takes the place of the first operand, so that what a rule's author took for the text to
/// search for is a file: `grep -ex /etc/shadow FILE` is not `grep -i WORD FILE`.
pub(super) fn moves_operands(command: &SimpleCommand) -> bool {
    let Some((program, arguments)) = command.words.split_first() else { return false };
    searches(program)
        && arguments.iter().any(|word| ["-e", "--regexp"].iter().any(|option| says(word, option, "")))
}

/// Whether options of this program can move its operands, as [`moves_operands`] means it.
pub(super) fn searches(program: &str) -> bool {
    let lower = base(program).to_ascii_lowercase();
    spellings(&lower).any(|name| name.ends_with("grep") || name == "rg")
}

/// The reason that the list gives for what is part of the shell.
const BUILT_IN: &str = "is the shell itself: runs or changes what follows";

/// Built into shells of which some (ksh, zsh) evaluate operands as arithmetic, which can hold substitutions.
const EVALUATES: &[&str] =
    &["break", "continue", "exit", "kill", "printf", "return", "shift", "test", "ulimit", "umask", "wait"];

/// Short options that take a value, so that what follows one within its word is that value and no option:
/// `systemctl show -pMainPID` names no machine (`-M`).
///
/// A program is here under its own name only, and an option only if every version of the program that ever had it takes
/// a value for it, and reads its options as `getopt` does (or, like kubectl, refuses to have one letter for two things);
/// one that does not know the letter refuses the word. So `systemctl -P` is missing: it meant `--privileged` once. And so
/// is `tree -I`, whose value is always the next word. What a letter means cannot be told from the outside: a program that
/// is not here has every letter of a word as an option.
const VALUED: &[(&str, &str)] = &[
    ("date", "d"),
    ("journalctl", "uptoScgSU"),
    ("kubectl", "n"),
    ("loginctl", "pnos"),
    ("systemctl", "ptnos"),
];

/// The letters of short options that take a value, for the program of exactly this name.
fn valued(name: &str) -> &'static str {
    VALUED.iter().find(|(program, _)| *program == name).map_or("", |(_, letters)| *letters)
}

/// How a program reads its words.
#[derive(Clone, Copy)]
struct Reading {
    /// Any beginning of a keyword stands for it.
    abbreviates: bool,
    /// The letters of short options that take a value.
    valued: &'static str,
}

impl OpaqueProgram {
    fn holds(&self, command: &SimpleCommand, reading: Reading) -> bool {
        let operands = || command.words.iter().skip(1).filter(|word| !word.starts_with('-'));
        match self.when {
            OpaqueWhen::Always => true,
            OpaqueWhen::Word(word) => has_word(command, reading, word),
            OpaqueWhen::Words(one, other) => {
                has_word(command, reading, one) && has_word(command, reading, other)
            }
            OpaqueWhen::Like(pattern) => {
                let like = Star::parse(pattern);
                // No NUL is in any word, so a star stands for everything.
                command.words.iter().skip(1).any(|word| like.matches(&word.to_ascii_lowercase(), '\0'))
            }
            OpaqueWhen::File => operands().any(|operand| is_file(operand)),
            OpaqueWhen::WordAndFile(word) => {
                has_word(command, reading, word) && operands().any(|operand| is_file(operand))
            }
            OpaqueWhen::TwoOperands => operands().nth(1).is_some(),
        }
    }
}

fn is_file(operand: &str) -> bool {
    let lower = operand.to_ascii_lowercase();
    lower.contains('/')
        || [".deb", ".rpm", ".apk", ".snap", ".flatpak"].iter().any(|end| lower.ends_with(end))
}

fn has_word(command: &SimpleCommand, reading: Reading, word: &str) -> bool {
    let mut words = command.words.iter().skip(1);
    if reading.abbreviates {
        return words.any(|have| is_beginning(have, word));
    }
    words.any(|have| says(have, word, reading.valued))
}

/// Whether `have` is this word, with a value or in another spelling.
fn says(have: &str, word: &str, valued: &str) -> bool {
    have.strip_prefix(word).is_some_and(|rest| rest.is_empty() || rest.starts_with('=') || is_short(word))
        || (is_short(word) && bundles(have, word, valued))
        || is_abbreviation(have, word)
}

/// Whether a program that takes any beginning of its words may take `have` for this one: `ip netns ex`.
fn is_beginning(have: &str, word: &str) -> bool {
    let have = if have.starts_with("--") { have.get(1..).unwrap_or_default() } else { have };
    !matches!(have, "" | "-") && word.starts_with(have)
}

fn is_short(option: &str) -> bool {
    option.len() == 2 && option.starts_with('-')
}

/// Whether `-xvf` holds the option `-f`. Behind a letter that takes a value there are no more options.
fn bundles(word: &str, option: &str, valued: &str) -> bool {
    let Some(letter) = option.chars().nth(1) else { return false };
    word.starts_with('-')
        && !word.starts_with("--")
        && word.chars().skip(1).find(|c| *c == letter || valued.contains(*c)) == Some(letter)
}

/// Whether `--outp` may stand for `--output`: GNU programs take any unambiguous beginning.
fn is_abbreviation(word: &str, option: &str) -> bool {
    let name = word.split('=').next().unwrap_or(word);
    option.starts_with("--") && name.len() > 2 && name.starts_with("--") && option.starts_with(name)
}

/// `PROGRAM[ WORD[ WORD]]: REASON`, `PROGRAM[ WORD] FILE: REASON`, `PROGRAM IN OUT: REASON` or, for a word
/// with `*`, `PROGRAM LIKE: REASON`
/// Which program a line of the list is about.
fn program_of(line: &str) -> &str {
    let what = line.split_once(": ").map_or(line, |(what, _)| what);
    what.split_once(' ').map_or(what, |(program, _)| program)
}

fn entry(line: &'static str) -> Option<OpaqueProgram> {
    let (what, reason) = line.split_once(": ")?;
    let (program, when) = match what.split_once(' ') {
        None => (what, OpaqueWhen::Always),
        Some((program, "IN OUT")) => (program, OpaqueWhen::TwoOperands),
        Some((program, "FILE")) => (program, OpaqueWhen::File),
        Some((program, words)) => match words.strip_suffix(" FILE") {
            Some(word) => (program, OpaqueWhen::WordAndFile(word)),
            None if words.contains('*') => (program, OpaqueWhen::Like(words)),
            None => match words.split_once(' ') {
                Some((one, other)) => (program, OpaqueWhen::Words(one, other)),
                None => (program, OpaqueWhen::Word(words)),
            },
        },
    };
    Some(OpaqueProgram { program, when, reason })
}

#[cfg(test)]
mod tests {
    use super::{OpaqueWhen, lines, opaque_programs, program_of};

    #[test]
    fn the_list_is_well_formed() {
        assert_eq!(opaque_programs().count(), lines().count());
        assert!(lines().zip(opaque_programs()).all(|(line, entry)| program_of(line) == entry.program));
        let mut seen = std::collections::BTreeSet::new();
        for entry in opaque_programs() {
            assert!(
                entry.program.chars().all(|c| c.is_ascii_alphanumeric() || "_.+-[:".contains(c)),
                "{}",
                entry.program
            );
            assert!(!entry.reason.is_empty() && !entry.reason.ends_with('.'), "{}", entry.program);
            if let OpaqueWhen::Like(pattern) = entry.when {
                assert_eq!(pattern, pattern.to_ascii_lowercase(), "{}", entry.program);
            }
            assert!(seen.insert((entry.program, entry.when)), "{} twice", entry.program);
        }
        assert!(seen.len() > 150);
    }
}
