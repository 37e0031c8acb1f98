//! TLS, client certificates, and certificates that change while the front runs.

use std::net::SocketAddr;
use std::sync::Arc;

use mcp::{FrontConfig, TlsMaterial};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{PrivateKeyDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::gate::structured;
use crate::http::{Connection, Request, config, serve};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn issue(authority: &Authority, name: &str) -> (rcgen::Certificate, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, authority).unwrap();
    (certificate, key)
}

fn material(authority: &Authority, clients: Option<&Authority>) -> TlsMaterial {
    let (certificate, key) = issue(authority, "localhost");
    let clients = clients.map(|clients| clients.pem());
    TlsMaterial::from_pem(
        certificate.pem().as_bytes(),
        key.serialize_pem().as_bytes(),
        clients.as_ref().map(String::as_bytes),
    )
    .unwrap()
}

async fn connect(
    address: SocketAddr,
    authority: &Authority,
    client: Option<&(rcgen::Certificate, KeyPair)>,
) -> std::io::Result<Connection<TlsStream<TcpStream>>> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match client {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
            builder.with_client_auth_cert(vec![certificate.der().clone()], key).unwrap()
        }
    };
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    Ok(Connection::new(TlsConnector::from(Arc::new(config)).connect(name, stream).await?))
}

#[tokio::test]
async fn a_client_certificate_can_be_who_asks() {
    let (ours, theirs, strange) = (authority(), authority(), authority());
    let served = serve(FrontConfig { tls: Some(material(&ours, Some(&theirs))), ..config() }).await;
    let call = Request::call("echo").without("X-API-Key");

    let named = issue(&theirs, "Agent.Example");
    let mut connection = connect(served.address(), &ours, Some(&named)).await.unwrap();
    assert_eq!(structured(&connection.ask(&call).await.json())["principal"], "c");

    let gate_only = issue(&theirs, "other.example");
    let mut connection = connect(served.address(), &ours, Some(&gate_only)).await.unwrap();
    assert_eq!(connection.ask(&call).await.status, 401, "a certificate that names nobody is only a gate");
    assert_eq!(structured(&connection.ask(&Request::call("echo")).await.json())["principal"], "a");

    for stranger in [None, Some(issue(&strange, "agent.example"))] {
        // With TLS 1.3 the client learns of the refusal only when it reads.
        if let Ok(mut connection) = connect(served.address(), &ours, stranger.as_ref()).await {
            assert!(connection.closes_within(std::time::Duration::from_secs(5)).await);
        }
    }
    assert_eq!(served.gate.calls.load(std::sync::atomic::Ordering::SeqCst), 2);
}

#[tokio::test]
async fn certificates_change_without_a_restart() {
    let (first, second) = (authority(), authority());
    let served = serve(FrontConfig { tls: Some(material(&first, None)), ..config() }).await;
    let mut old = connect(served.address(), &first, None).await.unwrap();
    assert_eq!(old.ask(&Request::call("echo")).await.status, 200);
    assert!(served.front.reload_tls(material(&second, None)));
    assert!(connect(served.address(), &first, None).await.is_err());
    let mut new = connect(served.address(), &second, None).await.unwrap();
    assert_eq!(new.ask(&Request::call("echo")).await.status, 200);
    assert_eq!(old.ask(&Request::call("echo")).await.status, 200, "connections that were there stay");
    assert!(
        !serve(config()).await.front.reload_tls(material(&first, None)),
        "TLS cannot be switched on by a reload"
    );
}

#[test]
fn what_is_no_material_is_refused_without_quoting_it() {
    let ours = authority();
    let (certificate, key) = issue(&ours, "localhost");
    let (_, other_key) = issue(&ours, "localhost");
    let (certificate, key, other_key) = (certificate.pem(), key.serialize_pem(), other_key.serialize_pem());
    for (certificate, key, clients) in [
        ("", key.as_str(), None),
        ("nonsense", &key, None),
        (&certificate, "", None),
        (&certificate, "-----BEGIN PRIVATE KEY-----\nSECRET\n-----END PRIVATE KEY-----\n", None),
        (&certificate, &other_key, None),
        (&certificate, &key, Some("nonsense")),
    ] {
        let refused =
            TlsMaterial::from_pem(certificate.as_bytes(), key.as_bytes(), clients.map(str::as_bytes))
                .unwrap_err();
        assert!(!refused.to_string().contains("SECRET"), "{refused}");
    }
}
