//! Which path patterns take all that others take.

use super::{Part, PathPattern, is_shown};
use crate::within::{self, Piece};

impl PathPattern {
    /// Whether every path that this matches is matched by `wide`.
    pub(crate) fn is_within(&self, wide: &Self) -> bool {
        wide.is_any() || (!self.is_any() && within::is_within(&self.steps(), &wide.steps()))
    }

    /// `**` at the end stands for one name at least.
    fn steps(&self) -> Vec<Step<'_>> {
        let ends_open = self.parts.last() == Some(&Part::Many);
        self.parts.iter().map(Step::of).chain(ends_open.then_some(Step::Shown)).collect()
    }
}

/// A part of a pattern, as far as what it takes goes.
enum Step<'a> {
    /// A part that is no `**`.
    Named(&'a Part),
    /// Any name that is not hidden.
    Shown,
    /// Any number of such.
    Run,
}

impl<'a> Step<'a> {
    fn of(part: &'a Part) -> Self {
        if *part == Part::Many { Self::Run } else { Self::Named(part) }
    }
}

impl Piece for Step<'_> {
    fn repeats(&self) -> bool {
        matches!(self, Self::Run)
    }

    fn is_within(&self, wide: &Self) -> bool {
        match (self, wide) {
            (Self::Named(Part::Literal(name)), Self::Named(wide)) => {
                wide.takes(name) && (wide.shows_hidden() || is_shown(name))
            }
            (Self::Named(Part::Literal(name)), Self::Shown | Self::Run) => is_shown(name),
            (Self::Named(part @ Part::Star(star)), Self::Named(wide @ Part::Star(other))) => {
                star.is_within(other, '/') && (wide.shows_hidden() || !part.shows_hidden())
            }
            (Self::Named(part), Self::Shown | Self::Run) => !part.shows_hidden(),
            (Self::Shown | Self::Run, Self::Shown | Self::Run) => true,
            (Self::Named(_) | Self::Shown | Self::Run, Self::Named(_)) => false,
        }
    }
}
