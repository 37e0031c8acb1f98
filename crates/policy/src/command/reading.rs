//! A command as rules read it: worked out once, however many rules there are.

use std::borrow::Cow;

use model::SimpleCommand;

use super::pattern::WordPattern;
use super::{CommandPattern, opaque, wide};

/// A command with what rules ask of it.
pub(crate) struct Reading<'a> {
    pub(crate) command: &'a SimpleCommand,
    /// Why it can do what its words do not show, if it can.
    pub(crate) opaque: Option<&'static str>,
    /// The words it acts with, the files of redirections among them.
    words: Cow<'a, [String]>,
    /// For an opaque command: the words that its words are made of, scripts taken apart.
    script: Vec<String>,
}

impl<'a> Reading<'a> {
    pub(crate) fn new(command: &'a SimpleCommand) -> Self {
        let (opaque, words) = (opaque(command), wide::wording(command));
        let script = if opaque.is_some() { script(&words) } else { Vec::new() };
        Self { command, opaque, words, script }
    }
}

impl CommandPattern {
    /// As [`CommandPattern::matches_widely`].
    pub(crate) fn narrows(&self, reading: &Reading<'_>) -> bool {
        self.is_any()
            || wide::matches(self.words(), &reading.words)
            || (reading.opaque.is_some()
                && (wide::matches_within(self.words(), &reading.words)
                    || wide::matches_within(self.words(), &reading.script)))
    }

    /// As an entry of `opaque`: one plain word is a program by its name, with any words; all others are patterns.
    pub(crate) fn permits_opaque(&self, reading: &Reading<'_>) -> bool {
        let named = match self.words() {
            [WordPattern::Literal(name)] => reading.command.words.first() == Some(name),
            _ => self.matches(reading.command),
        };
        reading.opaque.is_some() && named
    }

    /// As an entry of `opaque` in what narrows: only opaque commands, in any wording.
    pub(crate) fn narrows_opaque(&self, reading: &Reading<'_>) -> bool {
        reading.opaque.is_some() && self.narrows(reading)
    }
}

/// Words without quotes, divided wherever a shell, an interpreter or an option with a value may divide them.
///
/// Not a parser of anything: who may write scripts can hide names in them (`x=reboot; $x`).
fn script(words: &[String]) -> Vec<String> {
    let divides = |c: char| c.is_whitespace() || ";|&()<>{}[]`$=,".contains(c);
    let plain =
        |word: &String| -> String { word.chars().filter(|c| !matches!(c, '\'' | '"' | '\\')).collect() };
    let divided = words.iter().map(plain).flat_map(|word| {
        word.split(divides).filter(|part| !part.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    });
    divided.collect()
}
