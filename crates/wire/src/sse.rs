//! Server-sent events, as far as MCP uses them.

/// Appends one event that carries a message. The message must be JSON on one line, as everything this crate writes is.
pub fn write_event(out: &mut Vec<u8>, message: &[u8]) {
    out.reserve(message.len() + 24);
    out.extend_from_slice(b"event: message\ndata: ");
    out.extend_from_slice(message);
    out.extend_from_slice(b"\n\n");
}

/// Appends a comment, which keeps a quiet stream alive.
pub fn write_comment(out: &mut Vec<u8>) {
    out.extend_from_slice(b": \n\n");
}

/// One event as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SseEvent {
    /// Its data, lines joined by line feeds.
    pub data: Vec<u8>,
    /// Its id, if it has one.
    pub id: Option<Vec<u8>>,
    /// What it calls itself; nothing, if it does not.
    pub name: Vec<u8>,
}

/// An event grew past its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event is longer than {limit} bytes")]
pub struct SseTooLong {
    /// The limit.
    pub limit: usize,
}

/// Reads events from pieces of a stream, however it was cut.
#[derive(Debug)]
pub struct SseReader {
    line: Vec<u8>,
    event: SseEvent,
    has_data: bool,
    after_cr: bool,
    retry: Option<u64>,
    limit: usize,
}

impl SseReader {
    /// A reader for events of at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            line: Vec::new(),
            event: SseEvent::default(),
            has_data: false,
            after_cr: false,
            retry: None,
            limit,
        }
    }

    /// After how many milliseconds the stream wants to be asked for again once it has ended, if it has said so.
    pub fn retry(&self) -> Option<u64> {
        self.retry
    }

    /// Takes the next piece and hands every complete event to `sink`.
    pub fn feed(&mut self, piece: &[u8], mut sink: impl FnMut(SseEvent)) -> Result<(), SseTooLong> {
        for &byte in piece {
            let line_feed_of_crlf = byte == b'\n' && std::mem::take(&mut self.after_cr);
            if line_feed_of_crlf {
                continue;
            }
            self.after_cr = byte == b'\r';
            if byte == b'\n' || byte == b'\r' {
                if let Some(event) = self.end_of_line() {
                    sink(event);
                }
                continue;
            }
            if self.line.len() + self.event.data.len() >= self.limit {
                return Err(SseTooLong { limit: self.limit });
            }
            self.line.push(byte);
        }
        Ok(())
    }

    fn end_of_line(&mut self) -> Option<SseEvent> {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            return std::mem::take(&mut self.has_data).then_some(event);
        }
        let mut parts = line.splitn(2, |b| *b == b':');
        let field = parts.next().unwrap_or_default();
        let value = parts.next().unwrap_or_default();
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match field {
            b"data" => {
                if self.has_data {
                    self.event.data.push(b'\n');
                }
                self.event.data.extend_from_slice(value);
                self.has_data = true;
            }
            b"event" => self.event.name = value.to_vec(),
            b"retry" if value.iter().all(u8::is_ascii_digit) => {
                self.retry =
                    std::str::from_utf8(value).ok().and_then(|value| value.parse().ok()).or(self.retry);
            }
            b"id" if !value.contains(&0) => self.event.id = Some(value.to_vec()),
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{SseEvent, SseReader, SseTooLong, write_comment, write_event};

    fn read(pieces: &[&[u8]]) -> Vec<SseEvent> {
        let (mut reader, mut events) = (SseReader::new(1000), Vec::new());
        for piece in pieces {
            reader.feed(piece, |event| events.push(event)).unwrap();
        }
        events
    }

    fn data(text: &str) -> SseEvent {
        SseEvent { data: text.as_bytes().to_vec(), ..SseEvent::default() }
    }

    #[test]
    fn events_are_read_in_all_their_forms() {
        assert_eq!(
            read(&[b"data: a\n\ndata:b\r\n\r\ndata: c\rdata:d\r\r"]),
            [data("a"), data("b"), data("c\nd")]
        );
        assert_eq!(read(&[b": comment\n\nevent: x\n\nretry: 5\n\n"]), []);
        let with_id = SseEvent { id: Some(b"7".to_vec()), ..SseEvent::default() };
        assert_eq!(read(&[b"id: 7\ndata:\n\n", b"data: cut"]), [with_id]);
    }

    #[test]
    fn a_stream_says_what_its_events_are_called_and_when_to_come_back() {
        let mut reader = SseReader::new(100);
        let mut names = Vec::new();
        let stream =
            b"event: endpoint\ndata: /x\n\nevent: lost\n\ndata: y\nretry: 250\n\nretry: soon\nretry:\n\n";
        reader.feed(stream, |event| names.push(String::from_utf8(event.name).unwrap())).unwrap();
        assert_eq!(names, ["endpoint", ""]);
        assert_eq!(reader.retry(), Some(250));
    }

    #[test]
    fn an_endless_event_is_refused() {
        let mut reader = SseReader::new(10);
        assert_eq!(reader.feed(b"data: 0123456789\n\n", |_| ()), Err(SseTooLong { limit: 10 }));
        let mut reader = SseReader::new(30);
        assert!((0..10).any(|_| reader.feed(b"data: 0123456789\n", |_| ()).is_err()));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_however_it_is_cut(
            messages in prop::collection::vec("[ -~é]{1,40}", 1..5), cut in 1usize..20,
        ) {
            let mut stream = Vec::new();
            for message in &messages {
                write_event(&mut stream, message.as_bytes());
                write_comment(&mut stream);
            }
            let pieces: Vec<&[u8]> = stream.chunks(cut).collect();
            let event = |message: &String| SseEvent { name: b"message".to_vec(), ..data(message) };
            prop_assert_eq!(read(&pieces), messages.iter().map(event).collect::<Vec<_>>());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = SseReader::new(50).feed(&bytes, |_| ());
        }
    }
}
