//! A web service that gives everybody the same account, and counts connections.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use broker::VersionKey;
use bytes::Bytes;
use gateway::SystemEntropy;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use model::Clock;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use sources::{CcpIdentity, CcpSettings, CcpSource, CcpTrust, PasswordChange, process_environment};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;

/// An answer of the usual size.
const ANSWER: &str = r#"{"Content":"k9#Vb2!qLm7$","UserName":"svc_root","Address":"10.0.0.11","Safe":"PROD","Folder":"Root",
    "Name":"web1","PolicyID":"UnixSSH","DeviceType":"Operating System","PasswordChangeInProcess":"False"}"#;

/// Who may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clients {
    Anybody,
    /// TLS fails without the client's certificate.
    WithCertificate,
}

/// The running service; its files are gone when it is dropped.
pub(super) struct Service {
    folder: tempfile::TempDir,
    port: u16,
    clients: Clients,
    accepted: Arc<AtomicUsize>,
    accepting: AbortHandle,
}

impl Service {
    pub(super) async fn start(clients: Clients) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        for name in ["server", "client"] {
            certificate(folder.path(), name).await?;
        }
        let tls = TlsAcceptor::from(Arc::new(tls(folder.path(), clients)?));
        let listener = TcpListener::bind("127.0.0.1:0").await.context("bind a loopback port")?;
        let port = listener.local_addr()?.port();
        let accepted = Arc::default();
        let accepting = tokio::spawn(serve(listener, tls, Arc::clone(&accepted))).abort_handle();
        Ok(Self { folder, port, clients, accepted, accepting })
    }

    pub(super) fn url(&self) -> String {
        format!("https://127.0.0.1:{}/AIMWebService/api/Accounts", self.port)
    }

    /// One of its files: `server.pem`, and the client's certificate and key if there is to be one.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The client's certificate and key.
    pub(super) fn identity(&self) -> Option<(PathBuf, PathBuf)> {
        (self.clients == Clients::WithCertificate).then(|| (self.file("client.pem"), self.file("client.key")))
    }

    pub(super) fn source(&self, clock: &Arc<dyn Clock>) -> anyhow::Result<CcpSource> {
        let settings = CcpSettings {
            url: self.url(),
            app_id: "bench".to_owned(),
            folder: None,
            reason: None,
            trust: CcpTrust::Authorities(self.file("server.pem")),
            identity: self.identity().map(|(cert, key)| CcpIdentity::Pem { cert, key }),
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(20),
            vault_timeout: Duration::from_secs(10),
            password_change: PasswordChange::Refuse,
            accounts: Vec::new(),
        };
        let versions = VersionKey::draw(&SystemEntropy)?;
        CcpSource::new(settings, &process_environment(), Arc::clone(clock), versions)
            .map_err(anyhow::Error::msg)
    }

    /// How many connections were opened so far.
    pub(super) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// `NAME.pem` and `NAME.key`; whoever believes the certificate believes it alone.
async fn certificate(folder: &Path, name: &str) -> anyhow::Result<()> {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-nodes", "-days", "30", "-newkey", "ec", "-pkeyopt"])
        .args(["ec_paramgen_curve:P-256", "-subj", "/CN=bench", "-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-keyout", &format!("{name}.key"), "-out", &format!("{name}.pem")])
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .await
        .context("start openssl")?;
    ensure!(made.status.success(), "openssl: {}", String::from_utf8_lossy(&made.stderr));
    Ok(())
}

fn tls(folder: &Path, clients: Clients) -> anyhow::Result<ServerConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let chain = vec![CertificateDer::from_pem_file(folder.join("server.pem"))?];
    let key = PrivateKeyDer::from_pem_file(folder.join("server.key"))?;
    let builder =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let builder = match clients {
        Clients::Anybody => builder.with_no_client_auth(),
        Clients::WithCertificate => {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_file(folder.join("client.pem"))?)?;
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build()?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    Ok(builder.with_single_cert(chain, key)?)
}

async fn serve(listener: TcpListener, tls: TlsAcceptor, accepted: Arc<AtomicUsize>) {
    while let Ok((stream, _)) = listener.accept().await {
        accepted.fetch_add(1, Ordering::Relaxed);
        let (tls, _) = (tls.clone(), stream.set_nodelay(true));
        tokio::spawn(async move {
            let Ok(stream) = tls.accept(stream).await else { return };
            let answer = service_fn(|_: Request<Incoming>| async {
                let json = Response::builder().header("content-type", "application/json; charset=utf-8");
                json.body(Full::new(Bytes::from_static(ANSWER.as_bytes())))
            });
            // A connection ends when its client goes.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
        });
    }
}
