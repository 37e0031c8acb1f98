//! The hash chain: how a line is closed, and how one is checked. `docs/audit-format.md` says the same in words.

use std::borrow::Cow;
use std::io::Write as _;

use model::Timestamp;
use serde::Deserialize;
use sha2::{Digest, Sha256};

/// Where a chain has come to: the last entry's number and hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ChainHead {
    pub(crate) seq: u64,
    pub(crate) hash: [u8; 32],
}

impl ChainHead {
    /// Before the first entry.
    pub(crate) const GENESIS: Self = Self { seq: 0, hash: [0; 32] };

    /// Appends the line of the next entry to `out`; `members` is its body's members without braces.
    pub(crate) fn extend(&mut self, ts: Timestamp, members: &str, out: &mut Vec<u8>) {
        let seq = self.seq.saturating_add(1);
        let begin = out.len();
        // Writing to memory cannot fail.
        let _ = write!(out, "{{\"seq\":{seq},\"ts\":\"{ts}\",");
        out.extend_from_slice(members.as_bytes());
        out.extend_from_slice(b",\"prev\":\"");
        push_hex(out, &self.hash);
        out.push(b'"');
        let hash = digest(&self.hash, out.get(begin..).unwrap_or_default());
        *self = Self { seq, hash };
        out.extend_from_slice(HASH.as_bytes());
        push_hex(out, &hash);
        out.extend_from_slice(b"\"}\n");
    }
}

fn push_hex(out: &mut Vec<u8>, hash: &[u8; 32]) {
    let mut digits = [0; 64];
    // Cannot fail: there is room for two digits for each byte.
    let _ = hex::encode_to_slice(hash, &mut digits);
    out.extend_from_slice(&digits);
}

const HASH: &str = ",\"hash\":\"";
/// Bytes of the hash member and the closing brace.
const TAIL: usize = HASH.len() + 64 + 2;

/// The hash of a line whose text up to the `hash` member is `open`; the closing brace belongs to it.
fn digest(prev: &[u8; 32], open: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(prev).chain_update(open).chain_update(b"}").finalize().into()
}

/// What a checked line says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) seq: u64,
    pub(crate) prev: [u8; 32],
    pub(crate) hash: [u8; 32],
    pub(crate) ts: String,
    pub(crate) id: String,
    pub(crate) phase: String,
    pub(crate) event: String,
}

/// Why a line by itself is no entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// It has not the form of an entry.
    Form,
    /// Its hash is not the hash of its bytes.
    Hash,
}

#[derive(Deserialize)]
struct Essentials<'a> {
    seq: u64,
    #[serde(borrow)]
    ts: Cow<'a, str>,
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    phase: Cow<'a, str>,
    #[serde(borrow)]
    event: Cow<'a, str>,
    #[serde(borrow)]
    prev: Cow<'a, str>,
    #[serde(borrow)]
    hash: Cow<'a, str>,
}

impl Link {
    /// Checks one line (without its newline) by itself: its form, and its hash over its bytes and its own `prev`.
    pub(crate) fn read(line: &[u8]) -> Result<Self, Flaw> {
        let essentials: Essentials<'_> = serde_json::from_slice(line).map_err(|_| Flaw::Form)?;
        let (open, tail) =
            line.len().checked_sub(TAIL).and_then(|at| line.split_at_checked(at)).ok_or(Flaw::Form)?;
        let prev = raw(&essentials.prev).ok_or(Flaw::Form)?;
        let hash = raw(&essentials.hash).ok_or(Flaw::Form)?;
        if tail != format!("{HASH}{}\"}}", essentials.hash).as_bytes() {
            return Err(Flaw::Form);
        }
        if digest(&prev, open) != hash {
            return Err(Flaw::Hash);
        }
        Ok(Self {
            seq: essentials.seq,
            prev,
            hash,
            ts: essentials.ts.into_owned(),
            id: essentials.id.into_owned(),
            phase: essentials.phase.into_owned(),
            event: essentials.event.into_owned(),
        })
    }

    pub(crate) fn head(&self) -> ChainHead {
        ChainHead { seq: self.seq, hash: self.hash }
    }
}

/// 64 lower-case hexadecimal digits as bytes.
pub(crate) fn raw(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    text.bytes().all(|b| !b.is_ascii_uppercase()).then_some(bytes)
}
