//! Private keys in every form that people keep them in.

use std::process::Command;

use model::{ErrorCode, Fault};
use serde_json::json;
use testkit::{KeyKind, KeyPair, Sshd};

use crate::rig::{Call, Rig, material};

const PASSPHRASE: &str = "canary open sesame";

/// Writes a key anew: form, passphrase.
fn rewritten(pair: &KeyPair, form: &str, passphrase: &str) -> String {
    let status = Command::new("ssh-keygen")
        .args(["-q", "-p", "-m", form, "-P", "", "-N", passphrase, "-f"])
        .arg(pair.path())
        .stdout(std::process::Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    pair.pem()
}

/// The traditional form with AES-256, and PKCS#8 with scrypt, as only others write them.
fn written_by_python(pair: &KeyPair, form: &str) -> String {
    let script = "import sys\n\
        from cryptography.hazmat.primitives import serialization as s\n\
        key = s.load_ssh_private_key(open(sys.argv[1], 'rb').read(), None)\n\
        form = getattr(s.PrivateFormat, sys.argv[2])\n\
        sys.stdout.write(key.private_bytes(s.Encoding.PEM, form, s.BestAvailableEncryption(sys.argv[3].encode())).decode())\n";
    let output = Command::new(testkit::tools().join("python-servers/bin/python"))
        .args(["-c", script])
        .arg(pair.path())
        .args([form, PASSPHRASE])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

async fn try_with(sshd: &Sshd, pem: &str, passphrase: Option<&str>) -> Result<(), model::Failure> {
    let credential = json!({ "pem": pem, "passphrase": passphrase }).to_string();
    let mut call = Call { material, version: None, ..Call::new("true", &credential) };
    let result = Rig::of(sshd).exec(&mut call).await;
    assert_eq!(call.started, result.is_ok(), "a key that stays closed is not offered");
    result.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_in_every_form_open_with_their_passphrase_and_with_no_other() {
    for kind in [KeyKind::Ed25519, KeyKind::Ecdsa, KeyKind::Rsa] {
        let folder = tempfile::tempdir().unwrap();
        let pair = KeyPair::make(&folder.path().join("k"), kind, "");
        let sshd = Sshd::options().key_only().start();
        std::fs::write(sshd.folder().join("authorized_keys"), pair.public_line()).unwrap();
        let mut plain = vec![("RFC4716", rewritten(&pair, "RFC4716", ""))];
        let mut closed = Vec::new();
        if kind != KeyKind::Ed25519 {
            closed.push(("TraditionalOpenSSL", written_by_python(&pair, "TraditionalOpenSSL")));
        }
        closed.push(("PKCS8 of others", written_by_python(&pair, "PKCS8")));
        // ssh-keygen writes Ed25519 keys only in its own form.
        let forms: &[&str] =
            if kind == KeyKind::Ed25519 { &["RFC4716"] } else { &["PEM", "PKCS8", "RFC4716"] };
        for form in forms {
            plain.push((form, rewritten(&pair, form, "")));
            let copy = KeyPair::make(&folder.path().join(format!("{form}-copy")), kind, "");
            std::fs::copy(pair.path(), copy.path()).unwrap();
            closed.push((form, rewritten(&copy, form, PASSPHRASE)));
        }
        for (form, pem) in plain {
            let said = |f| panic!("{kind:?} {form}: {f:?}");
            try_with(&sshd, &pem, None).await.unwrap_or_else(said);
            try_with(&sshd, &pem, Some("not needed")).await.unwrap_or_else(said);
        }
        for (form, pem) in closed {
            let what = format!("{kind:?} {form}: {}", pem.lines().next().unwrap());
            try_with(&sshd, &pem, Some(PASSPHRASE)).await.unwrap_or_else(|f| panic!("{what}: {f:?}"));
            for (passphrase, words) in
                [(Some("canary wrong"), "its passphrase is wrong"), (None, "no passphrase")]
            {
                let failure = try_with(&sshd, &pem, passphrase).await.unwrap_err();
                assert_eq!((failure.code(), failure.fault()), (ErrorCode::TargetAuth, Fault::Us), "{what}");
                assert!(failure.message().contains(words), "{what}: {failure:?}");
                assert!(!format!("{failure:?}").contains("canary"), "{failure:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_none_or_costs_too_much_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let pair = KeyPair::make(&folder.path().join("k"), KeyKind::Ed25519, PASSPHRASE);
    // The rounds stand behind the salt in the header: 16 bytes of it, then their number.
    let costly = with_rounds(&pair.pem());
    let rsa = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: DES-EDE3-CBC,0011223344556677\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    let sshd = Sshd::options().key_only().start();
    for (pem, words) in [
        (costly.as_str(), "stretched more than"),
        (rsa, "encrypted in a way that is not supported"),
        (
            "-----BEGIN OPENSSH PRIVATE KEY-----\ncanary\n-----END OPENSSH PRIVATE KEY-----\n",
            "no private key",
        ),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA", "no private key"),
        ("-----BEGIN DSA PRIVATE KEY-----\nAAAA\n-----END DSA PRIVATE KEY-----\n", "no private key"),
        ("canary", "no private key"),
    ] {
        let failure = try_with(&sshd, pem, Some(PASSPHRASE)).await.unwrap_err();
        assert!(failure.message().contains(words), "{pem}: {failure:?}");
        assert!(!format!("{failure:?}").contains("canary"), "{failure:?}");
    }
}

/// The same key, with a header that asks for four billion rounds.
fn with_rounds(pem: &str) -> String {
    let script = "import base64, struct, sys\n\
        lines = sys.stdin.read().split('\\n')\n\
        raw = bytearray(base64.b64decode(''.join(lines[1:-2])))\n\
        at = raw.index(b'bcrypt') + 6\n\
        length = struct.unpack('>I', raw[at + 4:at + 8])[0]\n\
        rounds = at + 8 + length\n\
        raw[rounds:rounds + 4] = b'\\xff\\xff\\xff\\xff'\n\
        print(lines[0]); print(base64.b64encode(raw).decode()); print(lines[-2])\n";
    let mut child = Command::new("python3")
        .args(["-c", script])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), pem.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}
