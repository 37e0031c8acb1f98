//! Certificates that servers and clients accept from each other.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use testkit::{HttpClient, TestCa, TestCertificate};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// Answers every connection of a client that shows a certificate of `ca`; returns its address.
async fn serve(ca: &TestCa, own: &TestCertificate) -> String {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca.pem().as_bytes()).unwrap()).unwrap();
    let clients =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().unwrap();
    let chain = vec![CertificateDer::from_pem_slice(own.cert.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).unwrap();
    let builder =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = builder.with_client_cert_verifier(clients).with_single_cert(chain, key).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
        }
    });
    format!("https://{address}/")
}

#[tokio::test]
async fn only_trusted_sides_talk() {
    let (ca, other) = (TestCa::new(), TestCa::new());
    let url = serve(&ca, &ca.server(&["127.0.0.1", "localhost"])).await;
    let client = ca.client(&["agent.test"]);
    let get = async |tls| HttpClient::new(&url, Some(tls)).send("GET", "/", &[], "").await;
    assert_eq!(get(ca.trusting(Some(&client))).await.unwrap().text(), "ok");
    get(other.trusting(Some(&client))).await.expect_err("the server is not of that authority");
    get(ca.trusting(Some(&other.client(&["agent.test"])))).await.expect_err("nor is the client");
    get(ca.trusting(None)).await.expect_err("a client certificate is asked for");
    let elsewhere = serve(&ca, &ca.server(&["elsewhere.test"])).await;
    let wrong = HttpClient::new(&elsewhere, Some(ca.trusting(Some(&client)))).send("GET", "/", &[], "").await;
    assert!(wrong.unwrap_err().contains("TLS failed"));
}
