use std::time::Duration;

use model::{ErrorCode, Limits, SubAction};
use policy::{Moment, NetworkFence, Proofs, Snapshot};

use crate::world::{
    NOON, action, compile, credential, principal, run, run_with, snapshot, target, tool, whole,
};

const RULES: &str = r#"
[[rule]]
name = "look at web servers"
allow = ["ssh_execute"]
principals = ["group:sre"]
targets = ["tag:production & tag:web"]
commands = ["uptime", "df -h", "systemctl status **", "journalctl --no-pager -n <int> -u *", "tail -n <int> <path:/var/log>"]
limits = { timeout = "30s", output = "128KiB" }

[[rule]]
name = "may use the web credentials"
allow = ["get_credential"]
principals = ["group:sre"]
targets = ["tag:web"]
credentials = ["cyberark:PROD-LINUX/*"]

[[rule]]
name = "restart needs a human"
allow = ["set:exec"]
principals = ["*"]
targets = ["tag:production"]
commands = ["systemctl restart *"]
approval = { by = ["group:oncall"], count = 2, within = "10m", reason = true }

[[rule]]
name = "never"
forbid = ["*"]
principals = ["*"]
targets = ["tag:payment"]

[[rule]]
name = "operators"
allow = ["operator:*"]
principals = ["human"]
targets = ["gateway"]

[[rule]]
name = "lab is open"
allow = ["ssh_execute"]
principals = ["bot"]
targets = ["lab"]
commands = ["**"]
"#;

#[test]
fn rules_permit_what_they_say() {
    let policy = snapshot(RULES, "");
    for (who, host, line) in [
        ("bot:sre", "web1", "uptime"),
        ("human:sre,oncall", "web1", "df -h"),
        ("bot:sre", "web1", "systemctl status"),
        ("bot:sre", "web1", "systemctl status a b"),
        ("bot:sre", "web1", "journalctl --no-pager -n 50 -u nginx"),
        ("bot:sre", "web1", "tail -n 5 /var/log/syslog"),
        ("bot:sre", "web1", "uptime && df -h; uptime || df -h | uptime"),
        ("bot", "lab", "anything --at all"),
        ("bot", "lab", "rm -rf /"),
    ] {
        let allowed = run(&policy, who, host, line).unwrap_or_else(|d| panic!("{who} {host} {line}: {d:?}"));
        assert!(allowed.obligations().approvals.is_empty());
        assert_eq!(allowed.rules().len(), 1);
    }
}

#[test]
fn nothing_else_is_permitted() {
    let policy = snapshot(RULES, "");
    for (who, host, line, code) in [
        ("bot", "web1", "uptime", ErrorCode::DeniedCommand),
        ("bot:oncall", "web1", "uptime", ErrorCode::DeniedCommand),
        ("bot:sre", "web2", "uptime", ErrorCode::DeniedNoRule),
        ("bot:sre", "db1", "uptime", ErrorCode::DeniedForbidden),
        ("bot", "db1", "systemctl restart x", ErrorCode::DeniedForbidden),
        ("human", "lab", "uptime", ErrorCode::DeniedNoRule),
        ("bot:sre", "web1", "uptime -p", ErrorCode::DeniedCommand),
        ("bot:sre", "web1", "/usr/bin/uptime", ErrorCode::DeniedCommand),
        ("bot:sre", "web1", "uptime && reboot", ErrorCode::DeniedCommand),
        ("bot:sre", "web1", "uptime | reboot", ErrorCode::DeniedCommand),
        ("bot:sre", "web1", "uptime; systemctl status -H x", ErrorCode::DeniedCommand),
        ("bot:sre", "web1", "tail -n 5 /var/log/../../etc/shadow", ErrorCode::DeniedCommand),
        ("bot:sre", "web1", "tail -n 5 /etc/shadow", ErrorCode::DeniedCommand),
        ("bot:sre", "web1", "journalctl --no-pager -n x -u nginx", ErrorCode::DeniedCommand),
        ("bot", "lab", "bash -c id", ErrorCode::DeniedCommand),
        ("bot", "lab", "/usr/bin/env id", ErrorCode::DeniedCommand),
        ("bot", "lab", "uptime | xargs id", ErrorCode::DeniedCommand),
    ] {
        let denial = run(&policy, who, host, line).err().unwrap_or_else(|| panic!("{who} {host} {line}"));
        assert_eq!(denial.code, code, "{who} {host} {line}: {denial:?}");
    }
}

#[test]
fn an_empty_policy_permits_what_is_built_in() {
    let policy = Snapshot::empty();
    for name in ["whoami", "explain", "ssh_plan", "release_credential"] {
        assert!(whole(&policy, "bot", name, "gateway").is_ok(), "{name}");
        assert!(whole(&policy, "bot", name, "web1").is_err(), "{name} elsewhere");
        assert!(policy.visible(&principal("bot"), &tool(name)));
    }
    assert!(whole(&policy, "bot", "operator:reload", "gateway").is_err());
    assert!(run(&policy, "bot", "web1", "uptime").is_err());
    assert!(!policy.visible(&principal("bot"), &tool("ssh_execute")));
}

#[test]
fn an_action_without_parts_or_of_an_unknown_tool_is_denied() {
    let policy =
        snapshot("[[rule]]\nname='all'\nallow=['*']\nprincipals=['*']\ntargets=['*']\ncommands=['**']\n", "");
    let none = action("ssh_execute", "web1", Vec::new());
    assert!(crate::world::decide(&policy, "bot", none).is_err());
    assert!(whole(&policy, "bot", "ssh_unheard_of", "web1").is_err());
    assert!(!policy.visible(&principal("bot"), &tool("ssh_unheard_of")));
}

#[test]
fn a_forbid_ends_what_is_built_in_and_what_is_permitted() {
    let policy = snapshot(
        r#"
[[rule]]
name = "all"
allow = ["*", "operator:*"]
principals = ["*"]
targets = ["*"]
commands = ["**"]
credentials = ["**"]
[[rule]]
name = "no explain"
forbid = ["explain"]
principals = ["bot"]
targets = ["gateway"]
[[rule]]
name = "no reboot"
forbid = ["*"]
principals = ["*"]
targets = ["*"]
commands = ["reboot **", "systemctl reboot"]
[[rule]]
name = "not that credential"
forbid = ["*"]
principals = ["*"]
targets = ["*"]
credentials = ["cyberark:ROOT/*"]
"#,
        "",
    );
    assert_eq!(whole(&policy, "bot", "explain", "gateway").unwrap_err().code, ErrorCode::DeniedForbidden);
    assert!(!policy.visible(&principal("bot"), &tool("explain")));
    assert!(whole(&policy, "human", "explain", "gateway").is_ok());
    for line in
        ["reboot", "reboot now", "/sbin/reboot", "uptime && /usr/sbin/reboot x", "/bin/systemctl reboot"]
    {
        assert_eq!(run(&policy, "bot", "web1", line).unwrap_err().code, ErrorCode::DeniedForbidden, "{line}");
        assert_eq!(
            run_with(&policy, "bot", "ssh_other", "web1", line).unwrap_err().code,
            ErrorCode::DeniedForbidden
        );
    }
    assert!(run(&policy, "bot", "web1", "uptime").is_ok());
    assert!(whole(&policy, "bot", "whoami", "gateway").is_ok());
    assert!(credential(&policy, "bot", "cyberark:WEB/a", &["web1"]).is_ok());
    assert_eq!(
        credential(&policy, "bot", "cyberark:ROOT/a", &["web1"]).unwrap_err().code,
        ErrorCode::DeniedForbidden
    );
    assert!(whole(&policy, "bot", "operator:reload", "gateway").is_ok());
}

#[test]
fn a_star_gives_tools_and_not_the_operators_verbs() {
    let policy = snapshot("[[rule]]\nname='all'\nallow=['*']\nprincipals=['*']\ntargets=['*']\n", "");
    assert!(whole(&policy, "bot", "operator:reload", "gateway").is_err());
    assert!(!policy.visible(&principal("bot"), &tool("operator:reload")));
    let policy = snapshot(RULES, "");
    assert!(whole(&policy, "human", "operator:reload", "gateway").is_ok());
    assert!(whole(&policy, "bot", "operator:reload", "gateway").is_err());
    let tiers =
        "[[rule]]\nname='t'\nallow=['tier:low-access', 'tier:read']\nprincipals=['*']\ntargets=['*']\n";
    assert!(whole(&snapshot(tiers, ""), "bot", "operator:reload", "gateway").is_err());
}

#[test]
fn what_is_not_written_is_not_permitted() {
    let policy = snapshot("[[rule]]\nname='all'\nallow=['*']\nprincipals=['*']\ntargets=['*']\n", "");
    assert_eq!(run(&policy, "bot", "web1", "uptime").unwrap_err().code, ErrorCode::DeniedCommand);
    assert!(credential(&policy, "bot", "a:b/c", &["web1"]).is_err());
    assert!(whole(&policy, "bot", "whoami", "gateway").is_ok());
}

#[test]
fn an_approval_holds_whatever_tool_rule_or_path_is_used() {
    let lax = format!(
        "{RULES}\n[[rule]]\nname = 'lax'\nallow = ['*']\nprincipals = ['bot']\ntargets = ['web1']\ncommands = ['**']\n"
    );
    for (rules, tools, lines) in [
        (RULES, &["ssh_execute", "ssh_other"][..], &["systemctl restart nginx"][..]),
        (
            lax.as_str(),
            &["ssh_execute", "ssh_other"][..],
            &["systemctl restart nginx", "/bin/systemctl restart nginx", "uptime; systemctl restart x"][..],
        ),
    ] {
        let policy = snapshot(rules, "permit(principal, action, resource);");
        for tool in tools {
            for line in lines {
                let allowed =
                    run_with(&policy, "bot", tool, "web1", line).unwrap_or_else(|d| panic!("{line}: {d:?}"));
                let open = &allowed.obligations().approvals;
                assert_eq!(open.len(), 1, "{tool} {line}");
                assert_eq!(
                    (open[0].count, open[0].within, open[0].reason),
                    (2, Duration::from_secs(600), true)
                );
                let refused = allowed.discharge(Proofs::default()).unwrap_err();
                assert_eq!(refused.denial.code, ErrorCode::ApprovalRequired);
                assert_eq!(refused.denial.rule.as_ref().map(|r| r.as_str()), Some("restart needs a human"));
            }
        }
    }
    assert!(
        run(&snapshot(RULES, ""), "bot", "web1", "/bin/systemctl restart nginx").is_err(),
        "a path is no permit"
    );
}

/// Beside `**`, so that nothing but the narrowing rule is in the way.
#[test]
fn a_forbid_holds_for_other_wordings() {
    for (forbidden, lines) in [
        ("rm **", &["rm -rf /srv", "/bin/rm -rf /srv", "uptime; rm -rf /srv"][..]),
        (
            "systemctl restart **",
            &[
                "systemctl restart nginx --no-block",
                "systemctl --no-block restart nginx",
                "systemctl restart --no-block nginx cron",
            ],
        ),
        ("reboot", &["reboot --force", "/sbin/reboot -f"]),
    ] {
        let policy = snapshot(
            &format!(
                "[[rule]]\nname='open'\nallow=['*']\nprincipals=['*']\ntargets=['*']\ncommands=['**']\n[[rule]]\nname='no'\nforbid=['*']\nprincipals=['*']\ntargets=['*']\ncommands=['{forbidden}']\n"
            ),
            "",
        );
        assert!(run(&policy, "bot", "web1", "uptime").is_ok());
        for line in lines {
            let denial = run(&policy, "bot", "web1", line).err().unwrap_or_else(|| panic!("{line}"));
            assert_eq!(denial.code, ErrorCode::DeniedForbidden, "{line}");
        }
    }
}

#[test]
fn an_approval_holds_for_other_wordings_which_it_does_not_permit() {
    for (pattern, asked, lines) in [
        (
            "systemctl stop *",
            "systemctl stop nginx",
            &[
                "systemctl stop nginx --no-block",
                "systemctl stop nginx cron",
                "systemctl --no-block stop nginx",
                "/bin/systemctl stop -- nginx",
            ][..],
        ),
        ("reboot", "reboot", &["reboot --force", "/sbin/reboot now"]),
    ] {
        let strict = format!(
            "[[rule]]\nname='ask'\nallow=['*']\nprincipals=['*']\ntargets=['*']\ncommands=['{pattern}']\napproval={{by=['group:oncall']}}\n"
        );
        let open = "[[rule]]\nname='open'\nallow=['*']\nprincipals=['*']\ntargets=['*']\ncommands=['**']\n";
        let (alone, beside) = (snapshot(&strict, ""), snapshot(&format!("{strict}{open}"), ""));
        let raw = snapshot(&strict, "permit(principal, action, resource);");
        assert_eq!(run(&alone, "bot", "web1", asked).unwrap().obligations().approvals.len(), 1);
        for line in lines {
            assert!(run(&alone, "bot", "web1", line).is_err(), "{line}: asked for, not permitted");
            for policy in [&beside, &raw] {
                let allowed = run(policy, "bot", "web1", line).unwrap();
                assert_eq!(allowed.obligations().approvals.len(), 1, "{line}");
                let refused = allowed.discharge(Proofs::default()).unwrap_err();
                assert_eq!(refused.denial.code, ErrorCode::ApprovalRequired, "{line}");
            }
        }
        let free = run(&beside, "bot", "web1", "systemctl status nginx").unwrap();
        assert!(free.obligations().approvals.is_empty());
    }
}

#[test]
fn the_smallest_limits_win() {
    let text = r#"
[[rule]]
name = "a"
allow = ["ssh_execute"]
principals = ["*"]
targets = ["*"]
commands = ["uptime", "id"]
limits = { timeout = "30s", output = "1KiB" }
[[rule]]
name = "b"
allow = ["ssh_execute"]
principals = ["*"]
targets = ["*"]
commands = ["uptime", "df"]
limits = { timeout = "10s", output = "2KiB", calls_per_minute = 5 }
"#;
    let policy = snapshot(text, "");
    let fallback =
        Limits { timeout: Some(Duration::from_secs(5)), output: Some(7), calls_per_minute: Some(120) };
    let limits = |line: &str, asked: Limits| {
        let line = policy::command::parse(line).unwrap();
        let mut action = action("ssh_execute", "web1", line.parts().collect());
        action.limits = asked;
        policy
            .authorise(&principal("bot"), action, NOON, fallback, &NetworkFence::default())
            .unwrap()
            .limits()
    };
    let of = |timeout, output, calls| Limits {
        timeout: Some(Duration::from_secs(timeout)),
        output: Some(output),
        calls_per_minute: Some(calls),
    };
    assert_eq!(limits("uptime", Limits::default()), of(10, 1024, 5));
    assert_eq!(limits("id", Limits::default()), of(30, 1024, 120));
    assert_eq!(limits("id && df", Limits::default()), of(10, 1024, 5));
    let asked =
        Limits { timeout: Some(Duration::from_secs(3)), output: Some(1 << 30), calls_per_minute: None };
    assert_eq!(limits("id", asked), of(3, 1024, 120));
}

#[test]
fn credentials_are_narrowed_to_the_permitted_targets() {
    let policy = snapshot(RULES, "");
    let targets = |allowed: &policy::Allowed| -> Vec<String> {
        allowed
            .action()
            .parts
            .iter()
            .map(|part| match part {
                SubAction::Credential { target, .. } => target.name.to_string(),
                SubAction::Whole
                | SubAction::Upstream(_)
                | SubAction::Command(_)
                | SubAction::File { .. } => panic!("{part:?}"),
            })
            .collect()
    };
    let allowed =
        credential(&policy, "bot:sre", "cyberark:PROD-LINUX/svc", &["web1", "web2", "db1", "lab"]).unwrap();
    assert_eq!(targets(&allowed), ["web1", "web2"]);
    assert_eq!(
        credential(&policy, "bot:sre", "cyberark:PROD-LINUX/svc", &["lab"]).unwrap_err().code,
        ErrorCode::DeniedNoRule
    );
    assert_eq!(
        credential(&policy, "bot:sre", "cyberark:PROD-LINUX/svc", &["db1"]).unwrap_err().code,
        ErrorCode::DeniedForbidden
    );
    assert!(credential(&policy, "bot:sre", "cyberark:OTHER/svc", &["web1", "web2"]).is_err());
    assert!(credential(&policy, "bot:sre", "vault:PROD-LINUX/svc", &["web1"]).is_err());
    assert!(credential(&policy, "bot", "cyberark:PROD-LINUX/svc", &["web1"]).is_err());
}

#[test]
fn conditions_hold_at_their_time_only() {
    let text = r#"
[[rule]]
name = "office hours"
allow = ["ssh_execute"]
principals = ["*"]
targets = ["*"]
commands = ["uptime"]
when = 'context.time.hour >= 8 && context.time.hour < 18 && context.time.weekday <= 5'
"#;
    let policy = snapshot(text, "");
    let at = |hour, weekday| {
        let line = policy::command::parse("uptime").unwrap();
        let action = action("ssh_execute", "web1", line.parts().collect());
        policy.authorise(
            &principal("bot"),
            action,
            Moment { hour, weekday },
            Limits::default(),
            &NetworkFence::default(),
        )
    };
    assert!(at(8, 1).is_ok() && at(17, 5).is_ok());
    assert!(at(7, 1).is_err() && at(18, 5).is_err() && at(12, 6).is_err());
    let denial = at(7, 1).unwrap_err();
    assert!(denial.reason.contains("`when` does not hold"), "{}", denial.reason);
}

/// Cedar skips a policy that it cannot evaluate. For a forbid that would be a yes.
#[test]
fn a_policy_that_cannot_be_evaluated_denies() {
    let permit = "[[rule]]\nname='open'\nallow=['*']\nprincipals=['*']\ntargets=['*']\ncommands=['**']\n";
    let overflow = "context.time.hour + 9223372036854775807 > 0";
    assert!(run(&snapshot(permit, ""), "bot", "web1", "uptime").is_ok());
    let forbids = format!(
        "{permit}[[rule]]\nname='broken'\nforbid=['ssh_execute']\nprincipals=['*']\ntargets=['*']\nwhen='{overflow}'\n"
    );
    let denial = run(&snapshot(&forbids, ""), "bot", "web1", "uptime").unwrap_err();
    assert_eq!(
        (denial.code, denial.rule.as_ref().map(|r| r.as_str())),
        (ErrorCode::DeniedForbidden, Some("broken"))
    );
    let permits = format!(
        "{permit}[[rule]]\nname='broken'\nallow=['ssh_execute']\nprincipals=['*']\ntargets=['*']\ncommands=['uptime']\nwhen='{overflow}'\n"
    );
    let policy = snapshot(&permits, "");
    assert!(run(&policy, "bot", "web1", "uptime").is_err());
    assert!(run(&policy, "bot", "web1", "id").is_ok(), "the broken rule is not about this command");
    for effect in ["forbid", "permit"] {
        let raw = format!(
            "{effect}(principal, action == Action::\"ssh_execute\", resource) when {{ {overflow} }};"
        );
        assert!(run(&snapshot(permit, &raw), "bot", "web1", "uptime").is_err(), "{effect}");
    }
}

/// What Cedar says about a failure holds values of the policy: who is denied learns the rule's name only.
#[test]
fn a_denial_holds_nothing_of_what_cedar_says() {
    let text = "[[rule]]\nname='broken'\nallow=['*']\nprincipals=['*']\ntargets=['*']\ncommands=['uptime']\nwhen='context.time.hour + 9223372036854775807 > 0'\n";
    let raw = "@id(\"secret rule\") forbid(principal, action, resource) when { context.time.hour + 9223372036854775807 > 77123 };";
    for policy in [snapshot(text, ""), snapshot(&text.replace("9223372036854775807", "1"), raw)] {
        let denial = run(&policy, "bot", "web1", "uptime").unwrap_err();
        let told = format!("{} {}", denial.reason, denial.hint.unwrap_or_default());
        assert!(denial.reason.contains("could not be evaluated"), "{told}");
        for hidden in ["9223372036854775807", "77123", "overflow", "context", "attempting", "Long"] {
            assert!(!told.contains(hidden), "{hidden}: {told}");
        }
    }
}

/// The longest conditions that are taken are evaluated, or deny: they never end the process.
#[test]
fn long_conditions_are_evaluated_or_deny() {
    let with = |when: &str| {
        let text = format!(
            "[[rule]]\nname='a'\nallow=['ssh_execute']\nprincipals=['*']\ntargets=['*']\ncommands=['id']\nwhen='{when}'\n"
        );
        compile(&text, "").map(|(policy, _)| run(&policy, "bot", "web1", "id").is_ok())
    };
    let chain = |n| vec!["1"; n].join("+");
    assert_eq!(with(&format!("{}>0", chain(20))), Ok(true));
    assert_eq!(with(&format!("{}<0", chain(20))), Ok(false));
    // Cedar stops with an error where a thread's stack is short, as in a test.
    assert!(with(&format!("{}>0", chain(65))).is_ok());
    assert_eq!(with(&format!("{}<0", chain(65))), Ok(false));
    assert!(with(&vec!["true"; 65].join("&&")).is_ok());
    assert!(with(&format!("context{}", ".a".repeat(64))).is_err(), "no such attribute");
    assert!(with(&format!("{}true{}", "if true then ".repeat(8), " else true".repeat(8))).is_ok());
}

#[test]
fn fences_and_snapshot_go_into_the_permit() {
    let policy = snapshot(RULES, "");
    let fence = NetworkFence {
        allow: vec!["10.0.0.0/8".parse().unwrap()],
        block: vec!["10.9.0.0/16".parse().unwrap()],
    };
    let line = policy::command::parse("uptime").unwrap();
    let action = action("ssh_execute", "lab", line.parts().collect());
    let allowed = policy.authorise(&principal("bot"), action, NOON, Limits::default(), &fence).unwrap();
    assert_eq!(allowed.snapshot(), policy.hash());
    let permit = allowed.discharge(Proofs::default()).unwrap();
    assert_eq!(permit.fences().network, fence);
    assert!(permit.fences().network.admits("10.1.2.3".parse().unwrap()));
    assert!(!permit.fences().network.admits("::ffff:10.9.2.3".parse().unwrap()));
    assert!(!permit.fences().network.admits("192.0.2.1".parse().unwrap()));
}

/// The kernel dials this machine for `0.0.0.0` and `::`.
#[test]
fn a_blocked_loopback_is_not_reached_by_the_unspecified_address() {
    let block = vec!["127.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
    let fence = NetworkFence { allow: Vec::new(), block };
    for address in ["0.0.0.0", "::", "::ffff:0.0.0.0", "127.0.0.1", "::1"] {
        assert!(!fence.admits(address.parse().unwrap()), "{address}");
    }
    assert!(fence.admits("192.0.2.1".parse().unwrap()));
}

/// Every fence must admit an address, and the other forms of a blocked address are blocked with it.
#[test]
fn a_fence_admits_what_all_of_its_parts_admit() {
    let fence = |allow: &[&str], block: &[&str]| NetworkFence {
        allow: allow.iter().map(|net| net.parse().unwrap()).collect(),
        block: block.iter().map(|net| net.parse().unwrap()).collect(),
    };
    let fences = policy::Fences {
        network: fence(&["10.0.0.0/8"], &[]),
        rules: vec![fence(&["10.1.0.0/16", "10.2.0.0/16"], &[]), fence(&["10.2.0.0/15"], &["10.2.9.0/24"])],
    };
    assert!(!fences.admit_all() && policy::Fences::default().admit_all());
    for (address, admitted) in
        [("10.2.1.1", true), ("10.1.1.1", false), ("10.2.9.1", false), ("10.3.1.1", false)]
    {
        assert_eq!(fences.admits_address(address.parse().unwrap()), admitted, "{address}");
    }
    let metadata = fence(&[], &["169.254.169.254/32"]);
    for address in [
        "169.254.169.254",
        "::ffff:169.254.169.254",
        "::169.254.169.254",
        "64:ff9b::169.254.169.254",
        "64:ff9b:1::169.254.169.254",
        "2002:a9fe:a9fe::1",
    ] {
        assert!(!metadata.admits(address.parse().unwrap()), "{address}");
    }
    let allowed = fence(&["169.254.169.254/32"], &[]);
    assert!(!allowed.admits("64:ff9b::169.254.169.254".parse().unwrap()), "only what is written");
    assert!(metadata.admits("2001:db8::1".parse().unwrap()) && metadata.admits("::1".parse().unwrap()));
}

#[test]
fn visibility_follows_principal_and_tool() {
    let policy = snapshot(RULES, "");
    let sees = |who: &str, name: &str| policy.visible(&principal(who), &tool(name));
    assert!(
        sees("bot", "ssh_execute") && sees("bot:sre", "get_credential") && sees("human", "operator:reload")
    );
    assert!(!sees("bot", "get_credential") && !sees("bot", "operator:reload"));
    let shut = snapshot(
        &format!("{RULES}\n[[rule]]\nname='shut'\nforbid=['*']\nprincipals=['bot']\ntargets=['*']\n"),
        "",
    );
    for name in ["ssh_execute", "whoami", "get_credential"] {
        assert!(!shut.visible(&principal("bot:sre"), &tool(name)), "{name}");
    }
    assert!(shut.visible(&principal("human"), &tool("whoami")));
    let sometimes = snapshot(
        &format!(
            "{RULES}\n[[rule]]\nname='late'\nforbid=['*']\nprincipals=['bot']\ntargets=['*']\nwhen='context.time.hour > 20'\n"
        ),
        "",
    );
    assert!(
        sometimes.visible(&principal("bot"), &tool("ssh_execute")),
        "a forbid with a condition hides nothing"
    );
}

#[test]
fn targets_are_seen_where_something_could_be_permitted() {
    let sees =
        |policy: &Snapshot, who: &str, host: &str| policy.sees(&principal(who), &crate::world::place(host));
    let policy = snapshot(RULES, "");
    for (who, host, seen) in [
        ("bot", "lab", true),
        ("bot", "gateway", true),
        ("nobody", "gateway", true),
        ("nobody", "web1", true),
        ("nobody", "web2", false),
        ("human:sre", "web2", true),
        ("human", "lab", false),
        ("bot:sre", "db1", false),
    ] {
        assert_eq!(sees(&policy, who, host), seen, "{who} {host}");
    }
    let raw = snapshot(
        "",
        "permit(principal in Group::\"sre\", action, resource in Tag::\"web\"); forbid(principal, action, resource == Target::\"web2\");",
    );
    assert!(sees(&raw, "bot:sre", "web1") && !sees(&raw, "bot:sre", "web2") && !sees(&raw, "bot", "web1"));
}

#[test]
fn the_hash_follows_what_decides() {
    let base = snapshot(RULES, "").hash();
    assert_eq!(base, snapshot(RULES, "").hash());
    assert_eq!(base, snapshot(&format!("# a comment\n{RULES}"), "").hash());
    for (from, to) in [
        ("30s", "31s"),
        ("uptime", "uptimes"),
        ("count = 2", "count = 1"),
        ("within = \"10m\"", "within = \"11m\""),
        ("PROD-LINUX/*", "PROD-LINUX/a"),
        ("group:oncall", "group:sre"),
        ("reason = true", "reason = false"),
        ("tag:payment", "tag:web"),
    ] {
        assert_ne!(base, snapshot(&RULES.replacen(from, to, 1), "").hash(), "{from}");
    }
    assert_ne!(base, snapshot(RULES, "permit(principal, action, resource);").hash());
}

#[test]
fn names_that_do_not_exist_are_errors() {
    let with = |key: &str, value: &str| {
        let text =
            format!("[[rule]]\nname='a'\n{key}=['whoami', '{value}']\nprincipals=['*']\ntargets=['*']\n");
        compile(&text, "").err().unwrap_or_default()
    };
    for (key, value, message) in [
        ("allow", "ssh_exec", "unknown tool"),
        ("forbid", "ssh_exec", "unknown tool"),
        ("allow", "set:nothing", "unknown set"),
        ("allow", "set:host", "later version"),
        ("allow", "operator:dance", "unknown operator's verb"),
    ] {
        let problems = with(key, value);
        assert_eq!(problems.len(), 1, "{value}: {problems:?}");
        let problem = &problems[0];
        assert!(problem.message.contains(message) && problem.hint.is_some(), "{problem:?}");
        assert_eq!((problem.field.as_str(), problem.index), (key, Some(1)));
        assert!(problem.span.is_some() && problem.place == Some(policy::Place::Rule(0)));
    }
    let twice = "[[rule]]\nname='a'\nallow=['*']\nprincipals=['*']\ntargets=['*']\n".repeat(2);
    assert!(compile(&twice, "").unwrap_err()[0].message.contains("another rule"));
    let when = "[[rule]]\nname='a'\nallow=['*']\nprincipals=['*']\ntargets=['*']\nwhen='context.hour > 5'\n";
    let problems = compile(when, "").unwrap_err();
    assert!(problems[0].field == "when" && problems[0].span.is_some(), "{problems:?}");
    for wrong in [
        "1",
        "context.command.line == \"x\"",
        "principal.shoe == 1",
        "context.time.hour > \"8\"",
        "resource in Galaxy::\"x\"",
    ] {
        let text = when.replace("context.hour > 5", wrong);
        assert!(compile(&text, "").is_err(), "{wrong}");
    }
    assert!(
        compile(
            &when.replace("context.hour > 5", "context has command && context.command.name == \"id\""),
            ""
        )
        .is_ok()
    );
}

#[test]
fn targets_and_their_negations() {
    for (expr, matching) in [
        ("*", &["web1", "web2", "db1", "lab", "gateway"][..]),
        ("web1", &["web1"]),
        ("web*", &["web1", "web2"]),
        ("*1", &["web1", "db1"]),
        ("w*b*1", &["web1"]),
        ("tag:web", &["web1", "web2"]),
        ("tag:web & tag:production", &["web1"]),
        ("tag:web & !tag:production", &["web2"]),
        ("!tag:web", &["db1", "lab"]),
        ("!web1", &["web2", "db1", "lab"]),
        ("!web*", &["db1", "lab"]),
        ("* & !tag:web", &["db1", "lab", "gateway"]),
        ("!tag:web & !tag:payment", &["lab"]),
        ("tag:web & !tag:web", &[]),
        ("tag:WEB", &[]),
        ("WEB1", &[]),
        ("gateway", &["gateway"]),
        ("web1 & tag:staging", &[]),
    ] {
        let text = format!(
            "[[rule]]\nname='a'\nallow=['ssh_execute']\nprincipals=['*']\ntargets=['{expr}']\ncommands=['**']\n"
        );
        let forbid = format!(
            "[[rule]]\nname='b'\nforbid=['*']\nprincipals=['*']\ntargets=['{expr}']\n[[rule]]\nname='a'\nallow=['ssh_execute']\nprincipals=['*']\ntargets=['*']\ncommands=['**']\n"
        );
        let (permits, forbids) = (snapshot(&text, ""), snapshot(&forbid, ""));
        for host in ["web1", "web2", "db1", "lab", "gateway"] {
            let expected = matching.contains(&host);
            assert_eq!(run(&permits, "bot", host, "id").is_ok(), expected, "{expr} {host}");
            assert_eq!(run(&forbids, "bot", host, "id").is_err(), expected, "forbid {expr} {host}");
        }
    }
    assert!(target("x", &[]).tags.is_empty());
}
