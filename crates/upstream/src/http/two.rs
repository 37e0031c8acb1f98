//! Servers of 2024-11-05, with two endpoints: one stream on which they say everything, begun with the address that they want
//! messages posted to.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode, Uri};
use tokio::sync::Notify;
use wire::SseEvent;

use super::exchange::{Broken, Exchange, essence, events};
use super::outgoing::Outgoing;
use super::resume::Place;
use super::session::Agreed;
use crate::link::Taken;

/// The longest address of an endpoint, in bytes.
const LONGEST: usize = 4096;

/// Whether a server is one of these, and where it takes messages.
#[derive(Default)]
pub(super) struct TwoEndpoints {
    /// Kept over the starts of the upstream: it was one of these when it was last reached.
    known: Arc<AtomicBool>,
    endpoint: OnceLock<Uri>,
    told: Notify,
}

impl TwoEndpoints {
    /// `known` is what an earlier start found out, and where this one writes it down.
    pub(super) fn new(known: Arc<AtomicBool>) -> Self {
        Self { known, ..Self::default() }
    }

    /// Where messages are posted to, once its stream has said so.
    pub(super) fn endpoint(&self) -> Option<&Uri> {
        self.endpoint.get()
    }

    /// Whether it is believed to be one of these.
    pub(super) fn known(&self) -> bool {
        self.known.load(Ordering::Relaxed)
    }

    /// Waits for the address.
    pub(super) async fn told(&self) -> &Uri {
        loop {
            let told = self.told.notified();
            if let Some(endpoint) = self.endpoint.get() {
                return endpoint;
            }
            told.await;
        }
    }

    /// Hears what it says: first where messages go, which must be where it is itself. Returns why there is no more; a failure is why
    /// there is no such stream.
    pub(super) async fn hear(
        &self,
        exchange: &Exchange,
        sink: &mut (dyn FnMut(&[u8]) -> Taken + Send),
    ) -> Result<String, Broken> {
        let mut request = exchange.request(Method::GET, Bytes::new(), &Agreed::default());
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        let response = exchange.send(request).await?;
        let status = response.status();
        if status != StatusCode::OK || essence(response.headers()) != "text/event-stream" {
            self.known.store(false, Ordering::Relaxed);
            return Err(Broken::Refused(format!("with HTTP {} and no stream of events", status.as_u16())));
        }
        let elsewhere = Notify::new();
        let mut take = |event: &SseEvent| match (self.endpoint.get(), &*event.name) {
            (Some(_), b"" | b"message") => sink(&event.data),
            (None, b"endpoint") => {
                match endpoint(&exchange.uri, &event.data) {
                    Some(endpoint) => {
                        self.known.store(true, Ordering::Relaxed);
                        let _ = self.endpoint.set(endpoint);
                        self.told.notify_one();
                    }
                    None => elsewhere.notify_one(),
                }
                Taken::Message
            }
            _ => Taken::Message,
        };
        let mut place = Place::default();
        let heard = tokio::select! {
            heard = events(response.into_body(), None, &mut place, &mut take) => heard,
            () = elsewhere.notified() => return Ok("its stream begins with an endpoint that is elsewhere".to_owned()),
        };
        Ok(match heard {
            Ok(()) | Err(Broken::Off) => "its stream of events ended".to_owned(),
            Err(broken) => format!("its stream of events is none: {}", broken.fault().of_call_alone()),
        })
    }
}

impl Exchange {
    /// Posts a message to one of these servers. What there is to say to it comes on the stream.
    pub(super) async fn post_beside(&self, endpoint: &Uri, outgoing: &Outgoing) -> Result<(), Broken> {
        let mut request = self.request(Method::POST, outgoing.body.clone(), &Agreed::default());
        *request.uri_mut() = endpoint.clone();
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let status = self.send(request).await?.status();
        match status {
            StatusCode::UNAUTHORIZED => Err(Broken::Unauthorised),
            _ if status.is_success() => Ok(()),
            _ => Err(Broken::Refused(format!("with the HTTP status {}", status.as_u16()))),
        }
    }
}

/// The address in the first event, which may leave out what is the stream's own. `None` for one at another origin: credentials
/// go with every message.
fn endpoint(stream: &Uri, said: &[u8]) -> Option<Uri> {
    let said = std::str::from_utf8(said).ok()?.trim();
    let (scheme, authority) = (stream.scheme_str()?, stream.authority()?);
    if said.is_empty() || said.len() > LONGEST || said.contains(['#', '\\']) || said.starts_with("//") {
        return None;
    }
    let is_whole = said.split_once("://").is_some_and(|(scheme, _)| !scheme.contains(['/', '?']));
    let whole = if is_whole {
        said.to_owned()
    } else if said.starts_with('/') {
        format!("{scheme}://{authority}{said}")
    } else {
        let folder = stream.path().rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{scheme}://{authority}{folder}/{said}")
    };
    let endpoint: Uri = whole.parse().ok()?;
    let same = endpoint.scheme_str() == Some(scheme)
        && endpoint.host().is_some_and(|host| host.eq_ignore_ascii_case(authority.host()))
        && port(&endpoint) == port(stream)
        && endpoint.authority().is_some_and(|authority| !authority.as_str().contains('@'));
    same.then_some(endpoint)
}

fn port(uri: &Uri) -> u16 {
    uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 })
}

#[cfg(test)]
mod tests {
    use super::endpoint;

    #[test]
    fn messages_are_posted_to_where_the_stream_is_and_nowhere_else() {
        let stream = "https://mcp.example/v1/sse?x=1".parse().unwrap();
        let posted = |said: &str| endpoint(&stream, said.as_bytes()).map(|uri| uri.to_string());
        for (said, whole) in [
            ("/messages?session_id=1", "https://mcp.example/messages?session_id=1"),
            ("messages/?s=https://x", "https://mcp.example/v1/messages/?s=https://x"),
            ("https://mcp.example/m", "https://mcp.example/m"),
            ("https://MCP.example:443/m", "https://MCP.example:443/m"),
        ] {
            assert_eq!(posted(said).as_deref(), Some(whole), "{said}");
        }
        for elsewhere in [
            "",
            "//evil.example/m",
            "/\\evil.example/m",
            "\\\\evil.example/m",
            "https://evil.example/m",
            "http://mcp.example/m",
            "https://mcp.example:8443/m",
            "https://mcp.example@evil.example/m",
            "https://u:p@mcp.example/m",
            "javascript://mcp.example/m",
            "/a b",
            "/a\nb",
        ] {
            assert_eq!(posted(elsewhere), None, "{elsewhere:?}");
        }
        assert_eq!(posted(&format!("/{}", "x".repeat(5000))), None);
    }
}
