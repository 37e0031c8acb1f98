//! The web server: a thread of its own, TLS that can be changed while it runs, HTTP/1.1 with kept connections.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

use super::body::Reply;
use super::decide::{Desk, Peer};
use crate::TestCertificate;

/// What the web server thinks of client certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientCertificates {
    /// It does not ask for one.
    Ignored,
    /// It asks for one, and takes connections without.
    Accepted,
    /// It asks for one, and answers with its own page where there is none.
    Required,
    /// TLS itself fails without one.
    Demanded,
}

/// TLS of new connections.
pub(super) type SharedTls = Arc<Mutex<Arc<ServerConfig>>>;

pub(super) fn shared_tls(own: &TestCertificate, client_ca: &str, clients: ClientCertificates) -> SharedTls {
    Arc::new(Mutex::new(config(own, client_ca, clients)))
}

pub(super) fn config(
    own: &TestCertificate,
    client_ca: &str,
    clients: ClientCertificates,
) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("the provider has the default versions");
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(der(client_ca))).expect("the authority is one");
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = match clients {
        ClientCertificates::Ignored => builder.with_no_client_auth(),
        ClientCertificates::Accepted | ClientCertificates::Required => {
            builder.with_client_cert_verifier(verifier.allow_unauthenticated().build().expect("a verifier"))
        }
        ClientCertificates::Demanded => {
            builder.with_client_cert_verifier(verifier.build().expect("a verifier"))
        }
    };
    let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).expect("a key in PEM");
    let chain = vec![CertificateDer::from(der(&own.cert))];
    Arc::new(builder.with_single_cert(chain, key).expect("key and certificate fit"))
}

/// The first certificate of a PEM text.
pub(super) fn der(pem: &str) -> Vec<u8> {
    CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate in PEM").to_vec()
}

/// Starts the server's thread; it ends when the sender is dropped.
pub(super) fn spawn(desk: Arc<Mutex<Desk>>, tls: SharedTls) -> (SocketAddr, oneshot::Sender<()>) {
    let (stop, stopped) = oneshot::channel();
    let (told, address) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
            told.send(listener.local_addr().expect("a bound socket has an address")).expect("somebody waits");
            tokio::select! {
                () = accept(listener, desk, tls) => {}
                _ = stopped => {}
            }
        });
    });
    (address.recv().expect("the server's thread started"), stop)
}

async fn accept(listener: TcpListener, desk: Arc<Mutex<Desk>>, tls: SharedTls) {
    let numbers = AtomicUsize::new(0);
    while let Ok((stream, from)) = listener.accept().await {
        let acceptor = TlsAcceptor::from(Arc::clone(&tls.lock().unwrap()));
        let number = numbers.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(serve(stream, from, acceptor, number, Arc::clone(&desk)));
    }
}

async fn serve(
    stream: TcpStream,
    from: SocketAddr,
    acceptor: TlsAcceptor,
    connection: usize,
    desk: Arc<Mutex<Desk>>,
) {
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let peer = Arc::new(Peer { address: from.ip(), certificate: shown.map(|der| der.to_vec()), connection });
    let service = service_fn(move |request: Request<Incoming>| {
        let reply = desk.lock().unwrap().answer(&request, &peer);
        async move {
            match reply {
                Reply::Answer(response) => Ok(*response),
                Reply::Silent => std::future::pending().await,
                Reply::Hangup => Err(std::io::Error::other("hangs up")),
            }
        }
    });
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}
