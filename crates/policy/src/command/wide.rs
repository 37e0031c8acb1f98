//! What a pattern means where it narrows, in a `forbid` and in a demand for approval: every wording that may
//! do the same. Never for what permits.
//!
//! An act has many wordings: options before and after, several operands, another file name of the program.
//! So words of the pattern must be there, in order; whatever else is there does not save a command. Options
//! of the pattern may stand anywhere and be spelled long, short or bundled. One pass over the words.

use std::borrow::Cow;

use model::SimpleCommand;

use super::name::{base, spellings, spells};
use super::pattern::WordPattern;

/// The words that a command may act with: `cat <FILE` does what `cat FILE` does.
pub(super) fn wording(command: &SimpleCommand) -> Cow<'_, [String]> {
    if command.redirections.is_empty() {
        return Cow::Borrowed(&command.words);
    }
    let files = command.files().map(|(_, path)| path.to_string());
    Cow::Owned(command.words.iter().cloned().chain(files).collect())
}

pub(super) fn matches(pattern: &[WordPattern], words: &[String]) -> bool {
    let (Some((first, patterns)), Some((given, arguments))) = (pattern.split_first(), words.split_first())
    else {
        return false;
    };
    if *first == WordPattern::Many {
        return has_all(patterns, words, Wording::of(base(given)));
    }
    is_program(first, given) && has_all(patterns, arguments, Wording::of(base(given)))
}

/// Whether any of the words begins a command that matches, for programs that run others.
///
/// More words never turn a yes into a no, so of all words that may be the program the first is enough; one for each
/// way of reading words, since the way comes with the program.
pub(super) fn matches_within(pattern: &[WordPattern], words: &[String]) -> bool {
    let Some(first) = pattern.first() else { return false };
    let mut tried: Vec<Wording> = Vec::new();
    for (at, word) in words.iter().enumerate().skip(1) {
        let wording = Wording::of(base(word));
        if tried.contains(&wording) || !(*first == WordPattern::Many || is_program(first, word)) {
            continue;
        }
        if matches(pattern, words.get(at..).unwrap_or_default()) {
            return true;
        }
        tried.push(wording);
    }
    false
}

/// Whether a command of this program may be what a pattern is about that begins with `first`.
pub(crate) fn is_program(first: &WordPattern, given: &str) -> bool {
    match first {
        WordPattern::Literal(program) => program == given || spells(base(given), base(program)),
        WordPattern::Glob(star) => {
            let lower = given.to_ascii_lowercase();
            [given, base(given), &lower, base(&lower)].iter().any(|name| star.matches(name, '\0'))
        }
        WordPattern::Path(prefix) => given.starts_with('/') && may_be_below(given, prefix),
        WordPattern::One | WordPattern::Many | WordPattern::Int | WordPattern::Word | WordPattern::Unit => {
            true
        }
    }
}

/// How a program reads its words.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wording {
    Plain,
    /// Takes any beginning of a keyword.
    Abbreviates,
    /// Takes `nginx` for `nginx.service`, and expands `*`, `?` and `[` itself.
    Units,
    /// Expands `*`, `?` and `[` in names of packages.
    Packages,
}

/// Whether this program takes any beginning of a keyword for it.
pub(super) fn abbreviates(name: &str) -> bool {
    Wording::of(name) == Wording::Abbreviates
}

impl Wording {
    fn of(name: &str) -> Self {
        Self::of_plain(name).unwrap_or_else(|| {
            let lower = name.to_ascii_lowercase();
            let known = |wording: &Self| *wording != Self::Plain;
            spellings(&lower).filter_map(Self::of_plain).find(known).unwrap_or(Self::Plain)
        })
    }

    fn of_plain(name: &str) -> Option<Self> {
        match name {
            "ip" | "tc" | "bridge" | "devlink" | "rdma" | "dcb" | "vdpa" | "tipc" | "nmcli" | "btrfs" => {
                Some(Self::Abbreviates)
            }
            "systemctl" | "journalctl" | "service" => Some(Self::Units),
            "apt" | "aptitude" | "dnf" | "dpkg" | "rpm" | "yum" | "zypper" => Some(Self::Packages),
            _ if name.bytes().all(|b| b.is_ascii_lowercase()) => Some(Self::Plain),
            _ => None,
        }
    }
}

fn has_all(patterns: &[WordPattern], words: &[String], wording: Wording) -> bool {
    let mut rest = words.iter();
    let mut after_option = false;
    for pattern in patterns {
        let option = is_option(pattern);
        let met = match (option, after_option) {
            (true, _) => has_option(pattern, words),
            // Perhaps the option's value, which may be attached to it and stands where the option stands.
            (false, true) => {
                let given = |word: &str| {
                    fits(pattern, word, wording) || attached(word).any(|value| fits(pattern, value, wording))
                };
                is_free(pattern) || words.iter().any(|word| given(word))
            }
            (false, false) => *pattern == WordPattern::Many || rest.any(|word| fits(pattern, word, wording)),
        };
        if !met {
            return false;
        }
        after_option = option && !is_end_of_options(pattern);
    }
    true
}

fn is_option(pattern: &WordPattern) -> bool {
    match pattern {
        WordPattern::Literal(text) => text.len() > 1 && text.starts_with('-'),
        WordPattern::Glob(star) => star.begins_with_dash(),
        WordPattern::One
        | WordPattern::Many
        | WordPattern::Int
        | WordPattern::Word
        | WordPattern::Unit
        | WordPattern::Path(_) => false,
    }
}

fn is_end_of_options(pattern: &WordPattern) -> bool {
    matches!(pattern, WordPattern::Literal(text) if text == "--")
}

/// Wildcards and placeholders that take any word here.
fn is_free(pattern: &WordPattern) -> bool {
    match pattern {
        WordPattern::One | WordPattern::Many | WordPattern::Int | WordPattern::Word | WordPattern::Unit => {
            true
        }
        WordPattern::Literal(_) | WordPattern::Glob(_) | WordPattern::Path(_) => false,
    }
}

fn fits(pattern: &WordPattern, word: &str, wording: Wording) -> bool {
    match pattern {
        WordPattern::Literal(text) => is_same(text, word, wording),
        WordPattern::Glob(star) => star.matches(word, '\0') || expands(word, wording),
        WordPattern::Path(prefix) => may_be_below(word, prefix),
        WordPattern::One | WordPattern::Many | WordPattern::Int | WordPattern::Word | WordPattern::Unit => {
            true
        }
    }
}

fn is_same(text: &str, word: &str, wording: Wording) -> bool {
    if text == word || expands(word, wording) || is_same_path(text, word) {
        return true;
    }
    match wording {
        Wording::Abbreviates => !word.is_empty() && text.starts_with(word),
        Wording::Units => {
            text.strip_suffix(".service").unwrap_or(text) == word.strip_suffix(".service").unwrap_or(word)
        }
        // `NAME:ARCHITECTURE`, `NAME=VERSION`, `NAME/RELEASE`, and a sign after the name that does another act.
        Wording::Packages => {
            let name = |word: &str| -> String {
                word.split([':', '=', '/']).next().unwrap_or_default().trim_end_matches(['+', '-']).to_owned()
            };
            !text.starts_with('-') && name(text) == name(word)
        }
        Wording::Plain => false,
    }
}

/// Whether the program itself may take the word for other names.
fn expands(word: &str, wording: Wording) -> bool {
    matches!(wording, Wording::Units | Wording::Packages) && word.contains(['*', '?', '['])
}

/// Whether the option, or another spelling of it, is among the words.
fn has_option(pattern: &WordPattern, words: &[String]) -> bool {
    match pattern {
        WordPattern::Literal(_) if is_end_of_options(pattern) => true,
        WordPattern::Literal(text) => {
            let exact = words.iter().any(|word| word == text);
            exact
                || match text.strip_prefix("--") {
                    Some(long) => has_long(long, words),
                    None => has_short(text.trim_start_matches('-'), words),
                }
        }
        WordPattern::Glob(_) => words.iter().any(|word| word.starts_with('-')),
        WordPattern::One
        | WordPattern::Many
        | WordPattern::Int
        | WordPattern::Word
        | WordPattern::Unit
        | WordPattern::Path(_) => false,
    }
}

/// `--name`, `--name=value`, any beginning of the name, or its first letter as a short option.
fn has_long(long: &str, words: &[String]) -> bool {
    let (name, value) = long.split_once('=').unwrap_or((long, ""));
    let letter = name.chars().next();
    let named = words.iter().any(|word| {
        let given = word.strip_prefix("--").and_then(|word| word.split('=').next()).unwrap_or_default();
        !given.is_empty() && name.starts_with(given)
    });
    (named || letter.is_some_and(|letter| has_letter(letter, words)))
        && (value.is_empty() || words.iter().any(|word| word.ends_with(value)))
}

/// Each letter bundled or alone, or as a long option that begins with it; or the text as another option's value.
fn has_short(letters: &str, words: &[String]) -> bool {
    let spelled = |letter: char| {
        has_letter(letter, words)
            || words.iter().any(|word| {
                word.strip_prefix("--")
                    .and_then(|name| name.chars().next())
                    .is_some_and(|first| first.eq_ignore_ascii_case(&letter))
            })
    };
    letters.chars().all(spelled)
        || words.iter().any(|word| word == letters || attached(word).any(|value| value == letters))
}

/// In either case: `-r` and `-R` are often the same.
fn has_letter(letter: char, words: &[String]) -> bool {
    words.iter().any(|word| {
        word.strip_prefix('-').is_some_and(|bundle| {
            !bundle.starts_with('-') && bundle.chars().any(|c| c.eq_ignore_ascii_case(&letter))
        })
    })
}

/// What an option word may carry as its value: `--name=VALUE`, `-nVALUE`.
fn attached(word: &str) -> impl Iterator<Item = &str> {
    let option = word.starts_with('-');
    let long = word.split_once('=').map(|(_, value)| value).filter(|_| option);
    let short = word.get(2..).filter(|value| option && !value.is_empty() && !word.starts_with("--"));
    long.into_iter().chain(short)
}

/// Whether a word may name something below the folder, the folder itself, or a folder above it.
///
/// An absolute path that leads elsewhere by its text may not, nor a number, nor an option without such a path.
/// Where a command is run is not known, so any other word may. Links are outside of what a word shows.
fn may_be_below(word: &str, prefix: &str) -> bool {
    if word.starts_with('-') {
        return attached(word).any(|value| value.starts_with('/') && may_be_below(value, prefix));
    }
    if !word.starts_with('/') {
        return !word.bytes().all(|b| b.is_ascii_digit());
    }
    if word.starts_with("/proc/") || word.split('/').any(|part| part == "..") {
        return true;
    }
    parts(word).zip(parts(prefix)).all(|(have, wanted)| have == wanted)
}

/// Whether a word may name the file whose absolute path the pattern has.
fn is_same_path(text: &str, word: &str) -> bool {
    if !text.starts_with('/') {
        return false;
    }
    if word.starts_with('/') && !word.split('/').any(|part| part == "..") {
        return parts(text).eq(parts(word));
    }
    let last = base(word.trim_end_matches('/'));
    matches!(last, "." | "..") || base(text.trim_end_matches('/')) == last
}

fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|part| !part.is_empty() && *part != ".")
}

#[cfg(test)]
mod tests;
