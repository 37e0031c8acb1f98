//! Verbs without a running gateway: the command owns the state for as long as it runs.

use crate::environment::Installed;

/// Looks through everything that was written.
fn written_anywhere(installed: &Installed, needle: &str) -> Vec<String> {
    fn look(folder: &std::path::Path, needle: &[u8], found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                look(&path, needle, found);
            } else if let Ok(bytes) = std::fs::read(&path)
                && bytes.windows(needle.len()).any(|window| window == needle)
            {
                found.push(path.display().to_string());
            }
        }
    }
    let mut found = Vec::new();
    look(&installed.path("."), needle.as_bytes(), &mut found);
    found
}

#[test]
fn a_secret_is_kept_and_never_told() {
    const VALUE: &str = "correct-horse-9f2c1e77";
    let installed = Installed::new();
    let set = installed
        .run_with_input(&["secret", "set", "prod/web1", "--username", "root"], &format!("{VALUE}\n"));
    assert_eq!(set.exit, 0, "{set:?}");
    let listed = installed.run(&["secret", "list", "--json"]);
    let secret = &listed.json()["secrets"][0];
    assert_eq!(
        (&secret["ref"], &secret["username"]),
        (&"keystore:prod/web1".into(), &"root".into()),
        "{listed:?}"
    );
    let tested = installed.run(&["secret", "test", "keystore:prod/web1"]);
    assert_eq!(tested.exit, 0, "{tested:?}");
    assert!(tested.out.contains("password") && tested.out.contains("root"), "{tested:?}");
    let audit = installed.run(&["audit", "query", "--json"]);
    assert!(audit.out.contains("operator:secret-set"), "{audit:?}");
    for ran in [&set, &listed, &tested, &audit] {
        assert!(!ran.out.contains(VALUE) && !ran.err.contains(VALUE), "{ran:?}");
    }
    assert_eq!(written_anywhere(&installed, VALUE), Vec::<String>::new());

    let key = installed.read("keystore.key");
    let rotated = installed.run(&["secret", "rotate-master"]);
    assert_eq!(rotated.exit, 0, "{rotated:?}");
    assert_ne!(installed.read("keystore.key"), key);
    assert_eq!(installed.run(&["secret", "test", "prod/web1"]).exit, 0);
    assert_eq!(installed.run(&["secret", "rm", "prod/web1"]).exit, 0);
    assert_eq!(installed.run(&["secret", "rm", "prod/web1"]).exit, 2);
    assert_eq!(installed.run(&["secret", "test", "prod/web1"]).exit, 2);
}

#[test]
fn a_secret_needs_a_value_and_a_name() {
    let installed = Installed::new();
    assert_eq!(installed.run_with_input(&["secret", "set", "prod/web1"], "").exit, 64);
    assert_eq!(installed.run_with_input(&["secret", "set", "prod"], "value").exit, 2);
    assert_eq!(installed.run_with_input(&["secret", "set", "elsewhere:prod/x"], "value").exit, 2);
    let secret_in_json =
        installed.run_with_input(&["secret", "set", "prod/x", "--json"], "value-that-is-long");
    assert_eq!(secret_in_json.json()["ref"], "keystore:prod/x");
}

#[test]
fn without_a_rule_a_verb_is_denied() {
    let installed = Installed::new();
    installed.edit("policy/ops.toml", "operator:*", "operator:target-list");
    assert_eq!(installed.run(&["target", "list"]).exit, 0);
    for denied in [
        vec!["audit", "tail"],
        vec!["secret", "list"],
        vec!["hostkey", "list"],
        vec!["whoami", "--as", "agent"],
        vec!["policy", "explain", "--as", "agent", "whoami"],
    ] {
        let ran = installed.run(&denied);
        assert_eq!(ran.exit, 3, "{denied:?}: {ran:?}");
        assert!(ran.err.contains("denied.no_rule") && ran.err.contains("hint"), "{denied:?}: {ran:?}");
    }
}

#[test]
fn a_user_whom_the_configuration_does_not_know_gets_nothing() {
    let installed = Installed::new();
    let configuration = installed.read("portcullis.toml");
    let changed: Vec<String> = configuration
        .lines()
        .map(|line| {
            if line.starts_with("os_user") {
                "os_user = \"somebody-else\"".to_owned()
            } else {
                line.to_owned()
            }
        })
        .collect();
    installed.write("portcullis.toml", &changed.join("\n"));
    let ran = installed.run(&["whoami"]);
    assert_eq!(ran.exit, 3, "{ran:?}");
    assert!(ran.err.contains("os_user"), "{ran:?}");
}

#[test]
fn tools_are_seen_with_a_principals_eyes() {
    let installed = Installed::new();
    let mine = installed.run(&["tools", "list", "--json"]).json();
    let agents = installed.run(&["tools", "list", "--as", "agent", "--json"]).json();
    let names = |value: &serde_json::Value| -> Vec<String> {
        value["tools"]
            .as_array()
            .unwrap()
            .iter()
            .map(|tool| tool["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert!(!names(&mine).contains(&"ssh_execute".to_owned()), "{mine}");
    assert!(names(&agents).contains(&"ssh_execute".to_owned()), "{agents}");
    let shown = installed.run(&["tools", "show", "ssh_execute", "--as", "agent"]);
    assert!(shown.out.contains("command") && shown.out.contains("dangerous"), "{shown:?}");
    assert_eq!(installed.run(&["tools", "show", "ssh_execute"]).exit, 2);
    assert!(installed.run(&["tools", "cost", "--json"]).json()["tokens"].as_u64().unwrap() > 0);
}

#[test]
fn targets_are_listed_and_shown_without_secrets() {
    let installed = Installed::new();
    assert_eq!(installed.run(&["target", "list"]).out.trim(), "no targets");
    installed.append(
        "inventory.toml",
        "[hosts.web1]\naddress = \"192.0.2.1\"\ntags = [\"web\"]\ncredential = \"keystore:prod/web1\"",
    );
    let listed = installed.run(&["target", "list"]);
    assert!(listed.out.contains("web1") && listed.out.contains("192.0.2.1:22"), "{listed:?}");
    let shown = installed.run(&["target", "show", "web1", "--json"]).json();
    assert_eq!(
        (&shown["address"], &shown["credential"]),
        (&"192.0.2.1".into(), &"keystore:prod/web1".into())
    );
    assert_eq!(installed.run(&["target", "show", "web2"]).exit, 2);
    assert_eq!(installed.run(&["target", "test", "web2"]).exit, 2);
}

#[test]
fn calls_take_the_pipeline_and_tell_how_it_ended() {
    let installed = Installed::new();
    installed.append(
        "inventory.toml",
        "[hosts.web1]\naddress = \"192.0.2.1\"\ntags = [\"web\"]\ncredential = \"keystore:prod/web1\"",
    );
    installed.append(
        "policy/ops.toml",
        "[[rule]]\nname = \"ask first\"\nallow = [\"ssh_execute\"]\nprincipals = [\"group:agents\"]\ntargets = [\"tag:web\"]\ncommands = [\"reboot\"]\napproval = { by = [\"group:operators\"] }",
    );
    let call = |command: &str, more: &[&str]| {
        let command = format!("command={command}");
        installed.run(&[&["call", "ssh_execute", "host=web1", &command, "--as", "agent"], more].concat())
    };
    assert_eq!(call("rm -rf /", &[]).exit, 3);
    assert_eq!(call("reboot", &[]).exit, 4);
    // Permitted, and there is no such secret.
    let failed = call("uptime", &["--json"]);
    assert_eq!(failed.exit, 2, "{failed:?}");
    assert_eq!(failed.json()["code"], "credential.not_found", "{failed:?}");
    for (command, exit, decision) in
        [("uptime", 0, "allow"), ("rm -rf /", 3, "deny"), ("reboot", 4, "approval")]
    {
        let dry = call(command, &["--dry-run", "--json"]);
        assert_eq!((dry.exit, dry.json()["decision"].as_str()), (exit, Some(decision)), "{dry:?}");
    }
    assert_eq!(installed.run(&["call", "ssh_execute", "host"]).exit, 64);
    assert_eq!(installed.run(&["call", "no_such_tool"]).exit, 2);
}

#[test]
fn commands_at_the_same_time_wait_for_each_other() {
    let installed = Installed::new();
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..6).map(|_| scope.spawn(|| installed.run(&["whoami"]))).collect();
        for ran in runs.into_iter().map(|run| run.join().unwrap()) {
            assert_eq!(ran.exit, 0, "{ran:?}");
        }
    });
    assert_eq!(installed.run(&["audit", "verify"]).exit, 0);
}
