//! Streams of legacy servers that break off are taken up where they were (`Last-Event-ID`).

use std::time::Duration;

use bytes::Bytes;
use http::header::ACCEPT;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use wire::SseEvent;

use super::exchange::{Broken, Exchange, STREAM, Sink, essence, events};
use super::session::Agreed;

/// How often in a row a stream is taken up that says nothing new.
const TRIES: u32 = 3;
/// How long before it is taken up, unless its server says otherwise; and the shortest and the longest that it may ask for.
const PAUSE: Duration = Duration::from_secs(1);
const BOUNDS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(60));
/// The longest name of a place, in bytes.
const LONGEST: usize = 1024;

/// Where a stream was when it was last heard.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Place {
    id: Option<HeaderValue>,
    retry: Option<Duration>,
}

impl Place {
    /// An event was heard.
    pub(super) fn heard(&mut self, event: &SseEvent) {
        if let Some(id) = &event.id {
            // An empty one says that there is no place to come back to.
            let fits = !id.is_empty() && id.len() <= LONGEST;
            self.id = fits.then(|| HeaderValue::from_bytes(id).ok()).flatten();
        }
    }

    /// The server said how long to wait, in milliseconds.
    pub(super) fn wait(&mut self, retry: Option<u64>) {
        self.retry = retry.map(Duration::from_millis).or(self.retry);
    }

    /// The head that asks for what came after it.
    pub(super) fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        Some((HeaderName::from_static("last-event-id"), self.id.clone()?))
    }

    /// How long is waited before the stream is taken up.
    pub(super) fn pause(&self) -> Duration {
        self.retry.unwrap_or(PAUSE).clamp(BOUNDS.0, BOUNDS.1)
    }

    /// It was of no use.
    pub(super) fn forget(&mut self) {
        self.id = None;
    }
}

impl Exchange {
    /// Reads on in a stream that broke off before its answer, as long as its server lets us and something new comes.
    pub(super) async fn read_on(
        &self,
        agreed: &Agreed,
        place: &mut Place,
        sink: Sink<'_>,
    ) -> Result<(), Broken> {
        let mut tries = 0;
        while let Some((name, id)) = place.header() {
            tokio::time::sleep(place.pause()).await;
            let before = place.clone();
            let mut request = self.request(Method::GET, Bytes::new(), agreed);
            request.headers_mut().insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
            request.headers_mut().insert(name, id);
            // Whatever this is, the request was sent before: it is not as if nothing had been.
            let Ok(response) = self.send(request).await else { break };
            if response.status() != StatusCode::OK || essence(response.headers()) != "text/event-stream" {
                break;
            }
            let mut take = |event: &SseEvent| sink(&event.data);
            match events(response.into_body(), Some(STREAM), place, &mut take).await {
                Err(Broken::Off) => {}
                other => return other,
            }
            tries = if *place == before { tries + 1 } else { 0 };
            if tries == TRIES {
                break;
            }
        }
        Err(Broken::Off)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use wire::SseEvent;

    use super::Place;

    #[test]
    fn a_place_is_the_last_that_was_named_and_its_pause_is_bounded() {
        let event = |id: &[u8]| SseEvent { id: Some(id.to_vec()), ..SseEvent::default() };
        let mut place = Place::default();
        assert!(place.header().is_none());
        place.heard(&event(b"one"));
        place.heard(&SseEvent::default());
        assert_eq!(place.header().unwrap().1, "one");
        for nowhere in [&b""[..], &[b'x'; 2000], b"a\nb"] {
            place.heard(&event(b"two"));
            place.heard(&event(nowhere));
            assert!(place.header().is_none(), "{nowhere:?}");
        }
        let mut pause = |retry| {
            place.wait(retry);
            place.pause()
        };
        assert_eq!(pause(None), Duration::from_secs(1));
        assert_eq!(pause(Some(0)), Duration::from_millis(100));
        assert_eq!(pause(Some(500)), Duration::from_millis(500));
        assert_eq!(pause(Some(u64::MAX)), Duration::from_secs(60));
        assert_eq!(pause(None), Duration::from_secs(60), "as it said last");
    }
}
