//! Which patterns take all that others take.

use super::{CommandPattern, Star, WordPattern};
use crate::command::opaque;
use crate::within::{self, Piece};

impl CommandPattern {
    /// Whether every command that this matches is matched by `wide`.
    pub(crate) fn is_within(&self, wide: &Self) -> bool {
        // A pattern with `-*` leaves some commands of some programs out by what their options do.
        let left_out = || wide.has_any_option() && !self.has_any_option() && self.may_search();
        wide.is_any() || (!self.is_any() && within::is_within(&self.words, &wide.words) && !left_out())
    }

    /// The same for entries of `opaque`, where one plain word is a program with any words.
    pub(crate) fn is_within_opaque(&self, wide: &Self) -> bool {
        match (self.words(), wide.words()) {
            (_, [WordPattern::Literal(_)]) => self.words().first() == wide.words().first(),
            ([WordPattern::Literal(_)], _) => wide.is_any(),
            _ => self.is_within(wide),
        }
    }

    /// Whether every wording of this is a wording of `wide` too, where patterns are read widely.
    ///
    /// Words of a pattern are looked for one after the other, so that a pattern which begins with another asks for
    /// more than it. Beyond that nothing is claimed.
    pub(crate) fn is_narrower_wording(&self, wide: &Self) -> bool {
        let end = wide.words.iter().rposition(|word| *word != WordPattern::Many);
        let asked = end.and_then(|end| wide.words.get(..=end)).unwrap_or_default();
        wide.is_any() || (!self.is_any() && self.words.starts_with(asked))
    }

    fn may_search(&self) -> bool {
        !matches!(self.words.first(), Some(WordPattern::Literal(program)) if !opaque::searches(program))
    }

    fn has_any_option(&self) -> bool {
        self.words.iter().any(WordPattern::is_any_option)
    }
}

impl Piece for WordPattern {
    fn repeats(&self) -> bool {
        *self == Self::Many
    }

    fn is_within(&self, wide: &Self) -> bool {
        match (self, wide) {
            _ if self == wide => true,
            (Self::Literal(word), wide) => wide.matches(word),
            (Self::Glob(star), Self::One | Self::Many) => !star.begins_with_dash(),
            (
                Self::One | Self::Many | Self::Int | Self::Word | Self::Unit | Self::Path(_),
                Self::One | Self::Many,
            ) => true,
            (Self::Int | Self::Unit, Self::Word) | (Self::Int, Self::Unit) => true,
            (Self::Path(folder), Self::Path(above)) => is_same_or_below(folder, above),
            (Self::Glob(star), Self::Path(above)) => is_clean_below(star, above),
            (Self::Glob(star), Self::Glob(other)) => {
                star.is_within(other, '/') && (other.begins_with_dash() || !star.begins_with_dash())
            }
            (
                Self::One | Self::Many | Self::Glob(_) | Self::Int | Self::Word | Self::Unit | Self::Path(_),
                _,
            ) => false,
        }
    }
}

impl Star {
    /// Whether every text that this matches is matched by `wide`: a star of this one falls into a star of the other as
    /// a character that no text has.
    pub(crate) fn is_within(&self, wide: &Self, but: char) -> bool {
        wide.matches(&self.segments.join("\0"), but)
    }
}

fn is_same_or_below(folder: &str, above: &str) -> bool {
    let above = above.strip_suffix('/').unwrap_or(above);
    folder.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether whatever the stars stand for is a path below the folder without `.`, `..` and empty parts.
fn is_clean_below(star: &Star, above: &str) -> bool {
    let above = format!("{}/", above.strip_suffix('/').unwrap_or(above));
    let written = star.segments.first().is_some_and(|first| first.starts_with(&above));
    let whole = star.segments.join("\0");
    let says = |c: char| !matches!(c, '\0' | '.');
    let clean =
        |part: &str| part.contains(says) || (!part.contains('\0') && !matches!(part, "" | "." | ".."));
    written && whole.get(above.len()..).is_some_and(|rest| rest.split('/').all(clean))
}

#[cfg(test)]
mod tests;
