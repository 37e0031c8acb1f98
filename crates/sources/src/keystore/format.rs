//! What is in the file.
//!
//! Two lines. The first is the header, as JSON in the clear: format, version, the id of the key, how the key is made
//! from a passphrase (if it is), and the nonce. The second is, in base64, the entries, sealed with
//! XChaCha20-Poly1305; the header's exact bytes are authenticated with them. Key and key id are
//! derived from the master key by BLAKE3, each for its own purpose.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use model::{Entropy, Secret, Timestamp};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use super::key::Derivation;
use super::{Entries, Entry, KeystoreError, MasterKey, MasterKeyError, Unlock};

const FORMAT: &str = "portcullis-keystore";
const VERSION: u32 = 1;
const SEALING: &str = "portcullis keystore 1 sealing key";
const KEY_ID: &str = "portcullis keystore 1 key id";

/// All entries, opened.
#[derive(Default)]
pub(super) struct Contents {
    pub(super) entries: Entries,
}

/// One entry, opened.
pub(super) struct StoredEntry {
    pub(super) username: Option<String>,
    pub(super) address: Option<String>,
    pub(super) secret: Zeroizing<String>,
    pub(super) passphrase: Option<Zeroizing<String>>,
    pub(super) updated: Timestamp,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: String,
    version: u32,
    key_id: String,
    derivation: Option<Derivation>,
    nonce: String,
}

/// Read first, so that a newer header is told apart from a foreign file.
#[derive(Deserialize)]
struct Marker {
    format: String,
    version: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    safe: String,
    object: String,
    username: Option<String>,
    address: Option<String>,
    secret: Wiped,
    /// Not written where there is none, so that programs from before it was thought of read the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    passphrase: Option<Wiped>,
    updated: i64,
}

/// A secret in base64: without anything to unescape, the parser keeps no copy of it.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Wiped(String);

impl Wiped {
    fn text(&self) -> Option<Zeroizing<String>> {
        let bytes = Zeroizing::new(STANDARD.decode(&self.0).ok()?);
        Some(Zeroizing::new(std::str::from_utf8(&bytes).ok()?.to_owned()))
    }
}

impl Drop for Wiped {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Makes the master key from what the operator has and what the header says.
pub(super) fn unlock(path: &Path, file: &[u8], unlock: Unlock) -> Result<MasterKey, KeystoreError> {
    let (header, _, _) = split(path, file)?;
    match (unlock, header.derivation) {
        (Unlock::Key(key), None) => Ok(key),
        (Unlock::Passphrase(passphrase), Some(derivation)) => Ok(MasterKey::derive(&passphrase, derivation)?),
        (Unlock::Key(_), Some(_)) | (Unlock::Passphrase(_), None) => {
            Err(KeystoreError::WrongMasterKey(path.to_owned()))
        }
    }
}

pub(super) fn open(path: &Path, file: &[u8], key: &MasterKey) -> Result<Contents, KeystoreError> {
    let (header, header_bytes, sealed) = split(path, file)?;
    let tampered = || KeystoreError::Tampered(path.to_owned());
    if header.key_id != key_id(key) {
        return Err(KeystoreError::WrongMasterKey(path.to_owned()));
    }
    let mut nonce = [0; 24];
    hex::decode_to_slice(&header.nonce, &mut nonce).map_err(|_| tampered())?;
    let sealed = STANDARD.decode(sealed).map_err(|_| tampered())?;
    let opened = cipher(key)
        .decrypt(&XNonce::from(nonce), Payload { msg: &sealed, aad: header_bytes })
        .map(Zeroizing::new)
        .map_err(|_| tampered())?;
    let rows: Vec<Row> = serde_json::from_slice(&opened).map_err(|_| tampered())?;
    let entries = rows.into_iter().map(Row::into_stored).collect::<Option<Entries>>().ok_or_else(tampered)?;
    Ok(Contents { entries })
}

pub(super) fn seal(
    path: &Path,
    contents: &Contents,
    key: &MasterKey,
    entropy: &dyn Entropy,
) -> Result<Vec<u8>, KeystoreError> {
    let mut nonce = [0; 24];
    entropy.fill(&mut nonce).map_err(MasterKeyError::from)?;
    let header = Header {
        format: FORMAT.to_owned(),
        version: VERSION,
        key_id: key_id(key),
        derivation: key.derivation.clone(),
        nonce: hex::encode(nonce),
    };
    let io = |error: serde_json::Error| super::file::io(path, error.into());
    let mut file = serde_json::to_vec(&header).map_err(io)?;
    let rows: Vec<Row> = contents.entries.iter().map(Row::from_stored).collect();
    // Room for the whole at once: a vector that grows leaves its old copies behind.
    let room = rows.iter().map(Row::room).sum::<usize>() + 16;
    let mut plain = Zeroizing::new(Vec::with_capacity(room));
    serde_json::to_writer(&mut *plain, &rows).map_err(io)?;
    let sealed = cipher(key)
        .encrypt(&XNonce::from(nonce), Payload { msg: &plain, aad: &file })
        .map_err(|_| KeystoreError::TooLarge(path.to_owned()))?;
    file.push(b'\n');
    file.extend_from_slice(STANDARD.encode(sealed).as_bytes());
    file.push(b'\n');
    Ok(file)
}

/// The header, its bytes, and the sealed part.
fn split<'a>(path: &Path, file: &'a [u8]) -> Result<(Header, &'a [u8], &'a [u8]), KeystoreError> {
    let foreign = || KeystoreError::NotAKeystore(path.to_owned());
    let mut lines = file.splitn(2, |byte| *byte == b'\n');
    let header_bytes = lines.next().ok_or_else(foreign)?;
    let marker: Marker = serde_json::from_slice(header_bytes).map_err(|_| foreign())?;
    if marker.format != FORMAT {
        return Err(foreign());
    }
    if marker.version > VERSION {
        return Err(KeystoreError::Newer { path: path.to_owned(), version: marker.version });
    }
    let tampered = || KeystoreError::Tampered(path.to_owned());
    let header: Header = serde_json::from_slice(header_bytes).map_err(|_| tampered())?;
    let sealed = lines.next().and_then(|rest| rest.strip_suffix(b"\n")).ok_or_else(tampered)?;
    Ok((header, header_bytes, sealed))
}

fn cipher(key: &MasterKey) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new((&*key.subkey(SEALING)).into())
}

fn key_id(key: &MasterKey) -> String {
    hex::encode(key.subkey(KEY_ID).first_chunk::<16>().unwrap_or(&[0; 16]))
}

impl StoredEntry {
    pub(super) fn from_entry(entry: Entry, updated: Timestamp) -> Result<Self, KeystoreError> {
        let bad = |what| Err(KeystoreError::BadEntry(what));
        let Entry { username, address, secret, passphrase } = entry;
        let plain = |text: &Option<String>| {
            text.as_ref().is_none_or(|text| text.len() <= 256 && !text.chars().any(char::is_control))
        };
        if !plain(&username) || !plain(&address) {
            return bad("user name and address have at most 256 bytes and no control characters");
        }
        if secret.expose().is_empty() {
            return bad("the secret is empty");
        }
        if secret.expose().len() > broker::SECRET_MAX {
            return bad("the secret is larger than 64 KiB");
        }
        if let Some(passphrase) = &passphrase {
            if !secret.expose().trim_start().starts_with("-----BEGIN ") {
                return bad("a passphrase belongs to a private key, and the secret is none");
            }
            if passphrase.expose().is_empty() || passphrase.expose().len() > 1024 {
                return bad("a passphrase has 1 to 1024 bytes");
            }
        }
        let wiped = |secret: &Secret<String>| Zeroizing::new(secret.expose().clone());
        let (secret, passphrase) = (wiped(&secret), passphrase.as_ref().map(wiped));
        let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
        Ok(Self { username: filled(username), address: filled(address), secret, passphrase, updated })
    }

    pub(super) fn into_entry(mut self) -> Entry {
        let secret = Secret::new(std::mem::take(&mut *self.secret));
        let passphrase = self.passphrase.as_mut().map(|text| Secret::new(std::mem::take(&mut **text)));
        Entry { username: self.username, address: self.address, secret, passphrase }
    }
}

impl Row {
    fn from_stored(((safe, object), stored): (&super::EntryKey, &StoredEntry)) -> Self {
        Self {
            safe: safe.clone(),
            object: object.clone(),
            username: stored.username.clone(),
            address: stored.address.clone(),
            secret: Wiped(STANDARD.encode(stored.secret.as_bytes())),
            passphrase: stored.passphrase.as_ref().map(|text| Wiped(STANDARD.encode(text.as_bytes()))),
            updated: stored.updated.as_millis(),
        }
    }

    fn into_stored(self) -> Option<(super::EntryKey, StoredEntry)> {
        let secret = self.secret.text()?;
        let passphrase = match &self.passphrase {
            Some(passphrase) => Some(passphrase.text()?),
            None => None,
        };
        let updated = Timestamp::from_millis(self.updated);
        let stored =
            StoredEntry { username: self.username, address: self.address, secret, passphrase, updated };
        Some(((self.safe, self.object), stored))
    }

    /// At least as many bytes as its JSON takes; a byte of text can become six.
    fn room(&self) -> usize {
        let optional = |text: &Option<String>| text.as_ref().map_or(4, |text| text.len() * 6);
        let texts =
            (self.safe.len() + self.object.len()) * 6 + optional(&self.username) + optional(&self.address);
        let secrets = self.secret.0.len() + self.passphrase.as_ref().map_or(0, |text| text.0.len());
        texts + secrets + 160
    }
}
