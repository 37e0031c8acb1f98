//! What only the versions with sessions have.

use std::sync::Arc;

use gateway::Authenticated;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use tokio::sync::mpsc;
use wire::{Era, Field, Notification, Params, ProtocolVersion, RequestMeta, RpcError, name};

use super::Shared;
use super::accept::UnderWay;
use super::body::{Body, Events};
use super::post::{Accepts, Exchange, accepted, answered, event_stream, standard_headers};
use super::refuse::Refused;
use crate::answer::{Asker, answer};
use crate::ask::{Ask, ProtocolAsk};
use crate::reply::{self, ProtocolReply, Reply};
use crate::session::{Found, NoSession, Session};

/// A request of a version with sessions.
pub(super) async fn request(
    exchange: Exchange<'_>,
    request: &wire::Request<'_>,
    params: &Params<'_>,
    meta: &RequestMeta<'_>,
    version: Option<ProtocolVersion>,
) -> Result<Response<Body>, Refused> {
    let failed = |error: &RpcError| answered(reply::failed(Some(request.id), error, Era::Legacy));
    if request.method == "initialize" {
        return match Ask::read(&request.method, params, meta, Era::Legacy) {
            Ok(Ask::Protocol(ProtocolAsk::Initialize(version))) => {
                initialize(&exchange, request, version).await
            }
            Ok(_) => Ok(failed(&RpcError::Internal)),
            Err(error) => Ok(failed(&error)),
        };
    }
    let session = match session(exchange.shared, &exchange.who, exchange.headers, version)? {
        Ok(session) => session,
        Err(error) => return Ok(failed(&error)),
    };
    let ask = match Ask::read(&request.method, params, meta, Era::Legacy) {
        Ok(ask) => ask,
        Err(error) => return Ok(failed(&error)),
    };
    let cancel = exchange.shared.calls.child_token();
    let entry = match session.calls.enter(request.id, &cancel) {
        Ok(entry) => entry,
        Err(error) => return Ok(failed(&error)),
    };
    if exchange.wants_events(&ask) {
        return Ok(exchange.answer_with_events(ask, request, Era::Legacy, cancel, Some(entry)));
    }
    let Exchange { shared, who, endpoint, .. } = exchange;
    let gate = Arc::clone(&shared.gate);
    // In a task of its own: a client of these versions that goes away has not cancelled anything, and can still do so
    // by a notification.
    let running = shared.tasks.spawn(async move {
        let reply = answer(&gate, Asker { who, endpoint, cancel }, ask, None).await;
        drop(entry);
        reply
    });
    let reply = running.await.unwrap_or_else(|error| {
        tracing::error!(%error, "a request ended in a defect");
        Reply::Protocol(ProtocolReply::Failed(RpcError::Internal))
    });
    Ok(answered(reply::send(reply, request.id, Era::Legacy)))
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

/// An answer to a request that we never make.
pub(super) fn response(
    exchange: &Exchange<'_>,
    version: Option<ProtocolVersion>,
) -> Result<Response<Body>, Refused> {
    Ok(match session(exchange.shared, &exchange.who, exchange.headers, version)? {
        Ok(_) => accepted(),
        Err(error) => answered(reply::failed(None, &error, Era::Legacy)),
    })
}

/// GET: a stream for what the server says by itself. There is nothing yet that it would say, so it only stays open.
pub(super) fn listen(
    shared: &Arc<Shared>,
    who: &Authenticated<()>,
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
    tokio::spawn(async move {
        // The sender keeps the stream open until one side is done with it.
        tokio::select! {
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
) -> Result<Response<Body>, Refused> {
    if !matches!(session_id(exchange.headers), Field::Absent) {
        let error =
            RpcError::InvalidRequest("a session begins with its `initialize`, so that one can name none");
        return Ok(answered(reply::failed(Some(request.id), &error, Era::Legacy)));
    }
    let who = &exchange.who;
    let created = exchange.shared.sessions.create(&who.principal().id, who.proof(), version);
    let id = created.map_err(|no| match no {
        NoSession::Full => Refused::Busy,
        NoSession::NoEntropy => Refused::Unavailable,
    })?;
    // Waited for, so that a client that begins sessions for ever goes no faster than the journal.
    Arc::clone(&exchange.shared.gate).agent_connected(exchange.who.clone()).await;
    let reply = Reply::Protocol(ProtocolReply::Initialized(version));
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
