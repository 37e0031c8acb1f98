//! A user certificate: what can be said of it before a host is asked.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use model::{Failure, Timestamp};
use russh::keys::{Certificate, PublicKey};

use super::Who;
use super::verdict::unusable;
use crate::known_hosts::{in_time, principals};

/// How often a certificate may name a certificate's kind.
const MOST_NESTED: usize = 4;

/// Reads a certificate, and refuses one that no host could accept.
pub(super) fn usable(
    text: &str,
    key: &PublicKey,
    now: Timestamp,
    who: Who<'_>,
) -> Result<Certificate, Failure> {
    let wrong = |why: &str| unusable(who, &format!("the certificate of the private key {why}"));
    let certificate = read(text)
        .ok_or_else(|| wrong("cannot be read").with_hint("`ssh-keygen -Lf` shows what it holds"))?;
    if certificate.public_key() != key.key_data() {
        return Err(
            wrong("belongs to another key").with_hint("sign the key again, or remove the certificate")
        );
    }
    still_usable(&certificate, now, who)?;
    Ok(certificate)
}

fn read(text: &str) -> Option<Certificate> {
    let blob = STANDARD.decode(text.split_ascii_whitespace().nth(1)?).ok()?;
    if nested(&blob) { None } else { Certificate::from_openssh(text.trim()).ok() }
}

/// Certificates inside of one another, so deep that reading them would exhaust the stack.
pub(super) fn nested(blob: &[u8]) -> bool {
    let kind = b"-cert-v01@";
    blob.windows(kind.len()).filter(|window| window == kind).count() > MOST_NESTED
}

/// Whether it is a user's, and its time is now by the gateway's clock.
pub(super) fn still_usable(certificate: &Certificate, now: Timestamp, who: Who<'_>) -> Result<(), Failure> {
    let wrong =
        |why: &str| unusable(who, &format!("the certificate of the private key cannot be used: {why}"));
    if !certificate.cert_type().is_user() {
        return Err(wrong("it is a host's certificate, not a user's"));
    }
    in_time(certificate, now).map_err(|why| {
        wrong(&why.to_string()).with_hint("have the key signed again, or remove the certificate")
    })
}

/// The certificate as a message names it.
pub(super) fn described(certificate: &Certificate) -> String {
    match certificate.valid_principals() {
        [] => "a certificate for nobody by name".to_owned(),
        names => format!("a certificate for {}", principals(names)),
    }
}
