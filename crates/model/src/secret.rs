//! Secret material that cannot be printed, serialised or compared by accident.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// A secret: no `Debug`, no `Display`, no `Serialize`, no `Clone`; wiped when dropped.
///
/// [`Secret::expose`] is the only way in, and `cargo xtask tidy` holds the list of places that may call it.
pub struct Secret<T: Zeroize>(T);

impl<T: Zeroize> Secret<T> {
    /// Takes the material over; the caller keeps no copy.
    pub fn new(material: T) -> Self {
        Self(material)
    }

    /// The material itself. Only connectors, credential sources, header injection and the guard may call this.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize + AsRef<[u8]>> Secret<T> {
    /// Whether both are the same bytes, in time that depends on their lengths only.
    pub fn same_as(&self, other: &[u8]) -> bool {
        self.0.as_ref().ct_eq(other).into()
    }
}

impl<T: Zeroize + AsRef<[u8]>> Secret<T> {
    /// SHA-256 of a secret key and the material: tells one secret from the next to who has the key, and nobody anything else.
    pub fn digest(&self, key: &[u8; 32]) -> [u8; 32] {
        Sha256::new().chain_update(key).chain_update(self.0.as_ref()).finalize().into()
    }
}

impl<T: Zeroize + Clone> Secret<T> {
    /// A second copy, named so that every one of them can be found.
    pub fn duplicate(&self) -> Self {
        Self(self.0.clone())
    }
}

impl Secret<String> {
    /// The first line and what is behind it, as two secrets; `None` if there is one line only.
    pub fn split_line(&self) -> Option<(Self, Self)> {
        let (first, rest) = self.0.split_once('\n')?;
        Some((Self(first.to_owned()), Self(rest.to_owned())))
    }
}

impl<T: Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// A secret that an operator wrote into a private file, shared by whoever holds the configuration.
#[derive(Clone)]
pub struct LiteralSecret(Arc<Secret<String>>);

impl LiteralSecret {
    /// Takes the secret over.
    pub fn new(secret: Secret<String>) -> Self {
        Self(Arc::new(secret))
    }

    /// The secret.
    pub fn secret(&self) -> &Secret<String> {
        &self.0
    }
}

impl PartialEq for LiteralSecret {
    fn eq(&self, other: &Self) -> bool {
        self.0.same_as(other.0.0.as_bytes())
    }
}

impl Eq for LiteralSecret {}

impl fmt::Debug for LiteralSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LiteralSecret")
    }
}
