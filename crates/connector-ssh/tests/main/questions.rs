//! Hosts that ask for more than a password, or give one try only.

use model::{ErrorCode, Fault};
use serde_json::json;
use testkit::{KeyKind, KeyPair, ScriptedSshd, Sshd};

use crate::rig::{Call, Rig, key, material, stdout};

fn rig_of(server: &ScriptedSshd) -> Rig {
    Rig::new("127.0.0.1", server.port(), ScriptedSshd::USER, &server.known_hosts_line())
}

fn asking(rounds: &[&[(&str, bool)]]) -> ScriptedSshd {
    ScriptedSshd::options().methods(&["keyboard-interactive"]).rounds(rounds).start()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_one_hidden_question_for_the_password_is_answered() {
    type Rounds = &'static [&'static [(&'static str, bool)]];
    let fine: &[Rounds] = &[
        &[&[("Password: ", false)]],
        &[&[], &[("(ops) Passwort:", false)], &[]],
        &[&[("scripted@web1's password: ", false)], &[]],
    ];
    for rounds in fine {
        let server = asking(rounds);
        let outcome = rig_of(&server).exec(&mut Call::new("echo in", ScriptedSshd::PASSWORD)).await;
        assert_eq!(stdout(&outcome.unwrap_or_else(|f| panic!("{rounds:?}: {f:?}"))), "in\n");
    }
    let wrong: &[(Rounds, &str, usize)] = &[
        (&[&[("Password: ", true)]], "asks `Password:`", 0),
        (&[&[("Verification code: ", false)]], "asks `Verification code:`", 0),
        (&[&[("One-time password (OATH) for `ops': ", false)]], "One-time password", 0),
        (&[&[("Password: ", false), ("OTP: ", false)]], "asks 2 questions at once", 0),
        (&[&[("Password: ", false)], &[("Password: ", false)]], "asks `Password:` after the password", 1),
        (
            &[&[("Password: ", false)], &[("New password: ", false)]],
            "asks `New password:` after the password",
            1,
        ),
        (&[&[("\u{1b}[31mwho?", false)]], "asks `[31mwho?`", 0),
        (&[&[], &[], &[], &[], &[], &[]], "asks on and on", 0),
    ];
    for (rounds, words, answered) in wrong {
        let server = asking(rounds);
        let failure = rig_of(&server).exec(&mut Call::new("true", ScriptedSshd::PASSWORD)).await.unwrap_err();
        assert_eq!((failure.code(), failure.fault()), (ErrorCode::TargetAuth, Fault::Target), "{failure:?}");
        assert!(failure.message().contains(words), "{rounds:?}: {failure:?}");
        assert!(!format!("{failure:?}").contains("canary"));
        assert_eq!(server.log().matches("answers 1 ").count(), *answered, "{rounds:?}: {}", server.log());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_sent_once_even_where_a_host_has_two_ways_for_it() {
    let server = ScriptedSshd::options().methods(&["password", "keyboard-interactive"]).start();
    let failure = rig_of(&server).exec(&mut Call::new("true", "canary-wrong")).await.unwrap_err();
    assert_eq!(failure.code(), ErrorCode::TargetAuth);
    assert_eq!(server.log().matches("wrong").count(), 1, "{}", server.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_lets_in_anybody_is_refused() {
    let server = ScriptedSshd::options().open().start();
    let mut call = Call::new("true", ScriptedSshd::PASSWORD);
    let failure = rig_of(&server).exec(&mut call).await.unwrap_err();
    assert_eq!((failure.code(), failure.fault()), (ErrorCode::TargetAuth, Fault::Target));
    assert!(failure.message().contains("lets in anybody"), "{failure:?}");
    assert!(!call.started, "the password was not used");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_in_several_steps_says_that_the_first_was_accepted() {
    let sshd = Sshd::options().line("AuthenticationMethods publickey,password").start();
    let mut call = Call { material: key, ..Call::new("true", &sshd.client_key().pem()) };
    let failure = Rig::of(&sshd).exec(&mut call).await.unwrap_err();
    assert_eq!((failure.code(), failure.fault()), (ErrorCode::TargetAuth, Fault::Target));
    assert!(failure.message().contains("accepted the publickey and asks for more (password)"), "{failure:?}");
    assert!(sshd.log().contains("Partial publickey for"), "{}", sshd.log());
    assert!(!sshd.log().contains("Failed"), "{}", sshd.log());
    // The second step alone is not even tried: the host does not offer it first.
    let failure = Rig::of(&sshd).exec(&mut Call::new("true", sshd.password())).await.unwrap_err();
    assert!(failure.hint().unwrap().contains("it accepts: publickey"), "{failure:?}");
    assert!(!sshd.log().contains("Failed password"), "{}", sshd.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_try_is_enough_for_every_kind_of_login() {
    let folder = tempfile::tempdir().unwrap();
    let make = |name: &str| KeyPair::make(&folder.path().join(name), KeyKind::Ed25519, "");
    let (authority, own) = (make("ca"), make("own"));
    let ca = format!("TrustedUserCAKeys {}.pub", authority.path().display());
    let sshd = Sshd::options().line(&format!("MaxAuthTries 1\n{ca}")).start();
    let file = authority.certify(&own, &["-n", sshd.user(), "-V", "20200101:20900101"]);
    let certificate = std::fs::read_to_string(file).unwrap();
    for credential in [
        json!({ "password": sshd.password() }),
        json!({ "pem": sshd.client_key().pem() }),
        json!({ "pem": own.pem(), "certificate": certificate }),
    ] {
        let mut call = Call { material, version: None, ..Call::new("true", &credential.to_string()) };
        Rig::of(&sshd).exec(&mut call).await.unwrap();
    }
    // A certificate that the host refuses has used up the one try; the bare key, which it knows, comes too late.
    let key = sshd.client_key();
    authority.certify(key, &["-n", "somebody-else", "-V", "20200101:20900101"]);
    let certificate = std::fs::read_to_string(format!("{}-cert.pub", key.path().display())).unwrap();
    let credential = json!({ "pem": key.pem(), "certificate": certificate }).to_string();
    let mut call = Call { material, ..Call::new("true", &credential) };
    let failure = Rig::of(&sshd).exec(&mut call).await.unwrap_err();
    assert_eq!(failure.code(), ErrorCode::TargetAuth);
    assert!(
        failure.message().contains(
            "ended the connection during the publickey login (with a certificate for `somebody-else`)"
        ),
        "{failure:?}"
    );
    assert!(failure.hint().unwrap().contains("too few tries"), "{failure:?}");
    // With more tries it gets in.
    let sshd = Sshd::options().line(&ca).start();
    authority.certify(sshd.client_key(), &["-n", "somebody-else", "-V", "20200101:20900101"]);
    let file = format!("{}-cert.pub", sshd.client_key().path().display());
    let certificate = std::fs::read_to_string(file).unwrap();
    let credential = json!({ "pem": sshd.client_key().pem(), "certificate": certificate }).to_string();
    Rig::of(&sshd).exec(&mut Call { material, ..Call::new("true", &credential) }).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_no_host_could_take_is_a_fault_before_anything_is_dialled() {
    let folder = tempfile::tempdir().unwrap();
    let make = |name: &str, kind| KeyPair::make(&folder.path().join(name), kind, "");
    let (authority, own) = (make("ca", KeyKind::Ed25519), make("own", KeyKind::Ed25519));
    let other = make("other", KeyKind::Ed25519);
    let signed = |subject: &KeyPair, words: &[&str]| {
        std::fs::read_to_string(authority.certify(subject, words)).unwrap()
    };
    let host = signed(&own, &["-h", "-n", "web1", "-V", "20200101:20900101"]);
    let later = signed(&own, &["-n", "x", "-V", "20890101:20900101"]);
    let past = signed(&own, &["-n", "x", "-V", "20200101:20210101"]);
    let foreign = signed(&other, &["-n", "x", "-V", "20200101:20900101"]);
    let nested = "ssh-ed25519-cert-v01@openssh.com LWNlcnQtdjAxQC1jZXJ0LXYwMUAtY2VydC12MDFALWNlcnQtdjAxQC1jZXJ0LXYwMUA=";
    for (certificate, words) in [
        (host.as_str(), "it is a host's certificate"),
        (&later, "not valid before 2089-01-01"),
        (&past, "it expired at 2021-01-01"),
        (&foreign, "belongs to another key"),
        (nested, "cannot be read"),
        ("ssh-ed25519-cert-v01@openssh.com AAAA", "cannot be read"),
        ("nonsense", "cannot be read"),
    ] {
        // Nobody listens there.
        let rig = Rig::new("127.0.0.1", testkit::free_port(), "x", "# nothing");
        let credential = json!({ "pem": own.pem(), "certificate": certificate }).to_string();
        let mut call = Call { material, ..Call::new("true", &credential) };
        let failure = rig.exec(&mut call).await.unwrap_err();
        assert_eq!((failure.code(), failure.fault()), (ErrorCode::TargetAuth, Fault::Us), "{failure:?}");
        assert!(failure.message().contains(words), "{failure:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_of_every_accepted_kind_log_in_and_rsa_signs_with_sha_2() {
    for kind in [KeyKind::Ed25519, KeyKind::Ecdsa, KeyKind::Rsa] {
        let folder = tempfile::tempdir().unwrap();
        let authority = KeyPair::make(&folder.path().join("ca"), kind, "");
        let own = KeyPair::make(&folder.path().join("own"), kind, "");
        let ca = format!("TrustedUserCAKeys {}.pub", authority.path().display());
        let sshd = Sshd::options().key_only().line(&format!("{ca}\nLogLevel DEBUG1")).start();
        let file = authority.certify(&own, &["-n", sshd.user(), "-V", "20200101:20900101"]);
        let certificate = std::fs::read_to_string(file).unwrap();
        let credential = json!({ "pem": own.pem(), "certificate": certificate }).to_string();
        let mut call = Call { material, ..Call::new("echo in", &credential) };
        let outcome = Rig::of(&sshd).exec(&mut call).await;
        assert_eq!(stdout(&outcome.unwrap_or_else(|f| panic!("{kind:?}: {f:?} {}", sshd.log()))), "in\n");
        if kind == KeyKind::Rsa {
            let log = sshd.log();
            assert!(log.contains("rsa-sha2-") && !log.contains("using ssh-rsa "), "{log}");
        }
    }
}

/// The library below verifies with whatever algorithm a signature names, SHA-1 too. The same server, signing as agreed on,
/// lets us in.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_exchange_that_is_not_signed_with_what_was_agreed_on_is_refused_before_the_login() {
    for (signs_with, refused) in [("ssh-rsa", true), ("rsa-sha2-256", true), ("rsa-sha2-512", false)] {
        let server = ScriptedSshd::options().host_key(KeyKind::Rsa).signs_with(signs_with).start();
        let mut call = Call::new("echo in", ScriptedSshd::PASSWORD);
        let result = rig_of(&server).exec(&mut call).await;
        let log = server.log();
        assert!(log.contains(&format!("agreed rsa-sha2-512 signs with {signs_with}")), "{log}");
        assert_eq!((log.contains("begin "), call.started), (!refused, !refused), "{signs_with}: {log}");
        match result {
            Ok(outcome) => assert_eq!((stdout(&outcome).as_str(), refused), ("in\n", false)),
            Err(failure) => {
                assert_eq!((failure.code(), refused), (ErrorCode::TargetProtocol, true), "{failure:?}");
                let words = format!("signed with {signs_with}, agreed on was rsa-sha2-512");
                assert!(failure.message().contains(&words), "{failure:?}");
            }
        }
    }
}
