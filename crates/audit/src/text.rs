//! How texts get into the journal: bounded, without handles, and safe to look at.

use std::io;

use model::HandleToken;
use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, Serializer};

/// Bytes of most lines, and some more.
pub(crate) const LINE: usize = 1024;
const SCHEME: &str = "secret://";

/// A text for an entry: handles become their ids, and it is cut at `most` bytes, marked.
pub(crate) fn text(raw: &str, most: usize) -> String {
    let mut out = without_handles(raw);
    if out.len() > most {
        let end = (0..=most).rev().find(|at| out.is_char_boundary(*at)).unwrap_or(0);
        let cut = out.len() - end;
        out.truncate(end);
        out.push_str(&format!("[{cut} bytes cut]"));
    }
    out
}

/// Handles are rights: the journal names them by an id that cannot be turned back.
pub(crate) fn without_handles(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find(SCHEME) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let body = from.strip_prefix(SCHEME).unwrap_or_default();
        let length =
            body.bytes().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')).count();
        let (token, after) = from.split_at(SCHEME.len() + length);
        match HandleToken::parse(token) {
            Some(handle) => out.push_str(&format!("handle:{}", handle.id())),
            None => out.push_str(token),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// The members of an object as JSON, without its braces. What an eye would miss is written as `\u` escapes, so
/// that a journal can be looked at with any tool.
pub(crate) fn members(object: &impl Serialize) -> Result<String, serde_json::Error> {
    let mut out = Vec::with_capacity(LINE);
    object.serialize(&mut Serializer::with_formatter(&mut out, Visible(CompactFormatter)))?;
    let mut whole = String::from_utf8(out).map_err(serde::ser::Error::custom)?;
    if whole.pop() != Some('}') || !whole.starts_with('{') {
        return Err(serde::ser::Error::custom("an entry is an object"));
    }
    whole.remove(0);
    Ok(whole)
}

struct Visible(CompactFormatter);

impl Formatter for Visible {
    fn write_string_fragment<W: io::Write + ?Sized>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        if !guard::has_deceptive(fragment) {
            return self.0.write_string_fragment(writer, fragment);
        }
        for c in fragment.chars() {
            if guard::is_deceptive(c) {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            } else {
                writer.write_all(c.encode_utf8(&mut [0; 4]).as_bytes())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{members, text};
    use model::HandleToken;

    #[test]
    fn a_handle_in_any_text_becomes_its_id() {
        let token = HandleToken::new(&[7; 32]);
        let raw = format!("use {}, or secret://short, or {}", token.reveal(), token.reveal());
        let written = text(&raw, 1000);
        assert_eq!(written, format!("use handle:{0}, or secret://short, or handle:{0}", token.id()));
    }

    #[test]
    fn long_texts_are_cut_between_characters_and_marked() {
        assert_eq!(text("ééé", 3), "é[4 bytes cut]");
        assert_eq!(text("abc", 3), "abc");
    }

    #[test]
    fn what_an_eye_would_miss_is_escaped_and_reads_back_the_same() {
        let value = serde_json::json!({ "a": "x\u{202e}y\u{e0041}\u{1b}é" });
        let json = members(&value).unwrap();
        assert_eq!(json, "\"a\":\"x\\u202ey\\udb40\\udc41\\u001bé\"");
        let back: serde_json::Value = serde_json::from_str(&format!("{{{json}}}")).unwrap();
        assert_eq!(back, value);
    }
}
