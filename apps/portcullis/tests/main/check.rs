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
