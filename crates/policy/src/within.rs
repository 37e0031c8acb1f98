//! Whether all that one pattern takes is taken by another.
//!
//! A yes is certain, a no may be too careful: warnings are made of it, never decisions.

/// A piece of a pattern: a word of a command, a part of a path.
pub(crate) trait Piece {
    /// Whether it stands for any number of words, none among them.
    fn repeats(&self) -> bool;

    /// Whether every word that this takes (any one of them, if it repeats) is taken by the other.
    fn is_within(&self, wide: &Self) -> bool;
}

/// Follows the narrow pattern through the wide one: `reached` are the places where every sequence that the pieces so
/// far take may have come to.
pub(crate) fn is_within<P: Piece>(narrow: &[P], wide: &[P]) -> bool {
    // Most pairs differ at once: rules are compared by the million.
    if let (Some(first), Some(other)) = (narrow.first(), wide.first())
        && !other.repeats()
        && (first.repeats() || !first.is_within(other))
    {
        return false;
    }
    let mut reached = vec![false; wide.len() + 1];
    if let Some(start) = reached.first_mut() {
        *start = true;
    }
    skip(&mut reached, wide);
    for piece in narrow {
        let mut next = vec![false; wide.len() + 1];
        for (at, other) in wide.iter().enumerate().filter(|(at, _)| reached.get(*at) == Some(&true)) {
            // What repeats may take nothing, so only what repeats as well stands for it.
            let fits = piece.is_within(other) && (other.repeats() || !piece.repeats());
            let to = if other.repeats() { at } else { at + 1 };
            if let Some(place) = next.get_mut(to) {
                *place |= fits;
            }
        }
        skip(&mut next, wide);
        if !next.contains(&true) {
            return false;
        }
        reached = next;
    }
    reached.last() == Some(&true)
}

/// What repeats may stand for nothing.
fn skip<P: Piece>(reached: &mut [bool], wide: &[P]) {
    for (at, piece) in wide.iter().enumerate() {
        if piece.repeats()
            && reached.get(at) == Some(&true)
            && let Some(after) = reached.get_mut(at + 1)
        {
            *after = true;
        }
    }
}
