//! Which algorithms are offered, and what is refused after negotiation.

use std::borrow::Cow;

use russh::keys::{Algorithm, EcdsaCurve, HashAlg, PublicKey};
use russh::{Names, Preferred, cipher, compression, kex, mac};

use crate::refusal;

/// The smallest RSA host key that is accepted, in bits.
const SMALLEST_RSA: u32 = 2048;

const KEX: &[kex::Name] = &[
    kex::MLKEM768X25519_SHA256,
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::ECDH_SHA2_NISTP256,
    kex::ECDH_SHA2_NISTP384,
    kex::ECDH_SHA2_NISTP521,
    kex::EXTENSION_SUPPORT_AS_CLIENT,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
];

// GCM first: it is the fastest here, and the prefix-truncation attack does not touch it.
const CIPHERS: &[cipher::Name] = &[
    cipher::AES_128_GCM,
    cipher::AES_256_GCM,
    cipher::CHACHA20_POLY1305,
    cipher::AES_256_CTR,
    cipher::AES_192_CTR,
    cipher::AES_128_CTR,
];

const MACS: &[mac::Name] = &[mac::HMAC_SHA256_ETM, mac::HMAC_SHA512_ETM];

/// Host key algorithms by preference. RSA only with SHA-2.
pub(crate) const HOST_KEYS: &[Algorithm] = &[
    Algorithm::Ed25519,
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
    Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
    Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
];

/// What is offered to a host, the algorithms of its known keys first, so that a host with several keys shows
/// one that can be checked. Certificates are asked for, before all keys, only where an authority could vouch.
pub(crate) fn offered(known: &[Algorithm], certificates: bool) -> Preferred {
    let (first, rest): (Vec<_>, Vec<_>) =
        HOST_KEYS.iter().cloned().partition(|ours| known.iter().any(|known| same_key_type(ours, known)));
    let host_key_certificates = if certificates { Cow::Borrowed(HOST_KEYS) } else { Cow::Borrowed(&[][..]) };
    Preferred { host_key_certificates, ..only(first.into_iter().chain(rest).collect()) }
}

/// What is offered when a key of one of these algorithms, and no other, is wanted.
pub(crate) fn only(host_keys: Vec<Algorithm>) -> Preferred {
    Preferred {
        kex: Cow::Borrowed(KEX),
        key: Cow::Owned(host_keys),
        host_key_certificates: Cow::Borrowed(&[]),
        cipher: Cow::Borrowed(CIPHERS),
        mac: Cow::Borrowed(MACS),
        compression: Cow::Borrowed(&[compression::NONE]),
    }
}

/// What the sandbox, a server, offers.
pub(crate) fn for_server() -> Preferred {
    const KEX: &[kex::Name] = &[
        kex::MLKEM768X25519_SHA256,
        kex::CURVE25519,
        kex::CURVE25519_PRE_RFC_8731,
        kex::EXTENSION_SUPPORT_AS_SERVER,
        kex::EXTENSION_OPENSSH_STRICT_KEX_AS_SERVER,
    ];
    Preferred { kex: Cow::Borrowed(KEX), ..only(HOST_KEYS.to_vec()) }
}

/// Why the negotiated algorithms are not good enough, if they are not.
///
/// Without strict key exchange an attacker in the middle can cut messages from the start of a ChaCha20 or
/// encrypt-then-MAC connection unseen.
pub(crate) fn weakness(names: &Names) -> Option<&'static str> {
    let safe_without_strict = [cipher::AES_128_GCM, cipher::AES_256_GCM].contains(&names.cipher);
    (!names.strict_kex() && !safe_without_strict)
        .then_some("it has neither strict key exchange nor AES-GCM, so messages could be cut out unseen")
}

/// Whether the first key exchange was signed with what was agreed on.
///
/// russh verifies the signature, but with whatever algorithm the signature itself names, and it knows SHA-1. It shows this
/// of the first exchange only; what can be known of later ones is left to [`agreed_again`].
pub(crate) fn signed_as_agreed(signature: Option<&[u8]>, agreed: Option<&Algorithm>) -> Result<(), String> {
    match (signature.and_then(signature_algorithm), agreed) {
        (Some(own), Some(agreed)) if own == agreed.as_str() => Ok(()),
        (Some(own), Some(agreed)) => {
            Err(format!("its key exchange is signed with {}, agreed on was {agreed}", refusal::words(own)))
        }
        (None, _) | (_, None) => Err("nothing says how its key exchange is signed".to_owned()),
    }
}

/// Whether a later key exchange agrees on the host key algorithm of the first.
///
/// This is all that russh tells of it: neither the key that was shown nor how the exchange was signed. Both come over the
/// connection that the first exchange has secured, from who showed the right key then.
pub(crate) fn agreed_again(first: &Algorithm, later: &Algorithm) -> Result<(), String> {
    if first == later {
        return Ok(());
    }
    Err(format!("its later key exchange is about a host key of {later}, the first was about {first}"))
}

/// The name at the head of a signature, as SSH writes them.
fn signature_algorithm(blob: &[u8]) -> Option<&str> {
    let (length, rest) = blob.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    std::str::from_utf8(rest.get(..length)?).ok()
}

/// Whether a host key is of a kind and size that is accepted at all.
pub(crate) fn acceptable(key: &PublicKey) -> Result<(), String> {
    acceptable_as(key, "host key").map_err(|why| format!("its {why}"))
}

/// Whether an authority's key, and the algorithm that it signed a certificate with, are accepted. RSA only with SHA-2.
pub(crate) fn acceptable_authority(key: &PublicKey, signed_with: &Algorithm) -> Result<(), String> {
    acceptable_as(key, "key")?;
    if HOST_KEYS.contains(signed_with) {
        Ok(())
    } else {
        Err("signature is made with SHA-1 or another algorithm that is not accepted".to_owned())
    }
}

fn acceptable_as(key: &PublicKey, what: &str) -> Result<(), String> {
    let algorithm = key.algorithm();
    // A certificate in the place of a key would be taken for the key in it.
    if key.key_data().is_certificate() || !HOST_KEYS.iter().any(|ours| same_key_type(ours, &algorithm)) {
        return Err(format!("{what} is of a kind that is not accepted"));
    }
    match key.key_data().rsa() {
        Some(rsa) if rsa.key_size() < SMALLEST_RSA => {
            Err(format!("RSA {what} has {} bits, fewer than {SMALLEST_RSA}", rsa.key_size()))
        }
        Some(_) | None => Ok(()),
    }
}

fn same_key_type(one: &Algorithm, other: &Algorithm) -> bool {
    let rsa = |algorithm: &Algorithm| matches!(algorithm, Algorithm::Rsa { .. });
    one == other || (rsa(one) && rsa(other))
}

#[cfg(test)]
mod tests {
    use russh::keys::{Algorithm, HashAlg};

    use super::signed_as_agreed;

    #[test]
    fn only_the_agreed_algorithm_signs() {
        let blob = |name: &str| {
            [&u32::try_from(name.len()).unwrap().to_be_bytes(), name.as_bytes(), &[0; 9]].concat()
        };
        let agreed = Algorithm::Rsa { hash: Some(HashAlg::Sha512) };
        assert_eq!(signed_as_agreed(Some(&blob("rsa-sha2-512")), Some(&agreed)), Ok(()));
        assert_eq!(signed_as_agreed(Some(&blob("ssh-ed25519")), Some(&Algorithm::Ed25519)), Ok(()));
        for wrong in ["ssh-rsa", "rsa-sha2-256", "rsa-sha2-512-cert-v01@openssh.com", "ssh-ed25519", ""] {
            assert!(signed_as_agreed(Some(&blob(wrong)), Some(&agreed)).is_err(), "{wrong}");
        }
        for cut in [&[][..], &[0, 0, 0], &[0, 0, 0, 12, b'r'], &[0xff; 8], &[0, 0, 0, 1, 0xff]] {
            assert!(signed_as_agreed(Some(cut), Some(&agreed)).is_err(), "{cut:?}");
        }
        assert!(signed_as_agreed(None, Some(&agreed)).is_err());
        assert!(signed_as_agreed(Some(&blob("rsa-sha2-512")), None).is_err());
    }
}
