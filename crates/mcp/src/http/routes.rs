//! Which path is what, and what every request must pass before it is looked at.

use std::sync::Arc;

use bytes::Bytes;
use gateway::Endpoint;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;

use super::accept::UnderWay;
use super::body::Body;
use super::credentials::{authenticate, presents_anything};
use super::peer::{Peer, client_address};
use super::refuse::Refused;
use super::{Shared, legacy, post};
use crate::alone;

/// Which listener a route is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteOf {
    /// The listeners that serve MCP.
    Mcp,
    /// The metrics listener.
    Metrics,
}

impl RouteOf {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Mcp => "http",
            Self::Metrics => "metrics",
        }
    }
}

/// Every route: its listener, its methods, its path, and whether strangers may use it (`/metrics` only while its
/// listener is on loopback). Everything else is 404. The test that knocks at each of them reads this list.
pub const ROUTES: &[(RouteOf, &[&str], &str, bool)] = &[
    (RouteOf::Mcp, &["GET", "HEAD"], "/health", true),
    (RouteOf::Mcp, &["POST", "GET", "DELETE"], "/mcp", false),
    (RouteOf::Mcp, &["POST", "GET", "DELETE"], "/mcp/credentials", false),
    (RouteOf::Mcp, &["POST", "GET", "DELETE"], "/mcp/cyberark", false),
    (RouteOf::Mcp, &["POST", "GET", "DELETE"], "/mcp/ssh", false),
    (RouteOf::Mcp, &["POST", "GET", "DELETE"], "/mcp/gateway", false),
    // Any upstream: its name is known to those who are known.
    (RouteOf::Mcp, &["POST", "GET", "DELETE"], "/mcp/an-upstream", false),
    (RouteOf::Metrics, &["GET", "HEAD"], "/metrics", true),
];

/// Answers a request, whatever it is.
pub(super) async fn answer(
    shared: &Arc<Shared>,
    peer: &Peer,
    request: Request<Incoming>,
    under_way: UnderWay,
) -> Response<Body> {
    let answered = match peer.listener.serves {
        RouteOf::Mcp => serve_mcp(shared, peer, request, under_way).await,
        RouteOf::Metrics => serve_metrics(shared, peer, &request),
    };
    answered.unwrap_or_else(Refused::answer)
}

async fn serve_mcp(
    shared: &Arc<Shared>,
    peer: &Peer,
    request: Request<Incoming>,
    under_way: UnderWay,
) -> Result<Response<Body>, Refused> {
    let path = request.uri().path();
    if path == "/health" {
        return health(shared, peer, &request);
    }
    let client = admit(shared, peer, &request)?;
    let endpoint = match path.strip_prefix("/mcp") {
        Some("") => alone::endpoint(shared.alone.as_ref()),
        Some(_) if shared.alone.is_some() => return Err(Refused::NotFound),
        Some(rest) => rest.strip_prefix('/').and_then(Endpoint::parse).ok_or(Refused::NotFound)?,
        None => return Err(Refused::NotFound),
    };
    let who = authenticate(shared, peer, client, request.headers())?;
    if shared.alone.as_ref().is_some_and(|alone| !alone.is_ready(&*shared.gate)) {
        return Err(Refused::Unavailable);
    }
    // Strangers do not learn which upstreams there are.
    if !shared.gate.serves(endpoint) {
        return Err(Refused::NotFound);
    }
    match *request.method() {
        // Boxed here and below: a future is copied into each that awaits it, and these are kilobytes.
        Method::POST => Box::pin(post::post(shared, who, endpoint, request, under_way)).await,
        Method::GET => legacy::listen(shared, &who, endpoint, request.headers(), under_way),
        Method::DELETE => legacy::end(shared, &who, request.headers()),
        _ => Err(Refused::Method("POST, GET, DELETE")),
    }
}

/// Checks what a browser or a stranger could have got wrong, and returns the client's address.
fn admit(shared: &Shared, peer: &Peer, request: &Request<Incoming>) -> Result<std::net::IpAddr, Refused> {
    let hosts = shared.hosts.load();
    if !hosts.host_is_ours(request.headers(), request.uri().authority()) {
        return Err(Refused::Host);
    }
    if !hosts.origin_is_let_in(request.headers()) {
        return Err(Refused::Origin);
    }
    let trusted = shared.proxies.load();
    client_address(peer.address, trusted.as_ref().as_deref(), request.headers())
}

/// For whoever watches the gateway: no key, no host. With a key, what is wrong.
fn health(shared: &Shared, peer: &Peer, request: &Request<Incoming>) -> Result<Response<Body>, Refused> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(Refused::Method("GET, HEAD"));
    }
    let health = shared.gate.health();
    let details = presents_anything(peer, request.headers())
        && admit(shared, peer, request)
            .and_then(|client| authenticate(shared, peer, client, request.headers()))
            .is_ok();
    let (status, plain) = if health.ok {
        (StatusCode::OK, r#"{"status":"ok"}"#)
    } else {
        let word = match shared.alone {
            Some(_) => r#"{"status":"starting"}"#,
            None => r#"{"status":"unavailable"}"#,
        };
        (StatusCode::SERVICE_UNAVAILABLE, word)
    };
    let body =
        if details { Bytes::from(health.details.to_string()) } else { Bytes::from_static(plain.as_bytes()) };
    Ok(plain_answer(status, "application/json", body))
}

fn serve_metrics(
    shared: &Shared,
    peer: &Peer,
    request: &Request<Incoming>,
) -> Result<Response<Body>, Refused> {
    let client = admit(shared, peer, request)?;
    if request.uri().path() != "/metrics" {
        return Err(Refused::NotFound);
    }
    if peer.listener.key {
        authenticate(shared, peer, client, request.headers())?;
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(Refused::Method("GET, HEAD"));
    }
    let text = (shared.metrics)();
    Ok(plain_answer(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text.into()))
}

fn plain_answer(status: StatusCode, media_type: &'static str, body: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::whole(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
