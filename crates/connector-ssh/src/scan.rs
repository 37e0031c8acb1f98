//! Looking at a host's keys without logging in, for the operator who compares fingerprints.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use russh::client::Config;
use russh::keys::{Algorithm, EcdsaCurve, HashAlg, PublicKey};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::algorithms;
use crate::gatekeeper::{Gatekeeper, KeyCheck, Seen};
use crate::leash::{Allowance, Leashed};

/// How long each key may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// What a host may send for one key.
const MOST_BYTES: u64 = 256 * 1024;

/// A key that a host showed. Nothing says yet that it is the right one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScannedKey {
    /// Its algorithm, as `ssh-ed25519`.
    pub algorithm: String,
    /// Its fingerprint, as `SHA256:...`.
    pub fingerprint: String,
    /// The line that would make it known.
    pub line: String,
}

/// Why no key could be seen.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The name has no address, or none of its addresses accepts.
    #[error("`{address}` port {port} cannot be reached: {reason}")]
    Unreachable {
        /// As it was given.
        address: String,
        /// As it was given.
        port: u16,
        /// What the system said.
        reason: String,
    },
    /// Something answers, and shows no key of a kind that is accepted.
    #[error("`{address}` port {port} shows no host key of a kind that is accepted")]
    NoKey {
        /// As it was given.
        address: String,
        /// As it was given.
        port: u16,
    },
}

/// Asks a host for a key of every accepted algorithm, one connection each.
pub async fn scan(address: &str, port: u16) -> Result<Vec<ScannedKey>, ScanError> {
    let unreachable = |reason: String| ScanError::Unreachable { address: address.to_owned(), port, reason };
    let found =
        tokio::net::lookup_host((address, port)).await.map_err(|error| unreachable(error.to_string()))?;
    let candidates: Vec<SocketAddr> = found.collect();
    let mut keys = Vec::new();
    for algorithms in kinds() {
        let stream = connect(&candidates).await.map_err(unreachable)?;
        if let Some(key) = show(stream, algorithms).await {
            keys.push(scanned(&key, address, port));
        }
    }
    if keys.is_empty() { Err(ScanError::NoKey { address: address.to_owned(), port }) } else { Ok(keys) }
}

/// One group per kind of key.
fn kinds() -> [Vec<Algorithm>; 5] {
    let ecdsa = |curve| vec![Algorithm::Ecdsa { curve }];
    [
        vec![Algorithm::Ed25519],
        ecdsa(EcdsaCurve::NistP256),
        ecdsa(EcdsaCurve::NistP384),
        ecdsa(EcdsaCurve::NistP521),
        vec![Algorithm::Rsa { hash: Some(HashAlg::Sha512) }, Algorithm::Rsa { hash: Some(HashAlg::Sha256) }],
    ]
}

async fn connect(candidates: &[SocketAddr]) -> Result<TcpStream, String> {
    let mut told = "the name has no address".to_owned();
    for candidate in candidates {
        match tokio::time::timeout(PATIENCE, TcpStream::connect(candidate)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => told = error.to_string(),
            Err(_) => "no answer".clone_into(&mut told),
        }
    }
    Err(told)
}

async fn show(stream: TcpStream, algorithms: Vec<Algorithm>) -> Option<PublicKey> {
    let leash = CancellationToken::new();
    let _end = leash.clone().drop_guard();
    let stream = Leashed::new(stream, leash, Allowance::new(MOST_BYTES));
    let config = Config { preferred: algorithms::only(algorithms), ..Config::default() };
    let seen = Arc::new(Seen::default());
    let gatekeeper = Gatekeeper::new(KeyCheck::Scan, Arc::clone(&seen));
    let handshake = tokio::spawn(russh::client::connect_stream(Arc::new(config), stream, gatekeeper));
    // It always fails: the gatekeeper refuses every key once it has seen it.
    let _ = tokio::time::timeout(PATIENCE, handshake).await;
    seen.shown().map(|shown| shown.key().clone())
}

fn scanned(key: &PublicKey, address: &str, port: u16) -> ScannedKey {
    let bare = PublicKey::new(key.key_data().clone(), "").to_openssh().unwrap_or_default();
    let host = if port == 22 {
        address.to_ascii_lowercase()
    } else {
        format!("[{}]:{port}", address.to_ascii_lowercase())
    };
    ScannedKey {
        algorithm: key.algorithm().to_string(),
        fingerprint: key.fingerprint(HashAlg::Sha256).to_string(),
        line: format!("{host} {bare}"),
    }
}
