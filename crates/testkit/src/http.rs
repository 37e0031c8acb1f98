//! A plain HTTP client whose every byte a test can choose.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

/// A client of one HTTP server; keeps connections, never follows redirects, never asks a proxy.
pub struct HttpClient {
    uri: Uri,
    tls: Option<Arc<ClientConfig>>,
    idle: Mutex<Vec<Connection>>,
}

/// An answer, read to its end.
#[derive(Debug, Clone)]
pub struct HttpAnswer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl HttpAnswer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A connection; closed when dropped, so that a dropped request is a disconnect for the server.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl HttpClient {
    /// A client for the server of this `http://` or `https://` address; `tls` is needed for the second.
    pub fn new(url: &str, tls: Option<Arc<ClientConfig>>) -> Self {
        let uri: Uri = url.parse().unwrap_or_else(|error| panic!("`{url}` is no address: {error}"));
        assert_eq!(
            uri.scheme_str() == Some("https"),
            tls.is_some(),
            "https and a TLS configuration go together"
        );
        Self { uri, tls, idle: Mutex::new(Vec::new()) }
    }

    /// Sends one request with these headers (`Host` is added when missing) and reads the whole answer.
    pub async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<HttpAnswer, String> {
        let (connection, response) = self.open(method, path, headers, body.into()).await?;
        let (parts, incoming) = response.into_parts();
        let body =
            incoming.collect().await.map_err(|error| format!("the answer broke off: {error}"))?.to_bytes();
        self.give_back(connection);
        Ok(HttpAnswer { status: parts.status.as_u16(), headers: parts.headers, body })
    }

    /// Sends one request and hands back the answer with its body unread.
    pub(crate) async fn open(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<(Connection, Response<Incoming>), String> {
        let mut request = Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            request =
                request.header("host", self.uri.authority().expect("an address names a server").as_str());
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body)).map_err(|error| format!("not a request: {error}"))?;
        let idle = self.idle.lock().unwrap().pop().filter(|connection| connection.sender.is_ready());
        let mut connection = match idle {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let response =
            connection.sender.send_request(request).await.map_err(|error| format!("no answer: {error}"))?;
        Ok((connection, response))
    }

    /// Keeps a connection whose answer was read to its end.
    pub(crate) fn give_back(&self, connection: Connection) {
        self.idle.lock().unwrap().push(connection);
    }

    /// The path of the address it was made with.
    pub(crate) fn path(&self) -> &str {
        self.uri.path()
    }

    async fn connect(&self) -> Result<Connection, String> {
        let host = self.uri.host().expect("an address names a server").trim_matches(['[', ']']);
        let port = self.uri.port_u16().unwrap_or(if self.tls.is_some() { 443 } else { 80 });
        let stream =
            TcpStream::connect((host, port)).await.map_err(|error| format!("cannot connect: {error}"))?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let Some(tls) = &self.tls else { return driven(stream).await };
        let name = ServerName::try_from(host.to_owned()).map_err(|error| format!("`{host}`: {error}"))?;
        let stream = TlsConnector::from(Arc::clone(tls)).connect(name, stream).await;
        driven(stream.map_err(|error| format!("TLS failed: {error}"))?).await
    }
}

async fn driven<S>(stream: S) -> Result<Connection, String>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) =
        handshake(TokioIo::new(stream)).await.map_err(|error| format!("no HTTP connection: {error}"))?;
    let driver = tokio::spawn(async move {
        let _ = connection.await;
    });
    Ok(Connection { sender, driver })
}
