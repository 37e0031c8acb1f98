//! Makes visible what a terminal would obey and an eye would miss.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Whether a character acts on a terminal, on the order of text, or on a reader's trust, without being seen:
/// controls (but tab and newline), bidirectional controls, zero-width and default-ignorable characters,
/// variation selectors, Unicode tags, invisible operators, line and paragraph separators.
pub fn is_deceptive(c: char) -> bool {
    matches!(c,
        '\0'..='\u{8}' | '\u{b}'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Whether any character of a text is [deceptive](is_deceptive). Most texts are plain ASCII, which is seen at a glance.
pub fn has_deceptive(text: &str) -> bool {
    let plain = |byte: u8| matches!(byte, b' '..=b'~' | b'\n' | b'\t');
    !text.bytes().all(plain) && text.chars().any(is_deceptive)
}

/// Writes every deceptive character as `\u{...}`; `\r\n` becomes a plain line end. Says whether anything
/// deceptive was there.
pub(crate) fn make_visible(text: &str) -> (Cow<'_, str>, bool) {
    if !has_deceptive(text) {
        return (Cow::Borrowed(text), false);
    }
    let mut out = String::with_capacity(text.len() + 16);
    let mut marked = false;
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        if c == '\r' && characters.peek() == Some(&'\n') {
            continue;
        }
        if is_deceptive(c) {
            marked = true;
            // Writing to a String cannot fail.
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    (Cow::Owned(out), marked)
}

/// The same for bytes; what is no UTF-8 becomes U+FFFD and is marked as well.
pub(crate) fn make_bytes_visible(bytes: &[u8]) -> (String, bool) {
    let text = String::from_utf8_lossy(bytes);
    let replaced = matches!(text, Cow::Owned(_));
    let (visible, marked) = make_visible(&text);
    (visible.into_owned(), marked || replaced)
}

#[cfg(test)]
mod tests {
    use super::{make_bytes_visible, make_visible};

    #[test]
    fn tool_poisoning_unicode_is_made_visible_and_marked() {
        for (raw, shown) in [
            ("\u{1b}[31mred\u{1b}[0m", "\\u{1b}[31mred\\u{1b}[0m"),
            ("a\u{202e}b\u{2066}", "a\\u{202e}b\\u{2066}"),
            ("a\u{200b}b\u{feff}", "a\\u{200b}b\\u{feff}"),
            ("\u{e0041}\u{e0042}", "\\u{e0041}\\u{e0042}"),
            ("1\u{2062}2", "1\\u{2062}2"),
            ("bell\u{7}\0\u{9b}", "bell\\u{7}\\u{0}\\u{9b}"),
            ("over\rwritten", "over\\u{d}written"),
            ("v\u{fe0f}\u{e0100}", "v\\u{fe0f}\\u{e0100}"),
        ] {
            let (visible, marked) = make_visible(raw);
            assert_eq!((visible.as_ref(), marked), (shown, true));
            assert_eq!(make_visible(shown), (shown.into(), false), "neutralising twice changes nothing");
        }
    }

    #[test]
    fn ordinary_text_of_any_language_stays_as_it_is() {
        for text in ["plain\ttext\n", "grüße, 世界, שלום, 🦀", ""] {
            assert_eq!(make_visible(text), (text.into(), false));
        }
        assert_eq!(make_visible("dos\r\nlines\r\n"), ("dos\nlines\n".into(), false));
    }

    #[test]
    fn bytes_that_are_no_utf8_are_replaced_and_marked() {
        assert_eq!(make_bytes_visible(b"a\xff\xc3"), ("a\u{fffd}\u{fffd}".to_owned(), true));
        assert_eq!(make_bytes_visible("é".as_bytes()), ("é".to_owned(), false));
    }
}
