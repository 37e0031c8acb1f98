//! Connections to an upstream: to the addresses that are permitted, with TLS where the address says so, no proxy.

use std::future::Future;
use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tower::Service;

use super::trust::{Files, Trust};
use crate::settings::Networks;

/// How long a connection may take, TLS included.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many addresses of a name are tried.
const ADDRESSES: usize = 8;

/// Connects to one server, whatever it is asked to connect to.
#[derive(Clone)]
pub(super) struct Dialler(pub(super) Arc<Route>);

/// Where that server is.
pub(super) struct Route {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: Option<(Arc<Trust>, ServerName<'static>)>,
    pub(super) networks: Networks,
    /// Whether the operator wrote the host; else some server named it.
    pub(super) written: bool,
}

/// Why there is no connection. Nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unreached(pub(super) String);

impl std::fmt::Display for Unreached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unreached {}

impl Service<Uri> for Dialler {
    type Response = TokioIo<Socket>;
    type Error = Unreached;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Unreached>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Unreached>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let route = Arc::clone(&self.0);
        Box::pin(async move {
            let opened = tokio::time::timeout(PATIENCE, route.open()).await;
            let slow = || Unreached(format!("no connection came about within {} s", PATIENCE.as_secs()));
            opened.unwrap_or_else(|_| Err(slow())).map(TokioIo::new)
        })
    }
}

impl Route {
    /// The way to a server, with these files where its address asks for TLS.
    pub(super) async fn to(
        uri: &Uri,
        files: Files,
        networks: Networks,
        written: bool,
    ) -> Result<Self, String> {
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let secure = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let tls = if secure {
            let name = ServerName::try_from(host.clone()).map_err(|_| "`url` names no host".to_owned())?;
            Some((Trust::new(files).await?, name))
        } else {
            None
        };
        Ok(Self { host, port, tls, networks, written })
    }

    async fn open(&self) -> Result<Socket, Unreached> {
        let stream = self.dial().await?;
        // A request is one packet that waits for its answer.
        let _ = stream.set_nodelay(true);
        let Some((tls, name)) = &self.tls else { return Ok(Socket(Box::new(stream))) };
        let stream = tls.connector().await.connect(name.clone(), stream).await;
        stream
            .map(|stream| Socket(Box::new(stream)))
            .map_err(|error| Unreached(format!("TLS failed: {error}")))
    }

    async fn dial(&self) -> Result<TcpStream, Unreached> {
        let found = tokio::net::lookup_host((self.host.as_str(), self.port)).await;
        let found = found.map_err(|error| Unreached(format!("`{}` has no address: {error}", self.host)))?;
        let mut last = Unreached(format!("`{}` has no address", self.host));
        for address in found.take(ADDRESSES) {
            last = match self.try_one(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => error,
            };
        }
        Err(last)
    }

    async fn try_one(&self, address: SocketAddr) -> Result<TcpStream, Unreached> {
        if !self.networks.permit(address.ip(), self.is_written(address.ip())) {
            let text = format!(
                "`{}` leads to {}, where the gateway does not connect unless `networks` of the upstream says so",
                self.host,
                address.ip()
            );
            return Err(Unreached(text));
        }
        let connected = TcpStream::connect(address).await;
        connected.map_err(|error| Unreached(format!("{address}: {error}")))
    }

    /// Whether the operator wrote this address and no name that others may have a say in.
    fn is_written(&self, address: IpAddr) -> bool {
        let itself = self.host.parse::<IpAddr>().is_ok();
        self.written && (itself || (self.host == "localhost" && address.to_canonical().is_loopback()))
    }
}

/// A connection, with TLS or without.
pub(super) struct Socket(Box<dyn Stream>);

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Connection for Socket {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::{Route, Unreached};
    use crate::settings::Networks;

    async fn try_one(host: &str, networks: Networks, written: bool) -> Result<(), Unreached> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let route = Route { host: host.to_owned(), port: address.port(), tls: None, networks, written };
        route.try_one(address).await.map(drop)
    }

    #[tokio::test]
    async fn a_name_is_no_way_into_our_own_network() {
        for name in ["rebound.example", "localhost.example", "metadata"] {
            let Unreached(why) = try_one(name, Networks::default(), true).await.unwrap_err();
            assert!(why.contains(name) && why.contains("127.0.0.1"), "{why}");
        }
        for written in ["127.0.0.1", "localhost"] {
            assert_eq!(try_one(written, Networks::default(), true).await, Ok(()), "{written}");
            let named = try_one(written, Networks::default(), false).await;
            assert!(named.is_err(), "{written}, which a server named");
        }
        let named = Networks { allow: Some(vec!["127.0.0.0/8".parse().unwrap()]), block: Vec::new() };
        assert_eq!(try_one("rebound.example", named, false).await, Ok(()));
    }
}
