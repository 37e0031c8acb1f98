//! What cannot be understood is permitted by name alone, and what narrows looks into it.

use model::ErrorCode;

use crate::world::{run, snapshot};

const RULES: &str = r#"
[[rule]]
name = "by name"
allow = ["ssh_execute"]
principals = ["*"]
targets = ["*"]
commands = ["uptime", "echo **"]
opaque = ["find", "bash -c **", "sudo systemctl status *", "env", "timeout <int> df -h", "xargs", "docker exec *"]
"#;

fn with(more: &str) -> policy::Snapshot {
    snapshot(&format!("{RULES}\n[[rule]]\nname='more'\nprincipals=['*']\ntargets=['*']\n{more}\n"), "")
}

#[test]
fn one_word_permits_a_program_with_any_words_and_a_pattern_only_what_it_says() {
    let policy = snapshot(RULES, "");
    for line in [
        "find",
        "find /var -name '*.log' -exec rm '{}' +",
        "bash -c id",
        "bash -c 'id; id' x",
        "sudo systemctl status nginx",
        "env",
        "env -i find /",
        "timeout 5 df -h",
        "find / | xargs -0 wc",
    ] {
        assert!(run(&policy, "bot", "web1", line).is_ok(), "{line}");
    }
    for line in [
        "/usr/bin/find /",
        "bash",
        "bash x",
        "bash -c id -x",
        "sudo systemctl restart nginx",
        "sudo -u root systemctl status nginx",
        "sudo id",
        "timeout 5 df -h /",
        "timeout x df -h",
        "sh -c id",
        "find / | sh",
        "docker exec -it x",
    ] {
        let denial = run(&policy, "bot", "web1", line).unwrap_err();
        assert_eq!(denial.code, ErrorCode::DeniedCommand, "{line}");
        assert!(denial.reason.contains("its words do not show"), "{line}: {}", denial.reason);
    }
}

#[test]
fn commands_never_permit_what_is_opaque_nor_opaque_what_is_not() {
    let any = "[[rule]]\nname='a'\nallow=['*']\nprincipals=['*']\ntargets=['*']\n";
    let commands = snapshot(&format!("{any}commands=['**', 'find **', 'find', 'bash -c *']\n"), "");
    for line in ["find", "find /", "bash -c id", "sort -o x y"] {
        assert!(run(&commands, "bot", "web1", line).is_err(), "{line}");
    }
    let opaque = snapshot(&format!("{any}opaque=['**']\n"), "");
    assert!(run(&opaque, "bot", "web1", "find / -delete").is_ok());
    assert!(run(&opaque, "bot", "web1", "sort -o x y").is_ok());
    for line in ["uptime", "sort x", "find / | wc -l", "find / >/tmp/x"] {
        assert!(run(&opaque, "bot", "web1", line).is_err(), "{line}");
    }
}

#[test]
fn a_cedar_permit_alone_permits_nothing_opaque() {
    let cedar = "permit (principal, action, resource);";
    let policy = snapshot(RULES, cedar);
    assert!(run(&policy, "bot", "web1", "sh -c id").is_err());
    assert!(run(&policy, "bot", "web1", "find /").is_ok());
    // Nor beside a rule whose condition does not hold.
    let later =
        snapshot(&RULES.replace("commands =", "when = \"context.time.hour == 3\"\ncommands ="), cedar);
    assert!(run(&later, "bot", "web1", "uptime").is_ok(), "by the Cedar file");
    assert!(run(&later, "bot", "web1", "find /").is_err());
    let forbids = snapshot(
        RULES,
        "forbid (principal, action, resource) when { context has command && context.command.opaque };",
    );
    assert_eq!(run(&forbids, "bot", "web1", "find /").unwrap_err().code, ErrorCode::DeniedForbidden);
    assert!(run(&forbids, "bot", "web1", "uptime").is_ok());
}

#[test]
fn what_narrows_finds_a_command_behind_what_runs_it() {
    for (narrow, lines) in [
        (
            "commands=['systemctl restart *']",
            &[
                "env systemctl restart nginx",
                "env -i A=b /usr/bin/systemctl --no-block restart nginx",
                "find / -exec systemctl restart nginx ';'",
                "bash -c 'systemctl restart nginx'",
                "bash -c 'id && systemctl --now restart nginx'",
                "bash -c 'true;systemctl restart nginx'",
                "bash -c 's\"y\"stemctl restart nginx'",
                "bash -c '$(systemctl restart nginx)'",
                "env bash -c 'exec systemctl restart nginx'",
                "xargs systemctl restart nginx",
            ][..],
        ),
        (
            "commands=['reboot']",
            &["env reboot", "bash -c reboot", "find / -exec /sbin/reboot +", "xargs -- reboot -f"],
        ),
        ("commands=['rm -rf <path:/srv>']", &["env rm -r -f /srv/x", "find / -exec rm -fr /srv/a ';'"]),
        ("commands=['cat /etc/shadow']", &["bash -c 'cat </etc/shadow'", "env cat /etc/shadow"]),
        ("opaque=['find']", &["find / -delete", "env find /", "bash -c 'find /'"]),
        ("opaque=['**']", &["find /", "env id", "bash -c id"]),
    ] {
        let forbids = with(&format!("forbid=['*']\n{narrow}"));
        let asks = with(&format!("allow=['*']\n{narrow}\napproval={{by=['group:oncall']}}"));
        for line in lines {
            let denial = run(&forbids, "bot", "web1", line).unwrap_err();
            assert_eq!(denial.code, ErrorCode::DeniedForbidden, "{narrow}: {line}: {}", denial.reason);
            let allowed = run(&asks, "bot", "web1", line).unwrap();
            assert_eq!(allowed.obligations().approvals.len(), 1, "{narrow}: {line}");
        }
        for line in ["uptime", "echo systemctl restart nginx", "echo reboot find"] {
            assert!(run(&forbids, "bot", "web1", line).is_ok(), "{narrow}: {line}");
        }
    }
    let asks = with("allow=['*']\ncommands=['systemctl restart *']\napproval={by=['group:oncall']}");
    assert!(run(&asks, "bot", "web1", "find / -name nginx").unwrap().obligations().approvals.is_empty());
}

#[test]
fn a_denied_opaque_command_says_which_rule_came_nearest() {
    let policy = snapshot(RULES, "");
    let denial = run(&policy, "bot", "web1", "sudo systemctl restart nginx").unwrap_err();
    assert_eq!(denial.rule.unwrap().as_str(), "by name");
    assert!(
        denial.reason.contains("`sudo systemctl status *` in `opaque`: word 3 is `restart`"),
        "{}",
        denial.reason
    );
    assert!(denial.hint.unwrap().contains("`opaque`"));
}

/// A line of the most words, against what is found within: not quadratic.
#[test]
fn looking_into_long_opaque_commands_is_one_pass() {
    let policy = with("forbid=['*']\ncommands=['a b c d e', '* x y', '** q']");
    let line = format!("env {}", "a ".repeat(1000));
    assert!(run(&policy, "bot", "web1", &line).is_ok());
    let script = format!("bash -c '{}'", "a;".repeat(15_000));
    assert!(run(&policy, "bot", "web1", &script).is_ok());
}
