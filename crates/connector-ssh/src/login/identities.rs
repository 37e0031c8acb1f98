//! The one key that is looked for among those an SSH agent lists.
//!
//! Read here and not by russh, which gives up the whole list for one key of a kind it does not know.

use russh::keys::{Certificate, HashAlg, PublicKey};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::agent::AgentDoubt;
use super::certificate::nested;

/// The longest answer that is read, as in OpenSSH.
const LONGEST: u32 = 256 * 1024;
/// Most keys that are looked at, as in OpenSSH.
const MOST: u32 = 2048;

const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;

/// What the agent has of the key that was looked for.
#[derive(Default)]
pub(super) struct Identities {
    pub(super) key: Option<PublicKey>,
    pub(super) certificate: Option<Certificate>,
}

/// Asks for all keys and keeps the one with this fingerprint.
pub(super) async fn list(
    agent: &mut (impl AsyncRead + AsyncWrite + Unpin),
    fingerprint: &str,
) -> Result<Identities, AgentDoubt> {
    let answer = ask(agent).await.map_err(|error| AgentDoubt::Odd(error.to_string()))?;
    found(&answer, fingerprint).ok_or_else(|| AgentDoubt::Odd("its answer is no list of keys".to_owned()))
}

async fn ask(agent: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> std::io::Result<Vec<u8>> {
    agent.write_all(&[0, 0, 0, 1, REQUEST_IDENTITIES]).await?;
    let length = agent.read_u32().await?;
    if length > LONGEST {
        return Err(std::io::Error::other("its answer is too long"));
    }
    let mut answer = Vec::new();
    agent.take(u64::from(length)).read_to_end(&mut answer).await?;
    Ok(answer)
}

fn found(answer: &[u8], fingerprint: &str) -> Option<Identities> {
    let (kind, mut rest) = answer.split_first()?;
    let count = take_number(&mut rest)?;
    if *kind != IDENTITIES_ANSWER || count > MOST {
        return None;
    }
    let mut found = Identities::default();
    for _ in 0..count {
        let (blob, _comment) = (take_text(&mut rest)?, take_text(&mut rest)?);
        if nested(blob) {
            continue;
        }
        match Certificate::from_bytes(blob) {
            Ok(certificate) if is(certificate.public_key().fingerprint(HashAlg::Sha256), fingerprint) => {
                found.key.get_or_insert_with(|| PublicKey::new(certificate.public_key().clone(), ""));
                found.certificate.get_or_insert(certificate);
            }
            Ok(_) => {}
            Err(_) => match PublicKey::from_bytes(blob) {
                Ok(key) if is(key.fingerprint(HashAlg::Sha256), fingerprint) => found.key = Some(key),
                // Of other kinds, or not ours: none of our business.
                Ok(_) | Err(_) => {}
            },
        }
    }
    Some(found)
}

fn is(own: russh::keys::ssh_key::Fingerprint, wanted: &str) -> bool {
    own.to_string() == wanted
}

fn take_number(rest: &mut &[u8]) -> Option<u32> {
    let (number, behind) = rest.split_first_chunk::<4>()?;
    *rest = behind;
    Some(u32::from_be_bytes(*number))
}

fn take_text<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(take_number(rest)?).ok()?;
    let (text, behind) = rest.split_at_checked(length)?;
    *rest = behind;
    Some(text)
}
