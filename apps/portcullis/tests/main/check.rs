use testkit::TestCa;

use crate::environment::Installed;

#[test]
fn every_mistake_is_named_with_its_place() {
    // What is put at the end of a file that `init` wrote, and what the finding must say.
    for (file, more, key) in [
        ("portcullis.toml", "colour = \"red\"", "colour"),
        ("portcullis.toml", "[oauth]\nissuer = \"https://x\"", "oauth"),
        ("portcullis.toml", "[[principal]]\nid = \"two words\"", "id"),
        ("portcullis.toml", "[network]\nallow = [\"10.0.0.0/99\"]", "network.allow"),
        ("inventory.toml", "[hosts.web1]\naddress = \"10.0.0.1\"\nprot = 22", "prot"),
        (
            "inventory.toml",
            "[hosts.web1]\naddress = \"10.0.0.1\"\ncredential = \"nowhere:a/b\"",
            "credential",
        ),
        (
            "policy/ops.toml",
            "[[rule]]\nname = \"x\"\nallow = [\"frob\"]\nprincipals = [\"*\"]\ntargets = [\"*\"]",
            "allow",
        ),
        ("policy/ops.toml", "[[rule]]\nname = \"x\"\nallow = [\"whoami\"]\nprincipals = [\"*\"]", "targets"),
        ("policy/ops.toml", "[[rule", ""),
    ] {
        let installed = Installed::new();
        installed.append(file, more);
        let last = u32::try_from(installed.read(file).lines().count()).unwrap();
        let ran = installed.run(&["check", "--json"]);
        assert_eq!(ran.exit, 1, "{more}: {ran:?}");
        let findings = ran.json()["findings"].as_array().unwrap().clone();
        let found = findings.iter().find(|finding| {
            let line = finding["line"].as_u64().unwrap();
            finding["severity"] == "error"
                && finding["file"].as_str().unwrap().ends_with(file)
                && (1..=u64::from(last)).contains(&line)
                && finding["column"].as_u64().unwrap() > 0
                && finding["key"].as_str().unwrap().contains(key)
        });
        let found = found.unwrap_or_else(|| panic!("{more}: {ran:?}"));
        let place = format!("{}:{}:{}", found["file"].as_str().unwrap(), found["line"], found["column"]);
        let text = installed.run(&["check"]);
        assert!(text.err.contains(&place), "{place} is not in {}", text.err);
    }
}

#[test]
fn several_mistakes_are_told_at_once() {
    let installed = Installed::new();
    installed.append("portcullis.toml", "[oauth]\n[fleet]");
    installed.append("inventory.toml", "[hosts.web1]\nprot = 22");
    let ran = installed.run(&["check", "--json"]);
    assert!(ran.json()["errors"].as_u64().unwrap() >= 3, "{ran:?}");
}

#[test]
fn a_broken_line_is_never_quoted() {
    let installed = Installed::new();
    installed.append("portcullis.toml", "password = \"hunter2");
    for command in [vec!["check"], vec!["check", "--json"], vec!["serve"], vec!["health"], vec!["whoami"]] {
        let ran = installed.run(&command);
        assert_eq!(ran.exit, 1, "{command:?}: {ran:?}");
        assert!(!ran.out.contains("hunter2") && !ran.err.contains("hunter2"), "{command:?}: {ran:?}");
    }
}

#[test]
fn checks_that_are_left_out_need_a_word_on_the_command_line() {
    let installed = Installed::new();
    installed.edit("portcullis.toml", "inventory = ", "insecure = [\"hostkey\"]\ninventory = ");
    let ran = installed.run(&["whoami"]);
    assert_eq!(ran.exit, 1, "{ran:?}");
    assert!(ran.err.contains("--insecure"), "{ran:?}");
    assert_eq!(installed.run(&["whoami", "--insecure"]).exit, 0);
}

/// A file of `[listen.tls]`, what is put into it, and words of what is said about it.
type Spoilt<'a> = (&'a str, String, &'a str, &'a str);

#[test]
fn the_file_of_listen_tls_that_is_at_fault_is_blamed() {
    let (authority, other) = (TestCa::new(), TestCa::new());
    let stranger = other.server(&["localhost"]);
    let no_key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n".to_owned();
    let no_certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned();
    let own = authority.server(&["localhost"]);
    let spoilt: [Spoilt<'_>; 8] = [
        ("server.pem", "nonsense".to_owned(), "cert", "no PEM certificate"),
        ("server.pem", no_certificate.clone(), "cert", "the certificate cannot be read"),
        ("server.pem", own.key.clone(), "cert", "no PEM certificate"),
        ("server.key", "nonsense canary".to_owned(), "key", "no PEM key"),
        ("server.key", no_key, "key", "no form that TLS can use"),
        ("server.key", stranger.key.clone(), "key", "cannot be used together"),
        ("clients.pem", "nonsense".to_owned(), "client_ca", "no PEM certificate"),
        ("clients.pem", no_certificate, "client_ca", "the client authority cannot be read"),
    ];
    for (file, text, key, words) in spoilt {
        let installed = Installed::new();
        own.write(&installed.path("."), "server");
        installed.write("clients.pem", authority.pem());
        installed.append(
            "portcullis.toml",
            "[listen.tls]\ncert = \"server.pem\"\nkey = \"server.key\"\nclient_ca = \"clients.pem\"",
        );
        assert_eq!(installed.run(&["check"]).exit, 0, "before it is spoilt");
        installed.write(file, &text);
        let ran = installed.run(&["check", "--json"]);
        assert_eq!(ran.exit, 1, "{file}: {ran:?}");
        let mut found = ran.json()["findings"].as_array().unwrap().clone();
        found.retain(|finding| finding["severity"] == "error");
        let [found] = found.as_slice() else { panic!("{file}: {ran:?}") };
        assert_eq!(found["key"], format!("listen.tls.{key}"), "{found}");
        assert!(found["message"].as_str().unwrap().contains(words), "{found}");
        let text = installed.read("portcullis.toml");
        let line = text.lines().nth(usize::try_from(found["line"].as_u64().unwrap()).unwrap() - 1).unwrap();
        assert!(line.starts_with(&format!("{key} = ")), "{line}: {found}");
        let served = installed.run(&["serve"]);
        assert!(served.exit == 1 && served.err.contains(&format!("`listen.tls.{key}`")), "{served:?}");
        assert!(!served.err.contains("canary"), "{served:?}");
    }
}

#[test]
fn certificates_of_upstreams_are_opened_and_nothing_is_asked_of_sources() {
    let installed = Installed::new();
    let (ours, theirs) = (TestCa::new(), TestCa::new());
    installed.write("right.pem", ours.pem());
    installed.write("page.pem", "<html>");
    let (own, other) = (ours.client(&["gateway.example"]), theirs.client(&["gateway.example"]));
    installed.write("own.pem", &own.cert);
    for (file, text) in [("own.key", &own.key), ("other.key", &other.key)] {
        installed.write(file, text);
        crate::upstreams::private(&installed.path(file));
    }
    let keys = |name: &str, more: &str| {
        format!(
            "[[upstream]]\nname = \"{name}\"\nurl = \"https://mcp.example/mcp\"\ntools = \"*\"\nauth = {{ bearer = {{ env = \"NOT_SET_HERE\" }} }}\n{more}\n"
        )
    };
    let before = installed.read("portcullis.toml");
    installed.append(
        "portcullis.toml",
        &keys("right", "ca = \"right.pem\"\nclient_cert = \"own.pem\"\nclient_key = \"own.key\""),
    );
    let ran = installed.run(&["check"]);
    assert_eq!(ran.exit, 0, "the secret is nobody's business here: {ran:?}");
    for (more, key, why) in [
        ("ca = \"page.pem\"", "ca", "holds no certificate"),
        ("client_cert = \"page.pem\"\nclient_key = \"own.key\"", "client_cert", "holds no certificate"),
        ("client_cert = \"own.pem\"\nclient_key = \"own.pem\"", "client_key", "own.pem"),
        ("client_cert = \"own.pem\"\nclient_key = \"other.key\"", "client_key", "does not fit `client_cert`"),
    ] {
        installed.write("portcullis.toml", &before);
        installed.append("portcullis.toml", &keys("wrong", more));
        crate::upstreams::private(&installed.path("own.pem"));
        let ran = installed.run(&["check", "--json"]);
        let findings = ran.json()["findings"].to_string();
        assert_eq!(ran.exit, 1, "{more}: {findings}");
        assert!(
            findings.contains(&format!("upstream[0].{key}")) && findings.contains(why),
            "{more}: {findings}"
        );
    }
}
