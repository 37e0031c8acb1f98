//! Host certificates against a real OpenSSH server, each judged by OpenSSH's own client as well.

use std::path::Path;
use std::process::Command;

use connector_ssh::KnownHosts;
use model::ErrorCode;
use testkit::{KeyKind, KeyPair, Sshd};

use crate::rig::{Call, Rig, stdout};

/// A window that no clock will leave while these tests are run, and two that no clock is in.
const NOW: &str = "20200101:20900101";
const PAST: &str = "20200101:20210101";
const FUTURE: &str = "20890101:20900101";

/// One certificate, what is known, and what becomes of it.
struct Case {
    name: &'static str,
    /// Known hosts, with `@CA@`, `@OTHER@` (another authority), `@KEY@` (the host's key) and `@PORT@` in it. No key's base64
    /// has an `@`, so what was filled in is never taken for a place to fill in.
    known: &'static str,
    /// Arguments of `ssh-keygen -s`.
    certificate: &'static [&'static str],
    /// Words of the refusal; `None`: it is accepted.
    refused: Option<(ErrorCode, &'static str)>,
    /// Whether OpenSSH decides otherwise, and why that is right.
    openssh_differs: bool,
}

const fn fine(name: &'static str, known: &'static str, certificate: &'static [&'static str]) -> Case {
    Case { name, known, certificate, refused: None, openssh_differs: false }
}

const fn wrong(
    name: &'static str,
    known: &'static str,
    certificate: &'static [&'static str],
    words: &'static str,
) -> Case {
    let refused = Some((ErrorCode::TargetHostkeyUnknown, words));
    Case { name, known, certificate, refused, openssh_differs: false }
}

const ANY: &str = "@cert-authority * @CA@";
const GOOD: &[&str] = &["-h", "-n", "localhost", "-V", NOW];

const CASES: &[Case] = &[
    fine("an authority for everybody", ANY, GOOD),
    fine("an authority for this name and port", "@cert-authority [localhost]:@PORT@ @CA@", GOOD),
    fine("an authority for this name on any port", "@cert-authority localhost @CA@", GOOD),
    fine("a pattern", "@cert-authority *host,!example @CA@", GOOD),
    wrong("a negated pattern", "@cert-authority *,!localhost,![localhost]:@PORT@ @CA@", GOOD, "not known"),
    wrong("an authority for another port", "@cert-authority [localhost]:1 @CA@", GOOD, "not known"),
    wrong("another authority", "@cert-authority * @OTHER@", GOOD, "signed by another one"),
    wrong("an authority's key as a host's", "localhost @CA@", GOOD, "not known"),
    fine("one name of several", ANY, &["-h", "-n", "example,localhost", "-V", NOW]),
    wrong("a pattern in the certificate", ANY, &["-h", "-n", "local*", "-V", NOW], "not for this host"),
    wrong("a name with a port", ANY, &["-h", "-n", "[localhost]:@PORT@", "-V", NOW], "not for this host"),
    wrong("another name", ANY, &["-h", "-n", "example", "-V", NOW], "for `example`, not for this host"),
    wrong("a name in other letters", ANY, &["-h", "-n", "LOCALHOST", "-V", NOW], "not for this host"),
    wrong("a user's", ANY, &["-n", "localhost", "-V", NOW], "a user's certificate, not a host's"),
    wrong("an expired one", ANY, &["-h", "-n", "localhost", "-V", PAST], "it expired at 2021-01-01"),
    wrong("one for later", ANY, &["-h", "-n", "localhost", "-V", FUTURE], "not valid before 2089-01-01"),
    wrong(
        "a critical option",
        ANY,
        &["-h", "-n", "localhost", "-V", NOW, "-O", "critical:odd=1"],
        "option `odd`",
    ),
    fine(
        "an extension that is not known",
        ANY,
        &["-h", "-n", "localhost", "-V", NOW, "-O", "extension:odd=1"],
    ),
    // OpenSSH takes it for every name: a certificate that an authority signed by mistake would open everything.
    Case {
        openssh_differs: true,
        ..wrong("no name at all", ANY, &["-h", "-V", NOW], "names no host at all")
    },
    // The key itself is known: the certificate is not needed.
    fine(
        "a known key in an expired certificate",
        "@cert-authority * @CA@\n[localhost]:@PORT@ @KEY@",
        &["-h", "-n", "localhost", "-V", PAST],
    ),
    fine(
        "a known key in a certificate of somebody else",
        "@cert-authority * @OTHER@\n[localhost]:@PORT@ @KEY@",
        GOOD,
    ),
    fine("other keys are known, too", "@cert-authority * @CA@\n[localhost]:@PORT@ @OTHER@", GOOD),
    Case {
        refused: Some((ErrorCode::TargetHostkeyChanged, "is revoked")),
        ..fine("a revoked authority", "@cert-authority * @CA@\n@revoked * @CA@", GOOD)
    },
    Case {
        refused: Some((ErrorCode::TargetHostkeyChanged, "is revoked")),
        ..fine(
            "a revoked key",
            "@cert-authority * @CA@\n[localhost]:@PORT@ @KEY@\n@revoked localhost,[localhost]:@PORT@ @KEY@",
            GOOD,
        )
    },
    fine("revoked for others", "@cert-authority * @CA@\n@revoked example @CA@", GOOD),
];

struct Place {
    folder: tempfile::TempDir,
    authority: KeyPair,
    other: KeyPair,
    host: KeyPair,
    sshd: Sshd,
}

impl Place {
    fn of(kind: KeyKind) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = KeyPair::make(&folder.path().join("ca"), kind, "");
        Self::under(folder, authority, kind)
    }

    /// With an authority that is in the folder already.
    fn under(folder: tempfile::TempDir, authority: KeyPair, kind: KeyKind) -> Self {
        let make = |name: &str| KeyPair::make(&folder.path().join(name), kind, "");
        let (other, host) = (make("other"), make("host"));
        authority.certify(&host, GOOD);
        let at = host.path().display();
        let lines = format!("HostKey {at}\nHostCertificate {at}-cert.pub");
        let sshd = Sshd::options().line(&lines).start();
        Self { folder, authority, other, host, sshd }
    }

    fn known(&self, known: &str) -> String {
        known
            .replace("@PORT@", &self.sshd.port().to_string())
            .replace("@CA@", &self.authority.public_key())
            .replace("@OTHER@", &self.other.public_key())
            .replace("@KEY@", &self.host.public_key())
    }

    fn certify(&mut self, arguments: &[&str]) {
        let port = self.sshd.port().to_string();
        let arguments: Vec<String> = arguments.iter().map(|word| word.replace("@PORT@", &port)).collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        self.authority.certify(&self.host, &arguments);
        self.sshd.restart();
    }

    fn rig(&self, known: &str) -> Rig {
        Rig::new("localhost", self.sshd.port(), self.sshd.user(), &self.known(known))
    }

    /// Whether OpenSSH's client logs in with these known hosts.
    fn openssh_accepts(&self, known: &str) -> bool {
        let file = self.folder.path().join("known_hosts");
        std::fs::write(&file, self.known(known) + "\n").unwrap();
        openssh(&self.sshd, &file)
    }
}

fn openssh(sshd: &Sshd, known_hosts: &Path) -> bool {
    let output = Command::new("ssh")
        .args(["-F", "none", "-n", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes"])
        .args(["-o", "GlobalKnownHostsFile=/dev/null", "-o", "AddressFamily=inet", "-o"])
        .arg(format!("UserKnownHostsFile={}", known_hosts.display()))
        .arg("-i")
        .arg(sshd.client_key().path())
        .args(["-p", &sshd.port().to_string(), &format!("{}@localhost", sshd.user()), "true"])
        .output()
        .unwrap();
    output.status.success()
}

#[tokio::test(flavor = "multi_thread")]
async fn host_certificates_are_judged_as_openssh_does() {
    let mut place = Place::of(KeyKind::Ed25519);
    for case in CASES {
        place.certify(case.certificate);
        let result = place.rig(case.known).exec(&mut Call::new("true", place.sshd.password())).await;
        match (&result, &case.refused) {
            (Ok(outcome), None) => assert_eq!(outcome.values["host_key"], place.host.fingerprint()),
            (Err(failure), Some((code, words))) => {
                assert_eq!(failure.code(), *code, "{}: {failure:?}", case.name);
                assert!(failure.message().contains(words), "{}: {failure:?}", case.name);
            }
            (result, _) => panic!("{}: {result:?}", case.name),
        }
        let theirs = place.openssh_accepts(case.known);
        assert_eq!(theirs != result.is_ok(), case.openssh_differs, "{}: OpenSSH: {theirs}", case.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn host_certificates_of_every_accepted_kind_are_taken_and_sha_1_is_not() {
    for kind in [KeyKind::Ed25519, KeyKind::Ecdsa, KeyKind::Rsa] {
        let mut place = Place::of(kind);
        let rig = place.rig(ANY);
        let outcome = rig.exec(&mut Call::new("echo in", place.sshd.password())).await;
        let outcome = outcome.unwrap_or_else(|failure| panic!("{kind:?}: {failure:?}"));
        assert_eq!(stdout(&outcome), "in\n");
        if kind == KeyKind::Rsa {
            place.certify(&["-h", "-n", "localhost", "-V", NOW, "-t", "ssh-rsa"]);
            let failure =
                place.rig(ANY).exec(&mut Call::new("true", place.sshd.password())).await.unwrap_err();
            assert!(failure.message().contains("SHA-1"), "{failure:?}");
            assert!(!place.openssh_accepts(ANY));
        }
    }
}

/// OpenSSH's client takes RSA keys from 1024 bits up, from authorities as from hosts.
#[tokio::test(flavor = "multi_thread")]
async fn an_authority_with_a_short_rsa_key_vouches_for_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let authority = KeyPair::make(&folder.path().join("ca"), KeyKind::Rsa, "");
    shorten(authority.path());
    let place = Place::under(folder, authority, KeyKind::Ed25519);
    let failure = place.rig(ANY).exec(&mut Call::new("true", place.sshd.password())).await.unwrap_err();
    assert_eq!(failure.code(), ErrorCode::TargetHostkeyUnknown);
    assert!(failure.message().contains("its authority's RSA key has 1024 bits"), "{failure:?}");
    assert!(place.openssh_accepts(ANY));
    assert_eq!(place.sshd.logins(), 1, "OpenSSH's alone");
}

/// Puts a key of 1024 bits in the place of an RSA key.
fn shorten(key: &Path) {
    std::fs::remove_file(key).unwrap();
    let arguments = ["-q", "-t", "rsa", "-b", "1024", "-N", "", "-f"];
    let made = Command::new("ssh-keygen").args(arguments).arg(key).output().unwrap();
    assert!(made.status.success(), "{made:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hashed_line_of_an_authority_counts() {
    let place = Place::of(KeyKind::Ed25519);
    let file = place.folder.path().join("hashed");
    std::fs::write(&file, place.known("localhost @CA@\n")).unwrap();
    let hashed = Command::new("ssh-keygen").arg("-H").arg("-f").arg(&file).output().unwrap();
    assert!(hashed.status.success(), "{hashed:?}");
    let line = format!("@cert-authority {}", std::fs::read_to_string(&file).unwrap().trim());
    assert!(line.starts_with("@cert-authority |1|"), "{line}");
    let rig = Rig::new("localhost", place.sshd.port(), place.sshd.user(), &line);
    rig.exec(&mut Call::new("true", place.sshd.password())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooled_connection_is_shared_no_longer_than_its_certificate_is_valid() {
    let mut place = Place::of(KeyKind::Ed25519);
    // The rig's clock stands on 2026-11-20 at noon; the server's own clock does not matter to it.
    place.certify(&["-h", "-n", "localhost", "-V", "20200101:20261120130000Z"]);
    let rig = place.rig(ANY);
    let call = || Call::new("true", place.sshd.password());
    rig.exec(&mut call()).await.unwrap();
    rig.exec(&mut call()).await.unwrap();
    assert_eq!(place.sshd.logins(), 1);
    rig.clock.advance(std::time::Duration::from_secs(3599));
    rig.exec(&mut call()).await.unwrap();
    rig.clock.advance(std::time::Duration::from_secs(1));
    let failure = rig.exec(&mut call()).await.unwrap_err();
    assert!(failure.message().contains("it expired at 2026-11-20T13:00:00"), "{failure:?}");
    // A revoked authority ends what it vouched for as well.
    let mut place = Place::of(KeyKind::Ed25519);
    place.certify(GOOD);
    let rig = place.rig(ANY);
    rig.exec(&mut Call::new("true", place.sshd.password())).await.unwrap();
    let known = KnownHosts::load(std::slice::from_ref(&rig.known_hosts)).unwrap();
    KnownHosts::revoke(&rig.known_hosts, &known.list()[0], "*").unwrap();
    let failure = rig.exec(&mut Call::new("true", place.sshd.password())).await.unwrap_err();
    assert_eq!(failure.code(), ErrorCode::TargetHostkeyChanged);
    assert_eq!(place.sshd.logins(), 1);
}
