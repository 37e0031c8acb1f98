//! Whom an upstream believes us to be, and whom we believe: TLS, and the headers that hold secrets.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use model::Secret;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::trust::Files;

/// A file of an upstream that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFault {
    /// The key that names it: `ca`, `client_cert` or `client_key`.
    pub key: &'static str,
    /// Why; with the file's path.
    pub why: String,
}

impl fmt::Display for CertificateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.key, self.why)
    }
}

/// What a start of an upstream with these files would fail on. Opens the files and nothing else.
pub fn certificate_fault(ca: Option<&Path>, identity: Option<(&Path, &Path)>) -> Option<CertificateFault> {
    let identity = identity.map(|(cert, key)| (cert.to_owned(), key.to_owned()));
    tls(&Files { ca: ca.map(Path::to_owned), identity }).err()
}

/// TLS as the configuration has it. Reads files: not for a task that others wait on.
pub(super) fn tls(files: &Files) -> Result<ClientConfig, CertificateFault> {
    let at = |key, why: String| CertificateFault { key, why };
    let roots = match &files.ca {
        Some(path) => authorities(path)?,
        None => system_roots()?,
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| at("ca", error.to_string()))?
        .with_root_certificates(roots);
    let mut config = match &files.identity {
        None => builder.with_no_client_auth(),
        Some((cert, key)) => {
            let chain = certificates(cert, "client_cert")?;
            let read = PrivateKeyDer::from_pem_file(key);
            let private = read.map_err(|why| at("client_key", format!("`{}`: {why}", key.display())))?;
            let built = builder.with_client_auth_cert(chain, private);
            let why = |error| format!("`{}` does not fit `client_cert`: {error}", key.display());
            built.map_err(|error| at("client_key", why(error)))?
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn system_roots() -> Result<RootCertStore, CertificateFault> {
    let mut roots = RootCertStore::empty();
    // Systems carry some that cannot be read; what matters is whether any are left.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        let why = "is not written, and this system has no certificate authorities".to_owned();
        return Err(CertificateFault { key: "ca", why });
    }
    Ok(roots)
}

fn authorities(path: &Path) -> Result<RootCertStore, CertificateFault> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path, "ca")? {
        let why = |error| CertificateFault { key: "ca", why: format!("`{}`: {error}", path.display()) };
        roots.add(certificate).map_err(why)?;
    }
    Ok(roots)
}

fn certificates(path: &Path, key: &'static str) -> Result<Vec<CertificateDer<'static>>, CertificateFault> {
    let wrong = |why: String| Err(CertificateFault { key, why: format!("`{}`{why}", path.display()) });
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => wrong(" holds no certificate in PEM form".to_owned()),
        Err(error) => wrong(format!(": {error}")),
    }
}

/// Adds the header that shows a bearer token, and says which it is: a secret that was stored with the word before it means
/// the same.
pub(super) fn add_bearer(headers: &mut HeaderMap, stored: &Secret<String>) -> Result<Secret<String>, String> {
    let token = bare_token(stored.expose());
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("`auth.bearer` is no token: it is empty or has blanks in it".to_owned());
    }
    add(headers, AUTHORIZATION, &format!("Bearer {token}"), true)?;
    Ok(Secret::new(token.to_owned()))
}

fn bare_token(stored: &str) -> &str {
    let stored = stored.trim();
    match stored.split_once(' ') {
        Some((word, token)) if word.eq_ignore_ascii_case("bearer") => token.trim(),
        None if stored.eq_ignore_ascii_case("bearer") => "",
        Some(_) | None => stored,
    }
}

/// Adds a header of the operator's choice.
pub(super) fn add_header(
    headers: &mut HeaderMap,
    name: &str,
    value: &str,
    secret: bool,
) -> Result<(), String> {
    let name = HeaderName::try_from(name).map_err(|_| format!("`headers`: `{name}` is no header"))?;
    add(headers, name, value, secret)
}

fn add(headers: &mut HeaderMap, name: HeaderName, value: &str, secret: bool) -> Result<(), String> {
    // The value is not quoted: it may be a secret.
    let wrong = || format!("the value of the header `{name}` has characters that no header can have");
    let mut value = HeaderValue::try_from(value).map_err(|_| wrong())?;
    value.set_sensitive(secret);
    headers.insert(name, value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use model::Secret;

    use super::add_bearer;

    #[test]
    fn a_token_is_sent_once_as_what_it_is_however_it_was_stored() {
        for stored in ["tok-1", "Bearer tok-1", "bearer   tok-1", " tok-1\n", "BEARER tok-1 "] {
            let mut headers = HeaderMap::new();
            let token = add_bearer(&mut headers, &Secret::new(stored.to_owned())).unwrap();
            assert_eq!(token.expose(), "tok-1", "{stored:?}");
            assert_eq!(headers["authorization"], "Bearer tok-1", "{stored:?}");
            assert!(headers["authorization"].is_sensitive());
        }
        for wrong in ["", " ", "Bearer ", "two words", "a\nb", "Bearer a b", "\u{e9}"] {
            let mut headers = HeaderMap::new();
            let refused = add_bearer(&mut headers, &Secret::new(wrong.to_owned())).err();
            let error = refused.unwrap_or_else(|| panic!("{wrong:?} is taken"));
            assert!(headers.is_empty() && error.contains("auth.bearer"), "{wrong:?}: {error}");
        }
    }
}
