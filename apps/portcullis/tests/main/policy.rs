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
    assert!(denied["reason"].is_string() && denied.get("hint").is_some(), "{denied}");
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
    let ran = with_a_host().run(&["policy", "lint", "--json"]);
    assert_eq!(ran.exit, 0, "{ran:?}");
    assert!(ran.json()["findings"].is_array());
}
