//! What may be said about a credential without showing it: `secret test`, and the warning of weak ones.

use std::collections::BTreeMap;

use broker::{CredentialSource, Fetch, Material, Remark};
use model::{CredentialRef, Failure};

/// What a fetch brought, without the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Examination {
    /// The account.
    pub username: Option<String>,
    /// The address it belongs to.
    pub address: Option<String>,
    /// `password`, `private key`, `encrypted private key` or `agent key`.
    pub kind: &'static str,
    /// Whether it is hard to guess.
    pub strength: Strength,
    /// What else its source says of it.
    pub remarks: Vec<Remark>,
}

/// Whether a secret is hard to guess. Output that holds a leased secret is withheld, but a target could encode a weak
/// one in a way that is not looked for; and short ones are found in innocent output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strength {
    /// Nothing to say against it.
    Ok,
    /// Too easy, and why.
    Weak(&'static str),
}

/// Fetches a credential and says what came, but not the secret.
pub async fn examine(source: &dyn CredentialSource, name: &CredentialRef) -> Result<Examination, Failure> {
    let fetch = Fetch { credential: name, reason: Some("secret test") };
    let (credential, remarks) = source.examine(fetch).await?;
    let kind = match &credential.material {
        Material::Password(_) => "password",
        Material::PrivateKey { passphrase: None, .. } => "private key",
        Material::PrivateKey { passphrase: Some(_), .. } => "encrypted private key",
        Material::Agent { .. } => "agent key",
    };
    let strength = strength(&credential.material);
    Ok(Examination { username: credential.username, address: credential.address, kind, strength, remarks })
}

/// How hard a secret is to guess.
pub fn strength(material: &Material) -> Strength {
    match material {
        Material::Password(password) => strength_of_text(password.expose()),
        Material::PrivateKey { .. } | Material::Agent { .. } => Strength::Ok,
    }
}

/// A rough lower bound: what is short, has few different characters, or counts up or down.
pub(crate) fn strength_of_text(text: &str) -> Strength {
    if text.trim_start().starts_with("-----BEGIN ") {
        return Strength::Ok;
    }
    let characters: Vec<char> = text.chars().collect();
    if characters.len() < 12 {
        return Strength::Weak("it has fewer than 12 characters");
    }
    let mut counts: BTreeMap<char, f64> = BTreeMap::new();
    for character in &characters {
        *counts.entry(*character).or_default() += 1.0;
    }
    let total: f64 = counts.values().sum();
    let bits: f64 = counts.values().map(|count| -count * (count / total).log2()).sum();
    if bits < 36.0 {
        return Strength::Weak("its characters repeat");
    }
    let step = |pair: &[char]| match pair {
        [a, b] => u32::from(*a).abs_diff(u32::from(*b)) <= 1,
        _ => false,
    };
    let steps = characters.windows(2).filter(|pair| step(pair)).count();
    if steps * 2 >= characters.len() {
        return Strength::Weak("its characters follow each other");
    }
    Strength::Ok
}
