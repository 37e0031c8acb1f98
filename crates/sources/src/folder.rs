//! Credentials as files, the way container platforms and systemd hand them over.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use broker::{
    Credential, CredentialSource, Fetch, SecretFileError, VersionKey, read_to_end, without_newline,
};
use model::{CredentialRef, Failure};
use zeroize::Zeroizing;

use crate::assemble::assemble;
use crate::beneath::{BeneathError, open_beneath};
use crate::names::{blocking, components, invalid, not_found, plain_text, refused};

/// What a file's name ends in when it holds something about another one.
const COMPANIONS: [&str; 4] = [".username", ".address", ".passphrase", CERTIFICATE];

/// The user certificate of a private key, as `ssh-keygen -s` names it.
const CERTIFICATE: &str = "-cert.pub";

/// Files below some folders: `SAFE/OBJECT` is the file `OBJECT` in the folder `SAFE`; `-/OBJECT` is the file `OBJECT`
/// right in one of the folders. Beside it may lie `OBJECT.username`, `OBJECT.address`, `OBJECT.passphrase` and
/// `OBJECT-cert.pub`.
///
/// The first folder that has the file wins. Links are followed as long as they stay inside the folder.
pub struct FolderSource {
    inner: Arc<Inner>,
}

struct Inner {
    folders: Vec<PathBuf>,
    versions: VersionKey,
}

impl FolderSource {
    /// A source of the files below these folders, in order.
    pub fn new(folders: Vec<PathBuf>, versions: VersionKey) -> Self {
        Self { inner: Arc::new(Inner { folders, versions }) }
    }
}

#[async_trait]
impl CredentialSource for FolderSource {
    async fn fetch(&self, fetch: Fetch<'_>) -> Result<Credential, Failure> {
        let (inner, name) = (Arc::clone(&self.inner), fetch.credential.clone());
        blocking(move || inner.credential(&name)).await
    }
}

impl Inner {
    fn credential(&self, name: &CredentialRef) -> Result<Credential, Failure> {
        let (safe, objects) = components(name)?;
        if COMPANIONS.iter().any(|suffix| name.object().ends_with(suffix)) {
            return Err(invalid(
                name,
                "`.username`, `.address`, `.passphrase` and `-cert.pub` belong to another credential",
            ));
        }
        let path: PathBuf = if safe == "-" {
            if objects.len() > 1 {
                return Err(invalid(name, "a file below the safe `-` lies right in the folder"));
            }
            objects.iter().collect()
        } else {
            std::iter::once(&safe).chain(&objects).collect()
        };
        for folder in &self.folders {
            if let Some(secret) = read(name, folder, &path)? {
                return self.with_companions(name, folder, &path, without_newline(secret));
            }
        }
        Err(not_found(name))
    }

    fn with_companions(
        &self,
        name: &CredentialRef,
        folder: &Path,
        path: &Path,
        secret: Zeroizing<Vec<u8>>,
    ) -> Result<Credential, Failure> {
        let beside = |suffix: &str| {
            let mut companion = path.as_os_str().to_owned();
            companion.push(suffix);
            read(name, folder, Path::new(&companion))
        };
        let text = |what: &str, suffix: &str| match beside(suffix)? {
            Some(bytes) => plain_text(name, what, &bytes),
            None => Ok(None),
        };
        let username = text("user name", ".username")?;
        let address = text("address", ".address")?;
        let passphrase = beside(".passphrase")?.map(without_newline);
        let secret = match beside(CERTIFICATE)? {
            // Behind the key, where every source may have it.
            Some(certificate) if secret.trim_ascii_start().starts_with(b"-----BEGIN ") => {
                together(&secret, &certificate)
            }
            Some(_) => return Err(refused(name, "it has a certificate but is no private key")),
            None => secret,
        };
        assemble(name, &self.versions, username, address, secret, passphrase)
    }
}

/// Both with a line's end between them, in a buffer that never moves, so that no copy stays behind.
fn together(key: &[u8], certificate: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut both = Zeroizing::new(Vec::with_capacity(key.len() + certificate.len() + 1));
    both.extend_from_slice(key);
    both.push(b'\n');
    both.extend_from_slice(certificate);
    both
}

fn read(name: &CredentialRef, folder: &Path, path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, Failure> {
    let components: Vec<&OsStr> = path.iter().collect();
    let at = |reason: &dyn std::fmt::Display| {
        refused(name, format!("`{}` in `{}`: {reason}", path.display(), folder.display()))
    };
    let file: File = match open_beneath(folder, &components) {
        Ok(file) => file,
        Err(BeneathError::Missing) => return Ok(None),
        Err(error) => return Err(at(&error)),
    };
    match read_to_end(&file) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(SecretFileError::Missing) => Ok(None),
        Err(error) => Err(at(&error)),
    }
}
