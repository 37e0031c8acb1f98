//! Authorities, passphrases, agents and literal passwords, through the real binary.

use testkit::{KeyKind, KeyPair, ScriptedSshd, SshAgent, Sshd};

use crate::environment::{Installed, patiently, portcullis};

const NOW: &str = "20200101:20900101";

/// A host with this credential, written as TOML, that rules let the agent run `uptime`-like commands on.
fn with_credential(server: &Sshd, address: &str, credential: &str) -> Installed {
    let installed = Installed::new();
    let host = format!(
        "[hosts.web1]\naddress = \"{address}\"\nport = {}\nuser = \"{}\"\ntags = [\"web\"]\ncredential = {credential}",
        server.port(),
        server.user()
    );
    installed.append("inventory.toml", &host);
    installed.write("known_hosts", &server.known_hosts_line());
    installed
}

fn tested(installed: &Installed) -> (i32, serde_json::Value) {
    let ran = installed.run(&["target", "test", "web1", "--json"]);
    (ran.exit, ran.json())
}

#[test]
fn an_authority_is_taken_only_by_name_or_by_fingerprint_and_can_be_revoked() {
    let folder = tempfile::tempdir().unwrap();
    let make = |name: &str| KeyPair::make(&folder.path().join(name), KeyKind::Ed25519, "");
    let (authority, host_key) = (make("ca"), make("host"));
    authority.certify(&host_key, &["-h", "-n", "localhost", "-V", NOW]);
    let at = host_key.path().display();
    let server = Sshd::options().line(&format!("HostKey {at}\nHostCertificate {at}-cert.pub")).start();
    let key = folder.path().join("client");
    std::fs::copy(server.client_key().path(), &key).unwrap();
    let installed = with_credential(&server, "localhost", &format!("{{ key = \"{}\" }}", key.display()));
    installed.write("known_hosts", "");
    let file = format!("{}.pub", authority.path().display());
    assert_eq!(tested(&installed).1["code"], "target.hostkey_unknown");

    let nobody_to_ask = installed.run(&["hostkey", "ca", "add", "local*", &file]);
    assert_eq!(nobody_to_ask.exit, 64, "{nobody_to_ask:?}");
    assert!(nobody_to_ask.err.contains(&authority.fingerprint()), "{nobody_to_ask:?}");
    let other = host_key.fingerprint();
    let add = |pattern: &str, fingerprint: &str| {
        installed.run(&["hostkey", "ca", "add", pattern, &file, "--fingerprint", fingerprint, "--json"])
    };
    assert_eq!(add("local*", &other).exit, 2);
    assert_eq!(add("a b", &authority.fingerprint()).exit, 2);
    assert_eq!(installed.read("known_hosts"), "");
    let added = add("local*", &authority.fingerprint());
    assert_eq!((added.exit, added.json()["hosts"].as_str()), (0, Some("local*")), "{added:?}");
    assert_eq!(tested(&installed), (0, tested(&installed).1), "{:?}", tested(&installed));
    assert_eq!(tested(&installed).1["login"], "ok");

    let listed = installed.run(&["hostkey", "ca", "list", "--json"]).json();
    assert_eq!(listed["keys"][0]["marker"], "cert-authority");
    assert_eq!(listed["keys"][0]["fingerprint"], authority.fingerprint());
    assert!(installed.run(&["hostkey", "list"]).out.contains("cert-authority"));

    // For somebody else only, and then for everybody.
    let revoke = |more: &[&str]| {
        let fingerprint = authority.fingerprint();
        let words = [&["hostkey", "revoke", "--fingerprint", &fingerprint], more].concat();
        let revoked = installed.run(&words);
        assert_eq!(revoked.exit, 0, "{revoked:?}");
        revoked.out
    };
    assert!(revoke(&["--for", "example"]).contains("`example`"));
    assert_eq!(tested(&installed).1["login"], "ok");
    assert!(revoke(&[]).contains("every host"));
    assert_eq!(tested(&installed).1["code"], "target.hostkey_changed");
    assert_eq!(installed.run(&["hostkey", "revoke"]).exit, 64, "a host or a fingerprint");
}

#[test]
fn a_key_of_the_keystore_opens_with_the_passphrase_beside_it() {
    let server = Sshd::options().key_only().start();
    let folder = tempfile::tempdir().unwrap();
    let pair = KeyPair::make(&folder.path().join("k"), KeyKind::Ed25519, "canary open sesame");
    std::fs::write(server.folder().join("authorized_keys"), pair.public_line()).unwrap();
    let installed = with_credential(&server, "127.0.0.1", "\"keystore:prod/web1\"");
    let set = |passphrase: &str, secret: &str| {
        installed.write("passphrase", passphrase);
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(installed.path("passphrase"), mode).unwrap();
        let words = ["secret", "set", "prod/web1", "--passphrase-file", "passphrase"];
        installed.run_with_input(&words, secret)
    };
    for (passphrase, login) in [("canary wrong\n", false), ("canary open sesame\n", true)] {
        let kept = set(passphrase, &pair.pem());
        assert_eq!(kept.exit, 0, "{kept:?}");
        let (exit, said) = tested(&installed);
        assert_eq!(exit == 0, login, "{said}");
        assert!(!said.to_string().contains("canary"), "{said}");
        if !login {
            assert!(said.to_string().contains("its passphrase is wrong"), "{said}");
        }
    }
    let examined = installed.run(&["secret", "test", "keystore:prod/web1"]);
    assert!(examined.out.contains("encrypted private key"), "{examined:?}");
    assert_eq!(set("phrase", "no key").exit, 2);
    assert_eq!(set("two\nlines", &pair.pem()).exit, 2);
    std::fs::set_permissions(
        installed.path("passphrase"),
        std::os::unix::fs::PermissionsExt::from_mode(0o644),
    )
    .unwrap();
    let words = ["secret", "set", "prod/web1", "--passphrase-file", "passphrase"];
    assert!(installed.run_with_input(&words, &pair.pem()).err.contains("others can read it"));
    for file in ["store.sqlite", "keystore"] {
        let bytes = std::fs::read(installed.path(file))
            .or_else(|_| std::fs::read(installed.path("state").join(file)));
        assert!(!bytes.is_ok_and(|bytes| bytes.windows(6).any(|window| window == b"canary")), "{file}");
    }
}

#[test]
fn a_key_that_the_agent_lacks_is_a_warning_at_the_start_and_a_failure_at_the_login() {
    let server = Sshd::options().key_only().start();
    let agent = SshAgent::start(server.client_key());
    let fingerprint = server.client_key().fingerprint();
    let installed = with_credential(&server, "127.0.0.1", &format!("{{ agent = \"{fingerprint}\" }}"));
    let run = |words: &[&str], socket: Option<&std::path::Path>| {
        let mut command = portcullis(&installed.path(""));
        if let Some(socket) = socket {
            command.env("SSH_AUTH_SOCK", socket);
        }
        let output = command.args(words).output().unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap(),
        )
    };
    let (exit, said) = run(&["check"], Some(agent.socket()));
    assert!(exit == Some(0) && !said.contains("agent"), "{said}");
    assert_eq!(run(&["target", "test", "web1"], Some(agent.socket())).0, Some(0));
    agent.forget_all();
    for (socket, words) in
        [(Some(agent.socket()), "does not hold the key"), (None, "SSH_AUTH_SOCK is not set")]
    {
        let (exit, said) = run(&["check"], socket);
        assert_eq!(exit, Some(0), "a warning: {said}");
        assert!(said.contains(words) && said.contains("hosts.web1.credential"), "{said}");
        assert_eq!(run(&["target", "test", "web1"], socket).0, Some(2));
    }
    let serving = installed.serve();
    let told = || installed.read("serve.log").contains("SSH_AUTH_SOCK is not set").then_some(());
    assert!(patiently(told).is_some(), "{}", installed.read("serve.log"));
    drop(serving);
}

#[test]
fn calls_with_a_password_of_the_inventory_share_a_connection() {
    let server = Sshd::start();
    let credential = format!("{{ password = \"{}\" }}", server.password());
    let installed = with_credential(&server, "127.0.0.1", &credential);
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(installed.path("inventory.toml"), mode).unwrap();
    let _serving = installed.serve();
    for _ in 0..3 {
        let ran = installed.run(&["call", "ssh_execute", "host=web1", "command=df -h", "--as", "agent"]);
        assert_eq!(ran.exit, 0, "{ran:?}");
    }
    assert_eq!(server.logins(), 1, "{}", server.log());
}

#[test]
fn the_software_of_a_server_and_its_known_holes_are_told_to_who_tests_it_and_close_nothing() {
    for (software, holes) in [("OpenSSH_9.2p1 Debian-2+deb12u2", 1), ("OpenSSH_10.0p2", 0)] {
        let server = ScriptedSshd::options().software(software).start();
        let installed = Installed::new();
        std::fs::copy(server.client_key().path(), installed.path("client")).unwrap();
        installed.append(
            "inventory.toml",
            &format!(
                "[hosts.web1]\naddress = \"127.0.0.1\"\nport = {}\nuser = \"{}\"\ntags = [\"web\"]\n\
                 credential = {{ key = \"client\" }}",
                server.port(),
                ScriptedSshd::USER
            ),
        );
        installed.write("known_hosts", &server.known_hosts_line());
        let (exit, said) = tested(&installed);
        assert_eq!((exit, &said["login"], &said["server"]), (0, &"ok".into(), &software.into()), "{said}");
        let doubts = said["doubts"].as_array().unwrap();
        assert_eq!(doubts.iter().filter(|doubt| doubt.to_string().contains("CVE-2024-6387")).count(), holes);
        let shown = installed.run(&["target", "test", "web1"]).out;
        assert!(shown.contains(&format!("Server: {software}\n")) || shown.ends_with(software), "{shown}");
        assert_eq!(shown.contains("Doubts: CVE-2024-6387"), holes == 1, "{shown}");
        let ran =
            installed.run(&["call", "ssh_execute", "host=web1", "command=df -h", "--as", "agent", "--json"]);
        assert_eq!(ran.exit, 0, "{ran:?}");
        assert!(!ran.out.contains(software) && !ran.out.contains("CVE-"), "{ran:?}");
    }
}
