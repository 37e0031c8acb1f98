use crate::environment::Installed;

fn with_a_host() -> Installed {
    let installed = Installed::new();
    installed.append(
        "inventory.toml",
        "[hosts.web1]\naddress = \"192.0.2.1\"\ntags = [\"web\"]\ncredential = \"keystore:prod/web1\"",
    );
    installed
}

#[test]
fn rules_are_shown_as_cedar() {
    let shown = with_a_host().run(&["policy", "show"]);
    assert_eq!(shown.exit, 0, "{shown:?}");
    assert!(shown.out.contains("permit") && shown.out.contains("agents may look"), "{shown:?}");
}

#[test]
fn a_decision_is_explained_with_its_rule_and_what_would_pass() {
    let installed = with_a_host();
    let explain = |command: &str| {
        let command = format!("command={command}");
        installed
            .run(&["policy", "explain", "--as", "agent", "ssh_execute", "host=web1", &command, "--json"])
            .json()
    };
    let allowed = explain("uptime");
    assert_eq!(
        (&allowed["decision"], &allowed["rule"]),
        (&"allow".into(), &"agents may look".into()),
        "{allowed}"
    );
    let denied = explain("reboot");
    assert_eq!(
        (&denied["decision"], &denied["code"]),
        (&"deny".into(), &"denied.command".into()),
        "{denied}"
    );
    assert!(denied["reason"].as_str().unwrap().contains("`agents may look`"), "{denied}");
    // A pattern with `*` has no example: nobody knows which services there are.
    let offered = ["uptime", "df -h"];
    assert_eq!(denied["allowed_instead"], serde_json::json!(offered), "{denied}");
    assert_eq!(denied["hint"], "lines such as those in `allowed_instead` are permitted here", "{denied}");
    for line in offered {
        assert_eq!(explain(line)["decision"], "allow", "{line} was offered");
    }
}

#[test]
fn a_table_of_cases_is_checked_and_a_wrong_one_is_told() {
    let installed = with_a_host();
    let case = |command: &str, more: &str| {
        format!(
            "[[case]]\nas = \"agent\"\ntool = \"ssh_execute\"\nhost = \"web1\"\ncommand = \"{command}\"\n{more}\n"
        )
    };
    installed.write(
        "cases.toml",
        &(case("uptime", "expect = \"allow\"\nrule = \"agents may look\"")
            + &case("reboot", "expect = \"deny\"\ncode = \"denied.command\"")),
    );
    let right = installed.run(&["policy", "test", "cases.toml"]);
    assert_eq!(right.exit, 0, "{right:?}");
    assert!(!installed.path("state").exists(), "it works on files alone");

    installed.write("cases.toml", &case("uptime", "expect = \"deny\""));
    let wrong = installed.run(&["policy", "test", "cases.toml"]);
    assert_eq!(wrong.exit, 2, "{wrong:?}");
    assert!(
        wrong.out.contains("FAILED")
            && wrong.out.contains("cases.toml:1")
            && wrong.out.contains("decided allow"),
        "{wrong:?}"
    );

    for (text, line) in [("[[case]]\nas = \"x\"\nexpct = \"allow\"", 3), ("[[case]]\nas = ", 2), ("", 0)] {
        installed.write("cases.toml", text);
        let ran = installed.run(&["policy", "test", "cases.toml"]);
        assert_eq!(ran.exit, 1, "{text}: {ran:?}");
        assert!(line == 0 || ran.err.contains(&format!("cases.toml:{line}")), "{text}: {ran:?}");
    }
}

#[test]
fn lint_prints_doubts_and_exits_0() {
    let installed = with_a_host();
    let lint = |arguments: &[&str]| {
        let ran = installed.run(&[&["policy", "lint"], arguments].concat());
        assert_eq!(ran.exit, 0, "{ran:?}");
        ran
    };
    assert_eq!(lint(&["--json"]).json()["findings"], serde_json::json!([]), "the starter rules are clear");
    installed.write(
        "policy/doubtful.toml",
        r#"
[[rule]]
name = "agents may look closer"
allow = ["ssh_execute"]
principals = ["group:agents"]
targets = ["tag:web", "gone1"]
commands = ["id", "sudo *"]
"#,
    );
    let shown = lint(&["--json"]).json();
    let findings = shown["findings"].as_array().unwrap();
    let expected = [
        (6, 23, "rule[0].targets[1]", "unknown-target", "no target is called `gone1`"),
        (7, 19, "rule[0].commands[1]", "opaque", "`sudo *`"),
    ];
    assert_eq!(findings.len(), expected.len(), "{shown}");
    let told = installed.run(&["check", "--json"]).json();
    let about_rules = |finding: &&serde_json::Value| !finding["code"].is_null();
    let told: Vec<_> = told["findings"].as_array().unwrap().iter().filter(about_rules).collect();
    assert_eq!(told, findings.iter().collect::<Vec<_>>(), "`check` says the same");
    let (printed, checked) = (lint(&[]), installed.run(&["check"]));
    for (finding, (line, column, key, code, message)) in findings.iter().zip(expected) {
        assert!(finding["file"].as_str().unwrap().ends_with("policy/doubtful.toml"), "{finding}");
        assert_eq!((&finding["line"], &finding["column"]), (&line.into(), &column.into()), "{finding}");
        assert_eq!((&finding["severity"], &finding["key"]), (&"warning".into(), &key.into()), "{finding}");
        assert!(finding["message"].as_str().unwrap().contains(message), "{finding}");
        assert!(finding["hint"].is_string(), "{finding}");
        assert_eq!(finding["code"], code, "{finding}");
        let place = format!("policy/doubtful.toml:{line}:{column}: {key}: ");
        for printed in [&printed, &checked] {
            let line = printed.err.lines().find(|line| line.contains(&place)).unwrap();
            assert!(line.contains(message) && line.ends_with(&format!(" [{code}]")), "{printed:?}");
        }
    }
}
