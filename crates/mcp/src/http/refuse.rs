//! Answers to requests that never became a message. Fixed words: nothing of the request, nothing of the gateway.

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{Response, StatusCode};

use super::body::Body;
use crate::measure;

/// Why a request was turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// Wrong or missing key, certificate or source network: one answer for all of them.
    Unauthenticated,
    /// The same, where addresses alone are looked at.
    Address,
    /// That, too often from one address.
    TooManyFailures,
    /// `Host` is missing, doubled, or not ours.
    Host,
    /// `Origin` is doubled or not let in.
    Origin,
    /// Only trusted proxies may connect, or what one forwarded cannot be read.
    Proxy,
    /// Nothing is here.
    NotFound,
    /// No such session, as far as this principal may know.
    NoSession,
    /// Only these methods.
    Method(&'static str),
    /// The client accepts nothing we could send.
    NotAcceptable,
    /// The body is too large.
    TooLarge,
    /// The body is no JSON by its own account.
    MediaType,
    /// The body took too long, or broke off.
    BodyLost,
    /// As many sessions or streams as there may be.
    Busy,
    /// The system gave no random bytes for a session.
    Unavailable,
}

impl Refused {
    /// The answer.
    pub(super) fn answer(self) -> Response<Body> {
        let (status, label, body) = self.parts();
        measure::refused(label);
        let mut response = Response::new(Body::whole(Bytes::from_static(body.as_bytes())));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match self {
            Self::Unauthenticated => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"portcullis\""));
            }
            Self::Method(allowed) => {
                headers.insert(ALLOW, HeaderValue::from_static(allowed));
            }
            Self::TooManyFailures => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("60"));
                headers.insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Self::Busy => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            // What is left of the body would be read as the next request's head.
            Self::TooLarge | Self::BodyLost => {
                headers.insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Self::Host
            | Self::Origin
            | Self::Proxy
            | Self::Address
            | Self::NotFound
            | Self::NoSession
            | Self::NotAcceptable
            | Self::MediaType
            | Self::Unavailable => {}
        }
        response
    }

    fn parts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Unauthenticated => {
                (StatusCode::UNAUTHORIZED, "401", r#"{"error":"authentication failed"}"#)
            }
            Self::TooManyFailures => {
                (StatusCode::TOO_MANY_REQUESTS, "429", r#"{"error":"authentication failed too often"}"#)
            }
            Self::Host => (StatusCode::FORBIDDEN, "403", r#"{"error":"the host is not served here"}"#),
            Self::Origin => (StatusCode::FORBIDDEN, "403", r#"{"error":"the origin is not let in"}"#),
            Self::Proxy => (StatusCode::FORBIDDEN, "403", r#"{"error":"only a trusted proxy may connect"}"#),
            Self::Address => (StatusCode::FORBIDDEN, "403", r#"{"error":"the address is not let in"}"#),
            Self::NotFound => (StatusCode::NOT_FOUND, "404", r#"{"error":"not found"}"#),
            Self::NoSession => (StatusCode::NOT_FOUND, "404", r#"{"error":"no such session"}"#),
            Self::Method(_) => (StatusCode::METHOD_NOT_ALLOWED, "405", r#"{"error":"method not allowed"}"#),
            Self::NotAcceptable => (
                StatusCode::NOT_ACCEPTABLE,
                "406",
                r#"{"error":"accept `application/json` or `text/event-stream`"}"#,
            ),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "413", r#"{"error":"the body is too large"}"#),
            Self::MediaType => (
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "415",
                r#"{"error":"send `application/json`, not encoded"}"#,
            ),
            Self::BodyLost => (StatusCode::REQUEST_TIMEOUT, "408", r#"{"error":"the body did not arrive"}"#),
            Self::Busy => (StatusCode::TOO_MANY_REQUESTS, "429", r#"{"error":"too many at once"}"#),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "503", r#"{"error":"unavailable"}"#),
        }
    }
}
