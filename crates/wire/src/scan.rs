//! One pass over the bytes of a message that refuses what two parsers could read differently.
//!
//! It accepts a subset of JSON: whatever passes here, every conforming parser reads the same way.

use std::borrow::Cow;

/// What bounds a message beside its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanLimits {
    /// How deep objects and arrays may nest; values above 100 count as 100.
    pub depth: usize,
}

impl Default for ScanLimits {
    fn default() -> Self {
        Self { depth: 64 }
    }
}

/// Why the bytes are no message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The bytes are not UTF-8.
    #[error("the message is not UTF-8")]
    NotUtf8,
    /// They begin with a byte order mark.
    #[error("the message begins with a byte order mark")]
    ByteOrderMark,
    /// They are not JSON.
    #[error("the message is not JSON at byte {at}")]
    Syntax {
        /// Offset of the first byte that does not fit.
        at: usize,
    },
    /// A string holds half of a surrogate pair.
    #[error("a string holds a lone surrogate at byte {at}")]
    LoneSurrogate {
        /// Offset of the escape.
        at: usize,
    },
    /// A number is longer or larger than anybody can hold.
    #[error("a number is out of range at byte {at}")]
    Number {
        /// Offset of the number.
        at: usize,
    },
    /// It nests too deep.
    #[error("the message nests deeper than {limit}")]
    Depth {
        /// The limit that applied.
        limit: usize,
    },
    /// An object holds the same key twice.
    #[error("an object holds the same key twice before byte {at}")]
    DuplicateKey {
        /// Offset of the end of that object.
        at: usize,
    },
    /// A key differs from a protocol key only in the case of its letters.
    #[error("a key differs from `{expected}` only in case")]
    CaseVariant {
        /// The key it would be taken for.
        expected: &'static str,
    },
    /// A batch: several messages in one array.
    #[error("batches are not accepted")]
    Batch,
}

/// Checks the bytes of one message and returns them as text.
pub fn scan(bytes: &[u8], limits: ScanLimits) -> Result<&str, Malformed> {
    if bytes.starts_with(b"\xef\xbb\xbf") {
        return Err(Malformed::ByteOrderMark);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| Malformed::NotUtf8)?;
    let limit = limits.depth.min(100);
    Scanner { text, bytes, at: 0, keys: Vec::with_capacity(16), frames: Vec::with_capacity(8), limit }
        .document()?;
    Ok(text)
}

const ENVELOPE_KEYS: &[&str] = &["jsonrpc", "id", "method", "params", "result", "error"];
const PARAMS_KEYS: &[&str] = &[
    "_meta",
    "name",
    "arguments",
    "uri",
    "cursor",
    "protocolVersion",
    "capabilities",
    "clientInfo",
    "requestId",
    "reason",
    "requestState",
    "inputResponses",
    "task",
    "level",
    "progressToken",
];
const META_KEYS: &[&str] = &[
    "progressToken",
    "io.modelcontextprotocol/protocolVersion",
    "io.modelcontextprotocol/clientCapabilities",
    "io.modelcontextprotocol/clientInfo",
    "io.modelcontextprotocol/logLevel",
];

// Longer numbers are legal JSON, but no reader we know keeps them, and reading one costs more than it is worth.
const NUMBER_MAX: usize = 128;

/// Which keys of an object the protocol itself reads.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Envelope,
    Params,
    Meta,
    Free,
}

impl Role {
    fn of_member(self, key: &str) -> Self {
        match (self, key) {
            (Self::Envelope, "params") => Self::Params,
            (Self::Params, "_meta") => Self::Meta,
            _ => Self::Free,
        }
    }

    fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Envelope => ENVELOPE_KEYS,
            Self::Params => PARAMS_KEYS,
            Self::Meta => META_KEYS,
            Self::Free => &[],
        }
    }
}

#[derive(Clone, Copy)]
enum Frame {
    Object { first_key: usize, role: Role },
    Array,
}

struct Scanner<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    /// The keys of all open objects; each frame knows where its own begin.
    keys: Vec<Cow<'a, str>>,
    frames: Vec<Frame>,
    limit: usize,
}

impl<'a> Scanner<'a> {
    fn document(&mut self) -> Result<(), Malformed> {
        self.space();
        if self.peek() == Some(b'[') {
            return Err(Malformed::Batch);
        }
        loop {
            if self.value()? {
                continue;
            }
            if self.after_value()? {
                return if self.at == self.bytes.len() { Ok(()) } else { self.wrong() };
            }
        }
    }

    /// Reads a value, or the opening of one; true if its first inner value comes next.
    fn value(&mut self) -> Result<bool, Malformed> {
        match self.peek() {
            Some(b'{') => return self.open_object(),
            Some(b'[') => {
                self.push(Frame::Array)?;
                self.space();
                if self.peek() != Some(b']') {
                    return Ok(true);
                }
                self.at += 1;
                self.frames.pop();
            }
            Some(b'"') => drop(self.string()?),
            Some(b't') => self.word(b"true")?,
            Some(b'f') => self.word(b"false")?,
            Some(b'n') => self.word(b"null")?,
            Some(b'-' | b'0'..=b'9') => self.number()?,
            _ => return self.wrong(),
        }
        Ok(false)
    }

    fn open_object(&mut self) -> Result<bool, Malformed> {
        let role = match self.frames.last() {
            None => Role::Envelope,
            Some(Frame::Object { role, .. }) => {
                self.keys.last().map_or(Role::Free, |key| role.of_member(key))
            }
            Some(Frame::Array) => Role::Free,
        };
        self.push(Frame::Object { first_key: self.keys.len(), role })?;
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            self.frames.pop();
            return Ok(false);
        }
        self.key(role)?;
        Ok(true)
    }

    /// Reads what follows a complete value; true if the document is complete.
    fn after_value(&mut self) -> Result<bool, Malformed> {
        loop {
            self.space();
            let Some(frame) = self.frames.last().copied() else { return Ok(true) };
            match (frame, self.peek()) {
                (Frame::Object { role, .. }, Some(b',')) => {
                    self.at += 1;
                    self.space();
                    self.key(role)?;
                    return Ok(false);
                }
                (Frame::Array, Some(b',')) => {
                    self.at += 1;
                    self.space();
                    return Ok(false);
                }
                (Frame::Object { first_key, .. }, Some(b'}')) => {
                    self.at += 1;
                    self.close_object(first_key)?;
                }
                (Frame::Array, Some(b']')) => {
                    self.at += 1;
                    self.frames.pop();
                }
                _ => return self.wrong(),
            }
        }
    }

    fn close_object(&mut self, first_key: usize) -> Result<(), Malformed> {
        let at = self.at;
        let keys = self.keys.get_mut(first_key..).unwrap_or_default();
        let duplicate = if keys.len() <= 8 {
            keys.iter().enumerate().any(|(index, key)| keys.iter().take(index).any(|earlier| earlier == key))
        } else {
            // Sorted, so that an object of a million keys costs no more than it must.
            keys.sort_unstable();
            keys.windows(2).any(|pair| matches!(pair, [a, b] if a == b))
        };
        if duplicate {
            return Err(Malformed::DuplicateKey { at });
        }
        self.keys.truncate(first_key);
        self.frames.pop();
        Ok(())
    }

    fn key(&mut self, role: Role) -> Result<(), Malformed> {
        if self.peek() != Some(b'"') {
            return self.wrong();
        }
        let key = self.string()?;
        if let Some(expected) = case_variant(&key, role.keys()) {
            return Err(Malformed::CaseVariant { expected });
        }
        self.keys.push(key);
        self.space();
        if self.peek() != Some(b':') {
            return self.wrong();
        }
        self.at += 1;
        self.space();
        Ok(())
    }

    /// Reads a string, and returns it with its escapes resolved.
    fn string(&mut self) -> Result<Cow<'a, str>, Malformed> {
        self.at += 1;
        let start = self.at;
        let mut owned: Option<String> = None;
        loop {
            let run = self.at;
            let rest = self.bytes.get(run..).unwrap_or_default();
            let Some(length) = rest.iter().position(|b| matches!(b, b'"' | b'\\' | 0..=0x1f)) else {
                self.at = self.bytes.len();
                return self.wrong();
            };
            self.at += length;
            // The stops are ASCII, so both ends are character boundaries.
            let plain = self.text.get(run..self.at).unwrap_or_default();
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(match owned {
                        None => Cow::Borrowed(self.text.get(start..self.at - 1).unwrap_or_default()),
                        Some(mut owned) => {
                            owned.push_str(plain);
                            Cow::Owned(owned)
                        }
                    });
                }
                Some(b'\\') => {
                    let c = self.escape()?;
                    let owned = owned.get_or_insert_with(String::new);
                    owned.push_str(plain);
                    owned.push(c);
                }
                _ => return self.wrong(),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Malformed> {
        let start = self.at;
        self.at += 1;
        let c = match self.peek() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(start),
            _ => return self.wrong(),
        };
        self.at += 1;
        Ok(c)
    }

    fn unicode_escape(&mut self, start: usize) -> Result<char, Malformed> {
        let lone = Malformed::LoneSurrogate { at: start };
        let first = self.four_hex()?;
        if !(0xd800..0xe000).contains(&first) {
            return char::from_u32(first).ok_or(lone);
        }
        if first >= 0xdc00 || self.peek() != Some(b'\\') || self.bytes.get(self.at + 1) != Some(&b'u') {
            return Err(lone);
        }
        self.at += 1;
        let second = self.four_hex()?;
        if !(0xdc00..0xe000).contains(&second) {
            return Err(lone);
        }
        char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00)).ok_or(lone)
    }

    /// Reads `uXXXX`, standing on the `u`.
    fn four_hex(&mut self) -> Result<u32, Malformed> {
        self.at += 1;
        let mut value = 0;
        for _ in 0..4 {
            let Some(digit) = self.peek().and_then(|b| char::from(b).to_digit(16)) else {
                return self.wrong();
            };
            value = value * 16 + digit;
            self.at += 1;
        }
        Ok(value)
    }

    fn number(&mut self) -> Result<(), Malformed> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits(),
            _ => return self.wrong(),
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.some_digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.some_digits()?;
        }
        let length = self.at - start;
        // Twenty characters hold no number that is out of range without an exponent.
        if length > NUMBER_MAX {
            return Err(Malformed::Number { at: start });
        }
        let text = self.text.get(start..self.at).unwrap_or_default();
        if length > 20 || text.contains(['e', 'E']) {
            let finite = text.parse::<f64>().is_ok_and(f64::is_finite);
            if !finite {
                return Err(Malformed::Number { at: start });
            }
        }
        Ok(())
    }

    fn some_digits(&mut self) -> Result<(), Malformed> {
        if !matches!(self.peek(), Some(b'0'..=b'9')) {
            return self.wrong();
        }
        self.digits();
        Ok(())
    }

    fn digits(&mut self) {
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
    }

    fn word(&mut self, word: &[u8]) -> Result<(), Malformed> {
        if !self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            return self.wrong();
        }
        self.at += word.len();
        Ok(())
    }

    fn push(&mut self, frame: Frame) -> Result<(), Malformed> {
        if self.frames.len() >= self.limit {
            return Err(Malformed::Depth { limit: self.limit });
        }
        self.at += 1;
        self.frames.push(frame);
        Ok(())
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn wrong<T>(&self) -> Result<T, Malformed> {
        Err(Malformed::Syntax { at: self.at })
    }
}

/// The protocol key that a reader without regard to case would take this one for.
fn case_variant(key: &str, known: &'static [&'static str]) -> Option<&'static str> {
    if key.is_ascii() {
        return known.iter().find(|name| key.eq_ignore_ascii_case(name) && key != **name).copied();
    }
    // Some readers fold `ſ` and the Kelvin sign too; upper and then lower case maps both to ASCII.
    let folded: String = key.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect();
    known.iter().find(|name| folded.eq_ignore_ascii_case(name)).copied()
}

#[cfg(test)]
mod tests;
