//! Whether a host certificate says what it would have to say, as OpenSSH asks.

use model::Timestamp;
use russh::keys::{Certificate, PublicKey};

use crate::algorithms;

/// Why a certificate does not prove who a host is, although a known authority signed it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadCertificate {
    /// It is a user's.
    #[error("it is a user's certificate, not a host's")]
    NotForHosts,
    /// Its time has not come.
    #[error("it is not valid before {0}")]
    NotYetValid(String),
    /// Its time is over.
    #[error("it expired at {0}")]
    Expired(String),
    /// It names other hosts.
    #[error("it is for {0}, not for this host")]
    OtherHosts(String),
    /// It names nobody, which would mean everybody.
    #[error("it names no host at all, which would stand for every host")]
    NoHosts,
    /// It has an option that must be understood, and no such option is.
    #[error("it has the critical option `{0}`, which is not understood")]
    CriticalOption(String),
    /// The authority's key, or how it signed, is not accepted.
    #[error("its authority's {0}")]
    WeakAuthority(String),
    /// Somebody changed it, or the authority never signed it.
    #[error("its signature is wrong")]
    Signature,
}

/// Most of a certificate's names that are repeated in a message.
const MOST_NAMES: usize = 4;

/// Checks a certificate for the host `name`, in lower case and without a port.
///
/// That its authority is known, and nothing in it revoked, is the caller's part.
pub(super) fn check(certificate: &Certificate, name: &str, now: Timestamp) -> Result<(), BadCertificate> {
    let signer = PublicKey::new(certificate.signature_key().clone(), "");
    algorithms::acceptable_authority(&signer, &certificate.signature().algorithm())
        .map_err(BadCertificate::WeakAuthority)?;
    certificate.verify_signature().map_err(|_| BadCertificate::Signature)?;
    if !certificate.cert_type().is_host() {
        return Err(BadCertificate::NotForHosts);
    }
    in_time(certificate, now)?;
    let principals = certificate.valid_principals();
    if principals.is_empty() {
        return Err(BadCertificate::NoHosts);
    }
    if !principals.iter().any(|principal| principal == name) {
        return Err(BadCertificate::OtherHosts(names(principals)));
    }
    match certificate.critical_options().keys().next() {
        Some(option) => Err(BadCertificate::CriticalOption(printable(option))),
        None => Ok(()),
    }
}

/// The window of a certificate, with both ends as OpenSSH has them: from the first second, up to before the last.
pub(crate) fn in_time(certificate: &Certificate, now: Timestamp) -> Result<(), BadCertificate> {
    // A clock before 1970 is wrong, and then nothing is valid yet.
    let seconds = u64::try_from(now.as_millis().div_euclid(1000)).unwrap_or(0);
    if seconds < certificate.valid_after() {
        return Err(BadCertificate::NotYetValid(moment(certificate.valid_after())));
    }
    if seconds >= certificate.valid_before() {
        return Err(BadCertificate::Expired(moment(certificate.valid_before())));
    }
    Ok(())
}

/// A certificate's own list of names, fit for a message.
pub(crate) fn names(principals: &[String]) -> String {
    let shown: Vec<String> =
        principals.iter().take(MOST_NAMES).map(|name| format!("`{}`", printable(name))).collect();
    let more = if principals.len() > MOST_NAMES { " and others" } else { "" };
    format!("{}{more}", shown.join(", "))
}

fn printable(text: &str) -> String {
    crate::refusal::words(text)
}

fn moment(seconds: u64) -> String {
    match i64::try_from(seconds).ok().and_then(|seconds| seconds.checked_mul(1000)) {
        Some(millis) => Timestamp::from_millis(millis).to_string(),
        None => "the end of time".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use testkit::{KeyKind, KeyPair};

    use super::{BadCertificate, Certificate, Timestamp, check};

    /// A certificate with all that is `from` in it made `to`, which is as long.
    fn altered(certificate: &Certificate, from: &[u8], to: &[u8]) -> Certificate {
        let mut bytes = certificate.to_bytes().unwrap();
        let places: Vec<usize> =
            (0..=bytes.len() - from.len()).filter(|at| bytes[*at..].starts_with(from)).collect();
        assert_eq!((places.len(), to.len()), (1, from.len()), "exactly one is altered, and nothing moves");
        bytes[places[0]..][..to.len()].copy_from_slice(to);
        Certificate::from_bytes(&bytes).unwrap()
    }

    // No OpenSSH server shows such a certificate: it does not load what is not signed rightly.
    #[test]
    fn a_host_certificate_that_was_altered_or_that_the_authority_did_not_sign_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let make = |name: &str| KeyPair::make(&folder.path().join(name), KeyKind::Ed25519, "");
        let (authority, stranger, host) = (make("ca"), make("stranger"), make("host"));
        let certified = |by: &KeyPair, name: &str| {
            let file = by.certify(&host, &["-h", "-n", name, "-V", "20200101:20900101"]);
            Certificate::from_openssh(&std::fs::read_to_string(file).unwrap()).unwrap()
        };
        let ours = certified(&authority, "web1");
        let theirs = certified(&stranger, "web1");
        let judged =
            |certificate: &Certificate| check(certificate, "web1", Timestamp::from_millis(1_800_000_000_000));
        assert_eq!(judged(&ours), Ok(()));
        let signature = ours.signature().as_bytes();
        let mut flipped = signature.to_vec();
        flipped[0] ^= 1;
        let key = |of: &Certificate| of.signature_key().ed25519().unwrap().0;
        for (what, certificate) in [
            ("another host's, renamed", altered(&certified(&authority, "web2"), b"web2", b"web1")),
            ("a flipped bit in the signature", altered(&ours, signature, &flipped)),
            ("a stranger's, with the authority's key in it", altered(&theirs, &key(&theirs), &key(&ours))),
        ] {
            assert_eq!(judged(&certificate), Err(BadCertificate::Signature), "{what}");
        }
    }
}
