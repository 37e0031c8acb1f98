//! One pass over the bytes of a message that refuses what two parsers could read differently.
//!
//! It accepts a subset of JSON: whatever passes here, every conforming parser reads the same way.

use std::borrow::Cow;

mod lexer;
mod role;

use lexer::Lexer;
use role::Role;

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
    Scanner { lexer: Lexer::new(text), keys: Vec::with_capacity(16), frames: Vec::with_capacity(8), limit }
        .document()?;
    Ok(text)
}

#[derive(Clone, Copy)]
enum Frame {
    Object { first_key: usize, role: Role },
    Array,
}

struct Scanner<'a> {
    lexer: Lexer<'a>,
    /// The keys of all open objects; each frame knows where its own begin.
    keys: Vec<Cow<'a, str>>,
    frames: Vec<Frame>,
    limit: usize,
}

impl<'a> Scanner<'a> {
    fn document(&mut self) -> Result<(), Malformed> {
        self.lexer.space();
        if self.lexer.peek() == Some(b'[') {
            return Err(Malformed::Batch);
        }
        loop {
            if self.value()? {
                continue;
            }
            if self.after_value()? {
                return if self.lexer.is_done() { Ok(()) } else { self.lexer.wrong() };
            }
        }
    }

    /// Reads a value, or the opening of one; true if its first inner value comes next.
    fn value(&mut self) -> Result<bool, Malformed> {
        match self.lexer.peek() {
            Some(b'{') => return self.open_object(),
            Some(b'[') => {
                self.push(Frame::Array)?;
                self.lexer.space();
                if self.lexer.peek() != Some(b']') {
                    return Ok(true);
                }
                self.lexer.skip();
                self.frames.pop();
            }
            Some(b'"') => drop(self.lexer.string()?),
            Some(b't') => self.lexer.word(b"true")?,
            Some(b'f') => self.lexer.word(b"false")?,
            Some(b'n') => self.lexer.word(b"null")?,
            Some(b'-' | b'0'..=b'9') => self.lexer.number()?,
            _ => return self.lexer.wrong(),
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
        self.lexer.space();
        if self.lexer.peek() == Some(b'}') {
            self.lexer.skip();
            self.frames.pop();
            return Ok(false);
        }
        self.key(role)?;
        Ok(true)
    }

    /// Reads what follows a complete value; true if the document is complete.
    fn after_value(&mut self) -> Result<bool, Malformed> {
        loop {
            self.lexer.space();
            let Some(frame) = self.frames.last().copied() else { return Ok(true) };
            match (frame, self.lexer.peek()) {
                (Frame::Object { role, .. }, Some(b',')) => {
                    self.lexer.skip();
                    self.lexer.space();
                    self.key(role)?;
                    return Ok(false);
                }
                (Frame::Array, Some(b',')) => {
                    self.lexer.skip();
                    self.lexer.space();
                    return Ok(false);
                }
                (Frame::Object { first_key, .. }, Some(b'}')) => {
                    self.lexer.skip();
                    self.close_object(first_key)?;
                }
                (Frame::Array, Some(b']')) => {
                    self.lexer.skip();
                    self.frames.pop();
                }
                _ => return self.lexer.wrong(),
            }
        }
    }

    fn close_object(&mut self, first_key: usize) -> Result<(), Malformed> {
        let at = self.lexer.at();
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
        if self.lexer.peek() != Some(b'"') {
            return self.lexer.wrong();
        }
        let key = self.lexer.string()?;
        if let Some(expected) = role.case_variant(&key) {
            return Err(Malformed::CaseVariant { expected });
        }
        self.keys.push(key);
        self.lexer.space();
        if self.lexer.peek() != Some(b':') {
            return self.lexer.wrong();
        }
        self.lexer.skip();
        self.lexer.space();
        Ok(())
    }

    fn push(&mut self, frame: Frame) -> Result<(), Malformed> {
        if self.frames.len() >= self.limit {
            return Err(Malformed::Depth { limit: self.limit });
        }
        self.lexer.skip();
        self.frames.push(frame);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
