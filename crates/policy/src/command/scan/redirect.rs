//! The operators of redirections, each by its name.

use model::WriteMode;

use super::{NotUnderstood, Piece, Refusal, Scan};

/// The operator of a redirection; a path follows unless it joins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::command) struct Operator {
    /// As written before the operator.
    pub(in crate::command) descriptor: Option<u8>,
    pub(in crate::command) kind: OperatorKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::command) enum OperatorKind {
    /// `<`
    Read,
    /// `>`, `>>`, `>|`
    Write(WriteMode),
    /// `>&` with a descriptor after it.
    Join(u8),
}

/// `&>`, and `|&`, which is another writing of `2>&1 |`.
pub(super) const BOTH: Refusal =
    Refusal("a redirection of both streams at once (`&>`, `|&`)", Some("write `>FILE 2>&1`, or `2>&1 |`"));

impl Scan<'_> {
    /// Reads an operator that begins with `<` or `>`.
    pub(super) fn redirection(&mut self, at: usize, c: char) -> Result<(), NotUnderstood> {
        let descriptor = self.descriptor(at)?;
        let kind = if c == '<' { self.input(at)? } else { self.output(at)? };
        self.add(Piece::Redirect(Operator { descriptor, kind }), at)
    }

    /// The digit right before the operator, if there is one; whatever else stands there is a word.
    fn descriptor(&mut self, at: usize) -> Result<Option<u8>, NotUnderstood> {
        let raw = self.word.as_ref().and_then(|open| self.line.get(open.start..at)).unwrap_or_default();
        match raw.as_bytes() {
            [digit @ b'0'..=b'9'] => {
                self.word = None;
                Ok(Some(digit - b'0'))
            }
            [_, _, ..] if raw.bytes().all(|b| b.is_ascii_digit()) => {
                Err(self.refuse(at, Refusal("a redirection of a descriptor above 9", None)))
            }
            _ => self.close(at).map(|()| None),
        }
    }

    fn input(&mut self, at: usize) -> Result<OperatorKind, NotUnderstood> {
        let refusal = match self.ahead() {
            Some('<') if self.rest.clone().nth(1).is_some_and(|(_, c)| c == '<') => Refusal(
                "a here-string (redirection `<<<`)",
                Some("write the text with `printf`, and pipe it into the command"),
            ),
            Some('<') => Refusal(
                "a here-document (redirection `<<`)",
                Some("write the text with `printf`, and pipe it into the command"),
            ),
            Some('>') => Refusal("a redirection for reading and writing (`<>`)", Some("write `<` or `>`")),
            Some('&') => Refusal("a redirection that joins or closes an input (`<&`)", None),
            Some('(') => PROCESS,
            _ => return Ok(OperatorKind::Read),
        };
        Err(self.refuse(at, refusal))
    }

    fn output(&mut self, at: usize) -> Result<OperatorKind, NotUnderstood> {
        match self.ahead() {
            Some('(') => Err(self.refuse(at, PROCESS)),
            Some('>') => Ok(self.mode(WriteMode::Append)),
            Some('|') => Ok(self.mode(WriteMode::Clobber)),
            Some('&') => self.join(at),
            _ => Ok(OperatorKind::Write(WriteMode::Truncate)),
        }
    }

    fn mode(&mut self, mode: WriteMode) -> OperatorKind {
        self.rest.next();
        OperatorKind::Write(mode)
    }

    fn join(&mut self, at: usize) -> Result<OperatorKind, NotUnderstood> {
        self.rest.next();
        let with = self.rest.next().map(|(_, c)| c);
        match (with, self.ahead()) {
            (Some(digit @ '0'..='9'), None | Some(' ' | '\t' | ';' | '|' | '&')) => {
                Ok(OperatorKind::Join(u8::try_from(u32::from(digit) - u32::from('0')).unwrap_or(u8::MAX)))
            }
            (Some('-'), _) | (Some('0'..='9'), Some('-')) => {
                Err(self.refuse(at, Refusal("a redirection that closes or moves a descriptor", None)))
            }
            _ => Err(self.refuse(
                at,
                Refusal(
                    "a redirection `>&` without one descriptor right after it",
                    Some("write `2>&1`, or `>FILE 2>&1` for a file"),
                ),
            )),
        }
    }

    fn ahead(&mut self) -> Option<char> {
        self.rest.peek().map(|(_, c)| *c)
    }
}

const PROCESS: Refusal = Refusal("a process substitution (redirection `<(` or `>(`)", None);
