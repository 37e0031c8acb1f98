//! One HTTP request and its answer.

use std::error::Error as StdError;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use wire::{SseEvent, SseReader};

use super::clients::Clients;
use super::dial::Unreached;
use super::oauth::Grant;
use super::outgoing::Outgoing;
use super::resume::Place;
use super::session::Agreed;
use crate::fault::Fault;
use crate::link::{GARBAGE, LONGEST, Taken};

/// The most bytes that a stream of events may have in all, before the answer comes.
pub(super) const STREAM: usize = 4 * LONGEST;
/// How long a stream may go on after the answer before its connection is given up.
const DRAIN: std::time::Duration = std::time::Duration::from_secs(1);
/// The most bytes of an error that are looked at.
const ERROR: usize = 64 * 1024;

/// Sends requests to one server.
pub(super) struct Exchange {
    pub(super) clients: Clients,
    pub(super) uri: Uri,
    /// Of every request; secrets among them.
    pub(super) headers: HeaderMap,
    /// Whose tokens it is shown, if it wants any.
    pub(super) grant: Option<Grant>,
}

/// Why a message has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Broken {
    /// There is no connection: nothing was sent.
    Unreached(String),
    /// It does not take the gateway's credential: nothing was carried out.
    Unauthorised,
    /// There is no token for it: nothing was sent.
    NoToken(String),
    /// It does not know the session: nothing was carried out.
    SessionLost,
    /// It answered so.
    Refused(String),
    /// It answered so, and holds us to be at fault.
    NotTaken(String),
    /// It answered what is no answer.
    Protocol(&'static str),
    /// The connection broke after something was sent.
    Off,
}

impl Broken {
    /// What this means for the whole upstream, if it is not about one request.
    pub(super) fn ends_it(&self) -> Option<String> {
        match self {
            Self::Unreached(why) => Some(format!("it cannot be reached: {why}")),
            Self::Unauthorised => Some("it refuses the gateway's credential (HTTP 401)".to_owned()),
            Self::NoToken(why) => Some(why.clone()),
            Self::SessionLost => Some("it forgets its sessions at once".to_owned()),
            Self::Refused(_) | Self::NotTaken(_) | Self::Protocol(_) | Self::Off => None,
        }
    }

    /// What it means for the request.
    pub(super) fn fault(self) -> Fault {
        match (self.ends_it(), self) {
            (Some(why), _) => Fault::Down(why),
            (None, Self::Refused(why) | Self::NotTaken(why)) => Fault::Refused(why),
            (None, Self::Protocol(what)) => Fault::Protocol(what),
            (None, _) => Fault::Ended,
        }
    }
}

/// Whoever takes messages: told of each as it comes.
pub(super) type Sink<'s> = &'s mut (dyn FnMut(&[u8]) -> Taken + Send);

impl Exchange {
    /// Posts a message. `heads` is told of the answer's headers, if it is one, before any of its messages.
    pub(super) async fn post(
        &self,
        outgoing: &Outgoing,
        agreed: &Agreed,
        heads: &mut (dyn FnMut(&HeaderMap) + Send),
        sink: Sink<'_>,
    ) -> Result<(), Broken> {
        let mut request = self.request(Method::POST, outgoing.body.clone(), agreed);
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        if let Some(modern) = &outgoing.modern {
            headers.insert(wire::name::PROTOCOL_VERSION, modern.version.clone());
            headers.insert(wire::name::METHOD, modern.method.clone());
            if let Some(name) = &modern.name {
                headers.insert(wire::name::NAME, name.clone());
            }
        }
        let response = self.send(request).await?;
        let status = response.status();
        if !status.is_success() {
            return refused(response, agreed, sink).await;
        }
        heads(response.headers());
        match (outgoing.id(), essence(response.headers()).as_str()) {
            (None, _) => Ok(()),
            (Some(_), "application/json") => {
                let body = whole(response.into_body(), LONGEST).await?;
                match sink(&body) {
                    Taken::Answer => Ok(()),
                    Taken::Message | Taken::Garbage => {
                        Err(Broken::Protocol("with what answers nothing that was asked"))
                    }
                }
            }
            (Some(_), "text/event-stream") => {
                let mut place = Place::default();
                let mut take = |event: &SseEvent| sink(&event.data);
                match events(response.into_body(), Some(STREAM), &mut place, &mut take).await {
                    Err(Broken::Off) if outgoing.modern.is_none() => {
                        self.read_on(agreed, &mut place, sink).await
                    }
                    read => read,
                }
            }
            (Some(_), _) => Err(Broken::Protocol("what is neither JSON nor a stream of events")),
        }
    }

    /// Listens to what a legacy server says unasked, from this place on, until it ends. `Ok(false)`: it offers no such thing.
    pub(super) async fn listen(
        &self,
        agreed: &Agreed,
        place: &mut Place,
        sink: Sink<'_>,
    ) -> Result<bool, Broken> {
        let mut request = self.request(Method::GET, Bytes::new(), agreed);
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        let taken_up = place.header().map(|(name, id)| request.headers_mut().insert(name, id)).is_some();
        let response = self.send(request).await?;
        if response.status() != StatusCode::OK || essence(response.headers()) != "text/event-stream" {
            place.forget();
            return Ok(taken_up);
        }
        let mut take = |event: &SseEvent| sink(&event.data);
        match events(response.into_body(), None, place, &mut take).await {
            Ok(()) | Err(Broken::Off) => Ok(true),
            Err(broken) => Err(broken),
        }
    }

    /// Says that the session is of no more use.
    pub(super) async fn leave(&self, agreed: &Agreed) {
        let request = self.request(Method::DELETE, Bytes::new(), agreed);
        let _ = self.send(request).await;
    }

    /// Sends a request, with a token where there are tokens: with another one if it was refused, once.
    pub(super) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Broken> {
        let client = self.clients.here();
        let answered = |request| async { client.request(request).await.map_err(|error| unanswered(&error)) };
        let Some(grant) = &self.grant else { return answered(request).await };
        let shown = grant.show(None).await.map_err(Broken::NoToken)?;
        let response = answered(with_token(&request, shown.header)).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        let another = grant.show(Some(shown.serial)).await.map_err(Broken::NoToken)?;
        answered(with_token(&request, another.header)).await
    }

    pub(super) fn request(&self, method: Method, body: Bytes, agreed: &Agreed) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        if let Some(session) = &agreed.session {
            request.headers_mut().insert(wire::name::SESSION_ID, session.clone());
        }
        if let Some(version) = agreed.version {
            let version = HeaderValue::from_static(version.as_str());
            request.headers_mut().insert(wire::name::PROTOCOL_VERSION, version);
        }
        request
    }
}

fn with_token(request: &Request<Full<Bytes>>, token: HeaderValue) -> Request<Full<Bytes>> {
    let mut request = request.clone();
    request.headers_mut().insert(AUTHORIZATION, token);
    request
}

/// An answer that is none of success. It may hold an error of the protocol, which then is the answer.
async fn refused(response: Response<Incoming>, agreed: &Agreed, sink: Sink<'_>) -> Result<(), Broken> {
    let status = response.status();
    let has_session = agreed.session.is_some();
    match status {
        StatusCode::UNAUTHORIZED => return Err(Broken::Unauthorised),
        StatusCode::NOT_FOUND if has_session => return Err(Broken::SessionLost),
        _ if status.is_redirection() => {
            return Err(Broken::Refused(format!(
                "with a redirect (HTTP {}), which is not followed",
                status.as_u16()
            )));
        }
        _ => {}
    }
    let plain = || {
        let why = format!("with the HTTP status {}", status.as_u16());
        if status.is_client_error() { Broken::NotTaken(why) } else { Broken::Refused(why) }
    };
    if essence(response.headers()) != "application/json" {
        return Err(plain());
    }
    let body = whole(response.into_body(), ERROR).await.map_err(|_| plain())?;
    // Some servers that many use say 400 where 404 is meant.
    if has_session && status == StatusCode::BAD_REQUEST && wire::is_about_session(&body) {
        return Err(Broken::SessionLost);
    }
    match sink(&body) {
        Taken::Answer => Ok(()),
        Taken::Message | Taken::Garbage => Err(plain()),
    }
}

pub(super) async fn whole(mut body: Incoming, limit: usize) -> Result<Vec<u8>, Broken> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame.map_err(|_| Broken::Off)?.into_data() else { continue };
        if bytes.len() + piece.len() > limit {
            return Err(Broken::Protocol("with more than 16 MiB"));
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

/// Reads events up to the one that is the answer, and keeps the place. `most` is given where there must be one.
pub(super) async fn events(
    mut body: Incoming,
    most: Option<usize>,
    place: &mut Place,
    take: &mut (dyn FnMut(&SseEvent) -> Taken + Send),
) -> Result<(), Broken> {
    let (mut reader, mut read, mut garbage, mut answered) = (SseReader::new(LONGEST), 0_usize, 0, false);
    while let Some(frame) = body.frame().await {
        let Ok(piece) = frame.map_err(|_| Broken::Off)?.into_data() else { continue };
        read = read.saturating_add(piece.len());
        let fed = reader.feed(&piece, |event| {
            place.heard(&event);
            // Without text it only gives its place in the stream.
            if answered || event.data.iter().all(u8::is_ascii_whitespace) {
                return;
            }
            match take(&event) {
                Taken::Answer => answered = most.is_some(),
                Taken::Message => {}
                Taken::Garbage => garbage += 1,
            }
        });
        place.wait(reader.retry());
        if answered {
            // A stream that is read to its end leaves a connection that can be used again.
            let _ =
                tokio::time::timeout(DRAIN, async { while let Some(Ok(_)) = body.frame().await {} }).await;
            return Ok(());
        }
        if fed.is_err() || most.is_some_and(|most| read > most) {
            return Err(Broken::Protocol("with more than 16 MiB"));
        }
        if garbage >= GARBAGE {
            return Err(Broken::Protocol("with events that are no messages"));
        }
    }
    if most.is_some() { Err(Broken::Off) } else { Ok(()) }
}

/// Why there was no answer: whether anything was sent decides what it means.
pub(super) fn unanswered(error: &hyper_util::client::legacy::Error) -> Broken {
    let mut next: Option<&(dyn StdError + 'static)> = error.source();
    while let Some(error) = next {
        if let Some(Unreached(why)) = error.downcast_ref() {
            return Broken::Unreached(why.clone());
        }
        next = error.source();
    }
    Broken::Off
}

pub(super) fn essence(headers: &HeaderMap) -> String {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}
