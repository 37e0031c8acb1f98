//! From what lies beside each other to one credential.

use broker::{Credential, Material, VersionKey};
use model::{CredentialRef, Failure, Secret};
use zeroize::Zeroizing;

use crate::names::refused;

/// Puts a credential together from what lies beside each other. A password takes no passphrase.
pub(crate) fn assemble(
    name: &CredentialRef,
    versions: &VersionKey,
    username: Option<String>,
    address: Option<String>,
    secret: Zeroizing<Vec<u8>>,
    passphrase: Option<Zeroizing<Vec<u8>>>,
) -> Result<Credential, Failure> {
    let account = username.as_deref().unwrap_or_default();
    let version = versions.version(&[account.as_bytes(), &secret]);
    let passphrase = match passphrase {
        Some(bytes) => {
            let text =
                std::str::from_utf8(&bytes).map_err(|_| refused(name, "its passphrase is not UTF-8 text"))?;
            Some(Secret::new(text.to_owned()))
        }
        None => None,
    };
    let had_passphrase = passphrase.is_some();
    let material = Material::from_bytes(secret, passphrase).map_err(|error| refused(name, error))?;
    if had_passphrase && matches!(material, Material::Password(_)) {
        return Err(refused(name, "it has a passphrase but is no private key"));
    }
    Ok(Credential { username, address, material, version: Some(version) })
}
