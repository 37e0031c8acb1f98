//! Strings, numbers and words, byte by byte.

use std::borrow::Cow;

use super::Malformed;

// Longer numbers are legal JSON, but no reader we know keeps them, and reading one costs more than it is worth.
const NUMBER_MAX: usize = 128;

/// A place in a text.
pub(super) struct Lexer<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Lexer<'a> {
    /// The beginning of a text.
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, bytes: text.as_bytes(), at: 0 }
    }

    /// How many bytes have been read.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Whether all of them have.
    pub(super) fn is_done(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// Passes one byte.
    pub(super) fn skip(&mut self) {
        self.at += 1;
    }

    /// Reads a string, and returns it with its escapes resolved.
    pub(super) fn string(&mut self) -> Result<Cow<'a, str>, Malformed> {
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

    pub(super) fn number(&mut self) -> Result<(), Malformed> {
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

    pub(super) fn word(&mut self, word: &[u8]) -> Result<(), Malformed> {
        if !self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            return self.wrong();
        }
        self.at += word.len();
        Ok(())
    }

    pub(super) fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    pub(super) fn wrong<T>(&self) -> Result<T, Malformed> {
        Err(Malformed::Syntax { at: self.at })
    }
}
