//! What only the versions with sessions have.

use std::sync::Arc;

use gateway::{Authenticated, Endpoint};
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use model::Abilities;
use tokio::sync::mpsc;
use wire::{Era, Field, Notification, Params, ProtocolVersion, RequestMeta, RpcError, name};

use super::Shared;
use super::accept::UnderWay;
use super::body::{Body, Events};
use super::exchange::UnderAnswer;
use super::post::{Accepts, Exchange, accepted, answered, event_stream, standard_headers};
use super::refuse::Refused;
use crate::alone;
use crate::ask::{Ask, ProtocolAsk};
use crate::listen::{Listener, Wants};
use crate::peer::{Peer, Talk};
use crate::reply::{self, ProtocolReply, Reply};
use crate::session::{Found, NoSession, Session};

/// A request of a version with sessions.
pub(super) async fn request(
    mut exchange: Exchange<'_>,
    request: &wire::Request<'_>,
    params: &Params<'_>,
    meta: &RequestMeta<'_>,
    version: Option<ProtocolVersion>,
) -> Result<Response<Body>, Refused> {
    let failed = |error: &RpcError| answered(reply::failed(Some(request.id), error, Era::Legacy));
    if request.method == "initialize" {
        return match Ask::read(request, params, meta, Era::Legacy, exchange.endpoint) {
            Ok(Ask::Protocol(ProtocolAsk::Initialize(version, abilities))) => {
                initialize(&exchange, request, version, abilities).await
            }
            Ok(_) => Ok(failed(&RpcError::Internal)),
            Err(error) => Ok(failed(&error)),
        };
    }
    let session = match session(exchange.shared, &exchange.who, exchange.headers, version)? {
        Ok(session) => session,
        Err(error) => return Ok(failed(&error)),
    };
    exchange.who = exchange.who.in_session(session.number());
    let ask = match Ask::read(request, params, meta, Era::Legacy, exchange.endpoint) {
        Ok(ask) => ask,
        Err(error) => return Ok(failed(&error)),
    };
    let cancel = exchange.shared.calls.child_token();
    let entry = match session.calls.enter(request.id, &cancel) {
        Ok(entry) => entry,
        Err(error) => return Ok(failed(&error)),
    };
    let peer = Arc::clone(&session.peer);
    let talk = Talk {
        abilities: peer.abilities(),
        level: peer.level(),
        patience: exchange.shared.session_limits.answer,
        peer: Some(peer),
    };
    let id = request.id.to_owned_json();
    Ok(exchange.answer(UnderAnswer { ask, id, era: Era::Legacy, cancel, entry: Some(entry), talk }).await)
}

/// A notification of a version with sessions.
pub(super) fn notification(
    exchange: &Exchange<'_>,
    notification: &Notification<'_>,
    params: &Params<'_>,
    version: Option<ProtocolVersion>,
) -> Result<Response<Body>, Refused> {
    match session(exchange.shared, &exchange.who, exchange.headers, version)? {
        Ok(session) => {
            if notification.method == "notifications/cancelled"
                && let Ok(cancelled) = params.cancelled()
            {
                session.calls.cancel(cancelled.request_id);
            }
            Ok(accepted())
        }
        Err(error) => Ok(answered(reply::failed(None, &error, Era::Legacy))),
    }
}

/// An answer to a question. Who did not ask it in this session takes no notice of it.
pub(super) fn response(
    exchange: &Exchange<'_>,
    response: &wire::Response<'_>,
    version: Option<ProtocolVersion>,
) -> Result<Response<Body>, Refused> {
    Ok(match session(exchange.shared, &exchange.who, exchange.headers, version)? {
        Ok(session) => {
            session.peer.answered(response);
            accepted()
        }
        Err(error) => answered(reply::failed(None, &error, Era::Legacy)),
    })
}

/// GET: a stream for what the server says by itself: what has changed. Of several streams of a session one tells it, and
/// when that one ends another does.
pub(super) fn listen(
    shared: &Arc<Shared>,
    who: &Authenticated<()>,
    endpoint: Endpoint,
    headers: &HeaderMap,
    under_way: UnderWay,
) -> Result<Response<Body>, Refused> {
    let session = existing(shared, who, headers)?;
    if !Accepts::read(headers).is_some_and(|accepts| accepts.events) {
        return Err(Refused::NotAcceptable);
    }
    let place = session.open_stream(shared.session_limits).ok_or(Refused::Busy)?;
    let (out, messages) = mpsc::channel(1);
    let ended = session.ended.child_token();
    let events = Events::new(messages, ended.clone(), shared.limits.keep_alive, under_way).holding(place);
    let closing = shared.closing.clone();
    let (gate, renewing, who) = (Arc::clone(&shared.gate), Arc::clone(&shared.gate), who.clone());
    let peer = Arc::clone(&session.peer);
    let listener = Listener {
        gate,
        who: Box::new(move || renewing.renew(&who)),
        endpoint,
        peer: Arc::clone(&peer),
        wants: Wants::ALL,
        subscription: None,
    };
    tokio::spawn(async move {
        let telling = async {
            let _turn = peer.teller.lock().await;
            listener.run(out.clone()).await;
        };
        tokio::select! {
            () = telling => {}
            () = ended.cancelled() => {}
            () = closing.cancelled() => {}
            () = out.closed() => {}
        }
    });
    Ok(event_stream(events))
}

/// DELETE: the client is done with its session.
pub(super) fn end(
    shared: &Arc<Shared>,
    who: &Authenticated<()>,
    headers: &HeaderMap,
) -> Result<Response<Body>, Refused> {
    existing(shared, who, headers)?;
    let Field::One(id) = session_id(headers) else { return Err(Refused::NoSession) };
    shared.sessions.end(id, &who.principal().id);
    let mut response = accepted();
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}

async fn initialize(
    exchange: &Exchange<'_>,
    request: &wire::Request<'_>,
    version: ProtocolVersion,
    abilities: Abilities,
) -> Result<Response<Body>, Refused> {
    if !matches!(session_id(exchange.headers), Field::Absent) {
        let error =
            RpcError::InvalidRequest("a session begins with its `initialize`, so that one can name none");
        return Ok(answered(reply::failed(Some(request.id), &error, Era::Legacy)));
    }
    let who = &exchange.who;
    let peer = Arc::new(Peer::new(abilities));
    // What it sees now: what has changed when it begins to listen is told it then.
    peer.differences(&exchange.shared.gate.view(&who.with(exchange.endpoint), &[]));
    let created = exchange.shared.sessions.create(&who.principal().id, who.proof(), version, peer);
    let (id, number) = created.map_err(|no| match no {
        NoSession::Full => Refused::Busy,
        NoSession::NoEntropy => Refused::Unavailable,
    })?;
    // Waited for, so that a client that begins sessions for ever goes no faster than the journal.
    Arc::clone(&exchange.shared.gate).agent_connected(exchange.who.clone().in_session(number)).await;
    let reply = Reply::Protocol(ProtocolReply::Initialized(
        version,
        alone::offers(exchange.shared.alone.as_ref(), &*exchange.shared.gate, exchange.endpoint),
    ));
    let mut response = answered(reply::send(reply, request.id, Era::Legacy));
    let value = HeaderValue::try_from(id).map_err(|_| Refused::Unavailable)?;
    response.headers_mut().insert(HeaderName::from_static(name::SESSION_ID), value);
    Ok(response)
}

/// The session of a request: refused as unknown when it is somebody else's, an error when none is named or another
/// version than its own.
fn session(
    shared: &Arc<Shared>,
    who: &Authenticated<()>,
    headers: &HeaderMap,
    version: Option<ProtocolVersion>,
) -> Result<Result<Arc<Session>, RpcError>, Refused> {
    let id = match session_id(headers) {
        Field::One(id) => id,
        Field::Absent => {
            let error = "name the session in `Mcp-Session-Id`, or the protocol version in `_meta` and header";
            return Ok(Err(RpcError::InvalidRequest(error)));
        }
        Field::Several | Field::NotText => return Err(Refused::NoSession),
    };
    let session = find(shared, who, id)?;
    if version.is_some_and(|version| version != session.version()) {
        return Ok(Err(RpcError::InvalidRequest("the session was begun in another protocol version")));
    }
    Ok(Ok(session))
}

/// For GET and DELETE, which the modern versions do not have.
fn existing(
    shared: &Arc<Shared>,
    who: &Authenticated<()>,
    headers: &HeaderMap,
) -> Result<Arc<Session>, Refused> {
    let version = match standard_headers(headers).protocol_version {
        Field::One(text) => ProtocolVersion::parse(text),
        Field::Absent | Field::Several | Field::NotText => None,
    };
    match session_id(headers) {
        Field::One(id) if version.map(ProtocolVersion::era) != Some(Era::Modern) => find(shared, who, id),
        Field::Several | Field::NotText => Err(Refused::NoSession),
        Field::One(_) | Field::Absent => Err(Refused::Method("POST")),
    }
}

fn find(shared: &Arc<Shared>, who: &Authenticated<()>, id: &str) -> Result<Arc<Session>, Refused> {
    match shared.sessions.find(id, &who.principal().id) {
        Found::Yours(session) => Ok(session),
        Found::NotYours => {
            // Not waited for: the time it takes must not tell this answer from the other.
            shared.tasks.spawn(Arc::clone(&shared.gate).session_misused(who.clone()));
            Err(Refused::NoSession)
        }
        Found::Unknown => Err(Refused::NoSession),
    }
}

fn session_id(headers: &HeaderMap) -> Field<'_> {
    let mut values = headers.get_all(name::SESSION_ID).iter();
    match (values.next(), values.next()) {
        (None, _) => Field::Absent,
        (Some(value), None) => value.to_str().map_or(Field::NotText, Field::One),
        (Some(_), Some(_)) => Field::Several,
    }
}
