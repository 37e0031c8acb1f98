//! Agents that hold many keys, agents that mean harm, and agents that are somebody else's.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use connector_ssh::{AgentDoubt, examine_agent};
use model::{ErrorCode, Fault};
use serde_json::json;
use testkit::{KeyKind, KeyPair, SshAgent, Sshd};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::Instant;

use crate::rig::{Call, Rig, material, stdout};

fn held(socket: &Path, fingerprint: &str) -> Call {
    let credential = json!({ "agent": socket, "fingerprint": fingerprint }).to_string();
    Call { material, version: None, ..Call::new("echo in", &credential) }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_keys_only_the_pinned_one_is_offered() {
    let folder = tempfile::tempdir().unwrap();
    let sshd = Sshd::options().key_only().line("MaxAuthTries 1").start();
    let other = |n: usize, kind| KeyPair::make(&folder.path().join(n.to_string()), kind, "");
    let agent = SshAgent::start(&other(0, KeyKind::Ed25519));
    for (n, kind) in [KeyKind::Rsa, KeyKind::Ecdsa, KeyKind::Ed25519].into_iter().enumerate() {
        agent.add(&other(n + 1, kind));
    }
    agent.add(sshd.client_key());
    let fingerprint = sshd.client_key().fingerprint();
    assert_eq!(examine_agent(agent.socket(), &fingerprint).await, Ok(()));
    let outcome = Rig::of(&sshd).exec(&mut held(agent.socket(), &fingerprint)).await.unwrap();
    assert_eq!(stdout(&outcome), "in\n");
    assert!(!sshd.log().contains("Failed") && !sshd.log().contains("ssh2: RSA"), "{}", sshd.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_the_agent_holds_is_offered_with_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let make = |name: &str| KeyPair::make(&folder.path().join(name), KeyKind::Ed25519, "");
    let (authority, own) = (make("ca"), make("own"));
    let ca = format!("TrustedUserCAKeys {}.pub", authority.path().display());
    let sshd = Sshd::options().key_only().line(&ca).start();
    authority.certify(&own, &["-n", sshd.user(), "-V", "20200101:20900101"]);
    // `ssh-add` adds the certificate beside the key as well.
    let agent = SshAgent::start(&own);
    Rig::of(&sshd).exec(&mut held(agent.socket(), &own.fingerprint())).await.unwrap();
    assert!(sshd.log().contains("ID portcullis-test (serial 0) CA"), "{}", sshd.log());
    // One that has expired in the meantime is passed over, and the bare key is not known there.
    agent.forget_all();
    authority.certify(&own, &["-n", sshd.user(), "-V", "20200101:20210101"]);
    agent.add(&own);
    let failure = Rig::of(&sshd).exec(&mut held(agent.socket(), &own.fingerprint())).await.unwrap_err();
    assert_eq!(failure.code(), ErrorCode::TargetAuth);
    assert!(!sshd.log().contains("Certificate invalid"), "{}", sshd.log());
}

/// What a hostile agent answers to each request; `None`: nothing any more.
type Answers = fn(u8) -> Option<Vec<u8>>;

fn hostile(folder: &Path, answers: Answers) -> PathBuf {
    let socket = folder.join("agent.sock");
    let _ = std::fs::remove_file(&socket);
    let listener = UnixListener::bind(&socket).unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, answers));
        }
    });
    socket
}

async fn serve(mut stream: UnixStream, answers: Answers) {
    while let Ok(length) = stream.read_u32().await {
        let mut request = vec![0; length as usize];
        if stream.read_exact(&mut request).await.is_err() {
            return;
        }
        match answers(request[0]) {
            Some(answer) if stream.write_all(&answer).await.is_ok() => {}
            Some(_) => return,
            None => std::future::pending().await,
        }
    }
}

fn frame(body: &[u8]) -> Option<Vec<u8>> {
    Some([&u32::try_from(body.len()).unwrap().to_be_bytes(), body].concat())
}

fn text(bytes: &[u8]) -> Vec<u8> {
    frame(bytes).unwrap()
}

const FAILURE: &[u8] = &[5];

#[tokio::test(flavor = "multi_thread")]
async fn hostile_agents_cost_bounded_time_and_memory_and_are_our_own_fault() {
    let cases: &[(&str, Answers, &str)] = &[
        ("closes", |_| Some(Vec::new()), "does not list its keys"),
        ("says nothing", |_| None, "does not list its keys"),
        ("is too long", |_| Some(vec![0xff; 64]), "does not list its keys"),
        ("claims more than it has", |_| Some([&[0, 3, 0, 0][..], &[12]].concat()), "does not list its keys"),
        ("refuses", |_| frame(FAILURE), "does not list its keys"),
        ("counts too far", |_| frame(&[12, 0xff, 0xff, 0xff, 0xff]), "does not list its keys"),
        ("counts wrong", |_| frame(&[12, 0, 0, 0, 9]), "does not list its keys"),
        ("holds nothing", |_| frame(&[12, 0, 0, 0, 0]), "does not hold the key"),
        (
            "holds noise",
            |_| {
                frame(
                    &[
                        &[12, 0, 0, 0, 1][..],
                        &text(b"-cert-v01@-cert-v01@-cert-v01@-cert-v01@-cert-v01@"),
                        &text(b""),
                    ]
                    .concat(),
                )
            },
            "does not hold the key",
        ),
    ];
    let sshd = Sshd::options().key_only().start();
    let folder = tempfile::tempdir().unwrap();
    for (name, answers, words) in cases {
        let socket = hostile(folder.path(), *answers);
        let begun = Instant::now();
        let mut call = held(&socket, &sshd.client_key().fingerprint());
        let failure = Rig::of(&sshd).exec(&mut call).await.unwrap_err();
        assert_eq!(
            (failure.code(), failure.fault()),
            (ErrorCode::TargetAuth, Fault::Us),
            "{name}: {failure:?}"
        );
        assert!(failure.message().contains(words), "{name}: {failure:?}");
        assert!(begun.elapsed() < Duration::from_secs(15), "{name}: {:?}", begun.elapsed());
        assert!(!call.started, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_kinds_that_nobody_knows_do_not_hide_the_pinned_one_and_a_wrong_signature_is_refused() {
    use std::sync::OnceLock;
    static KEY: OnceLock<Vec<u8>> = OnceLock::new();
    let sshd = Sshd::options().key_only().start();
    let line = sshd.client_key().public_line();
    let blob = base64(line.split(' ').nth(1).unwrap());
    KEY.set(blob).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let socket = hostile(folder.path(), |request| match request {
        11 => {
            let strange = text(&[text(b"ssh-from-the-future"), text(b"xyz")].concat());
            let known = text(KEY.get().unwrap());
            frame(&[&[12, 0, 0, 0, 2][..], &strange, &text(b""), &known, &text(b"")].concat())
        }
        // A signature that is none.
        13 => frame(&[&[14][..], &text(&[text(b"ssh-ed25519"), text(&[7; 64])].concat())].concat()),
        _ => frame(FAILURE),
    });
    let fingerprint = sshd.client_key().fingerprint();
    assert_eq!(examine_agent(&socket, &fingerprint).await, Ok(()));
    let mut call = held(&socket, &fingerprint);
    let failure = Rig::of(&sshd).exec(&mut call).await.unwrap_err();
    assert_eq!(failure.code(), ErrorCode::TargetAuth, "{failure:?}");
    assert!(call.started && sshd.logins() == 0, "{}", sshd.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_of_another_user_is_not_spoken_to() {
    const NOBODY: u32 = 65_534;
    let sshd = Sshd::options().key_only().start();
    let folder = tempfile::Builder::new().prefix("portcullis-agent-").tempdir().unwrap();
    std::os::unix::fs::chown(folder.path(), Some(NOBODY), None).unwrap();
    let socket = folder.path().join("agent.sock");
    let mut agent = std::process::Command::new("ssh-agent")
        .args(["-D", "-a"])
        .arg(&socket)
        .uid(NOBODY)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    testkit::wait_until("ssh-agent did not open its socket", Duration::from_secs(10), || socket.exists());
    let fingerprint = sshd.client_key().fingerprint();
    let looked = examine_agent(&socket, &fingerprint).await;
    let failure = Rig::of(&sshd).exec(&mut held(&socket, &fingerprint)).await.unwrap_err();
    agent.kill().unwrap();
    agent.wait().unwrap();
    assert_eq!(looked, Err(AgentDoubt::NotOurs(NOBODY)));
    assert!(failure.message().contains("belongs to another user"), "{failure:?}");
    assert_eq!(failure.fault(), Fault::Us);
    std::fs::remove_file(&socket).unwrap();
    let gone = examine_agent(&socket, &fingerprint).await;
    assert!(matches!(gone, Err(AgentDoubt::Unreachable(_))), "{gone:?}");
}

/// Without a crate for one test.
fn base64(text: &str) -> Vec<u8> {
    let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let value = |c: u8| digits.iter().position(|digit| *digit == c);
    let bits: Vec<usize> = text.bytes().filter_map(value).collect();
    bits.chunks(4)
        .flat_map(|chunk| {
            let word = chunk.iter().fold(0, |word, bits| word << 6 | bits) << (6 * (4 - chunk.len()));
            let bytes = u32::try_from(word).unwrap().to_be_bytes();
            bytes[1..chunk.len()].to_vec()
        })
        .collect()
}
