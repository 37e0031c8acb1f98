//! Host keys, logins and commands on a real server.

use testkit::Sshd;

use crate::environment::Installed;

/// A server that the inventory names, whose client key the keystore holds, and whose key nobody knows yet.
fn with_server() -> (Installed, Sshd) {
    let (installed, server) = (Installed::new(), Sshd::start());
    let host = format!(
        "[hosts.web1]\naddress = \"{}\"\nport = {}\nuser = \"{}\"\ntags = [\"web\"]\ncredential = \"keystore:prod/web1\"",
        server.host(),
        server.port(),
        server.user()
    );
    installed.append("inventory.toml", &host);
    let set = installed.run_with_input(&["secret", "set", "prod/web1"], &server.client_key().pem());
    assert_eq!(set.exit, 0, "{set:?}");
    (installed, server)
}

fn standing(installed: &Installed) -> String {
    let scanned = installed.run(&["hostkey", "scan", "web1", "--json"]);
    assert_eq!(scanned.exit, 0, "{scanned:?}");
    scanned.json()["keys"][0]["standing"].as_str().unwrap().to_owned()
}

#[test]
fn nothing_is_trusted_before_somebody_has_compared_the_fingerprint() {
    let (installed, server) = with_server();
    assert_eq!(standing(&installed), "unknown");
    let unknown = installed.run(&["target", "test", "web1", "--json"]);
    assert_eq!(
        (unknown.exit, unknown.json()["code"].as_str()),
        (2, Some("target.hostkey_unknown")),
        "{unknown:?}"
    );

    let nobody_to_ask = installed.run(&["hostkey", "trust", "web1"]);
    assert_eq!(nobody_to_ask.exit, 64, "{nobody_to_ask:?}");
    assert!(nobody_to_ask.err.contains("--fingerprint"), "{nobody_to_ask:?}");
    let other = "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    assert_eq!(installed.run(&["hostkey", "trust", "web1", "--fingerprint", other]).exit, 2);
    assert_eq!(standing(&installed), "unknown");

    let scanned = installed.run(&["hostkey", "scan", "web1", "--json"]).json();
    let fingerprint = scanned["keys"][0]["fingerprint"].as_str().unwrap();
    let trusted = installed.run(&["hostkey", "trust", "web1", "--fingerprint", fingerprint]);
    assert_eq!(trusted.exit, 0, "{trusted:?}");
    assert_eq!(standing(&installed), "known");
    assert!(installed.run(&["hostkey", "list"]).out.contains(fingerprint));

    // Logs in, and runs nothing.
    let tested = installed.run(&["target", "test", "web1", "--json"]);
    assert_eq!((tested.exit, tested.json()["login"].as_str()), (0, Some("ok")), "{tested:?}");
    assert_eq!((server.logins(), server.acts().len()), (1, 0));

    let revoked = installed.run(&["hostkey", "revoke", "web1"]);
    assert_eq!(revoked.exit, 0, "{revoked:?}");
    assert_eq!(standing(&installed), "revoked");
    let refused = installed.run(&["target", "test", "web1"]);
    assert_eq!(refused.exit, 2, "{refused:?}");
    let again = installed.run(&["hostkey", "trust", "web1", "--fingerprint", fingerprint]);
    assert_eq!(again.exit, 2, "{again:?}");
}

#[test]
fn a_command_runs_and_its_secret_is_nowhere() {
    let (installed, server) = with_server();
    installed.write("known_hosts", &server.known_hosts_line());
    let called = installed.run(&["call", "ssh_execute", "host=web1", "command=df -h", "--as", "agent"]);
    assert_eq!(called.exit, 0, "{called:?}");
    assert!(called.out.contains("Exit code: 0") && called.out.contains("--- stdout ---"), "{called:?}");
    let opened = installed.run(&["audit", "query", "--tool", "ssh_execute", "--commands", "--json"]);
    assert!(opened.out.contains("\"df -h\""), "{opened:?}");
    let sealed = installed.run(&["audit", "query", "--tool", "ssh_execute", "--json"]);
    assert!(!sealed.out.contains("df -h") && sealed.out.contains("sealed"), "{sealed:?}");
    let pem = server.client_key().pem();
    let body = pem.lines().nth(2).unwrap();
    for ran in [called, opened, sealed] {
        assert!(!ran.out.contains(body) && !ran.err.contains(body), "{ran:?}");
    }
}

#[test]
fn who_makes_a_host_show_the_secret_is_frozen_until_somebody_says_so() {
    let (installed, server) = with_server();
    installed.write("known_hosts", &server.known_hosts_line());
    installed.write("shown", &server.client_key().pem());
    installed.append(
        "policy/ops.toml",
        "[[rule]]\nname = \"reads\"\nallow = [\"ssh_execute\"]\nprincipals = [\"agent\"]\ntargets = [\"web1\"]\ncommands = [\"cat *\"]\n",
    );
    installed.edit("portcullis.toml", "inventory = ", "watch = true\ninventory = ");
    let _serving = installed.serve();
    let command = format!("command=cat {}", installed.path("shown").display());
    let leak = || {
        let ran = installed.run(&["call", "ssh_execute", "host=web1", &command, "--as", "agent", "--json"]);
        ran.json()["code"].as_str().map(str::to_owned).ok_or(ran).unwrap()
    };
    assert_eq!([leak(), leak(), leak()], ["secret_in_output"; 3]);
    // The operator acts, so the operator is frozen; being one does not help.
    assert_eq!(installed.run(&["whoami"]).exit, 0);
    let refused = || {
        let listed = installed.run(&["secret", "list"]);
        assert_eq!(listed.exit, 3, "{listed:?}");
        assert!(listed.err.contains("frozen"), "{listed:?}");
    };
    refused();
    let acting = installed.run(&["call", "whoami", "--as", "agent", "--json"]);
    assert_eq!((acting.exit, acting.json()["code"].as_str()), (3, Some("denied.lockdown")), "{acting:?}");
    let told = installed.run(&["call", "whoami", "--as", "agent"]);
    assert!(told.out.contains("frozen") && told.out.contains("portcullis reload"), "{told:?}");
    // Changed files come into force, and nobody has said anything about the leaks.
    installed.append("inventory.toml", "[hosts.web2]\naddress = \"192.0.2.1\"");
    let reloaded = || installed.read("serve.log").contains("reloaded: ");
    assert!(crate::environment::patiently(|| reloaded().then_some(())).is_some());
    refused();
    // An operator's own reload is somebody who says so.
    let lifted = installed.run(&["reload"]);
    assert_eq!(lifted.exit, 0, "{lifted:?}");
    assert_eq!(leak(), "secret_in_output");
    let entries = installed.run(&["audit", "query", "--event", "principal_frozen", "--json"]);
    assert_eq!(entries.out.lines().count(), 1, "{entries:?}");
    let record = installed.run(&["audit", "query", "--event", "config_reloaded", "--json"]);
    assert!(record.out.contains("\"thawed\":[\"operator\"]"), "{record:?}");
}
