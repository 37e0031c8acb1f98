//! Which host keys are known: our own matcher over `known_hosts` files as OpenSSH writes them.
//!
//! It fails closed where the common ones do not: an unreadable file or a marked line that cannot be read is an
//! error, a key of another algorithm for a known host is a changed key, and a revoked key stays revoked
//! whatever other files say.

mod certificate;
mod entry;
mod files;
mod known_as;
mod shown;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use model::Timestamp;
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, HashAlg, PublicKey};

pub use self::certificate::BadCertificate;
pub(crate) use self::certificate::{in_time, names as principals};
pub use self::entry::Entry;
use self::entry::Unusable;
pub use self::files::HostKeyFiles;
pub use self::known_as::KnownAs;
pub use self::shown::Shown;

/// A known hosts file larger than this is refused.
const LARGEST_FILE: u64 = 16 * 1024 * 1024;

/// The entries of some known hosts files, in order.
#[derive(Debug, Clone, Default)]
pub struct KnownHosts {
    entries: Vec<Entry>,
    missing: Vec<PathBuf>,
    skipped: usize,
}

/// What the files say about a key that a host showed.
#[derive(Debug, Clone)]
pub enum Standing {
    /// An entry of this host has exactly this key, or its authority has signed a certificate that passes.
    Trusted,
    /// No entry speaks of this host.
    Unknown {
        /// Whether a `@cert-authority` line does, and the host did not show what that authority signed.
        authority: bool,
    },
    /// An authority that is known for this host signed the certificate, but it does not pass.
    Uncertified {
        /// The authority's line.
        by: Box<Entry>,
        /// What is wrong with the certificate.
        why: BadCertificate,
    },
    /// Entries speak of this host, with other keys.
    Changed {
        /// Those entries.
        known: Vec<Entry>,
    },
    /// The key is revoked.
    Revoked {
        /// The line that says so.
        by: Box<Entry>,
    },
}

/// A line that would make a key the authority for some hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorityLine {
    /// The key's algorithm, as `ssh-ed25519`.
    pub algorithm: String,
    /// Its fingerprint, as `SHA256:...`.
    pub fingerprint: String,
    /// The line.
    pub line: String,
}

/// A known hosts file that cannot be used, so no host key can be checked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("known hosts file `{}`{}: {reason}", file.display(), line.map(|n| format!(" line {n}")).unwrap_or_default())]
pub struct KnownHostsError {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1, if it is one line's fault.
    pub line: Option<usize>,
    /// What is wrong.
    pub reason: String,
}

impl KnownHosts {
    /// Reads files in order. A missing file has no entries (see [`Self::missing`]); one that cannot be read is an error.
    pub fn load(files: &[PathBuf]) -> Result<Self, KnownHostsError> {
        let mut all = Self::default();
        for file in files {
            match read(file)? {
                Some(bytes) => all.take_in(file, &String::from_utf8_lossy(&bytes))?,
                None => all.missing.push(file.clone()),
            }
        }
        Ok(all)
    }

    /// What is known about what a host has `shown`, at this time.
    ///
    /// As OpenSSH does: a certificate whose authority is not known, or that does not pass, is looked at once more as
    /// the bare key it holds, which may be known by itself. A revoked key is so under every name of the host, also under
    /// one that nothing else is looked up by.
    pub fn judge(&self, host: &KnownAs, shown: &Shown, now: Timestamp) -> Standing {
        let (name, bare) = self.names(host);
        let certificate = shown.certificate();
        let in_it = |entry: &Entry| {
            entry.has_key(shown.key().key_data())
                || certificate.is_some_and(|c| entry.has_key(c.signature_key()))
        };
        let of_host = host.every_name();
        let revoked =
            |entry: &&Entry| entry.revokes() && in_it(entry) && of_host.iter().any(|name| entry.covers(name));
        if let Some(by) = self.entries.iter().find(revoked) {
            return Standing::Revoked { by: Box::new(by.clone()) };
        }
        let mut refused = None;
        if let Some(certificate) = certificate
            && let Some(by) = self.authority(&name, &bare, certificate.signature_key())
        {
            // Authorities certify addresses: which jump host one lies behind is our business.
            match certificate::check(certificate, &host.plain().1, now) {
                Ok(()) => return Standing::Trusted,
                Err(why) => refused = Some(Standing::Uncertified { by: Box::new(by.clone()), why }),
            }
        }
        match (self.bare_key(&name, &bare, shown.key().key_data()), refused) {
            (Standing::Trusted, _) => Standing::Trusted,
            (_, Some(refused)) => refused,
            (standing, None) => standing,
        }
    }

    /// Whether some authority may vouch for this host, so that a certificate is worth asking for.
    pub fn has_authority(&self, host: &KnownAs) -> bool {
        let (name, bare) = self.names(host);
        self.entries.iter().any(|e| e.is_authority() && (e.vouches_for(&name) || e.vouches_for(&bare)))
    }

    /// The line of the authority with this key that may vouch for this host.
    fn authority(&self, name: &str, bare: &str, key: &KeyData) -> Option<&Entry> {
        let of = |name: &str| {
            self.entries.iter().find(|e| e.is_authority() && e.has_key(key) && e.vouches_for(name))
        };
        of(name).or_else(|| of(bare))
    }

    fn bare_key(&self, name: &str, bare: &str, key: &KeyData) -> Standing {
        let known: Vec<&Entry> = self.plain(name).collect();
        if known.iter().any(|entry| entry.has_key(key)) {
            return Standing::Trusted;
        }
        if !known.is_empty() {
            return Standing::Changed { known: known.into_iter().cloned().collect() };
        }
        // As OpenSSH does: the very key that is known without a port is trusted on any port.
        if self.plain(bare).any(|entry| entry.has_key(key)) {
            return Standing::Trusted;
        }
        let authority = |e: &Entry| e.is_authority() && (e.vouches_for(name) || e.vouches_for(bare));
        Standing::Unknown { authority: self.entries.iter().any(authority) }
    }

    /// The algorithms of the keys that are known for this host, so that they are asked for first.
    pub fn algorithms(&self, host: &KnownAs) -> Vec<Algorithm> {
        let (name, bare) = self.names(host);
        let of = |name: &str| self.plain(name).map(|entry| entry.key.algorithm()).collect::<Vec<_>>();
        let exact = of(&name);
        if exact.is_empty() { of(&bare) } else { exact }
    }

    /// The name that entries of this host have, and the one without a port: behind a jump host its own, where a key is
    /// known under that or an authority is named for it, else the plain one.
    fn names(&self, host: &KnownAs) -> (String, String) {
        let authority = |name: &str| self.entries.iter().any(|e| e.is_authority() && e.is_scoped_to(name));
        let known = |name: &str| self.plain(name).next().is_some() || authority(name);
        host.scoped().filter(|(name, bare)| known(name) || known(bare)).unwrap_or_else(|| host.plain())
    }

    /// The lines of trusted keys that speak of this name.
    fn plain<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Entry> {
        self.entries.iter().filter(move |entry| entry.marker.is_none() && entry.vouches_for(name))
    }

    /// Every usable entry, in order.
    pub fn list(&self) -> &[Entry] {
        &self.entries
    }

    /// Files that are not there.
    pub fn missing(&self) -> &[PathBuf] {
        &self.missing
    }

    /// How many lines were neither blank, nor comments, nor usable.
    pub fn skipped(&self) -> usize {
        self.skipped
    }

    /// Adds a line, as [`crate::ScannedKey::line`] has it, to a file; makes the file if it is not there.
    pub fn append(file: &Path, line: &str) -> Result<(), KnownHostsError> {
        if line.contains(['\n', '\r']) || Entry::parse(file, 0, line).is_err() {
            return Err(problem(file, None, "the new line is not a known hosts entry"));
        }
        files::append(file, line)
    }

    /// Revokes an entry's key, an authority's too, for the hosts that these patterns fit, by a line in `file`. `*` is
    /// every host.
    pub fn revoke(file: &Path, entry: &Entry, hosts: &str) -> Result<(), KnownHostsError> {
        let key = PublicKey::new(entry.key.key_data().clone(), "").to_openssh();
        let key = key.map_err(|_| problem(file, None, "the key cannot be written"))?;
        let hosts = patterns(hosts).ok_or_else(|| problem(file, None, NO_PATTERNS))?;
        files::append(file, &format!("@revoked {hosts} {key}"))
    }

    /// The line that makes a public key, as its file has it, the authority for the hosts that these patterns fit.
    pub fn authority_line(hosts: &str, key: &str) -> Result<AuthorityLine, String> {
        let hosts = patterns(hosts).ok_or(NO_PATTERNS)?;
        let key = PublicKey::from_openssh(key.trim()).map_err(|_| "it is no public key in OpenSSH's form")?;
        crate::algorithms::acceptable(&key)?;
        let bare =
            PublicKey::new(key.key_data().clone(), "").to_openssh().map_err(|error| error.to_string())?;
        Ok(AuthorityLine {
            algorithm: key.algorithm().to_string(),
            fingerprint: key.fingerprint(HashAlg::Sha256).to_string(),
            line: format!("@cert-authority {hosts} {bare}"),
        })
    }

    fn take_in(&mut self, file: &Path, text: &str) -> Result<(), KnownHostsError> {
        for (number, line) in (1..).zip(text.lines()) {
            match Entry::parse(file, number, line) {
                Ok(entry) => self.entries.push(entry),
                Err(Unusable::Nothing) => {}
                Err(Unusable::Skipped) => self.skipped += 1,
                Err(Unusable::Dangerous(reason)) => return Err(problem(file, Some(number), reason)),
            }
        }
        Ok(())
    }
}

/// What is said of patterns that are none.
const NO_PATTERNS: &str =
    "the hosts are patterns as known hosts files have them: `web1`, `*.example.net`, `[web1]:2222`";

/// Patterns that mean in a known hosts file what they mean here; a hashed name is none.
fn patterns(hosts: &str) -> Option<&str> {
    let fit = !hosts.is_empty()
        && hosts.len() <= 1024
        && !hosts.starts_with(['@', '#', '|'])
        && hosts.chars().all(|c| c.is_ascii_graphic());
    fit.then_some(hosts)
}

fn read(file: &Path) -> Result<Option<Vec<u8>>, KnownHostsError> {
    let size = match std::fs::metadata(file) {
        Ok(about) => about.len(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(problem(file, None, &format!("cannot be read: {error}"))),
    };
    if size > LARGEST_FILE {
        return Err(problem(file, None, "is larger than 16 MiB"));
    }
    std::fs::read(file).map(Some).map_err(|error| problem(file, None, &format!("cannot be read: {error}")))
}

fn problem(file: &Path, line: Option<usize>, reason: &str) -> KnownHostsError {
    KnownHostsError { file: file.to_owned(), line, reason: reason.to_owned() }
}
