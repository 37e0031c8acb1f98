//! Certificates: ours, and those of clients.

use std::fmt;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// What TLS needs, checked: the certificates are readable and the key fits.
pub struct TlsMaterial(Arc<ServerConfig>);

/// Why the files are no TLS material.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificate file holds no certificate that can be read.
    #[error("the certificate cannot be read: {0}")]
    Certificate(String),
    /// The key file holds no private key that can be read, or one that TLS cannot use.
    #[error("the private key cannot be read: {0}")]
    Key(String),
    /// The file of the clients' authority holds no certificate that can be read.
    #[error("the client authority cannot be read: {0}")]
    ClientAuthority(String),
    /// Certificate and key do not belong together.
    #[error("the certificate and the key cannot be used together: {0}")]
    Unusable(String),
}

impl TlsMaterial {
    /// Reads PEM texts. With a client authority, only clients with a certificate of it can connect.
    pub fn from_pem(
        certificate: &[u8],
        key: &[u8],
        client_authority: Option<&[u8]>,
    ) -> Result<Self, TlsError> {
        let chain = certificates(certificate).map_err(TlsError::Certificate)?;
        // What the parser says about a key file is not passed on: it may quote it.
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|_| TlsError::Key("it holds no PEM key".to_owned()))?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        provider
            .key_provider
            .load_private_key(key.clone_key())
            .map_err(|_| TlsError::Key("it is of no form that TLS can use".to_owned()))?;
        let unusable = |error: rustls::Error| {
            if let rustls::Error::InvalidCertificate(why) = error {
                return TlsError::Certificate(format!("{why:?}"));
            }
            TlsError::Unusable(error.to_string())
        };
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(unusable)?;
        let builder = match client_authority {
            None => builder.with_no_client_auth(),
            Some(pem) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(pem).map_err(TlsError::ClientAuthority)? {
                    roots.add(certificate).map_err(|error| TlsError::ClientAuthority(error.to_string()))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                    .build()
                    .map_err(|error| TlsError::ClientAuthority(error.to_string()))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder.with_single_cert(chain, key).map_err(unusable)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self(Arc::new(config)))
    }

    pub(super) fn into_config(self) -> Arc<ServerConfig> {
        self.0
    }
}

impl fmt::Debug for TlsMaterial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsMaterial")
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| error.to_string())?;
    if chain.is_empty() { Err("it holds no PEM certificate".to_owned()) } else { Ok(chain) }
}

/// The subject alternative names of the client's own certificate, which the handshake has verified.
pub(super) fn subject_names(chain: &[CertificateDer<'_>]) -> Vec<String> {
    let Some(Ok((_, certificate))) = chain.first().map(|own| X509Certificate::from_der(own)) else {
        return Vec::new();
    };
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return Vec::new() };
    let text = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        GeneralName::RFC822Name(name) | GeneralName::URI(name) => Some((*name).to_owned()),
        GeneralName::OtherName(..)
        | GeneralName::X400Address(_)
        | GeneralName::DirectoryName(_)
        | GeneralName::EDIPartyName(_)
        | GeneralName::IPAddress(_)
        | GeneralName::RegisteredID(_)
        | GeneralName::Invalid(..) => None,
    };
    names.value.general_names.iter().filter_map(text).collect()
}
