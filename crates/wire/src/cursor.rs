//! Where a listing goes on: after an item, by its name, so that a list that changes loses nothing.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

/// A place in a listing. Clients see it as an opaque text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(String);

const MARK: &str = "after:";

impl Cursor {
    /// The place after this item.
    pub fn after(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// Reads a cursor that a client sent back.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > 1024 {
            return None;
        }
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        let name = String::from_utf8(bytes).ok()?;
        name.strip_prefix(MARK).map(|name| Self(name.to_owned()))
    }

    /// The form that goes to the client.
    pub fn to_text(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(format!("{MARK}{}", self.0))
    }

    /// The page that begins here, at most `size` items, and where the next one begins; `None` if the item
    /// the cursor names is not in the list.
    pub fn page<'i, T>(
        cursor: Option<&Self>,
        items: &'i [T],
        size: usize,
        name: impl Fn(&T) -> &str,
    ) -> Option<(&'i [T], Option<Self>)> {
        let start = match cursor {
            None => 0,
            Some(cursor) => items.iter().position(|item| name(item) == cursor.0)? + 1,
        };
        let rest = items.get(start..)?;
        let page = rest.get(..size).unwrap_or(rest);
        let next =
            if page.len() < rest.len() { page.last().map(|item| Self::after(name(item))) } else { None };
        Some((page, next))
    }
}

#[cfg(test)]
mod tests {
    use super::Cursor;

    #[test]
    fn pages_cover_a_list_once() {
        let items: Vec<String> = (0..10).map(|n| format!("tool{n}")).collect();
        let (mut cursor, mut seen) = (None, Vec::new());
        loop {
            let (page, next) = Cursor::page(cursor.as_ref(), &items, 3, |item| item.as_str()).unwrap();
            seen.extend_from_slice(page);
            match next {
                Some(next) => cursor = Cursor::parse(&next.to_text()),
                None => break,
            }
        }
        assert_eq!(seen, items);
        let (page, next) = Cursor::page(None, &items, 10, |item| item.as_str()).unwrap();
        assert_eq!((page.len(), next), (10, None));
        assert_eq!(Cursor::page(Some(&Cursor::after("gone")), &items, 3, |item| item.as_str()), None);
    }

    #[test]
    fn only_our_own_cursors_are_read() {
        assert_eq!(Cursor::parse(&Cursor::after("é x").to_text()), Some(Cursor::after("é x")));
        for wrong in ["", "abc", "====", "MA", "after:x", &"A".repeat(5000)] {
            assert_eq!(Cursor::parse(wrong), None, "{wrong}");
        }
    }
}
