//! API keys: how they look, how they are made, and how a presented one is checked.
//!
//! A key is `pk_` and eight hex digits (its prefix, which may be shown), `_` and 43 random characters. The
//! configuration holds `pk_PREFIX:HASH`, where the hash is BLAKE3 over the whole key: with 256 random bits there is
//! nothing a slow hash could add.

use std::fmt;

use model::{Entropy, NoEntropy};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const MARK: &str = "pk_";
const PREFIX_DIGITS: usize = 8;
const SECRET_CHARACTERS: usize = 43;
const HASH_DIGITS: usize = 64;
const TOKEN: &str = "token:";

/// The word in the configuration for the only way keys are hashed.
pub const ALGORITHM: &str = "blake3";

/// A key in the clear, wiped when dropped. It exists between being made and being shown once.
pub struct ApiKey(String);

impl ApiKey {
    /// The key's text, for the one place that shows it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKey({})", prefix(&self.0).unwrap_or_default())
    }
}

impl Drop for ApiKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Makes a new key, and what the configuration may hold of it.
pub fn generate(entropy: &dyn Entropy) -> Result<(ApiKey, String), NoEntropy> {
    let (mut prefix, mut random) = ([0; PREFIX_DIGITS / 2], [0; SECRET_CHARACTERS]);
    entropy.fill(&mut prefix)?;
    entropy.fill(&mut random)?;
    let secret =
        random.iter().map(|byte| ALPHABET.get(usize::from(byte & 63)).map_or('A', |c| char::from(*c)));
    let mut text = String::with_capacity(MARK.len() + PREFIX_DIGITS + 1 + SECRET_CHARACTERS);
    text.push_str(MARK);
    text.push_str(&hex::encode(prefix));
    text.push('_');
    text.extend(secret);
    random.zeroize();
    let hash =
        format!("{}:{}", text.get(..MARK.len() + PREFIX_DIGITS).unwrap_or_default(), hash_of(&text).to_hex());
    Ok((ApiKey(text), hash))
}

/// The part of a presented key that may be shown and looked up (`pk_7f3a09bc`); `None` if it does not look like a key.
pub fn prefix(presented: &str) -> Option<&str> {
    let (prefix, secret) = presented.split_at_checked(MARK.len() + PREFIX_DIGITS)?;
    let secret = secret.strip_prefix('_')?;
    let fits = is_prefix(prefix) && secret.len() == SECRET_CHARACTERS && secret.bytes().all(is_of_alphabet);
    fits.then_some(prefix)
}

/// Whether [`ALPHABET`] has it; every request asks this of every character.
fn is_of_alphabet(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// The prefix of a stored hash; `None` if it is not one that [`generate`] makes.
pub fn hash_prefix(hash: &str) -> Option<&str> {
    let (prefix, digest) = hash.split_once(':')?;
    let fits = is_prefix(prefix) && digest.len() == HASH_DIGITS && digest.bytes().all(is_hex);
    fits.then_some(prefix)
}

/// Whether this is the key that was hashed. The time it takes does not depend on how much of the hash is right.
pub fn verify(hash: &str, presented: &str) -> bool {
    let (Some(stored), Some(shown)) = (hash_prefix(hash), prefix(presented)) else { return false };
    let digest = hash.get(stored.len() + 1..).unwrap_or_default();
    let found = hash_of(presented).to_hex();
    stored == shown && bool::from(found.as_bytes().ct_eq(digest.as_bytes()))
}

/// What may be kept, in memory, of a token that another program made, and that has no form of ours: it is found by its whole hash.
pub fn token_hash(token: &str) -> String {
    format!("{TOKEN}{}", hash_of(token).to_hex())
}

/// Whether this is the token that was hashed.
pub fn verify_token(hash: &str, presented: &str) -> bool {
    let Some(digest) = hash.strip_prefix(TOKEN) else { return false };
    bool::from(hash_of(presented).to_hex().as_bytes().ct_eq(digest.as_bytes()))
}

fn hash_of(key: &str) -> blake3::Hash {
    blake3::hash(key.as_bytes())
}

fn is_prefix(text: &str) -> bool {
    text.strip_prefix(MARK).is_some_and(|digits| digits.len() == PREFIX_DIGITS && digits.bytes().all(is_hex))
}

fn is_hex(byte: u8) -> bool {
    byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)
}

#[cfg(test)]
mod tests {
    use model::{Entropy, NoEntropy};

    use super::{ALPHABET, generate, hash_prefix, is_of_alphabet, prefix, token_hash, verify, verify_token};

    #[test]
    fn a_key_may_have_what_keys_are_made_of_and_nothing_else() {
        for byte in 0..=u8::MAX {
            assert_eq!(is_of_alphabet(byte), ALPHABET.contains(&byte), "{byte}");
        }
    }

    struct Counting(std::sync::atomic::AtomicU8);

    impl Entropy for Counting {
        fn fill(&self, out: &mut [u8]) -> Result<(), NoEntropy> {
            for byte in out {
                *byte = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
            Ok(())
        }
    }

    struct Dry;

    impl Entropy for Dry {
        fn fill(&self, _out: &mut [u8]) -> Result<(), NoEntropy> {
            Err(NoEntropy)
        }
    }

    fn counting() -> Counting {
        Counting(std::sync::atomic::AtomicU8::new(0))
    }

    #[test]
    fn a_token_of_another_program_is_verified_whole() {
        let hash = token_hash("s3cret");
        assert!(!hash.contains("s3cret"));
        assert!(verify_token(&hash, "s3cret"));
        for wrong in ["", "s3cre", "s3cret ", "S3cret", hash.as_str()] {
            assert!(!verify_token(&hash, wrong), "{wrong}");
        }
        assert!(!verify_token("token:", "") && !verify("token:", ""));
    }

    #[test]
    fn a_key_has_its_form_and_its_hash_verifies_it_alone() {
        let entropy = counting();
        let (key, hash) = generate(&entropy).unwrap();
        let (other, _) = generate(&entropy).unwrap();
        assert_eq!(key.reveal().len(), 3 + 8 + 1 + 43);
        assert_eq!(prefix(key.reveal()), Some("pk_00010203"));
        assert_eq!(hash_prefix(&hash), Some("pk_00010203"));
        assert!(verify(&hash, key.reveal()));
        assert!(!verify(&hash, other.reveal()));
        assert_eq!(format!("{key:?}"), "ApiKey(pk_00010203)");
    }

    #[test]
    fn whatever_is_not_whole_is_refused() {
        let (key, hash) = generate(&counting()).unwrap();
        let text = key.reveal();
        let mut short = text.to_owned();
        short.pop();
        let wrong = [
            String::new(),
            "pk_".to_owned(),
            short.clone(),
            format!("{text}A"),
            format!("{short} "),
            format!("{short}A"),
            text.replacen("pk_", "PK_", 1),
            text.replacen("0001", "0002", 1),
            hash.clone(),
            "é".repeat(30),
        ];
        for presented in wrong.iter().filter(|presented| *presented != text) {
            assert!(!verify(&hash, presented), "{presented}");
        }
        let mut cut = hash.clone();
        cut.pop();
        for stored in ["", "pk_00010203", "pk_00010203:", &cut, &hash.to_uppercase()] {
            assert!(!verify(stored, text), "{stored}");
        }
    }

    #[test]
    fn without_entropy_there_is_no_key() {
        assert_eq!(generate(&Dry).unwrap_err(), NoEntropy);
    }
}
