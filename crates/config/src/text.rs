//! A file's text, and where its lines begin: every rule of a file points into it, and every finding has a line.

use std::sync::Arc;

/// A text that is shared, and in which places are found without reading all that is before them.
#[derive(Debug, Clone)]
pub(crate) struct Text(Arc<Lines>);

#[derive(Debug)]
struct Lines {
    text: String,
    /// Byte offsets, the first of them 0.
    begins: Vec<usize>,
}

impl Text {
    pub(crate) fn new(text: String) -> Self {
        let after_breaks = text.match_indices('\n').map(|(at, _)| at + 1);
        let begins = std::iter::once(0).chain(after_breaks).collect();
        Self(Arc::new(Lines { text, begins }))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0.text
    }

    /// Line and column, both from 1, of a byte offset; the column counts characters.
    pub(crate) fn position(&self, offset: usize) -> (u32, u32) {
        let Lines { text, begins } = &*self.0;
        let offset = if text.is_char_boundary(offset) { offset } else { text.len() };
        let line = begins.partition_point(|begin| *begin <= offset);
        let begin = line.checked_sub(1).and_then(|at| begins.get(at)).copied().unwrap_or(0);
        let column = text.get(begin..offset).unwrap_or_default().chars().count();
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        (count(line), count(column).saturating_add(1))
    }
}

#[cfg(test)]
mod tests {
    use super::Text;

    #[test]
    fn places_are_counted_in_lines_and_characters() {
        let text = Text::new("a\n\nüx\n".to_owned());
        let places =
            [(0, (1, 1)), (1, (1, 2)), (2, (2, 1)), (3, (3, 1)), (5, (3, 2)), (6, (3, 3)), (7, (4, 1))];
        for (offset, place) in places {
            assert_eq!(text.position(offset), place, "{offset}");
        }
        assert_eq!(text.position(4), (4, 1), "inside of a character: the end");
        assert_eq!(text.position(99), (4, 1), "beyond the end: the end");
        assert_eq!(Text::new(String::new()).position(0), (1, 1));
    }
}
