//! The gateway's own certificate, from one PKCS #12 file or two PEM files.

use std::fmt::Display;
use std::os::unix::ffi::OsStringExt;

use broker::{SecretFileError, read_key_file, read_secret_file};
use model::{SecretLocation, Timestamp};
use p12_keystore::{CertificateBag, Pkcs12Archive};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use zeroize::{Zeroize as _, Zeroizing};

use super::certificates::CertificateFault;
use super::settings::CcpIdentity;
use crate::Environment;

/// Two weeks, in seconds.
const SOON: i64 = 14 * 86_400;

/// Reads certificate and key; `Err` says which file is wrong and how.
pub(super) fn read(
    identity: &CcpIdentity,
    environment: &Environment,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, CertificateFault> {
    match identity {
        CcpIdentity::Pfx { file, password } => {
            let at = |why: &dyn Display| CertificateFault::in_file("client_pfx", file, why);
            let opening = match password {
                Some(location) => secret_text(location, environment)?,
                None => Zeroizing::new(String::new()),
            };
            let bytes = read_key_file(file).map_err(|error| at(&unreadable(&error)))?;
            from_pfx(&bytes, &opening, provider).map_err(|why| match (why, password) {
                (NotOpened::Password, Some(_)) => {
                    CertificateFault::in_file("client_pfx.password", file, &"the password does not open it")
                }
                (NotOpened::Password, None) => {
                    at(&"it has a password, and `client_pfx.password` is not written")
                }
                (NotOpened::Other(why), _) => at(&why),
            })
        }
        CcpIdentity::Pem { cert, key } => {
            let in_cert = |why: &dyn Display| CertificateFault::in_file("client_cert", cert, why);
            let in_key = |why: &dyn Display| CertificateFault::in_file("client_key", key, why);
            let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(cert)
                .and_then(Iterator::collect)
                .map_err(|error| in_cert(&error))?;
            if chain.is_empty() {
                return Err(in_cert(&"it holds no certificate in PEM form"));
            }
            let bytes = read_key_file(key).map_err(|error| in_key(&unreadable(&error)))?;
            let der = pem_key(&bytes).map_err(|why| in_key(&why))?;
            CertifiedKey::from_der(chain, der, provider).map_err(|error| in_key(&unfit(&error)))
        }
    }
}

/// What an operator should know of the certificate: that it ends soon, or has ended.
pub(super) fn ending(key: &CertifiedKey, now: Timestamp) -> Option<&'static str> {
    match left(key.cert.first()?, now)? {
        ..=0 => Some("its client certificate has expired"),
        1..=SOON => Some("its client certificate expires within two weeks"),
        _ => None,
    }
}

/// How many seconds a certificate is still valid; not positive when its time is over.
pub(super) fn left(certificate: &[u8], now: Timestamp) -> Option<i64> {
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate).ok()?;
    Some(certificate.validity().not_after.timestamp().saturating_sub(now.as_millis() / 1000))
}

fn unreadable(error: &SecretFileError) -> String {
    match error {
        SecretFileError::OthersCanRead(_) => format!("{error}; give it mode 0600"),
        SecretFileError::Missing
        | SecretFileError::NotAFile
        | SecretFileError::TooLarge
        | SecretFileError::Io(_) => error.to_string(),
    }
}

fn unfit(error: &rustls::Error) -> String {
    if matches!(error, rustls::Error::InconsistentKeys(_)) {
        return "the key is not the certificate's".to_owned();
    }
    format!("the key cannot be used: {error}")
}

/// A file's or variable's text, without a newline at its end.
fn secret_text(
    location: &SecretLocation,
    environment: &Environment,
) -> Result<Zeroizing<String>, CertificateFault> {
    let at = |why: String| CertificateFault { key: "client_pfx.password", why, elsewhere: false };
    let bytes = match location {
        SecretLocation::Literal(literal) => return Ok(Zeroizing::new(literal.secret().expose().clone())),
        SecretLocation::Env(name) => {
            environment(name).map(|value| Zeroizing::new(value.into_vec())).ok_or_else(|| {
                CertificateFault { elsewhere: true, ..at(format!("variable `{name}` is not set")) }
            })?
        }
        SecretLocation::File(path) => {
            read_secret_file(path).map_err(|error| at(format!("`{}`: {error}", path.display())))?
        }
        SecretLocation::Stored(_) => return Err(at("it cannot come from a credential source".to_owned())),
    };
    let text = std::str::from_utf8(&bytes).map_err(|_| at("it is not UTF-8 text".to_owned()))?;
    Ok(Zeroizing::new(text.to_owned()))
}

fn pem_key(bytes: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    if holds("ENCRYPTED PRIVATE KEY") || holds("Proc-Type: 4,ENCRYPTED") {
        return Err(
            "the key has a passphrase; put certificate and key into a PFX file (`client_pfx`)".to_owned()
        );
    }
    PrivateKeyDer::from_pem_slice(bytes).map_err(|_| "it holds no private key in PEM form".to_owned())
}

/// Why a PFX file gives no certificate and key.
enum NotOpened {
    /// It is one, and its password is another.
    Password,
    Other(String),
}

fn from_pfx(bytes: &[u8], password: &str, provider: &CryptoProvider) -> Result<CertifiedKey, NotOpened> {
    let archive = Pkcs12Archive::from_pkcs12(bytes, password).map_err(|error| {
        if matches!(error, p12_keystore::error::Error::MacError(_)) {
            return NotOpened::Password;
        }
        NotOpened::Other(format!("{error}; it is no PFX file, or the password is not its own"))
    })?;
    of_archive(archive, provider).map_err(NotOpened::Other)
}

fn of_archive(archive: Pkcs12Archive, provider: &CryptoProvider) -> Result<CertifiedKey, String> {
    let Pkcs12Archive { mut keys, certs, .. } = archive;
    let Some(bag) = keys.pop() else { return Err("it holds no private key".to_owned()) };
    if !keys.is_empty() {
        return Err("it holds more than one private key".to_owned());
    }
    let mut der = bag.key.as_der().to_vec();
    let mut found = Err("it holds no certificate".to_owned());
    for chain in leaf_first(&certs, bag.local_key_id.as_ref().map(AsRef::as_ref)) {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(der.clone()));
        found = CertifiedKey::from_der(chain, key, provider).map_err(|error| unfit(&error));
        if found.is_ok() {
            break;
        }
    }
    der.zeroize();
    found
}

/// The chains that the certificates can be put into: from the one that says it is the key's, else from each.
fn leaf_first<'a>(
    certs: &'a [CertificateBag],
    key_id: Option<&[u8]>,
) -> impl Iterator<Item = Vec<CertificateDer<'static>>> + use<'a> {
    let of_key = |bag: &&CertificateBag| key_id.is_some() && bag.local_key_id.as_deref() == key_id;
    let named: Vec<&CertificateBag> = certs.iter().filter(of_key).collect();
    let leaves = if named.is_empty() { certs.iter().collect() } else { named };
    leaves.into_iter().map(|leaf| chain(leaf, certs))
}

fn chain(leaf: &CertificateBag, certs: &[CertificateBag]) -> Vec<CertificateDer<'static>> {
    let mut chain = vec![leaf];
    let mut last = leaf;
    // The root itself is of no use to the other side.
    while let Some(issuer) = certs.iter().find(|bag| {
        bag.cert.subject() == last.cert.issuer()
            && bag.cert.subject() != bag.cert.issuer()
            && !chain.iter().any(|known| known.cert == bag.cert)
    }) {
        chain.push(issuer);
        last = issuer;
    }
    chain.into_iter().map(|bag| CertificateDer::from(bag.cert.as_der().to_vec())).collect()
}
