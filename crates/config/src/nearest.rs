//! Which known word somebody may have meant.

/// The known word that is at most a third of its letters away from `text`, if one is.
pub(crate) fn nearest<'a>(text: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if text.len() > 64 {
        return None;
    }
    let text = text.to_lowercase().replace('-', "_");
    known
        .map(|word| (distance(&text, &word.replace('-', "_")), word))
        .filter(|(distance, word)| *distance <= (word.chars().count() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// Edits (insert, remove, replace, swap two neighbours) from one to the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let mut previous = None;
    for (i, x) in a.chars().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let at = |row: &[usize], index: usize| row.get(index).copied().unwrap_or(usize::MAX - 1);
            let replaced = at(&last, j) + usize::from(x != *y);
            let mut best = replaced.min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            let swapped = j > 0 && previous == Some(*y) && b.get(j - 1) == Some(&x);
            if swapped {
                best = best.min(at(&before, j - 1).saturating_add(1));
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
        previous = Some(x);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{distance, nearest};

    #[test]
    fn edits_are_counted() {
        for (a, b, edits) in
            [("", "", 0), ("", "ab", 2), ("http", "htpt", 1), ("http", "https", 1), ("abc", "xyz", 3)]
        {
            assert_eq!(distance(a, b), edits, "{a} {b}");
        }
    }

    #[test]
    fn only_what_is_close_is_suggested() {
        let known = ["trusted_proxies", "http", "tls"];
        assert_eq!(nearest("trusted-proxys", known.into_iter()), Some("trusted_proxies"));
        assert_eq!(nearest("HTTP", known.into_iter()), Some("http"));
        assert_eq!(nearest("listen", known.into_iter()), None);
    }
}
