//! Whom the source believes, and why it did not.

use std::error::Error as StdError;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use model::ErrorCode;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};

use super::certificates::CertificateFault;
use super::fault::{down, ours};
use super::settings::CcpTrust;
use super::vendor::Meaning;

/// The configuration of every connection of a source; `Err` says what is wrong with the files.
pub(super) fn client_config(
    trust: &CcpTrust,
    identity: Option<CertifiedKey>,
    provider: Arc<CryptoProvider>,
) -> Result<ClientConfig, String> {
    let verifier: Arc<dyn ServerCertVerifier> = match trust {
        CcpTrust::Anybody => Arc::new(Anybody(Arc::clone(&provider))),
        CcpTrust::System => webpki(system_roots()?, &provider)?,
        CcpTrust::Authorities(path) => webpki(roots_of(&authorities(path)?, path)?, &provider)?,
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match identity {
        Some(key) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key))),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn webpki(
    roots: RootCertStore,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, String> {
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider)).build();
    verifier.map(|verifier| verifier as Arc<dyn ServerCertVerifier>).map_err(|error| error.to_string())
}

fn system_roots() -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    // Systems carry some that cannot be read; what matters is whether any are left.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err("this system has no certificate authorities; write `ca`".to_owned());
    }
    Ok(roots)
}

/// The certificates of the file `ca`.
pub(super) fn authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateFault> {
    let at = |why: &dyn fmt::Display| CertificateFault::in_file("ca", path, why);
    let found: Vec<_> =
        CertificateDer::pem_file_iter(path).and_then(Iterator::collect).map_err(|error| at(&error))?;
    if found.is_empty() { Err(at(&"it holds no certificate in PEM form")) } else { Ok(found) }
}

/// Those certificates as whom to believe.
pub(super) fn roots_of(
    authorities: &[CertificateDer<'static>],
    path: &Path,
) -> Result<RootCertStore, CertificateFault> {
    let mut roots = RootCertStore::empty();
    for certificate in authorities {
        roots.add(certificate.clone()).map_err(|error| CertificateFault::in_file("ca", path, &error))?;
    }
    Ok(roots)
}

/// Why TLS did not come about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TlsFault {
    /// The certificate is for somebody else.
    Name(String),
    /// Nobody whom we believe vouches for it.
    Authority,
    /// Its time is over, or has not come.
    Time(String),
    /// Anything else about it.
    Certificate(String),
    /// The other side did not like ours, or wants one.
    Ours(String),
    /// No TLS is spoken there.
    NotTls,
    /// The rest.
    Other(String),
}

impl TlsFault {
    /// What rustls says is the matter, if an error has it somewhere inside.
    pub(super) fn within(error: &(dyn StdError + 'static)) -> Option<Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(found) = error.downcast_ref::<rustls::Error>() {
                return Some(Self::of(found));
            }
            let io = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
            next = match io {
                Some(inner) => Some(inner as &(dyn StdError + 'static)),
                None => error.source(),
            };
        }
        None
    }

    fn of(error: &rustls::Error) -> Self {
        if let rustls::Error::InvalidCertificate(certificate) = error {
            return Self::of_certificate(certificate);
        }
        if let rustls::Error::AlertReceived(alert) = error {
            return match OF_OURS.contains(alert) {
                true => Self::Ours(format!("{alert:?}")),
                false => Self::Other(format!("the other side says {alert:?}")),
            };
        }
        if matches!(error, rustls::Error::InvalidMessage(_)) {
            return Self::NotTls;
        }
        Self::Other(error.to_string())
    }

    fn of_certificate(error: &CertificateError) -> Self {
        use CertificateError as E;
        if matches!(error, E::NotValidForName | E::NotValidForNameContext { .. }) {
            return Self::Name(error.to_string());
        }
        if matches!(error, E::UnknownIssuer | E::BadSignature) {
            return Self::Authority;
        }
        let untimely = matches!(
            error,
            E::Expired | E::ExpiredContext { .. } | E::NotValidYet | E::NotValidYetContext { .. }
        );
        if untimely { Self::Time(error.to_string()) } else { Self::Certificate(error.to_string()) }
    }

    pub(super) fn meaning(&self) -> Meaning {
        match self {
            Self::Name(_) => ours(
                "the certificate of its web service is for another host",
                "the operator writes `url` with a name from the certificate's subject alternative names (a name in the \
                 subject alone does not count)",
            ),
            Self::Authority => ours(
                "nobody whom the gateway trusts vouches for the certificate of its web service",
                "the operator writes the authority that issued it into `ca`, unless this is somebody else's certificate",
            ),
            Self::Time(_) => down(
                "the certificate of its web service has expired, or is not yet valid",
                "CyberArk's administrators renew it; the operator checks this machine's clock",
                false,
            ),
            Self::Certificate(_) => {
                down("the certificate of its web service is not acceptable", "the log says why", false)
            }
            Self::Ours(_) => Meaning {
                code: ErrorCode::CredentialRefused,
                ..ours(
                    "its web service does not accept the gateway's certificate, or wants one",
                    "the operator checks `client_pfx` or `client_cert`: issuer, validity, and that CyberArk knows it",
                )
            },
            Self::NotTls => {
                ours("what answers there speaks no TLS", "the operator checks host and port in `url`")
            }
            Self::Other(_) => down("no secure connection came about", "the log says why", true),
        }
    }
}

impl fmt::Display for TlsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(why)
            | Self::Time(why)
            | Self::Certificate(why)
            | Self::Ours(why)
            | Self::Other(why) => f.write_str(why),
            Self::Authority => f.write_str("unknown issuer"),
            Self::NotTls => f.write_str("not TLS"),
        }
    }
}

/// Alerts that are about the certificate we showed.
const OF_OURS: &[AlertDescription] = &[
    AlertDescription::CertificateRequired,
    AlertDescription::BadCertificate,
    AlertDescription::UnsupportedCertificate,
    AlertDescription::CertificateRevoked,
    AlertDescription::CertificateExpired,
    AlertDescription::CertificateUnknown,
    AlertDescription::UnknownCA,
    AlertDescription::AccessDenied,
    AlertDescription::DecryptError,
];

/// Believes every certificate, for who agreed to that in two places.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
