//! The opaque id that stands for the right to use a credential.

use std::fmt;

use sha2::{Digest, Sha256};
use zeroize::Zeroize;

/// A handle as the agent holds it: `secret://` and 43 random characters. Whoever has it can use it, within
/// its bounds, so it is printed as its [`HandleId`] only.
#[derive(Clone, PartialEq, Eq)]
pub struct HandleToken(String);

impl HandleToken {
    const SCHEME: &'static str = "secret://";

    /// Makes a token of 32 random bytes.
    pub fn new(random: &[u8; 32]) -> Self {
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let mut text = String::from(Self::SCHEME);
        for group in random.chunks(3) {
            let mut bits: u32 = 0;
            for (i, byte) in group.iter().enumerate() {
                bits |= u32::from(*byte) << (16 - 8 * i);
            }
            for i in 0..=group.len() {
                let index = usize::try_from(bits >> (18 - 6 * i) & 63).unwrap_or(0);
                text.push(char::from(ALPHABET.get(index).copied().unwrap_or(b'A')));
            }
        }
        Self(text)
    }

    /// Takes what an agent sent, if it looks like a handle; whether it exists is another question.
    pub fn parse(text: &str) -> Option<Self> {
        let id = text.strip_prefix(Self::SCHEME)?;
        let fits = (32..=128).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        fits.then(|| Self(text.to_owned()))
    }

    /// What logs and the store know it by.
    pub fn id(&self) -> HandleId {
        let hash = Sha256::digest(self.0.as_bytes());
        HandleId(hex::encode(hash.get(..16).unwrap_or_default()))
    }

    /// The token's text, for the one answer that hands it out.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for HandleToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HandleToken({})", self.id())
    }
}

impl Drop for HandleToken {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// A handle's name in logs and in the store: a truncated hash, which cannot be turned back into the handle.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HandleId(String);

impl HandleId {
    /// The id as text: 32 hex digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HandleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::HandleToken;

    #[test]
    fn a_token_has_43_characters_and_never_prints_itself() {
        let token = HandleToken::new(&[0xfb; 32]);
        assert_eq!(token.reveal().len(), "secret://".len() + 43);
        assert_eq!(HandleToken::parse(token.reveal()), Some(token.clone()));
        assert!(!format!("{token:?}").contains(token.reveal()));
        assert_ne!(token.id(), HandleToken::new(&[0xfc; 32]).id());
    }

    #[test]
    fn what_does_not_look_like_a_handle_is_refused() {
        for text in ["", "secret://", "secret://short", "http://AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]
        {
            assert_eq!(HandleToken::parse(text), None, "{text}");
        }
    }
}
