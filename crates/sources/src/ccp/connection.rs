//! One connection: TCP, TLS, HTTP/1.1. No proxy, no redirect, no compression, and a bound on everything that is read.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;
use model::BootInstant;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use zeroize::Zeroizing;

use super::endpoint::Endpoint;
use super::fault::Fault;
use super::tls::TlsFault;

/// The most bytes of an answer: the largest secret, with every character escaped, and the account's properties.
const BODY_MAX: usize = 448 * 1024;
/// The most bytes of its head.
const HEAD_MAX: usize = 32 * 1024;
/// The most header lines.
const HEADERS_MAX: usize = 64;
/// How many addresses of a name are tried.
const ADDRESSES_MAX: usize = 8;

/// A connection; closed when dropped.
pub(super) struct Connection {
    sender: SendRequest<Empty<Bytes>>,
    driver: JoinHandle<()>,
    /// The gateway's own address on it.
    pub(super) local: Option<IpAddr>,
    /// When its last answer was whole.
    pub(super) idle_since: BootInstant,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// An answer, read to its end.
pub(super) struct Answer {
    pub(super) status: u16,
    /// JSON, as far as its header says so.
    pub(super) body: Zeroizing<Vec<u8>>,
}

impl Connection {
    /// Connects, with TLS, in this time.
    pub(super) async fn open(
        endpoint: &Endpoint,
        tls: &TlsConnector,
        limit: Duration,
        now: BootInstant,
    ) -> Result<Self, Fault> {
        let opened = tokio::time::timeout(limit, connect(endpoint, tls)).await;
        let (sender, driver, local) = opened.unwrap_or(Err(Fault::ConnectSlow))?;
        Ok(Self { sender, driver, local, idle_since: now })
    }

    /// Whether the other side has closed it, as far as is known.
    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Sends one request and reads the whole answer. After an error the connection must not be used again.
    pub(super) async fn ask(&mut self, endpoint: &Endpoint, query: &str) -> Result<Answer, Fault> {
        let request = Request::builder()
            .uri(format!("{}?{query}", endpoint.path))
            .header(HOST, &endpoint.authority)
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, concat!("portcullis/", env!("CARGO_PKG_VERSION")))
            .body(Empty::new())
            .map_err(|error| Fault::NotHttp(error.to_string()))?;
        self.sender.ready().await.map_err(|error| unanswered(&error))?;
        let response = self.sender.send_request(request).await.map_err(|error| unanswered(&error))?;
        read(response).await
    }
}

type Opened = (SendRequest<Empty<Bytes>>, JoinHandle<()>, Option<IpAddr>);

async fn connect(endpoint: &Endpoint, tls: &TlsConnector) -> Result<Opened, Fault> {
    let stream = dial(endpoint).await?;
    // A request is one packet that waits for its answer.
    let _ = stream.set_nodelay(true);
    let local = stream.local_addr().ok().map(|address| address.ip().to_canonical());
    let stream = tls.connect(endpoint.name.clone(), stream).await.map_err(|error| {
        TlsFault::within(&error).map_or_else(|| Fault::Tls(TlsFault::Other(error.to_string())), Fault::Tls)
    })?;
    let (sender, connection) = Builder::new()
        .max_buf_size(HEAD_MAX)
        .max_headers(HEADERS_MAX)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| unanswered(&error))?;
    let driver = tokio::spawn(async move {
        // Its error reaches whoever waits for an answer.
        let _ = connection.await;
    });
    Ok((sender, driver, local))
}

async fn dial(endpoint: &Endpoint) -> Result<TcpStream, Fault> {
    let found = tokio::net::lookup_host((endpoint.host.as_str(), endpoint.port)).await;
    let addresses: Vec<SocketAddr> =
        found.map_err(|error| Fault::Unresolved(error.to_string()))?.take(ADDRESSES_MAX).collect();
    let mut last = Fault::Unresolved("it has no address".to_owned());
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = Fault::Unreachable(format!("{address}: {error}")),
        }
    }
    Err(last)
}

/// Why there was no answer.
fn unanswered(error: &hyper::Error) -> Fault {
    match TlsFault::within(error) {
        Some(fault) => Fault::Tls(fault),
        None if error.is_parse() || error.is_parse_too_large() => Fault::NotHttp(error.to_string()),
        None => Fault::Closed,
    }
}

async fn read(response: Response<Incoming>) -> Result<Answer, Fault> {
    let (head, mut body) = response.into_parts();
    let status = head.status.as_u16();
    if head.status.is_redirection() {
        return Err(Fault::Redirect(status));
    }
    let content_type = text(&head.headers, CONTENT_TYPE.as_str());
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    // A page is not read at all, whatever it holds.
    if !matches!(essence.as_str(), "application/json" | "text/json") || head.status == StatusCode::NO_CONTENT
    {
        return Err(Fault::NotJson { status, content_type });
    }
    let announced = text(&head.headers, CONTENT_LENGTH.as_str()).parse::<usize>().unwrap_or(0);
    if announced > BODY_MAX {
        return Err(Fault::TooLarge);
    }
    // One buffer that never moves, so that no copy of it stays behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(if announced > 0 { announced } else { BODY_MAX }));
    while let Some(frame) = body.frame().await {
        let Ok(chunk) = frame.map_err(|_| Fault::Broken)?.into_data() else { continue };
        if bytes.len() + chunk.len() > bytes.capacity().min(BODY_MAX) {
            return Err(Fault::TooLarge);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Answer { status, body: bytes })
}

/// A header for people: printable and short.
fn text(headers: &HeaderMap, name: &str) -> String {
    let value = headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.chars().take(100).collect()
}
