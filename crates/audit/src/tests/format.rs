//! `docs/audit-format.md`: its test vectors are what the journal writes, and a second verifier, written here
//! from that page alone and sharing nothing with the crate, comes to the same results.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use model::{BootInstant, Clock, Tier, Timestamp};
use serde_json::{Map, Value, json};

use super::{answer, check_anchored, executed, file, origin, permit, policy, principal, tool};
use crate::test_util::{TestEntropy, test_config, test_public_key};
use crate::{Event, Journal, JournalConfig, Origin};

/// A clock that stands still, so that vectors are the same in every run.
struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_790_000_000_000)
    }

    fn boot(&self) -> BootInstant {
        BootInstant::new(std::time::Duration::from_secs(1000))
    }

    fn boot_id(&self) -> &str {
        "still"
    }
}

/// The journal of the vectors: a call, a denial, a reload, and a full file.
async fn write_vectors(dir: &Path) {
    let config = JournalConfig { max_file_bytes: 1500, ..test_config(dir) };
    let journal = Journal::open(config, Arc::new(Still), Arc::new(TestEntropy::starting_at(0))).unwrap();
    let mut pending = journal.pending(&principal(), origin(), &tool());
    journal.begin(&mut pending, permit(Tier::Dangerous), policy).await.unwrap();
    journal.complete(pending, &executed(), answer()).await.unwrap();
    let fields = Map::from_iter([("note".to_owned(), json!("left\u{202e}right, ümlaut"))]);
    let reloaded =
        Event { event: "config_reloaded", principal: None, origin: Origin::default(), tool: None, fields };
    journal.event(reloaded).await.unwrap();
    let mut left_open = journal.pending(&principal(), origin(), &tool());
    journal.begin(&mut left_open, permit(Tier::Read), policy).await.unwrap();
    journal.shutdown().await.unwrap();
}

fn page() -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/audit-format.md");
    std::fs::read_to_string(path).unwrap()
}

/// The fenced blocks of the page by the name after `vector=`.
fn vectors() -> BTreeMap<String, String> {
    let page = page();
    let mut found = BTreeMap::new();
    let mut rest = page.as_str();
    while let Some((_, after)) = rest.split_once("vector=") {
        let (name, after) = after.split_once('\n').unwrap();
        let (block, after) = after.split_once("```").unwrap();
        found.insert(name.trim().to_owned(), block.to_owned());
        rest = after;
    }
    found
}

#[tokio::test]
async fn the_vectors_of_the_page_are_what_the_journal_writes() {
    let dir = tempfile::tempdir().unwrap();
    write_vectors(dir.path()).await;
    let read = |path: PathBuf| std::fs::read_to_string(path).unwrap();
    let seal_key = format!("portcullis-audit-seal-key-v1 {}\n", STANDARD.encode([9; 32]));
    let expected = [
        ("000001.jsonl", read(file(dir.path(), 1))),
        ("000002.jsonl", read(file(dir.path(), 2))),
        ("audit-heads.jsonl", read(dir.path().join("heads.jsonl"))),
        ("audit.key.pub", format!("{}\n", test_public_key())),
        ("audit-seal.key", seal_key),
        ("command", format!("{}\n", super::COMMAND)),
    ];

    let vectors = vectors();
    for (name, text) in expected {
        assert!(vectors.get(name) == Some(&text), "`{name}` in docs/audit-format.md should be:\n{text}");
    }
}

#[test]
fn a_second_verifier_written_from_the_page_agrees() {
    let vectors = vectors();
    let files = [vectors["000001.jsonl"].as_str(), vectors["000002.jsonl"].as_str()];
    let hashes = second::chain(&files).unwrap();
    assert_eq!(
        second::heads(&vectors["audit-heads.jsonl"], &vectors["audit.key.pub"], &hashes),
        Ok(hashes.len())
    );
    let intent: Value = serde_json::from_str(files[0].lines().nth(1).unwrap()).unwrap();
    assert_eq!(second::unseal(&intent, &vectors["audit-seal.key"]), vectors["command"].trim_end());
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(super::folder(dir.path())).unwrap();
    for (number, text) in (1..).zip(files) {
        std::fs::write(file(dir.path(), number), text).unwrap();
    }
    std::fs::write(dir.path().join("heads.jsonl"), &vectors["audit-heads.jsonl"]).unwrap();
    let report = check_anchored(dir.path());
    assert_eq!(
        (report.first_bad, report.entries, report.anchored),
        (None, hashes.len() as u64, Some(hashes.len() as u64))
    );
    assert_eq!(report.orphans, 1);
}

#[test]
fn the_second_verifier_finds_the_same_changes() {
    let vectors = vectors();
    let (first, second_file) = (vectors["000001.jsonl"].as_str(), vectors["000002.jsonl"].as_str());
    let changed = first.replacen("claude-ops", "claude-oops", 1);
    assert!(second::chain(&[&changed, second_file]).is_err());
    let removed: String = first.lines().skip(1).map(|line| format!("{line}\n")).collect();
    assert!(second::chain(&[&removed, second_file]).is_err());
    assert!(second::chain(&[second_file, first]).is_err());
    let shorter = second::chain(&[first]).unwrap();
    assert!(
        second::heads(&vectors["audit-heads.jsonl"], &vectors["audit.key.pub"], &shorter).is_err(),
        "tail cut"
    );
}

#[test]
fn every_member_that_an_entry_can_have_is_on_the_page() {
    let page = page();
    let body = serde_json::to_value(crate::body::Body::full_for_test()).unwrap();
    for member in body.as_object().unwrap().keys().map(String::as_str).chain(["seq", "ts", "prev", "hash"]) {
        assert!(page.contains(&format!("| `{member}` |")), "`{member}` is not described");
    }
}

/// From the page alone: text, SHA-256, Ed25519, XChaCha20-Poly1305.
mod second {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde_json::Value;
    use sha2::{Digest as _, Sha256};

    pub(super) fn chain(files: &[&str]) -> Result<Vec<String>, String> {
        let mut previous = "0".repeat(64);
        let mut hashes = Vec::new();
        for line in files.iter().flat_map(|file| file.split_terminator('\n')) {
            let at = line.rfind(",\"hash\":\"").ok_or("no hash")?;
            let (body, tail) = line.split_at(at);
            let hash =
                tail.strip_prefix(",\"hash\":\"").and_then(|t| t.strip_suffix("\"}")).ok_or("not last")?;
            let mut input = hex::decode(&previous).map_err(|e| e.to_string())?;
            input.extend_from_slice(body.as_bytes());
            input.push(b'}');
            if hex::encode(Sha256::digest(&input)) != hash {
                return Err(format!("entry {} does not hold", hashes.len() + 1));
            }
            let entry: Value = serde_json::from_str(line).map_err(|e| e.to_string())?;
            if entry["seq"] != hashes.len() as u64 + 1 || entry["prev"] != previous.as_str() {
                return Err(format!("entry {} is out of order", hashes.len() + 1));
            }
            hash.clone_into(&mut previous);
            hashes.push(previous.clone());
        }
        Ok(hashes)
    }

    pub(super) fn heads(file: &str, key: &str, hashes: &[String]) -> Result<usize, String> {
        let raw = STANDARD.decode(key.trim().split_once(' ').ok_or("key")?.1).map_err(|e| e.to_string())?;
        let raw: [u8; 32] = raw.try_into().map_err(|_| "key length")?;
        let key = ed25519_dalek::VerifyingKey::from_bytes(&raw).map_err(|e| e.to_string())?;
        let mut anchored = 0;
        for line in file.split_terminator('\n') {
            let (body, tail) = line.split_at(line.rfind(",\"sig\":\"").ok_or("no signature")?);
            let signature =
                tail.strip_prefix(",\"sig\":\"").and_then(|t| t.strip_suffix("\"}")).ok_or("not last")?;
            let signature: [u8; 64] =
                STANDARD.decode(signature).map_err(|e| e.to_string())?.try_into().map_err(|_| "length")?;
            let message = format!("portcullis audit head v1\n{body}}}");
            let signature = ed25519_dalek::Signature::from_bytes(&signature);
            key.verify_strict(message.as_bytes(), &signature).map_err(|e| e.to_string())?;
            let head: Value = serde_json::from_str(line).map_err(|e| e.to_string())?;
            let seq = usize::try_from(head["seq"].as_u64().ok_or("seq")?).map_err(|e| e.to_string())?;
            if hashes.get(seq - 1).map(String::as_str) != head["hash"].as_str() {
                return Err(format!("the journal does not hold head {seq}"));
            }
            anchored = seq;
        }
        Ok(anchored)
    }

    pub(super) fn unseal(entry: &Value, key: &str) -> String {
        use chacha20poly1305::aead::{Aead as _, Payload};
        use chacha20poly1305::{Key, KeyInit as _, XChaCha20Poly1305, XNonce};
        let key = STANDARD.decode(key.trim().split_once(' ').unwrap().1).unwrap();
        let sealed = STANDARD.decode(entry["command"]["sealed"].as_str().unwrap()).unwrap();
        let (nonce, text) = sealed.split_at(24);
        let cipher = XChaCha20Poly1305::new(&Key::try_from(key.as_slice()).unwrap());
        let payload = Payload { msg: text, aad: entry["id"].as_str().unwrap().as_bytes() };
        let salted = cipher.decrypt(&XNonce::try_from(nonce).unwrap(), payload).unwrap();
        assert_eq!(hex::encode(Sha256::digest(&salted)), entry["command"]["commitment"].as_str().unwrap());
        String::from_utf8(salted[16..].to_vec()).unwrap()
    }
}
