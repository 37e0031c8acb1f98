//! A retrieval from CyberArk on a kept connection, against curl's own, both from one small web service with TLS on loopback.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use broker::{CredentialSource, Fetch, VersionKey};
use bytes::Bytes;
use gateway::SystemEntropy;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use model::{Clock, CredentialRef};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sources::{CcpSettings, CcpSource, CcpTrust, PasswordChange, process_environment};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;

use super::load::median;
use super::{BenchOptions, Figure};

/// Retrievals of each side in a round.
const CALLS: usize = 50;
/// An answer of the usual size.
const ANSWER: &str = r#"{"Content":"k9#Vb2!qLm7$","UserName":"svc_root","Address":"10.0.0.11","Safe":"PROD","Folder":"Root",
    "Name":"web1","PolicyID":"UnixSSH","DeviceType":"Operating System","PasswordChangeInProcess":"False"}"#;

/// Measures both in turns.
pub(super) async fn measure(options: BenchOptions, clock: &Arc<dyn Clock>) -> anyhow::Result<Vec<Figure>> {
    const NAME: &str = "CyberArk retrieval, kept connection";
    for program in ["curl", "openssl"] {
        let there = Command::new(program).arg("--help").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if there.await.is_err() {
            return Ok(vec![Figure::not_measured(NAME, format!("there is no {program} on this machine"))]);
        }
    }
    let service = Service::start().await?;
    let source = service.source(clock)?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        ours.extend(retrievals(&source, clock).await?);
        theirs.extend(service.curl().await?);
    }
    let (ours, theirs) = (median(ours), median(theirs));
    let millis = |duration: Duration| duration.as_secs_f64() * 1e3;
    Ok(vec![
        Figure::plain("curl, kept connection, the same request, median", millis(theirs), "ms"),
        Figure::plain(format!("{NAME}, median"), millis(ours), "ms"),
        Figure::plain(format!("{NAME}, against curl"), ours.as_secs_f64() / theirs.as_secs_f64(), "times"),
    ])
}

/// The first one connects and is not counted.
async fn retrievals(source: &CcpSource, clock: &Arc<dyn Clock>) -> anyhow::Result<Vec<Duration>> {
    let name = CredentialRef::parse("cyberark:PROD/web1")?;
    let mut took = Vec::new();
    for _ in 0..=CALLS {
        let begun = clock.boot();
        let fetched = source.fetch(Fetch { credential: &name, reason: None }).await;
        ensure!(fetched.is_ok(), "a retrieval failed");
        took.push(clock.boot().since(begun));
    }
    Ok(took.split_off(1))
}

/// A web service that gives everybody the same account.
struct Service {
    folder: tempfile::TempDir,
    port: u16,
    accepting: AbortHandle,
}

impl Service {
    async fn start() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let made = Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-nodes",
                "-days",
                "2",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
            ])
            .args(["-subj", "/CN=bench", "-addext", "subjectAltName=IP:127.0.0.1"])
            .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout", "key.pem", "-out", "cert.pem"])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .output()
            .await
            .context("start openssl")?;
        ensure!(made.status.success(), "openssl: {}", String::from_utf8_lossy(&made.stderr));
        let tls = TlsAcceptor::from(Arc::new(tls(folder.path())?));
        let listener = TcpListener::bind("127.0.0.1:0").await.context("bind a loopback port")?;
        let port = listener.local_addr()?.port();
        let accepting = tokio::spawn(serve(listener, tls)).abort_handle();
        Ok(Self { folder, port, accepting })
    }

    fn url(&self) -> String {
        format!("https://127.0.0.1:{}/AIMWebService/api/Accounts", self.port)
    }

    fn source(&self, clock: &Arc<dyn Clock>) -> anyhow::Result<CcpSource> {
        let settings = CcpSettings {
            url: self.url(),
            app_id: "bench".to_owned(),
            folder: None,
            reason: None,
            trust: CcpTrust::Authorities(self.folder.path().join("cert.pem")),
            identity: None,
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

    /// What curl says its transfers took, but for the first, which connects.
    async fn curl(&self) -> anyhow::Result<Vec<Duration>> {
        let query = "AppID=bench&Safe=PROD&Object=web1&ConnectionTimeout=10&FailRequestOnPasswordChange=true";
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--fail", "--noproxy", "*", "--write-out", "%{time_total}\n"]);
        curl.arg("--cacert").arg(self.folder.path().join("cert.pem"));
        for _ in 0..=CALLS {
            curl.args(["--output", "/dev/null"]).arg(format!("{}?{query}", self.url()));
        }
        let output = curl.stdin(Stdio::null()).output().await.context("start curl")?;
        ensure!(output.status.success(), "curl: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout)?;
        let seconds: Result<Vec<f64>, _> = text.lines().skip(1).map(str::parse).collect();
        Ok(seconds?.into_iter().map(Duration::from_secs_f64).collect())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn tls(folder: &Path) -> anyhow::Result<ServerConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let chain = vec![CertificateDer::from_pem_file(folder.join("cert.pem"))?];
    let key = PrivateKeyDer::from_pem_file(folder.join("key.pem"))?;
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.with_no_client_auth().with_single_cert(chain, key)?)
}

async fn serve(listener: TcpListener, tls: TlsAcceptor) {
    while let Ok((stream, _)) = listener.accept().await {
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
