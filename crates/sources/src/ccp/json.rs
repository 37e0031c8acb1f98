//! Reading one flat JSON object without leaving copies of its secret behind.

use std::fmt;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

/// More properties than any account has.
const PROPERTIES_MAX: usize = 512;

/// The properties of an object by name, their values unread.
pub(super) struct Properties<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Properties<'a> {
    /// Reads an object; `None` if it is none, has a name twice, or has too many. However deep a value is nested, it is
    /// skipped without recursion.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)).ok()
    }

    fn raw(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }

    /// Whether there is such a property.
    pub(super) fn has(&self, name: &str) -> bool {
        self.raw(name).is_some()
    }

    /// A text, number or truth value as text; nothing for what is null or nested.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        let raw = self.raw(name)?.get();
        match raw.as_bytes().first()? {
            b'"' => serde_json::from_str(raw).ok(),
            b'{' | b'[' | b'n' => None,
            _ => Some(raw.to_owned()),
        }
    }

    /// A text that is a secret: its bytes, in a buffer that is wiped. `None` if there is none or it is no text.
    pub(super) fn secret(&self, name: &str) -> Option<Zeroizing<Vec<u8>>> {
        unescape(self.raw(name)?.get())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Properties<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Object)
    }
}

struct Object;

impl<'de> Visitor<'de> for Object {
    type Value = Properties<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut properties: Vec<(String, &'de RawValue)> = Vec::new();
        while let Some((name, value)) = map.next_entry::<String, &'de RawValue>()? {
            // Two readers of one answer must not see two secrets.
            if properties.len() >= PROPERTIES_MAX || properties.iter().any(|(known, _)| *known == name) {
                return Err(A::Error::custom("unusable properties"));
            }
            properties.push((name, value));
        }
        Ok(Properties(properties))
    }
}

/// The bytes of a JSON string's text. The library's own reader would keep a copy of a text with escapes.
fn unescape(raw: &str) -> Option<Zeroizing<Vec<u8>>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    // Never longer than what it is read from, so that the buffer never moves.
    let mut out = Zeroizing::new(Vec::with_capacity(inner.len()));
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        let c = if c == '\\' { escaped(&mut chars)? } else { c };
        out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }
    Some(out)
}

fn escaped(chars: &mut std::str::Chars<'_>) -> Option<char> {
    Some(match chars.next()? {
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'u' => return unit(chars).and_then(|first| scalar(first, chars)),
        c @ ('"' | '\\' | '/') => c,
        _ => return None,
    })
}

fn unit(chars: &mut std::str::Chars<'_>) -> Option<u32> {
    (0..4).try_fold(0, |value, _| Some(value * 16 + chars.next()?.to_digit(16)?))
}

/// One character from one UTF-16 unit, or from two.
fn scalar(first: u32, chars: &mut std::str::Chars<'_>) -> Option<char> {
    if !(0xd800..0xdc00).contains(&first) {
        return char::from_u32(first);
    }
    let second = (chars.next()? == '\\' && chars.next()? == 'u').then(|| unit(chars))??;
    let low = second.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
    char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + low)
}

#[cfg(test)]
mod tests {
    use super::{Properties, unescape};

    fn text(raw: &str) -> Option<String> {
        unescape(raw).map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[test]
    fn a_secret_is_read_as_the_library_would_read_it() {
        for raw in [
            r#""""#,
            r#""plain""#,
            r#""\"\\\/\b\f\n\r\t""#,
            r#""\u0041\u00e9\u20ac\ud83d\ude00""#,
            r#""é€😀\u0000""#,
        ] {
            assert_eq!(text(raw), serde_json::from_str(raw).ok(), "{raw}");
        }
        for raw in ["12", "null", r#""\ud83d""#, r#""\ud83dx""#, r#""\ud83d\u0041""#, r#""\udc00""#] {
            assert_eq!(text(raw), None, "{raw}");
        }
    }

    #[test]
    fn only_one_flat_object_is_read() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(Properties::read(deep.as_bytes()).is_some_and(|p| p.text("a").is_none()));
        assert!(
            Properties::read(b"\xef\xbb\xbf{\"a\":true}").is_some_and(|p| p.text("a").unwrap() == "true")
        );
        for wrong in ["", "[]", "\"a\"", "{\"a\":1,\"a\":2}", "{\"a\":1} x", "{\"a\":", "{\"a\":\"\u{1}\"}"] {
            assert!(Properties::read(wrong.as_bytes()).is_none(), "{wrong}");
        }
        let many: Vec<String> = (0..600).map(|n| format!("\"p{n}\":1")).collect();
        assert!(Properties::read(format!("{{{}}}", many.join(",")).as_bytes()).is_none());
        assert!(Properties::read(b"{\"a\":\"\xff\"}").is_none());
    }
}
