use model::ErrorCode;

use crate::world::{credential, run, snapshot, whole};

const RULES: &str = r#"
[[rule]]
name = "look"
allow = ["ssh_execute"]
principals = ["bot"]
targets = ["web1"]
commands = ["uptime", "df -h", "systemctl status **", "tail -n <int> /var/log/syslog", "bash -c x", "cat /etc/hosts"]
[[rule]]
name = "look elsewhere"
allow = ["ssh_execute"]
principals = ["bot"]
targets = ["db1"]
commands = ["secret-tool"]
[[rule]]
name = "others"
allow = ["ssh_execute"]
principals = ["human"]
targets = ["web1"]
commands = ["human-tool"]
[[rule]]
name = "stop"
allow = ["ssh_execute"]
principals = ["bot"]
targets = ["web1"]
commands = ["systemctl stop nginx"]
[[rule]]
name = "restart"
allow = ["ssh_execute"]
principals = ["bot"]
targets = ["web1"]
commands = ["systemctl restart nginx"]
approval = { by = ["group:oncall"] }
[[rule]]
name = "no cat"
forbid = ["ssh_execute"]
principals = ["*"]
targets = ["*"]
commands = ["cat **"]
"#;

#[test]
fn a_denial_names_the_part_the_rule_and_the_word() {
    let policy = snapshot(RULES, "");
    for (line, reason) in [
        (
            "uptime; df -k",
            "the command `df -k` on `web1`: no rule permits it; the nearest, `look`, permits `df -h`: word 2 is `-k`",
        ),
        ("uptime -p", "`uptime`: it has only 1 words"),
        ("df", "`df -h`: word 2 is missing"),
        ("tail -n x /var/log/syslog", "word 3 is `x`"),
    ] {
        let denial = run(&policy, "bot", "web1", line).unwrap_err();
        assert_eq!(denial.code, ErrorCode::DeniedCommand);
        assert!(denial.reason.contains(reason), "{line}: {}", denial.reason);
        assert!(denial.hint.is_some());
        assert_eq!(denial.rule.as_ref().map(|r| r.as_str()), Some("look"));
    }
}

#[test]
fn what_is_offered_really_passes_and_tells_nothing_new() {
    let policy = snapshot(RULES, "");
    let denial = run(&policy, "bot", "web1", "reboot").unwrap_err();
    assert_eq!(
        denial.allowed_instead,
        ["uptime", "df -h", "systemctl status", "tail -n 10 /var/log/syslog", "systemctl stop nginx"]
    );
    for line in &denial.allowed_instead {
        assert!(run(&policy, "bot", "web1", line).is_ok(), "{line}");
    }
    let text = format!("{denial:?}");
    for hidden in ["secret-tool", "human-tool", "cat /etc/hosts", "bash"] {
        assert!(!text.contains(hidden), "{hidden}: {text}");
    }
}

#[test]
fn an_offer_never_leads_around_an_approval() {
    let policy = snapshot(RULES, "");
    let denial = run(&policy, "bot", "web1", "systemctl restart nginx now").unwrap_err();
    assert_eq!(denial.allowed_instead, ["systemctl restart nginx"]);
    let forbidden = run(&policy, "bot", "web1", "cat /etc/hosts").unwrap_err();
    assert_eq!(forbidden.code, ErrorCode::DeniedForbidden);
    assert!(forbidden.allowed_instead.is_empty() && forbidden.reason.contains("rule `no cat` forbids it"));
}

#[test]
fn other_denials_say_what_is_missing() {
    let policy = snapshot(RULES, "");
    let elsewhere = run(&policy, "bot", "lab", "uptime").unwrap_err();
    assert_eq!(elsewhere.code, ErrorCode::DeniedNoRule);
    assert!(elsewhere.reason.contains("no rule lets `bot` use `ssh_execute` on `lab`"));
    assert!(elsewhere.hint.unwrap().contains("other targets") && elsewhere.allowed_instead.is_empty());
    let stranger = run(&policy, "nobody", "web1", "uptime").unwrap_err();
    assert!(stranger.allowed_instead.is_empty() && stranger.rule.is_none());
    let opaque = run(&policy, "bot", "web1", "bash -c x").unwrap_err();
    assert!(opaque.reason.contains("runs the shell text") && opaque.hint.unwrap().contains("`opaque`"));
    assert!(
        whole(&policy, "bot", "operator:reload", "gateway").unwrap_err().reason.contains("operator:reload")
    );
    assert!(credential(&policy, "bot", "a:b/c", &["web1"]).unwrap_err().reason.contains("get_credential"));
}
