use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use model::Timestamp;
use proptest::prelude::*;
use russh::keys::{Certificate, PublicKey, PublicKeyOrCertificate};
use testkit::{KeyKind, KeyPair};

use super::{HostKeyFiles, KnownAs, KnownHosts, Shown, Standing};

const A: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB9dG4kjRhQTtWTVzd2t27+t0DEHBPW7iOD23TUiYLio";
const B: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";

fn key(text: &str) -> PublicKey {
    PublicKey::from_openssh(text).unwrap()
}

fn at() -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000)
}

impl KnownHosts {
    fn lookup(&self, address: &str, port: u16, key: &PublicKey) -> Standing {
        self.behind(address, port, None, key)
    }

    fn behind(&self, address: &str, port: u16, behind: Option<&str>, key: &PublicKey) -> Standing {
        self.judge(&KnownAs::new(address, port, behind), &Shown::bare(key.clone()), at())
    }
}

fn load(files: &[&str]) -> Result<KnownHosts, super::KnownHostsError> {
    let folder = tempfile::tempdir().unwrap();
    let paths: Vec<PathBuf> = files
        .iter()
        .enumerate()
        .map(|(n, text)| {
            let path = folder.path().join(n.to_string());
            std::fs::write(&path, text).unwrap();
            path
        })
        .collect();
    KnownHosts::load(&paths)
}

fn standing(files: &[&str], address: &str, port: u16, offered: &str) -> &'static str {
    word(&load(files).unwrap().lookup(address, port, &key(offered)))
}

fn word(standing: &Standing) -> &'static str {
    match standing {
        Standing::Trusted => "trusted",
        Standing::Unknown { authority: false } => "unknown",
        Standing::Unknown { authority: true } => "authority",
        Standing::Changed { .. } => "changed",
        Standing::Uncertified { .. } => "uncertified",
        Standing::Revoked { .. } => "revoked",
    }
}

/// Hosts as a line has them, an address and a port, and what becomes of the line's own key there.
const HOSTS: &[(&str, &str, u16, &str)] = &[
    ("web1", "web1", 22, "trusted"),
    ("WEB1", "web1", 22, "trusted"),
    ("web1", "WEB1", 22, "trusted"),
    ("web1", "web10", 22, "unknown"),
    ("web1,10.0.0.1", "10.0.0.1", 22, "trusted"),
    ("web?", "web1", 22, "trusted"),
    ("web?", "web", 22, "unknown"),
    ("*.example.net", "a.example.net", 22, "trusted"),
    ("*.example.net", "example.net", 22, "unknown"),
    ("*a*b*c", "xxaxxbxxbxxc", 22, "trusted"),
    ("*a*b*c", "xxaxxcxxb", 22, "unknown"),
    ("*,!web1", "web1", 22, "unknown"),
    ("!web1,*", "web1", 22, "unknown"),
    ("*,!web1", "web2", 22, "trusted"),
    ("!web1", "web2", 22, "unknown"),
    ("[web1]:2222", "web1", 2222, "trusted"),
    ("[web1]:2222", "web1", 22, "unknown"),
    ("[web1]:2222", "web1", 2223, "unknown"),
    ("[*.example.net]:2222", "a.example.net", 2222, "trusted"),
    // As OpenSSH: the same key without a port is good on any port.
    ("web1", "web1", 2222, "trusted"),
    ("[::1]:2222", "::1", 2222, "trusted"),
];

#[test]
fn entries_speak_of_the_hosts_they_name_and_no_others() {
    for (hosts, address, port, expected) in HOSTS.iter().copied() {
        let line = format!("{hosts} {A} some comment # more\n");
        assert_eq!(standing(&[&line], address, port, A), expected, "{hosts} for {address} {port}");
    }
}

#[test]
fn blanks_comments_and_foreign_lines_do_no_harm() {
    let text =
        format!("# c\n\n   \t\n  web1 \t  {A}\tcomment \r\nweb2 1024 37 159239\nweb3 ssh-dss AAAA\nbare\n");
    assert_eq!(standing(&[&text], "web1", 22, A), "trusted");
    assert_eq!(standing(&[&text], "web2", 22, A), "unknown");
    assert_eq!(load(&[&text]).unwrap().skipped(), 3);
}

#[test]
fn another_key_for_a_known_host_is_a_change_whatever_its_algorithm() {
    let text = format!("web1 {A}\n");
    assert_eq!(standing(&[&text], "web1", 22, B), "changed");
    let ecdsa = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBHwf2HMM5TRXvo2SQJjsNkiDD5KqiiNjrGVv3UUh+mMT5RHxiRtOnlqvjhQtBq0VpmpCV/PwUdhOig4vkbqAcEc=";
    assert_eq!(standing(&[&text], "web1", 22, ecdsa), "changed");
    // A second entry with the right key is enough, in whatever file it is.
    assert_eq!(standing(&[&text, &format!("web1 {B}\n")], "web1", 22, B), "trusted");
    // With a port of its own, an entry without a port proves nothing about other keys.
    assert_eq!(standing(&[&text], "web1", 2222, B), "unknown");
    assert_eq!(standing(&[&format!("web1 {B}\n[web1]:2222 {A}\n")], "web1", 2222, B), "changed");
}

#[test]
fn a_revoked_key_stays_revoked() {
    let trusted = format!("web1 {A}\n");
    for revoked in
        [format!("@revoked * {A}\n"), format!("@revoked   web1\t{A}\n"), format!("@revoked web1,web2 {A}")]
    {
        assert_eq!(standing(&[&trusted, &revoked], "web1", 22, A), "revoked", "{revoked}");
        assert_eq!(standing(&[&revoked, &trusted], "web1", 22, A), "revoked", "{revoked}");
    }
    assert_eq!(standing(&[&trusted, &format!("@revoked web2 {A}\n")], "web1", 22, A), "trusted");
    // Revoked without a port, met on one.
    assert_eq!(standing(&[&format!("[web1]:2222 {A}\n@revoked web1 {A}\n")], "web1", 2222, A), "revoked");
}

/// Behind a jump host a machine has two names, and on a port each has two forms. Its key may be known by any of them and
/// revoked by any other.
#[test]
fn a_key_that_is_revoked_under_one_name_of_a_host_is_so_under_all_of_them() {
    let forms = |port: u16| {
        ["10.0.0.5", "10.0.0.5%bastion"]
            .into_iter()
            .flat_map(move |bare| [bare.to_owned(), format!("[{bare}]:{port}")])
    };
    for port in [22, 2222] {
        for (known, revoked) in
            forms(port).flat_map(|known| forms(port).map(move |revoked| (known.clone(), revoked)))
        {
            let known_hosts =
                |revoked: &str| load(&[&format!("{known} {A}\n@revoked {revoked} {A}\n")]).unwrap();
            let stands = |known: &KnownHosts| word(&known.behind("10.0.0.5", port, Some("Bastion"), &key(A)));
            assert_eq!(stands(&known_hosts(&revoked)), "revoked", "{known} {revoked} {port}");
            // What is said of another machine is not said of this one.
            for other in ["10.0.0.5%elsewhere", "10.0.0.6", "[10.0.0.5]:2223", "[10.0.0.5%bastion]:2223"] {
                assert_ne!(stands(&known_hosts(other)), "revoked", "{known} {other} {port}");
            }
        }
    }
    // Directly it is another machine.
    let scoped = load(&[&format!("10.0.0.5 {A}\n@revoked 10.0.0.5%bastion {A}\n")]).unwrap();
    assert_eq!(word(&scoped.lookup("10.0.0.5", 22, &key(A))), "trusted");
}

#[test]
fn behind_a_jump_host_its_own_name_counts_where_a_key_is_known_under_it() {
    let both = load(&[&format!("10.0.0.5 {A}\n10.0.0.5%bastion {B}\n")]).unwrap();
    let at = |behind, offered| word(&both.behind("10.0.0.5", 22, behind, &key(offered)));
    assert_eq!([at(None, A), at(None, B)], ["trusted", "changed"]);
    assert_eq!([at(Some("bastion"), A), at(Some("bastion"), B)], ["changed", "trusted"]);
    assert_eq!([at(Some("other"), A), at(Some("other"), B)], ["trusted", "changed"]);
    // Known without a port, met on one; a line that revokes or vouches is none by which a key is known.
    let ported =
        load(&[&format!("10.0.0.5%bastion {B}\n@revoked 10.0.0.5%other {B}\n[10.0.0.5]:2222 {A}\n")])
            .unwrap();
    let at = |behind, offered| word(&ported.behind("10.0.0.5", 2222, behind, &key(offered)));
    assert_eq!([at(Some("bastion"), A), at(Some("bastion"), B)], ["unknown", "trusted"]);
    assert_eq!([at(Some("other"), A), at(Some("other"), B)], ["trusted", "revoked"]);
}

/// `Shown` by a host that has a certificate of this authority for these names.
fn certified(folder: &std::path::Path, authority: &KeyPair, names: &str) -> Shown {
    let own = tempfile::tempdir_in(folder).unwrap();
    let host = KeyPair::make(&own.path().join("host"), KeyKind::Ed25519, "");
    let file = authority.certify(&host, &["-h", "-n", names, "-V", "20200101:20900101"]);
    let certificate = Certificate::from_openssh(&std::fs::read_to_string(file).unwrap()).unwrap();
    Shown::from(&PublicKeyOrCertificate::Certificate(certificate))
}

#[test]
fn an_authority_that_is_named_for_hosts_behind_a_jump_host_vouches_for_them_alone() {
    let folder = tempfile::tempdir().unwrap();
    let make = |name: &str| KeyPair::make(&folder.path().join(name), KeyKind::Ed25519, "");
    let (ours, theirs) = (make("ca"), make("other-ca"));
    let (ca, other_ca) = (ours.public_key(), theirs.public_key());
    let shown = certified(folder.path(), &ours, "10.0.0.5");
    let by_theirs = certified(folder.path(), &theirs, "10.0.0.5");
    let elsewhere = certified(folder.path(), &ours, "10.0.0.9");
    let scope_in_it = certified(folder.path(), &ours, "10.0.0.5%bastion");
    let (bare, bastion) = (Shown::bare(key(A)), Some("bastion"));
    let with = |text: String| load(&[&text]).unwrap();
    let alone = with(format!("@cert-authority 10.0.0.5%bastion {ca}\n"));
    let beside = with(format!("10.0.0.5 {A}\n@cert-authority 10.0.0.5%bastion {ca}\n"));
    let two = with(format!("@cert-authority 10.0.0.5 {other_ca}\n@cert-authority 10.0.0.5%bastion {ca}\n"));
    let ported = with(format!("@cert-authority [10.0.0.5%bastion]:2222 {ca}\n"));
    let many = with(format!("@cert-authority 10.0.0.*%bastion {ca}\n"));
    let all = with(format!("10.0.0.5 {A}\n@cert-authority * {ca}\n"));
    let but = with(format!("@cert-authority *,!10.0.0.5 {ca}\n"));
    let but_scoped = with(format!("@cert-authority *%bastion,!10.0.0.5 {ca}\n*,!10.0.0.5 {A}\n"));
    for (known, port, behind, shown, expected) in [
        // No plain key is known under either name.
        (&alone, 22, bastion, &shown, "trusted"),
        (&alone, 2222, bastion, &shown, "trusted"),
        (&alone, 22, bastion, &elsewhere, "uncertified"),
        (&alone, 22, bastion, &scope_in_it, "uncertified"),
        (&alone, 22, bastion, &by_theirs, "authority"),
        (&alone, 22, bastion, &bare, "authority"),
        (&alone, 22, Some("other"), &shown, "unknown"),
        (&alone, 22, None, &shown, "unknown"),
        // What is known of the address elsewhere is of another machine.
        (&beside, 22, bastion, &shown, "trusted"),
        (&beside, 22, bastion, &bare, "authority"),
        (&beside, 22, None, &bare, "trusted"),
        (&two, 22, bastion, &shown, "trusted"),
        (&two, 22, bastion, &by_theirs, "authority"),
        (&two, 22, None, &by_theirs, "trusted"),
        (&ported, 2222, bastion, &shown, "trusted"),
        (&ported, 22, bastion, &shown, "unknown"),
        (&many, 22, bastion, &shown, "trusted"),
        (&many, 22, None, &shown, "unknown"),
        // An authority for everybody is none for this jump host alone.
        (&all, 22, bastion, &shown, "trusted"),
        (&all, 22, bastion, &bare, "trusted"),
        // An address that is left out is so behind a jump host.
        (&but, 22, bastion, &shown, "unknown"),
        (&but_scoped, 22, bastion, &shown, "unknown"),
        (&but_scoped, 22, bastion, &bare, "unknown"),
    ] {
        let lines: Vec<_> = known.list().iter().map(super::Entry::hosts).collect();
        let host = KnownAs::new("10.0.0.5", port, behind);
        let standing = known.judge(&host, shown, at());
        assert_eq!(word(&standing), expected, "{lines:?} {port} {behind:?} {shown:?}");
        // Whoever does not ask for a certificate is shown none.
        let by_certificate = expected == "trusted" && shown.certificate().is_some();
        assert!(!by_certificate || known.has_authority(&host), "{lines:?} {port} {behind:?}");
    }
}

#[test]
fn an_authority_is_no_host_key() {
    let text = format!("@cert-authority *.example.net {A}\n");
    assert_eq!(standing(&[&text], "a.example.net", 22, A), "authority");
    assert_eq!(standing(&[&text], "elsewhere", 22, A), "unknown");
}

#[test]
fn what_would_lose_a_revocation_is_an_error() {
    for wrong in [
        "@revoked web1 ssh-ed25519 AAAA\n".to_owned(),
        format!("@revokd web1 {A}\n"),
        "@revoked web1\n".to_owned(),
        format!("@revoked |1|nonsense {A}\n"),
    ] {
        let error = load(&[&format!("web1 {A}\n"), &wrong]).unwrap_err();
        assert_eq!(error.line, Some(1), "{wrong}");
    }
    assert!(load(&["@revoked web1 ssh-dss AAAA\n"]).is_ok());
}

#[test]
fn a_missing_file_is_told_and_an_unreadable_one_refused() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let known = KnownHosts::load(std::slice::from_ref(&missing)).unwrap();
    assert_eq!(known.missing(), [missing]);
    assert!(KnownHosts::load(&[folder.path().to_owned()]).is_err(), "a folder is no file");
    let large = folder.path().join("large");
    std::fs::File::create(&large).unwrap().set_len(17 * 1024 * 1024).unwrap();
    assert!(KnownHosts::load(&[large]).is_err());
}

#[test]
fn lines_hashed_by_ssh_keygen_are_matched() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("known_hosts");
    std::fs::write(&file, format!("web1.example.net {A}\n[web1.example.net]:2222 {B}\n10.0.0.1 {B}\n"))
        .unwrap();
    let hashed =
        Command::new("ssh-keygen").arg("-H").arg("-f").arg(&file).output().expect("ssh-keygen is installed");
    assert!(hashed.status.success(), "{hashed:?}");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.starts_with("|1|") && !text.contains("web1"), "{text}");
    assert_eq!(standing(&[&text], "web1.example.net", 22, A), "trusted");
    assert_eq!(standing(&[&text], "WEB1.example.net", 22, A), "trusted");
    assert_eq!(standing(&[&text], "web1.example.net", 2222, B), "trusted");
    assert_eq!(standing(&[&text], "web1.example.net", 22, B), "changed");
    assert_eq!(standing(&[&text], "10.0.0.1", 22, B), "trusted");
    assert_eq!(standing(&[&text], "10.0.0.2", 22, B), "unknown");
}

#[test]
fn lines_are_appended_whole_and_seen_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("known_hosts");
    let files = HostKeyFiles::new(vec![file.clone()]);
    assert!(matches!(files.current().unwrap().lookup("web1", 22, &key(A)), Standing::Unknown { .. }));
    let mut raw = std::fs::File::create(&file).unwrap();
    raw.write_all(format!("web2 {B}").as_bytes()).unwrap();
    drop(raw);
    KnownHosts::append(&file, &format!("web1 {A}")).unwrap();
    let known = files.current().unwrap();
    assert!(matches!(known.lookup("web1", 22, &key(A)), Standing::Trusted));
    assert!(matches!(known.lookup("web2", 22, &key(B)), Standing::Trusted));
    KnownHosts::revoke(&file, &known.list()[1], "*").unwrap();
    assert!(matches!(files.current().unwrap().lookup("web1", 22, &key(A)), Standing::Revoked { .. }));
    KnownHosts::revoke(&file, &known.list()[0], "web9").unwrap();
    let revoked = files.current().unwrap();
    assert!(matches!(revoked.lookup("web2", 22, &key(B)), Standing::Trusted), "only for web9");
    assert!(matches!(revoked.lookup("web9", 2222, &key(B)), Standing::Revoked { .. }), "on every port");
    for patterns in ["", "web1 web2", "a\n*", "@x", "#x", "|1|x"] {
        assert!(KnownHosts::revoke(&file, &known.list()[0], patterns).is_err(), "{patterns}");
        assert!(KnownHosts::authority_line(patterns, A).is_err(), "{patterns}");
    }
    assert!(KnownHosts::authority_line("*", "ssh-dss AAAA").is_err());
    assert!(KnownHosts::append(&file, "nonsense").is_err());
    assert!(KnownHosts::append(&file, &format!("a {A}\nb {A}")).is_err());
}

#[test]
fn algorithms_of_known_keys_are_asked_for_first() {
    let known = load(&[&format!("web1 {A}\n")]).unwrap();
    let of = |address, port| known.algorithms(&KnownAs::new(address, port, None));
    assert_eq!(of("web1", 22), [key(A).algorithm()]);
    assert_eq!(of("web1", 2222), [key(A).algorithm()]);
    assert!(of("web2", 22).is_empty());
}

#[test]
fn lines_are_matched_as_ssh_keygen_does() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("known_hosts");
    for (hosts, address, port, _) in HOSTS.iter().copied() {
        std::fs::write(&file, format!("{hosts} {A}\n")).unwrap();
        let (name, _) = KnownAs::new(address, port, None).plain();
        let found = Command::new("ssh-keygen").args(["-F", &name, "-f"]).arg(&file).output().unwrap();
        let ours = KnownHosts::load(std::slice::from_ref(&file)).unwrap().list()[0].covers(&name);
        assert_eq!(ours, found.status.success(), "{hosts} for {name}: {found:?}");
    }
}

proptest! {
    #[test]
    fn any_text_is_read_without_a_panic(text in ".{0,200}", host in "[a-c*?!,|1\\[\\]:]{0,12}") {
        let mut known = KnownHosts::default();
        let _ = known.take_in("f".as_ref(), &text);
        let _ = known.take_in("f".as_ref(), &format!("{host} {A}"));
        let _ = known.lookup(&text, 22, &key(A));
    }

    #[test]
    fn patterns_fit_as_defined(pattern in "[ab*?]{0,8}", name in "[ab]{0,8}") {
        fn defined(pattern: &[u8], name: &[u8]) -> bool {
            match (pattern.split_first(), name.split_first()) {
                (None, None) => true,
                (Some((b'*', rest)), _) => (0..=name.len()).any(|taken| defined(rest, &name[taken..])),
                (Some((b'?', rest)), Some((_, others))) => defined(rest, others),
                (Some((p, rest)), Some((c, others))) => p == c && defined(rest, others),
                (None, Some(_)) | (Some(_), None) => false,
            }
        }
        prop_assert_eq!(super::entry::fits(pattern.as_bytes(), name.as_bytes()), defined(pattern.as_bytes(), name.as_bytes()));
    }
}
