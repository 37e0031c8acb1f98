//! What a rule says about commands: words, some of them standing for others.

mod within;

use std::fmt;

use model::SimpleCommand;

use super::{Reading, wide};

/// The most words a pattern may have.
const MAX_WORDS: usize = 64;

/// One entry of `commands`: matched against the words of one simple command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandPattern {
    text: String,
    words: Vec<WordPattern>,
}

/// What one word of a pattern stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum WordPattern {
    /// Exactly this.
    Literal(String),
    /// `*`: one word that is not empty and does not begin with `-`.
    One,
    /// `**`: any number of such words.
    Many,
    /// Text with `*` inside, each for any characters but `/`.
    Glob(Star),
    /// `<int>`: 1 to 18 decimal digits.
    Int,
    /// `<word>`: letters, digits and `_ . : @ % + = , -`, not beginning with `-`.
    Word,
    /// `<unit>`: a systemd unit's name without wildcards.
    Unit,
    /// `<path:/prefix>`: an absolute path strictly below the prefix, without `.`, `..` or empty parts.
    Path(String),
}

/// Why a pattern is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct MalformedPattern {
    /// A lowercase fragment.
    pub message: String,
    /// Where in the pattern, in bytes.
    pub at: usize,
    /// What to write instead.
    pub hint: Option<String>,
}

impl CommandPattern {
    /// Reads a pattern.
    pub fn parse(text: &str) -> Result<Self, MalformedPattern> {
        let words = split(text)?.into_iter().map(Raw::read).collect::<Result<Vec<_>, _>>()?;
        if words.is_empty() {
            return Err(malformed("an empty pattern matches nothing", 0));
        }
        if words.len() > MAX_WORDS {
            return Err(malformed(format!("a pattern has at most {MAX_WORDS} words"), 0));
        }
        Ok(Self { text: text.to_owned(), words })
    }

    /// Whether the pattern is `**` alone, which stands for every command that is understood.
    pub fn is_any(&self) -> bool {
        self.words == [WordPattern::Many]
    }

    /// Whether the words of this command are what the pattern says.
    pub fn matches(&self, command: &SimpleCommand) -> bool {
        if self.is_any() {
            return true;
        }
        let words: Vec<&str> = command.words.iter().map(String::as_str).collect();
        let open = self.words.iter().any(WordPattern::is_any_option);
        self.matches_words(&words) && !(open && super::opaque::moves_operands(command))
    }

    /// Whether this command may be another wording of what the pattern says.
    ///
    /// For what narrows (a `forbid`, a demand for approval), where `/sbin/reboot --force` must not pass as
    /// something else than `reboot`. Never for what permits. Everything that [`Self::matches`] takes, this
    /// takes too, and neither more options nor more words change a yes. Of an opaque command every word may be the
    /// program that is run: `sudo reboot` and `sh -c 'id; reboot'` are `reboot` too.
    pub fn matches_widely(&self, command: &SimpleCommand) -> bool {
        self.narrows(&Reading::new(command))
    }

    /// Whether a command of this program may be what the pattern is about.
    pub(crate) fn is_about(&self, program: &str) -> bool {
        self.words.first().is_some_and(|first| wide::is_program(first, program))
    }

    /// The words, for explanations and hints.
    pub(crate) fn words(&self) -> &[WordPattern] {
        &self.words
    }

    /// Every state of the match at once, so that no pattern can make it slow.
    fn matches_words(&self, words: &[&str]) -> bool {
        let mut reached = vec![false; words.len() + 1];
        if let Some(start) = reached.first_mut() {
            *start = true;
        }
        for pattern in &self.words {
            reached = step(pattern, words, &reached);
            if !reached.contains(&true) {
                return false;
            }
        }
        reached.last() == Some(&true)
    }
}

impl fmt::Display for CommandPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// From the places where the words before `pattern` may end to those where it may.
fn step(pattern: &WordPattern, words: &[&str], reached: &[bool]) -> Vec<bool> {
    let many = *pattern == WordPattern::Many;
    let mut next = Vec::with_capacity(reached.len());
    let mut before = false;
    for (at, here) in reached.iter().enumerate() {
        let word = at.checked_sub(1).and_then(|at| words.get(at));
        let fits = before && word.is_some_and(|word| pattern.matches(word));
        next.push(if many { *here || fits } else { fits });
        before = if many { next.last() == Some(&true) } else { *here };
    }
    next
}

impl WordPattern {
    /// `-*`, `--*` and the like, which leave open which option it is.
    fn is_any_option(&self) -> bool {
        matches!(self, Self::Glob(star) if star.segments().first().is_some_and(|first| matches!(first.as_str(), "-" | "--")))
    }

    pub(crate) fn matches(&self, word: &str) -> bool {
        match self {
            Self::Literal(text) => text == word,
            Self::One | Self::Many => !word.is_empty() && !word.starts_with('-'),
            Self::Glob(star) => {
                star.matches(word, '/')
                    && (star.begins_with_dash() || !word.starts_with('-'))
                    && !word.is_empty()
            }
            Self::Int => (1..=18).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_digit()),
            Self::Word => is_name(word, |c| matches!(c, '_' | '.' | ':' | '@' | '%' | '+' | '=' | ',' | '-')),
            Self::Unit => word.len() <= 255 && is_name(word, |c| matches!(c, '_' | '.' | ':' | '@' | '-')),
            Self::Path(prefix) => is_below(word, prefix),
        }
    }
}

fn is_name(word: &str, also: fn(char) -> bool) -> bool {
    !word.is_empty() && !word.starts_with('-') && word.chars().all(|c| c.is_ascii_alphanumeric() || also(c))
}

/// `prefix` is `/` or has no slash at its end.
fn is_below(path: &str, prefix: &str) -> bool {
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    let Some(rest) = path.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('/')) else { return false };
    rest.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

/// Text with `*`, each standing for any run of characters but one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Star {
    /// The literal texts between the stars; at least two, the outer ones possibly empty.
    segments: Vec<String>,
}

impl Star {
    pub(crate) fn new(segments: Vec<String>) -> Self {
        Self { segments }
    }

    /// Splits at every `*`.
    pub(crate) fn parse(text: &str) -> Self {
        Self::new(text.split('*').map(str::to_owned).collect())
    }

    pub(crate) fn segments(&self) -> &[String] {
        &self.segments
    }

    pub(super) fn begins_with_dash(&self) -> bool {
        self.segments.first().is_some_and(|first| first.starts_with('-'))
    }

    /// Taking each segment at its first place is enough: a later place would only widen the run before it.
    pub(crate) fn matches(&self, text: &str, but: char) -> bool {
        let Some((first, others)) = self.segments.split_first() else { return false };
        let Some(mut rest) = text.strip_prefix(first.as_str()) else { return false };
        let Some((last, middle)) = others.split_last() else { return rest.is_empty() };
        for segment in middle {
            let Some((skipped, after)) = rest.split_once(segment.as_str()) else { return false };
            if skipped.contains(but) {
                return false;
            }
            rest = after;
        }
        rest.strip_suffix(last.as_str()).is_some_and(|skipped| !skipped.contains(but))
    }
}

/// A word of the pattern's text: characters, each with whether it was quoted.
struct Raw {
    at: usize,
    characters: Vec<(char, bool)>,
}

impl Raw {
    fn read(self) -> Result<WordPattern, MalformedPattern> {
        let plain: String = self.characters.iter().map(|(c, _)| *c).collect();
        let bare = |wanted: &str| plain == wanted && self.characters.iter().all(|(_, quoted)| !quoted);
        if bare("*") {
            return Ok(WordPattern::One);
        }
        if bare("**") {
            return Ok(WordPattern::Many);
        }
        if let Some(('<', false)) = self.characters.first() {
            return placeholder(&plain, self.at);
        }
        let mut segments = vec![String::new()];
        let mut after_star = false;
        for (c, quoted) in &self.characters {
            let star = *c == '*' && !quoted;
            if star && after_star {
                return Err(malformed("`**` stands for whole words and must stand alone", self.at));
            }
            if star {
                segments.push(String::new());
            } else if let Some(segment) = segments.last_mut() {
                segment.push(*c);
            }
            after_star = star;
        }
        match <[String; 1]>::try_from(segments) {
            Ok([literal]) => Ok(WordPattern::Literal(literal)),
            Err(segments) => Ok(WordPattern::Glob(Star::new(segments))),
        }
    }
}

fn placeholder(text: &str, at: usize) -> Result<WordPattern, MalformedPattern> {
    let known =
        "the placeholders are `<int>`, `<word>`, `<unit>` and `<path:/prefix>`, each a word of its own";
    match text {
        "<int>" => return Ok(WordPattern::Int),
        "<word>" => return Ok(WordPattern::Word),
        "<unit>" => return Ok(WordPattern::Unit),
        _ => {}
    }
    let Some(prefix) = text.strip_prefix("<path:").and_then(|rest| rest.strip_suffix('>')) else {
        return Err(malformed(format!("unknown placeholder `{text}`"), at).hint(known));
    };
    let trimmed = if prefix.len() > 1 { prefix.strip_suffix('/').unwrap_or(prefix) } else { prefix };
    if trimmed == "/" || is_below(trimmed, "/") {
        return Ok(WordPattern::Path(trimmed.to_owned()));
    }
    let message = format!("`{prefix}` is no absolute path without `.`, `..` and empty parts");
    Err(malformed(message, at).hint("write the folder as in `<path:/var/log>`"))
}

/// Splits at blanks outside of single quotes, and refuses what looks like shell syntax.
fn split(text: &str) -> Result<Vec<Raw>, MalformedPattern> {
    let mut words = Vec::new();
    let mut word: Option<Raw> = None;
    let mut quote: Option<usize> = None;
    for (at, c) in text.char_indices() {
        if c.is_control() {
            return Err(malformed("a control character in a pattern", at));
        }
        match (c, quote.is_some()) {
            ('\'', quoted) => {
                word.get_or_insert_with(|| Raw { at, characters: Vec::new() });
                quote = if quoted { None } else { Some(at) };
            }
            (' ', false) => words.extend(word.take()),
            (c, quoted) => {
                if !quoted {
                    unquoted(c, at, text)?;
                }
                word.get_or_insert_with(|| Raw { at, characters: Vec::new() }).characters.push((c, quoted));
            }
        }
    }
    if let Some(at) = quote {
        return Err(malformed("a quote that is never closed", at));
    }
    words.extend(word);
    Ok(words)
}

fn unquoted(c: char, at: usize, text: &str) -> Result<(), MalformedPattern> {
    let literal = "put the word into single quotes if the character is meant literally";
    match c {
        '|' | '&' | ';' => Err(malformed(format!("`{c}` in a pattern"), at).hint(
            "a pattern is one simple command: write each command of a pipeline or list as its own pattern",
        )),
        '>' | '<' if !in_placeholder(text, at) => Err(malformed("a redirection in a pattern", at)
            .hint("files of redirections are permitted by `reads` and `writes`; placeholders are whole words such as `<int>`")),
        '$' | '`' | '\\' | '"' | '(' | ')' | '{' | '}' | '?' | '[' | ']' | '~' | '!' | '#' => {
            Err(malformed(format!("`{c}` in a pattern"), at).hint(literal))
        }
        _ => Ok(()),
    }
}

/// Whether the character at `at` opens or closes a placeholder that is a word of its own.
fn in_placeholder(text: &str, at: usize) -> bool {
    let before = text.get(..at).unwrap_or_default();
    let after = text.get(at..).unwrap_or_default().chars().nth(1);
    let opens = text.get(at..).is_some_and(|rest| rest.starts_with('<'));
    let word = before.rsplit(' ').next().unwrap_or_default();
    if opens { word.is_empty() } else { word.starts_with('<') && after.is_none_or(|c| c == ' ') }
}

fn malformed(message: impl Into<String>, at: usize) -> MalformedPattern {
    MalformedPattern { message: message.into(), at, hint: None }
}

impl MalformedPattern {
    fn hint(mut self, hint: &str) -> Self {
        self.hint = Some(hint.to_owned());
        self
    }
}

#[cfg(test)]
mod tests;
