//! Lines of a pipe, bounded.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// How much is read at once, in bytes.
const CHUNK: usize = 64 * 1024;

/// Reads lines from a pipe.
pub(crate) struct Lines<R> {
    pipe: R,
    buffer: Vec<u8>,
    /// Where the line that is given out begins, and how far the buffer was looked through.
    start: usize,
    looked: usize,
    longest: usize,
}

/// What came next.
pub(crate) enum Line<'a> {
    /// A line without its end.
    Whole(&'a [u8]),
    /// One that is longer than may be. Nothing more is read.
    TooLong,
    /// The other side has closed.
    End,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(crate) fn new(pipe: R, longest: usize) -> Self {
        Self { pipe, buffer: Vec::new(), start: 0, looked: 0, longest }
    }

    /// The next line. Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> io::Result<Line<'_>> {
        loop {
            let unseen = self.buffer.get(self.looked..).unwrap_or_default();
            if let Some(at) = unseen.iter().position(|byte| *byte == b'\n') {
                let (from, end) = (self.start, self.looked + at);
                (self.start, self.looked) = (end + 1, end + 1);
                let line = self.buffer.get(from..end).unwrap_or_default();
                return Ok(Line::Whole(line.strip_suffix(b"\r").unwrap_or(line)));
            }
            self.buffer.drain(..self.start);
            self.start = 0;
            self.looked = self.buffer.len();
            if self.looked > self.longest {
                return Ok(Line::TooLong);
            }
            if self.looked == 0 && self.buffer.capacity() > 4 * CHUNK {
                // One long line does not keep its memory for ever.
                self.buffer = Vec::new();
            }
            self.buffer.reserve(CHUNK);
            if self.pipe.read_buf(&mut self.buffer).await? == 0 {
                return Ok(Line::End);
            }
        }
    }

    /// Reads what comes and keeps nothing of it, to its end.
    pub(crate) async fn drain(mut self) {
        self.buffer = Vec::with_capacity(CHUNK);
        loop {
            self.buffer.clear();
            if !matches!(self.pipe.read_buf(&mut self.buffer).await, Ok(1..)) {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Line, Lines};

    #[tokio::test]
    async fn lines_come_whole_and_bounded() {
        let mut lines = Lines::new(&b"one\r\n\ntwo"[..], 100);
        for expected in [&b"one"[..], b""] {
            assert!(matches!(lines.next().await.unwrap(), Line::Whole(line) if line == expected));
        }
        assert!(matches!(lines.next().await.unwrap(), Line::End), "what has no end is no line");
        let flood = vec![b'x'; 200_000];
        assert!(matches!(Lines::new(&flood[..], 1000).next().await.unwrap(), Line::TooLong));
    }
}
