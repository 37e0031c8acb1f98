//! The scanner for output that is shown while it still comes.

use crate::cap::character_boundary;
use crate::scanner::{Edges, weight};
use crate::visible::make_bytes_visible;
use crate::{Guarded, Report, Scanner};

/// Bytes held back at most: a target that pads a secret with line breaks beyond this has encoded it in a way
/// that is not among the named forms.
const MOST_HELD: usize = 256 * 1024;

/// A leased secret came by; nothing more of this stream is shown, ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the output held the credential in use, so the rest of it is withheld")]
pub struct Withheld;

/// Scans one stream chunk by chunk and holds back what could be the beginning of a secret: at least the
/// longest pattern less one byte, line breaks and invisible characters not counted.
pub struct StreamScanner<'a> {
    scanner: &'a Scanner,
    /// One released byte to look back at, if any, and then what is held.
    buffer: Vec<u8>,
    released: bool,
    withheld: bool,
}

impl<'a> StreamScanner<'a> {
    /// For one stream of one call.
    pub fn new(scanner: &'a Scanner) -> Self {
        Self { scanner, buffer: Vec::new(), released: false, withheld: false }
    }

    /// Takes a chunk and gives what may be shown by now, neutralised. After one [`Withheld`] there is nothing
    /// but [`Withheld`].
    pub fn push(&mut self, chunk: &[u8]) -> Result<Guarded<String>, Withheld> {
        self.buffer.extend_from_slice(chunk);
        self.scan(true)?;
        let end = self.releasable();
        Ok(self.release(end))
    }

    /// The stream has ended: gives what was still held.
    pub fn finish(mut self) -> Result<Guarded<String>, Withheld> {
        self.scan(false)?;
        let end = self.buffer.len();
        Ok(self.release(end))
    }

    fn scan(&mut self, open_end: bool) -> Result<(), Withheld> {
        let edges = Edges { look_behind: self.released, open_end };
        self.withheld |= self.scanner.finds_in(&self.buffer, edges);
        if self.withheld {
            self.buffer.clear();
            return Err(Withheld);
        }
        Ok(())
    }

    /// How far the buffer can be shown.
    fn releasable(&self) -> usize {
        // One byte more than a pattern's beginning can need, for the boundary behind a weak secret.
        let hold = self.scanner.longest();
        let mut end = self.buffer.len().saturating_sub(hold);
        let floor = self.buffer.len().saturating_sub(MOST_HELD.max(hold));
        while end > floor && weight(self.buffer.get(end..).unwrap_or_default()) < hold {
            let missing = hold - weight(self.buffer.get(end..).unwrap_or_default());
            end = end.saturating_sub(missing.max(64)).max(floor);
        }
        let end = character_boundary(&self.buffer, end);
        // A line end of two characters stays together.
        match (end.checked_sub(1).and_then(|at| self.buffer.get(at)), self.buffer.get(end)) {
            (Some(b'\r'), Some(b'\n') | None) => end - 1,
            _ => end,
        }
    }

    fn release(&mut self, end: usize) -> Guarded<String> {
        let from = usize::from(self.released);
        let shown = self.buffer.get(from..end).unwrap_or_default();
        let (inner, neutralised) = make_bytes_visible(shown);
        let bytes_out = u64::try_from(shown.len()).unwrap_or(u64::MAX);
        if !shown.is_empty() {
            self.buffer.drain(..end - 1);
            self.released = true;
        }
        Guarded { inner, report: Report { neutralised, bytes_out, ..Report::default() } }
    }
}
