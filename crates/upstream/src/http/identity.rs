//! Whom an upstream believes us to be, and whom we believe: TLS, and the headers that hold secrets.

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

/// TLS as the configuration has it. Reads files: not for a task that others wait on.
pub(super) fn tls(files: &Files) -> Result<ClientConfig, String> {
    let roots = match &files.ca {
        Some(path) => authorities(path)?,
        None => system_roots()?,
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots);
    let mut config = match &files.identity {
        None => builder.with_no_client_auth(),
        Some((cert, key)) => {
            let chain = certificates(cert, "client_cert")?;
            let at = |why: rustls::pki_types::pem::Error| format!("`client_key`: `{}`: {why}", key.display());
            let key = PrivateKeyDer::from_pem_file(key).map_err(at)?;
            let built = builder.with_client_auth_cert(chain, key);
            built.map_err(|error| format!("`client_cert` and `client_key`: {error}"))?
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
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

fn authorities(path: &Path) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path, "ca")? {
        roots.add(certificate).map_err(|error| format!("`ca`: `{}`: {error}", path.display()))?;
    }
    Ok(roots)
}

fn certificates(path: &Path, key: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(format!("`{key}`: `{}` holds no certificate in PEM form", path.display())),
        Err(error) => Err(format!("`{key}`: `{}`: {error}", path.display())),
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
