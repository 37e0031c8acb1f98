//! Who gets in, and what is said when somebody does not.

use std::sync::OnceLock;

use broker::Material;
use connector_ssh::{KnownHosts, SshSettings, scan};
use model::{ErrorCode, Secret};
use policy::NetworkFence;
use testkit::{KeyKind, KeyPair, SshAgent, Sshd};

use crate::rig::{Call, Rig, key, stdout};

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_told_without_it() {
    let sshd = Sshd::start();
    let rig = Rig::of(&sshd);
    let mut call = Call::new("true", "canary-wrong-password");
    let failure = rig.exec(&mut call).await.unwrap_err();
    assert_eq!(failure.code(), ErrorCode::TargetAuth);
    let all = format!("{failure:?}");
    assert!(failure.message().contains(sshd.user()) && failure.message().contains("web1"), "{all}");
    assert!(
        failure.hint().unwrap().contains("publickey") && failure.hint().unwrap().contains("password"),
        "{all}"
    );
    assert!(!all.contains("canary"), "{all}");
    assert!(call.started, "the host was asked, so a handle is used up");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_the_host_does_not_take_is_told_with_what_it_takes() {
    let sshd = Sshd::options().key_only().start();
    let failure = Rig::of(&sshd).exec(&mut Call::new("true", "canary")).await.unwrap_err();
    assert_eq!(failure.code(), ErrorCode::TargetAuth);
    assert!(failure.hint().unwrap().contains("it accepts: publickey"), "{failure:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_every_accepted_kind_log_in() {
    for kind in [KeyKind::Ed25519, KeyKind::Ecdsa, KeyKind::Rsa] {
        let sshd = Sshd::options().client_key(kind).host_key(kind).key_only().start();
        let rig = Rig::of(&sshd);
        let mut call = Call { material: key, ..Call::new("echo in", &sshd.client_key().pem()) };
        let outcome = rig.exec(&mut call).await.unwrap_or_else(|failure| panic!("{kind:?}: {failure:?}"));
        assert_eq!(stdout(&outcome), "in\n");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_behind_a_passphrase_needs_the_right_one() {
    fn locked(secret: &str) -> Material {
        let (pem, passphrase) = secret.split_once("\u{0}").unwrap();
        Material::PrivateKey {
            pem: Secret::new(pem.to_owned()),
            passphrase: Some(Secret::new(passphrase.to_owned())),
            certificate: None,
        }
    }
    let sshd = Sshd::start();
    let folder = tempfile::tempdir().unwrap();
    let pair = KeyPair::make(&folder.path().join("k"), KeyKind::Ed25519, "open sesame");
    std::fs::write(sshd.folder().join("authorized_keys"), pair.public_line()).unwrap();
    let rig = Rig::of(&sshd);
    let with = |passphrase: &str| Call {
        material: locked,
        ..Call::new("true", &format!("{}\u{0}{passphrase}", pair.pem()))
    };
    rig.exec(&mut with("open sesame")).await.unwrap();
    let mut wrong = with("canary");
    let failure = Rig::of(&sshd).exec(&mut wrong).await.unwrap_err();
    assert_eq!(failure.code(), ErrorCode::TargetAuth);
    assert!(!format!("{failure:?}").contains("canary"));
    assert!(!wrong.started, "nothing was dialled");
    let failure =
        rig.exec(&mut Call { material: key, ..Call::new("true", "canary no key") }).await.unwrap_err();
    assert!(
        failure.message().contains("cannot be read") && !format!("{failure:?}").contains("canary"),
        "{failure:?}"
    );
}

static SOCKET: OnceLock<(std::path::PathBuf, String)> = OnceLock::new();

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_an_agent_holds_logs_in() {
    fn held(fingerprint: &str) -> Material {
        Material::Agent { fingerprint: fingerprint.to_owned(), socket: SOCKET.get().unwrap().0.clone() }
    }
    let sshd = Sshd::options().key_only().start();
    let mut agent = SshAgent::start(sshd.client_key());
    SOCKET.set((agent.socket().to_owned(), String::new())).unwrap();
    let rig = Rig::of(&sshd);
    let fingerprint = sshd.client_key().fingerprint();
    let call = || Call { material: held, version: None, ..Call::new("echo in", &fingerprint) };
    assert_eq!(stdout(&rig.exec(&mut call()).await.unwrap()), "in\n");
    agent.forget_all();
    let mut without = call();
    let failure = rig.exec(&mut without).await.unwrap_err();
    assert_eq!(failure.code(), ErrorCode::TargetAuth);
    assert!(failure.message().contains("does not hold"), "{failure:?}");
    assert!(!without.started);
    agent.stop();
    let failure = rig.exec(&mut call()).await.unwrap_err();
    assert!(failure.message().contains("cannot be reached"), "{failure:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_credentials_account_wins_and_one_is_needed() {
    let sshd = Sshd::start();
    let mut rig = Rig::of(&sshd);
    rig.host.user = Some("nobody-else".to_owned());
    let mut call = Call { username: Some(sshd.user().to_owned()), ..Call::new("true", sshd.password()) };
    rig.exec(&mut call).await.unwrap();
    rig.host.user = None;
    let failure = rig.exec(&mut Call::new("true", sshd.password())).await.unwrap_err();
    assert_eq!(failure.code(), ErrorCode::TargetAuth);
    assert!(failure.message().contains("which account"), "{failure:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_alone_runs_nothing() {
    let sshd = Sshd::start();
    let rig = Rig::of(&sshd);
    let outcome = rig.login(&mut Call::new("true", sshd.password())).await.unwrap();
    assert_eq!(outcome.values["address"], "127.0.0.1");
    assert_eq!(outcome.values["host_key"], sshd.host_key().fingerprint());
    assert_eq!(sshd.logins(), 1);
    assert!(!sshd.log().contains("Starting session"), "{}", sshd.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_host_is_refused_before_any_secret_is_sent() {
    let sshd = Sshd::start();
    let rig = Rig::new(sshd.host(), sshd.port(), sshd.user(), "# nothing");
    let mut call = Call::new("true", sshd.password());
    let failure = rig.exec(&mut call).await.unwrap_err();
    assert_eq!(failure.code(), ErrorCode::TargetHostkeyUnknown);
    assert!(failure.message().contains(&sshd.host_key().fingerprint()), "{failure:?}");
    assert!(failure.hint().unwrap().contains("portcullis hostkey scan"), "{failure:?}");
    assert!(!call.started, "a handle is given back");
    assert!(!sshd.log().contains("password"), "{}", sshd.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_or_revoked_key_is_refused() {
    let mut sshd = Sshd::start();
    let rig = Rig::of(&sshd);
    rig.exec(&mut Call::new("true", sshd.password())).await.unwrap();
    for kind in [KeyKind::Ed25519, KeyKind::Ecdsa] {
        sshd.change_host_key(kind);
        let failure = rig.exec(&mut Call::new("true", sshd.password())).await.unwrap_err();
        assert_eq!(failure.code(), ErrorCode::TargetHostkeyChanged, "{failure:?}");
    }
    KnownHosts::append(&rig.known_hosts, &sshd.known_hosts_line()).unwrap();
    rig.exec(&mut Call::new("true", sshd.password())).await.unwrap();
    // Revoked while a connection to it is pooled: that one is not used again either.
    let known = KnownHosts::load(std::slice::from_ref(&rig.known_hosts)).unwrap();
    let entry =
        known.list().iter().find(|entry| entry.fingerprint() == sshd.host_key().fingerprint()).unwrap();
    KnownHosts::revoke(&rig.known_hosts, entry, "*").unwrap();
    let failure = rig.exec(&mut Call::new("true", sshd.password())).await.unwrap_err();
    assert!(failure.message().contains("is revoked"), "{failure:?}");
    // Not even when the operator asked not to look.
    rig.connector.configure(SshSettings { insecure_hostkey: true, ..rig.settings.clone() });
    let failure = rig.exec(&mut Call::new("true", sshd.password())).await.unwrap_err();
    assert!(failure.message().contains("is revoked"), "{failure:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_key_is_accepted_only_where_the_operator_said_so() {
    let sshd = Sshd::start();
    let mut rig = Rig::new(sshd.host(), sshd.port(), sshd.user(), "# nothing");
    rig.connector.configure(SshSettings { insecure_hostkey: true, ..rig.settings.clone() });
    // Of a host that nobody declared the key must be known all the same.
    rig.host.declared = false;
    let failure = rig.exec(&mut Call::new("true", sshd.password())).await.unwrap_err();
    assert_eq!(failure.code(), ErrorCode::TargetHostkeyUnknown);
    rig.host.declared = true;
    rig.exec(&mut Call::new("true", sshd.password())).await.unwrap();
    rig.connector.configure(rig.settings.clone());
    let failure = rig.exec(&mut Call::new("true", sshd.password())).await.unwrap_err();
    assert_eq!(failure.code(), ErrorCode::TargetHostkeyUnknown);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_with_several_keys_shows_the_known_one() {
    let folder = tempfile::tempdir().unwrap();
    for kind in [KeyKind::Rsa, KeyKind::Ecdsa] {
        let second = KeyPair::make(&folder.path().join(format!("{kind:?}")), kind, "");
        let sshd = Sshd::options().line(&format!("HostKey {}", second.path().display())).start();
        let known = format!("[127.0.0.1]:{} {}", sshd.port(), second.public_key());
        let rig = Rig::new(sshd.host(), sshd.port(), sshd.user(), &known);
        let outcome = rig.exec(&mut Call::new("true", sshd.password())).await.unwrap();
        assert_eq!(outcome.values["host_key"], second.fingerprint());
        assert_eq!(scan(sshd.host(), sshd.port()).await.unwrap().len(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_alone_trusts_no_plain_key() {
    let sshd = Sshd::start();
    let known = format!("@cert-authority * {}", sshd.host_key().public_key());
    let rig = Rig::new(sshd.host(), sshd.port(), sshd.user(), &known);
    let failure = rig.exec(&mut Call::new("true", sshd.password())).await.unwrap_err();
    assert_eq!(failure.code(), ErrorCode::TargetHostkeyUnknown);
    assert!(failure.message().contains("the host shows no certificate"), "{failure:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_known_hosts_file_is_said() {
    let sshd = Sshd::start();
    let rig = Rig::of(&sshd);
    std::fs::remove_file(&rig.known_hosts).unwrap();
    let failure = rig.exec(&mut Call::new("true", sshd.password())).await.unwrap_err();
    assert_eq!(failure.code(), ErrorCode::TargetHostkeyUnknown);
    assert!(failure.hint().unwrap().contains("not there"), "{failure:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn known_hosts_that_cannot_be_read_trust_nobody() {
    let sshd = Sshd::start();
    let rig = Rig::of(&sshd);
    let folder = rig.known_hosts.parent().unwrap().to_owned();
    rig.connector.configure(SshSettings {
        known_hosts: vec![rig.known_hosts.clone(), folder],
        ..rig.settings.clone()
    });
    let failure = rig.exec(&mut Call::new("true", sshd.password())).await.unwrap_err();
    assert_eq!(failure.code(), ErrorCode::TargetHostkeyUnknown);
    assert_eq!(sshd.logins(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_admitted_addresses_are_dialled() {
    let sshd = Sshd::start();
    let mut rig = Rig::of(&sshd);
    for (allow, block) in [(vec!["10.0.0.0/8"], vec![]), (vec![], vec!["127.0.0.0/8"])] {
        let networks = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        let fence = NetworkFence { allow: networks(&allow), block: networks(&block) };
        let mut call = Call { fence, ..Call::new("true", sshd.password()) };
        for address in ["127.0.0.1", "::ffff:127.0.0.1"] {
            address.clone_into(&mut rig.host.address);
            let failure = rig.exec(&mut call).await.unwrap_err();
            assert_eq!(failure.code(), ErrorCode::DeniedNetwork, "{address}: {failure:?}");
            assert!(!call.started);
        }
    }
    assert!(!sshd.log().contains("Connection from"), "{}", sshd.log());
    // A pooled connection is no way around it.
    "127.0.0.1".clone_into(&mut rig.host.address);
    rig.exec(&mut Call::new("true", sshd.password())).await.unwrap();
    let fence = NetworkFence { allow: Vec::new(), block: vec!["127.0.0.1/32".parse().unwrap()] };
    let failure = rig.exec(&mut Call { fence, ..Call::new("true", sshd.password()) }).await.unwrap_err();
    assert_eq!(failure.code(), ErrorCode::DeniedNetwork);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_reached_is_told() {
    let port = testkit::free_port();
    let mut rig = Rig::new("127.0.0.1", port, "nobody", "# nothing");
    let failure = rig.exec(&mut Call::new("true", "x")).await.unwrap_err();
    assert_eq!(failure.code(), ErrorCode::TargetUnreachable);
    assert!(failure.message().contains("refused"), "{failure:?}");
    "no-such-host.invalid".clone_into(&mut rig.host.address);
    let failure = rig.exec(&mut Call::new("true", "x")).await.unwrap_err();
    assert_eq!(failure.code(), ErrorCode::TargetUnreachable);
}

#[tokio::test(flavor = "multi_thread")]
async fn scanning_shows_keys_and_trusts_none() {
    let sshd = Sshd::start();
    let keys = scan(sshd.host(), sshd.port()).await.unwrap();
    assert_eq!(keys.len(), 1, "{keys:?}");
    assert_eq!(keys[0].fingerprint, sshd.host_key().fingerprint());
    assert_eq!(keys[0].line, sshd.known_hosts_line());
    assert_eq!(keys[0].algorithm, "ssh-ed25519");
    assert!(scan("127.0.0.1", testkit::free_port()).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_safe_algorithms_are_spoken() {
    for line in [
        "KexAlgorithms diffie-hellman-group14-sha1",
        "Ciphers aes256-cbc",
        "Ciphers aes256-ctr\nMACs hmac-sha1",
        "HostKeyAlgorithms ssh-rsa",
    ] {
        let rsa = line.contains("ssh-rsa");
        let sshd =
            Sshd::options().host_key(if rsa { KeyKind::Rsa } else { KeyKind::Ed25519 }).line(line).start();
        let mut call = Call::new("true", sshd.password());
        let failure = Rig::of(&sshd).exec(&mut call).await.unwrap_err();
        assert_eq!(failure.code(), ErrorCode::TargetProtocol, "{line}: {failure:?}");
        assert!(failure.message().contains("no safe algorithm"), "{failure:?}");
        assert!(!call.started);
    }
    for line in
        ["Ciphers chacha20-poly1305@openssh.com", "Ciphers aes256-ctr", "KexAlgorithms ecdh-sha2-nistp256"]
    {
        let sshd = Sshd::options().line(line).start();
        let outcome = Rig::of(&sshd).exec(&mut Call::new("echo in", sshd.password())).await;
        assert_eq!(stdout(&outcome.unwrap_or_else(|f| panic!("{line}: {f:?}"))), "in\n");
    }
}
