//! Lines of bounded length from any reader.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Reads one line after the other.
pub(crate) struct Lines<R> {
    reader: R,
    buffer: Vec<u8>,
    /// Where the line that is being read begins.
    start: usize,
    /// Up to where the buffer is known to hold no line end.
    searched: usize,
    limit: usize,
}

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line<'b> {
    /// A line, without its end.
    Whole(&'b [u8]),
    /// It was longer than the limit; what follows cannot be told apart from its rest.
    TooLong,
    /// The other side is done.
    End,
}

const PIECE: usize = 8 * 1024;

impl<R: AsyncRead + Unpin> Lines<R> {
    /// Lines of at most `limit` bytes.
    pub(crate) fn new(reader: R, limit: usize) -> Self {
        Self { reader, buffer: Vec::new(), start: 0, searched: 0, limit }
    }

    /// The next line. A last one without an end counts. Nothing is lost when this is given up while it waits.
    pub(crate) async fn next(&mut self) -> io::Result<Line<'_>> {
        loop {
            let rest = self.buffer.get(self.searched..).unwrap_or_default();
            if let Some(length) = rest.iter().position(|b| *b == b'\n') {
                let (start, end) = (self.start, self.searched + length);
                (self.start, self.searched) = (end + 1, end + 1);
                let line = self.buffer.get(start..end).unwrap_or_default();
                return Ok(if line.len() > self.limit { Line::TooLong } else { Line::Whole(line) });
            }
            self.searched = self.buffer.len();
            if self.searched - self.start > self.limit {
                return Ok(Line::TooLong);
            }
            self.make_room();
            if self.reader.read_buf(&mut self.buffer).await? == 0 {
                let start = std::mem::replace(&mut self.start, self.buffer.len());
                self.searched = self.start;
                let line = self.buffer.get(start..).unwrap_or_default();
                return Ok(if line.is_empty() { Line::End } else { Line::Whole(line) });
            }
        }
    }

    fn make_room(&mut self) {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.searched -= self.start;
            self.start = 0;
        }
        // One long line does not hold its memory for ever.
        if self.buffer.is_empty() && self.buffer.capacity() > 16 * PIECE {
            self.buffer = Vec::new();
        }
        self.buffer.reserve(PIECE);
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::{Line, Lines};

    async fn read(pieces: &'static [&'static [u8]], limit: usize) -> Vec<String> {
        let (mut near, far) = tokio::io::duplex(7);
        tokio::spawn(async move {
            for piece in pieces {
                near.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
        });
        let (mut lines, mut seen) = (Lines::new(far, limit), Vec::new());
        loop {
            match lines.next().await.unwrap() {
                Line::Whole(line) => seen.push(String::from_utf8(line.to_vec()).unwrap()),
                Line::TooLong => return [seen, vec!["<too long>".to_owned()]].concat(),
                Line::End => return seen,
            }
        }
    }

    #[tokio::test]
    async fn lines_come_whole_however_they_were_cut() {
        assert_eq!(read(&[b"one\ntwo\n\nth", b"ree\nfour"], 10).await, ["one", "two", "", "three", "four"]);
        assert_eq!(read(&[], 10).await, Vec::<String>::new());
    }

    #[tokio::test]
    async fn a_line_past_the_limit_ends_it() {
        assert_eq!(read(&[b"0123456789\n0123456789a\nx\n"], 10).await, ["0123456789", "<too long>"]);
        assert_eq!(read(&[b"ok\n", b"0123456789abcdefghijklmnopqrstuvwxyz"], 10).await, ["ok", "<too long>"]);
    }
}
