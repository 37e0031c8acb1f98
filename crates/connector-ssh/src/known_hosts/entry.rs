//! One line of a known hosts file, and whether it speaks of a host.

use std::path::{Path, PathBuf};

use hmac::{Hmac, KeyInit, Mac};
use russh::keys::ssh_key::known_hosts::{HostPatterns, Marker};
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{HashAlg, PublicKey};
use sha1::Sha1;

/// One usable line of a known hosts file.
#[derive(Debug, Clone)]
pub struct Entry {
    pub(super) file: PathBuf,
    pub(super) line: usize,
    pub(super) marker: Option<Marker>,
    pub(super) hosts: HostPatterns,
    pub(super) key: PublicKey,
}

/// Why a line says nothing that can be used.
pub(super) enum Unusable {
    /// Blank, or a comment.
    Nothing,
    /// Not an entry, or one with a key that no connection could ever use; ignoring it trusts nobody.
    Skipped,
    /// A marked line whose meaning would be lost: ignoring it could trust a revoked key.
    Dangerous(&'static str),
}

impl Entry {
    /// The file it is in.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The line's number in it, from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    /// Whether the line revokes its key.
    pub fn revokes(&self) -> bool {
        self.marker == Some(Marker::Revoked)
    }

    /// Whether the line's key is a certificate authority's.
    pub fn is_authority(&self) -> bool {
        self.marker == Some(Marker::CertAuthority)
    }

    /// The hosts as written; a hashed name stays hashed.
    pub fn hosts(&self) -> String {
        self.hosts.to_string()
    }

    /// The key's algorithm, as `ssh-ed25519`.
    pub fn algorithm(&self) -> String {
        self.key.algorithm().to_string()
    }

    /// The key's fingerprint, as `SHA256:...`.
    pub fn fingerprint(&self) -> String {
        self.key.fingerprint(HashAlg::Sha256).to_string()
    }

    /// Where the line is, for messages.
    pub fn place(&self) -> String {
        format!("{}:{}", self.file.display(), self.line)
    }

    pub(super) fn parse(file: &Path, line: usize, text: &str) -> Result<Self, Unusable> {
        let text = text.trim();
        if text.is_empty() || text.starts_with('#') {
            return Err(Unusable::Nothing);
        }
        let mut fields = text.split_ascii_whitespace().peekable();
        let marked = fields.next_if(|field| field.starts_with('@'));
        let lost = || {
            if marked.is_some() {
                Unusable::Dangerous("a marked line that cannot be read")
            } else {
                Unusable::Skipped
            }
        };
        let marker = match marked {
            Some(marker) => Some(marker.parse().map_err(|_| Unusable::Dangerous("an unknown marker"))?),
            None => None,
        };
        let (Some(hosts), Some(algorithm), Some(key)) = (fields.next(), fields.next(), fields.next()) else {
            return Err(lost());
        };
        let hosts: HostPatterns = hosts.parse().map_err(|_| lost())?;
        let key = match PublicKey::from_openssh(&format!("{algorithm} {key}")) {
            Ok(key) => key,
            // A key of an algorithm that is never negotiated cannot be trusted by any connection, so losing
            // the line loses nothing.
            Err(_) if !is_negotiated(algorithm) => return Err(Unusable::Skipped),
            Err(_) => return Err(lost()),
        };
        Ok(Self { file: file.to_owned(), line, marker, hosts, key })
    }

    /// Whether the line speaks of this name: a host in lower case, or `[host]:port`.
    pub fn covers(&self, name: &str) -> bool {
        match &self.hosts {
            HostPatterns::Patterns(patterns) => patterns_cover(patterns, name),
            HostPatterns::HashedName { salt, hash } => hashed(salt, name).is_some_and(|own| own == *hash),
        }
    }

    /// Whether the line speaks for a host of this name. Who leaves an address out (`!10.0.0.5`) leaves it out behind
    /// every jump host, too.
    pub(super) fn vouches_for(&self, name: &str) -> bool {
        self.covers(name) && !self.leaves_out(&without_scope(name))
    }

    /// Whether it is written for hosts behind a jump host, `ADDRESS%ALIAS`, and covers this one not only because it
    /// covers everybody.
    pub(super) fn is_scoped_to(&self, name: &str) -> bool {
        let scoped =
            |pattern: &String| pattern.contains('%') && patterns_cover(std::slice::from_ref(pattern), name);
        match &self.hosts {
            HostPatterns::Patterns(patterns) => self.vouches_for(name) && patterns.iter().any(scoped),
            HostPatterns::HashedName { .. } => self.covers(name),
        }
    }

    fn leaves_out(&self, name: &str) -> bool {
        let negated = |pattern: &String| {
            let pattern = pattern.to_ascii_lowercase();
            pattern.strip_prefix('!').is_some_and(|negated| fits(negated.as_bytes(), name.as_bytes()))
        };
        match &self.hosts {
            HostPatterns::Patterns(patterns) => patterns.iter().any(negated),
            HostPatterns::HashedName { .. } => false,
        }
    }

    pub(super) fn has_key(&self, key: &KeyData) -> bool {
        self.key.key_data() == key
    }
}

/// `10.0.0.5` for `10.0.0.5%bastion`, with the port if there is one.
fn without_scope(name: &str) -> String {
    let Some((address, rest)) = name.split_once('%') else { return name.to_owned() };
    let port = rest.find(']').and_then(|end| rest.get(end..)).unwrap_or_default();
    format!("{address}{port}")
}

fn is_negotiated(algorithm: &str) -> bool {
    algorithm == "ssh-ed25519" || algorithm == "ssh-rsa" || algorithm.starts_with("ecdsa-sha2-")
}

fn hashed(salt: &[u8], name: &str) -> Option<[u8; 20]> {
    let mut mac = Hmac::<Sha1>::new_from_slice(salt).ok()?;
    mac.update(name.as_bytes());
    Some(mac.finalize().into_bytes().into())
}

/// A negated pattern that fits ends the whole line, wherever it stands.
fn patterns_cover(patterns: &[String], name: &str) -> bool {
    let mut covered = false;
    for pattern in patterns {
        let pattern = pattern.to_ascii_lowercase();
        match pattern.strip_prefix('!') {
            Some(negated) if fits(negated.as_bytes(), name.as_bytes()) => return false,
            Some(_) => {}
            None => covered |= fits(pattern.as_bytes(), name.as_bytes()),
        }
    }
    covered
}

/// `*` is any run of characters, `?` exactly one. Steps back to the last `*` only, so the time is bounded by
/// the product of both lengths.
pub(super) fn fits(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at_pattern, mut at_name) = (0, 0);
    let mut last_star: Option<(usize, usize)> = None;
    while let Some(c) = name.get(at_name) {
        match pattern.get(at_pattern) {
            Some(b'*') => {
                last_star = Some((at_pattern + 1, at_name));
                at_pattern += 1;
            }
            Some(p) if *p == b'?' || p == c => {
                at_pattern += 1;
                at_name += 1;
            }
            Some(_) | None => match last_star {
                Some((after_star, taken)) => {
                    last_star = Some((after_star, taken + 1));
                    at_pattern = after_star;
                    at_name = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern.get(at_pattern..).is_some_and(|rest| rest.iter().all(|c| *c == b'*'))
}
