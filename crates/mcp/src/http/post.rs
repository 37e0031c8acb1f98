//! One message by POST, of either era.

use std::sync::Arc;

use bytes::Bytes;
use gateway::{Authenticated, Endpoint};
use http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use wire::{
    Era, Field, Message, Notification, Params, ProtocolVersion, RequestMeta, RpcError, ScanLimits,
    StandardHeaders,
};

use super::Shared;
use super::accept::UnderWay;
use super::body::{Body, Events};
use super::exchange::UnderAnswer;
use super::legacy;
use super::refuse::Refused;
use crate::ask::Ask;
use crate::measure;
use crate::peer::Talk;
use crate::reply::{self, Sent};

/// What a client takes as an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Accepts {
    pub(super) json: bool,
    pub(super) events: bool,
}

/// A request and how it is to be answered.
pub(super) struct Exchange<'r> {
    pub(super) shared: &'r Arc<Shared>,
    pub(super) who: Authenticated<()>,
    pub(super) endpoint: Endpoint,
    pub(super) headers: &'r HeaderMap,
    pub(super) accepts: Accepts,
    pub(super) under_way: UnderWay,
}

/// Takes one message.
pub(super) async fn post(
    shared: &Arc<Shared>,
    who: Authenticated<()>,
    endpoint: Endpoint,
    request: Request<Incoming>,
    under_way: UnderWay,
) -> Result<Response<Body>, Refused> {
    let (head, body) = request.into_parts();
    check_media_type(&head.headers)?;
    let accepts = Accepts::read(&head.headers).ok_or(Refused::NotAcceptable)?;
    let bytes = read_body(shared, body).await?;
    measure::bytes_in(bytes.len());
    let exchange = Exchange { shared, who, endpoint, headers: &head.headers, accepts, under_way };
    match Message::parse(&bytes, ScanLimits { depth: shared.limits.depth }) {
        Ok(Message::Request(request)) => exchange.request(&request).await,
        Ok(Message::Notification(notification)) => exchange.notification(&notification),
        Ok(Message::Response(response)) => exchange.response(&response),
        Err(refusal) => Ok(answered(reply::failed(refusal.id, &refusal.error, Era::Legacy))),
    }
}

impl Exchange<'_> {
    async fn request(self, request: &wire::Request<'_>) -> Result<Response<Body>, Refused> {
        let failed = |error, era| Ok(answered(reply::failed(Some(request.id), &error, era)));
        let (params, meta) = match read_params(request.params()) {
            Ok(read) => read,
            Err(error) => return failed(error, Era::Legacy),
        };
        let headers = standard_headers(self.headers);
        let version = match wire::decide_http(&headers, &request.method, &meta) {
            Ok(version) => version,
            Err(error) => return failed(error, Era::Modern),
        };
        if version.map(ProtocolVersion::era) != Some(Era::Modern) {
            return legacy::request(self, request, &params, &meta, version).await;
        }
        let ask = wire::check_standard_headers(&headers, &request.method, &params)
            .and_then(|()| Ask::read(request, &params, &meta, Era::Modern, self.endpoint));
        match ask {
            Ok(ask) => Ok(self.answer_modern(ask, request, &meta).await),
            Err(error) => failed(error, Era::Modern),
        }
    }

    async fn answer_modern(
        self,
        ask: Ask,
        request: &wire::Request<'_>,
        meta: &RequestMeta<'_>,
    ) -> Response<Body> {
        if let Ask::Listen(asked) = &ask {
            return self.subscribe(asked, request.id);
        }
        let level = match meta.log_level() {
            Ok(level) => level,
            Err(error) => return answered(reply::failed(Some(request.id), &error, Era::Modern)),
        };
        let talk = Talk { abilities: meta.abilities(), level, ..Talk::default() };
        let (id, cancel) = (request.id.to_owned_json(), self.shared.calls.child_token());
        self.answer(UnderAnswer { ask, id, era: Era::Modern, cancel, entry: None, talk }).await
    }

    fn notification(self, notification: &Notification<'_>) -> Result<Response<Body>, Refused> {
        let failed = |error, era| Ok(answered(reply::failed(None, &error, era)));
        let (params, meta) = match read_params(notification.params()) {
            Ok(read) => read,
            Err(error) => return failed(error, Era::Legacy),
        };
        let headers = standard_headers(self.headers);
        let version = match notification_version(&headers, &meta) {
            Ok(version) => version,
            Err(error) => return failed(error, Era::Modern),
        };
        if version.map(ProtocolVersion::era) != Some(Era::Modern) {
            return legacy::notification(&self, notification, &params, version);
        }
        // Nothing else to do: a modern client cancels by going away.
        match wire::check_standard_headers(&headers, &notification.method, &params) {
            Ok(()) => Ok(accepted()),
            Err(error) => failed(error, Era::Modern),
        }
    }

    /// Modern clients are asked nothing that they could answer so; a legacy client is, within its session.
    fn response(self, response: &wire::Response<'_>) -> Result<Response<Body>, Refused> {
        let headers = standard_headers(self.headers);
        match notification_version(&headers, &RequestMeta::default()) {
            Ok(Some(version)) if version.era() == Era::Modern => {
                let error = RpcError::InvalidRequest("nothing was asked, so nothing can be answered");
                Ok(answered(reply::failed(None, &error, Era::Modern)))
            }
            Ok(version) => legacy::response(&self, response, version),
            Err(error) => Ok(answered(reply::failed(None, &error, Era::Modern))),
        }
    }
}

impl Accepts {
    /// Reads `Accept`; none is everything. `None` if neither form of an answer is taken.
    pub(super) fn read(headers: &HeaderMap) -> Option<Self> {
        let mut accepts = Self { json: false, events: false };
        let mut said = false;
        for value in headers.get_all(ACCEPT) {
            said = true;
            for range in value.to_str().ok()?.split(',') {
                let mut parts = range.split(';').map(str::trim);
                let media = parts.next().unwrap_or_default();
                if parts.any(|parameter| matches!(parameter, "q=0" | "q=0.0" | "q=0.00" | "q=0.000")) {
                    continue;
                }
                let is = |name: &str| media.eq_ignore_ascii_case(name);
                accepts.json |= is("application/json") || is("application/*") || is("*/*");
                accepts.events |= is("text/event-stream") || is("text/*") || is("*/*");
            }
        }
        if !said {
            return Some(Self { json: true, events: true });
        }
        (accepts.json || accepts.events).then_some(accepts)
    }
}

fn read_params<'a>(params: Result<Params<'a>, RpcError>) -> Result<(Params<'a>, RequestMeta<'a>), RpcError> {
    let params = params?;
    let meta = params.meta()?;
    Ok((params, meta))
}

/// A notification carries no capabilities; only its header says the era.
fn notification_version(
    headers: &StandardHeaders<'_>,
    meta: &RequestMeta<'_>,
) -> Result<Option<ProtocolVersion>, RpcError> {
    let header = match headers.protocol_version {
        Field::Absent => None,
        Field::One(text) => Some(text),
        Field::Several | Field::NotText => {
            return Err(RpcError::HeaderMismatch(
                "the header `MCP-Protocol-Version` is not one plain text".to_owned(),
            ));
        }
    };
    if meta.protocol_version.as_deref().is_some_and(|version| header != Some(version)) {
        return Err(RpcError::HeaderMismatch(
            "the header `MCP-Protocol-Version` is missing or says something else than the body".to_owned(),
        ));
    }
    let unsupported = |header| RpcError::UnsupportedVersion(RpcError::piece(header));
    header.map(|header| ProtocolVersion::parse(header).ok_or_else(|| unsupported(header))).transpose()
}

pub(super) fn standard_headers(headers: &HeaderMap) -> StandardHeaders<'_> {
    StandardHeaders {
        protocol_version: field(headers, wire::name::PROTOCOL_VERSION),
        method: field(headers, wire::name::METHOD),
        name: field(headers, wire::name::NAME),
    }
}

fn field<'h>(headers: &'h HeaderMap, name: &str) -> Field<'h> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Field::Absent,
        (Some(value), None) => value.to_str().map_or(Field::NotText, Field::One),
        (Some(_), Some(_)) => Field::Several,
    }
}

fn check_media_type(headers: &HeaderMap) -> Result<(), Refused> {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Err(Refused::MediaType) };
    let mut parts = value.to_str().map_err(|_| Refused::MediaType)?.split(';').map(str::trim);
    let is_json = parts.next().is_some_and(|media| media.eq_ignore_ascii_case("application/json"));
    let is_utf8 = parts.all(|parameter| {
        let charset = parameter.split_once('=').filter(|(name, _)| name.eq_ignore_ascii_case("charset"));
        charset.is_none_or(|(_, charset)| charset.trim_matches('"').eq_ignore_ascii_case("utf-8"))
    });
    if is_json && is_utf8 && !headers.contains_key(CONTENT_ENCODING) {
        Ok(())
    } else {
        Err(Refused::MediaType)
    }
}

async fn read_body(shared: &Shared, body: Incoming) -> Result<Bytes, Refused> {
    let limit = shared.limits.body;
    if body.size_hint().lower() > limit as u64 {
        return Err(Refused::TooLarge);
    }
    let read = tokio::time::timeout(shared.limits.body_timeout, Limited::new(body, limit).collect());
    match read.await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Refused::TooLarge),
        Ok(Err(_)) | Err(_) => Err(Refused::BodyLost),
    }
}

/// A message as the whole answer.
pub(super) fn answered(sent: Sent) -> Response<Body> {
    measure::request("http", sent.outcome);
    measure::bytes_out(sent.message.len());
    let mut response = Response::new(Body::whole(sent.message));
    *response.status_mut() = StatusCode::from_u16(sent.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Taken, and nothing to say.
pub(super) fn accepted() -> Response<Body> {
    let mut response = Response::new(Body::Whole(None));
    *response.status_mut() = StatusCode::ACCEPTED;
    response
}

/// An event stream as the answer.
pub(super) fn event_stream(events: Events) -> Response<Body> {
    let mut response = Response::new(Body::Events(Box::new(events)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Some proxies would otherwise collect events before they pass them on.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}
