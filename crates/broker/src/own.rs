//! A host's own credential: the one that is used without a handle.
//!
//! What went wrong with a file or variable is for the operator: the agent learns the host, not where its secrets lie.

use std::path::{Path, PathBuf};

use model::{CredentialRef, CredentialSpec, ErrorCode, Failure, Fault, Host, Secret, SecretLocation};
use zeroize::Zeroizing;

use crate::broker::blocking;
use crate::material::{certificate_in, into_secret, is_private_key, secret_text};
use crate::secret_file::{SecretFileError, read_key_file, read_secret_file};
use crate::{Broker, Credential, CredentialKey, Material, UnusableSecret};

/// A credential and what a connection opened with it is pooled under.
type Own = (Credential, Option<CredentialKey>);

impl Broker {
    /// The credential that the inventory names for a host.
    pub(crate) async fn own_credential(&self, host: &Host) -> Result<Own, Failure> {
        match host.credential.as_ref().ok_or_else(|| no_credential(host))? {
            CredentialSpec::Stored(name) => self.stored(host, name).await,
            CredentialSpec::Agent { fingerprint } => self.agent_key(host, fingerprint),
            CredentialSpec::Key { path, passphrase } => self.key_file(host, path, passphrase.as_ref()).await,
            CredentialSpec::Password(SecretLocation::Stored(name)) => {
                let (credential, key) = self.stored(host, name).await?;
                match credential.material {
                    Material::Password(_) => Ok((credential, key)),
                    Material::PrivateKey { .. } | Material::Agent { .. } => Err(not_a_password(host, name)),
                }
            }
            CredentialSpec::Password(SecretLocation::Env(name)) => {
                let bytes = read_variable(name).ok_or_else(|| unset(host, name))?;
                self.password(host, bytes, &format!("variable `{name}`"))
            }
            CredentialSpec::Password(SecretLocation::File(path)) => {
                let bytes = read(host, path.clone(), read_secret_file).await?;
                self.password(host, bytes, &format!("`{}`", path.display()))
            }
            CredentialSpec::Password(SecretLocation::Literal(literal)) => {
                let password = literal.secret();
                let version = self.versions().map(|key| key.version_of(password));
                let key = version.map(|version| CredentialKey::new(&format!("own:{}", host.name), &version));
                Ok((without_account(Material::Password(password.duplicate())), key))
            }
        }
    }

    async fn stored(&self, host: &Host, name: &CredentialRef) -> Result<Own, Failure> {
        let credential = self.fetch(name, None).await.map_err(|failure| not_fetched(host, &failure))?;
        let key = credential.version.as_deref().map(|version| CredentialKey::new(&name.to_string(), version));
        Ok((credential, key))
    }

    fn agent_key(&self, host: &Host, fingerprint: &str) -> Result<Own, Failure> {
        let socket = self.ssh_auth_sock().ok_or_else(|| {
            refused(host, "SSH_AUTH_SOCK was not set when the gateway started")
                .with_hint("the gateway has no SSH agent")
        })?;
        let key = CredentialKey::new("agent", fingerprint);
        let material = Material::Agent { fingerprint: fingerprint.to_owned(), socket: socket.to_owned() };
        Ok((without_account(material), Some(key)))
    }

    async fn key_file(
        &self,
        host: &Host,
        path: &Path,
        passphrase: Option<&SecretLocation>,
    ) -> Result<Own, Failure> {
        let at = format!("`{}`", path.display());
        let bytes = read(host, path.to_owned(), read_key_file).await?;
        let beside = certificate_beside(host, path).await?;
        let certificate_bytes = beside.as_deref().unwrap_or_default().as_bytes();
        let key = self.pool_key(host, &[&bytes, certificate_bytes]);
        let text = secret_text(bytes).map_err(|error| unusable(host, &at, error))?;
        if !is_private_key(&text) {
            return Err(refused(host, format!("{at} holds no private key in PEM or OpenSSH form")));
        }
        let passphrase = match passphrase {
            Some(location) => Some(self.passphrase(host, location).await?),
            None => None,
        };
        let certificate = beside.or_else(|| certificate_in(&text));
        Ok((without_account(Material::PrivateKey { pem: into_secret(text), passphrase, certificate }), key))
    }

    async fn passphrase(&self, host: &Host, location: &SecretLocation) -> Result<Secret<String>, Failure> {
        let (bytes, at) = match location {
            SecretLocation::Stored(name) => {
                let (credential, _) = self.stored(host, name).await?;
                return match credential.material {
                    Material::Password(passphrase) => Ok(passphrase),
                    Material::PrivateKey { .. } | Material::Agent { .. } => Err(not_a_password(host, name)),
                };
            }
            SecretLocation::Env(name) => {
                (read_variable(name).ok_or_else(|| unset(host, name))?, format!("variable `{name}`"))
            }
            SecretLocation::File(path) => {
                (read(host, path.clone(), read_secret_file).await?, format!("`{}`", path.display()))
            }
            SecretLocation::Literal(literal) => return Ok(literal.secret().duplicate()),
        };
        secret_text(bytes).map(into_secret).map_err(|error| unusable(host, &at, error))
    }

    fn password(&self, host: &Host, bytes: Zeroizing<Vec<u8>>, at: &str) -> Result<Own, Failure> {
        let key = self.pool_key(host, &[&bytes]);
        let text = secret_text(bytes).map_err(|error| unusable(host, at, error))?;
        Ok((without_account(Material::Password(into_secret(text))), key))
    }

    fn pool_key(&self, host: &Host, parts: &[&[u8]]) -> Option<CredentialKey> {
        self.versions().map(|key| CredentialKey::new(&format!("own:{}", host.name), &key.version(parts)))
    }
}

async fn read(
    host: &Host,
    path: PathBuf,
    reader: fn(&Path) -> Result<Zeroizing<Vec<u8>>, SecretFileError>,
) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let at = format!("`{}`", path.display());
    let read = blocking(move || Ok(reader(&path))).await?;
    read.map_err(|error| {
        let failure = refused(host, format!("{at}: {error}"));
        match error {
            SecretFileError::OthersCanRead(_) => failure.with_hint("the key's file needs mode 0600"),
            SecretFileError::Missing
            | SecretFileError::NotAFile
            | SecretFileError::TooLarge
            | SecretFileError::Io(_) => failure,
        }
    })
}

/// The certificate of a key, where `ssh-keygen -s` puts it: beside the key, as `KEY-cert.pub`. No secret.
async fn certificate_beside(host: &Host, key: &Path) -> Result<Option<String>, Failure> {
    let mut path = key.as_os_str().to_owned();
    path.push("-cert.pub");
    let path = PathBuf::from(path);
    let at = format!("`{}`", path.display());
    match blocking(move || Ok(read_secret_file(&path))).await? {
        Ok(bytes) => match std::str::from_utf8(&bytes) {
            Ok(text) => Ok(Some(text.trim().to_owned())),
            Err(_) => Err(refused(host, format!("{at} is not a certificate"))),
        },
        Err(SecretFileError::Missing) => Ok(None),
        Err(error) => Err(refused(host, format!("{at}: {error}"))),
    }
}

pub(crate) fn read_variable(name: &str) -> Option<Zeroizing<Vec<u8>>> {
    use std::os::unix::ffi::OsStringExt;
    std::env::var_os(name).map(|value| Zeroizing::new(value.into_vec()))
}

fn without_account(material: Material) -> Credential {
    Credential { username: None, address: None, material, version: None }
}

fn no_credential(host: &Host) -> Failure {
    Failure::new(ErrorCode::CredentialNotFound, format!("host `{}` has no credential of its own", host.name))
        .with_hint("pass a handle from `get_credential` as `secret_handle`, or ask the operator for `credential` there")
}

fn not_a_password(host: &Host, name: &CredentialRef) -> Failure {
    refused(host, format!("`{name}` is a private key where a password is needed"))
}

/// A source says which object it looked for. Who calls without a handle did not name it and does not learn it.
fn not_fetched(host: &Host, failure: &Failure) -> Failure {
    let told = [Some(failure.message()), failure.vendor(), failure.internal()];
    let internal = told.into_iter().flatten().collect::<Vec<_>>().join("; ");
    if failure.code() == ErrorCode::CredentialSourceDown {
        let message = format!("the credential of host `{}` cannot be fetched now", host.name);
        let told =
            Failure::new(failure.code(), message).with_fault(failure.fault()).with_retry(failure.retry());
        return as_recorded(told.with_internal(internal), failure);
    }
    as_recorded(unusable_because(failure.code(), host, internal), failure)
}

/// The other system's code and the event's name say what kind of failure it was, and nothing of the object.
fn as_recorded(mut told: Failure, failure: &Failure) -> Failure {
    if let Some(vendor) = failure.vendor() {
        told = told.with_vendor(vendor);
    }
    match failure.event() {
        Some(event) => told.with_event(event),
        None => told,
    }
}

fn unset(host: &Host, name: &str) -> Failure {
    refused(host, format!("variable `{name}` is not set"))
}

fn unusable(host: &Host, at: &str, error: UnusableSecret) -> Failure {
    refused(host, format!("{at}: {error}"))
}

fn refused(host: &Host, internal: impl Into<String>) -> Failure {
    unusable_because(ErrorCode::CredentialRefused, host, internal)
}

fn unusable_because(code: ErrorCode, host: &Host, internal: impl Into<String>) -> Failure {
    let message = format!("the credential of host `{}` cannot be used", host.name);
    Failure::new(code, message)
        .with_fault(Fault::Us)
        .with_hint("the gateway's operator finds the reason in its log")
        .with_internal(internal)
}
