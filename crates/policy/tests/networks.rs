//! Hosts outside of the inventory, and networks that rules set.

use model::{ErrorCode, Limits, SubAction, Target};
use policy::{Allowed, Denial, NetworkFence, Snapshot};

use crate::world::{NOON, action, principal, snapshot};

const RULES: &str = r#"
[[rule]]
name = "lab network"
allow = ["ssh_execute"]
principals = ["bot"]
targets = ["address:10.1.0.0/16", "address:2001:db8::/32", "name:*.lab.internal"]
commands = ["uptime", "df -h"]
networks = { allow = ["10.1.0.0/16", "2001:db8::/32"], block = ["10.1.9.0/24"] }

[[rule]]
name = "everywhere in the inventory"
allow = ["*"]
principals = ["*"]
targets = ["*", "web*", "!tag:payment"]
commands = ["**"]
opaque = ["**"]

[[rule]]
name = "not there"
forbid = ["*"]
principals = ["*"]
targets = ["address:10.1.66.0/24"]

[[rule]]
name = "no disks there"
forbid = ["*"]
principals = ["*"]
targets = ["address:10.1.77.0/24"]
commands = ["df **"]
"#;

fn ask(policy: &Snapshot, who: &str, target: Target, line: &str) -> Result<Allowed, Denial> {
    let line = policy::command::parse(line).unwrap();
    let mut action = action("ssh_execute", "lab", line.parts().collect());
    action.target = target;
    policy.authorise(&principal(who), action, NOON, Limits::default(), &NetworkFence::default())
}

fn outside(address: &str) -> Target {
    Target::outside(address).unwrap()
}

#[test]
fn a_host_outside_needs_a_rule_that_names_its_address() {
    let policy = snapshot(RULES, "permit (principal, action, resource);");
    for address in ["10.1.2.3", "::ffff:10.1.2.3", "2001:DB8::5", "db.lab.internal", "DB.Lab.Internal."] {
        assert!(ask(&policy, "bot", outside(address), "uptime").is_ok(), "{address}");
        assert!(policy.sees(&principal("bot"), &outside(address)), "{address}");
        assert!(!policy.sees(&principal("human"), &outside(address)), "{address}");
        assert!(ask(&policy, "human", outside(address), "uptime").is_err(), "{address}");
        assert!(ask(&policy, "bot", outside(address), "id").is_err(), "another rule's commands: {address}");
        assert!(ask(&policy, "bot", outside(address), "bash -c id").is_err(), "{address}");
    }
    for address in
        ["10.2.0.1", "2001:db9::5", "lab.internal", "db.lab.internal.example.com", "xlab.internal", "web1"]
    {
        assert!(ask(&policy, "bot", outside(address), "uptime").is_err(), "{address}");
        assert!(!policy.sees(&principal("bot"), &outside(address)), "{address}");
    }
}

#[test]
fn what_forbids_means_hosts_outside_too() {
    for forbid in ["'*'", "'!tag:payment'", "'10.1.*'", "'address:10.0.0.0/8'"] {
        let policy = snapshot(
            &format!("{RULES}\n[[rule]]\nname='no'\nforbid=['*']\nprincipals=['*']\ntargets=[{forbid}]\n"),
            "",
        );
        let denial = ask(&policy, "bot", outside("10.1.2.3"), "uptime").unwrap_err();
        assert_eq!(denial.code, ErrorCode::DeniedForbidden, "{forbid}");
    }
}

#[test]
fn a_permit_carries_the_networks_of_every_rule_that_permits() {
    let more = "[[rule]]\nname='b'\nallow=['ssh_execute']\nprincipals=['*']\ntargets=['name:*.internal']\ncommands=['uptime']\nnetworks={allow=['10.1.2.0/23']}\n";
    let policy = snapshot(&format!("{RULES}{more}"), "");
    let admitted = |line: &str, address: &str| {
        let allowed = ask(&policy, "bot", outside("db.lab.internal"), line).unwrap();
        allowed.fences().admits_address(address.parse().unwrap())
    };
    for (line, address, expected) in [
        ("uptime", "10.1.3.3", true),
        ("uptime", "10.1.4.3", false),
        ("df -h", "10.1.4.3", true),
        ("df -h", "10.1.9.3", false),
        ("df -h", "10.2.0.1", false),
        ("df -h", "2001:db8::1", true),
        ("uptime; df -h", "10.1.4.3", false),
        ("uptime; df -h", "::ffff:10.1.3.3", true),
    ] {
        assert_eq!(admitted(line, address), expected, "{line} {address}");
    }
}

/// A name may lead anywhere: what is forbidden on a network is a fence for it.
#[test]
fn a_network_that_is_forbidden_is_a_fence_for_names() {
    let policy = snapshot(RULES, "");
    let denial = ask(&policy, "bot", outside("10.1.66.1"), "uptime").unwrap_err();
    assert_eq!((denial.code, denial.rule.unwrap().as_str()), (ErrorCode::DeniedForbidden, "not there"));
    assert!(ask(&policy, "bot", outside("10.1.77.1"), "uptime").is_ok());
    assert!(ask(&policy, "bot", outside("10.1.77.1"), "df -h").is_err());
    let admits = |target: Target, line: &str, address: &str| {
        let allowed = ask(&policy, "bot", target, line).unwrap();
        allowed.fences().admits_address(address.parse().unwrap())
    };
    for target in [outside("db.lab.internal"), crate::world::place("lab")] {
        assert!(!admits(target.clone(), "uptime", "10.1.66.1"), "{target:?}");
        assert!(admits(target.clone(), "uptime", "10.1.77.1"), "{target:?}");
        assert!(!admits(target.clone(), "df -h", "10.1.77.1"), "{target:?}");
        assert!(!admits(target.clone(), "df -h", "64:ff9b::10.1.77.1"), "{target:?}");
    }
}

#[test]
fn an_address_that_is_written_is_refused_before_anybody_dials() {
    let policy = snapshot(RULES, "");
    let denial = ask(&policy, "bot", outside("10.1.9.1"), "uptime").unwrap_err();
    assert_eq!((denial.code, denial.rule.unwrap().as_str()), (ErrorCode::DeniedNetwork, "lab network"));
    assert!(denial.reason.contains("`networks` of rule `lab network`"), "{}", denial.reason);
    let line = policy::command::parse("uptime").unwrap();
    let mut act = action("ssh_execute", "lab", line.parts().collect());
    act.target = outside("10.1.2.3");
    let block = NetworkFence { allow: Vec::new(), block: vec!["10.1.2.0/24".parse().unwrap()] };
    let denial = policy.authorise(&principal("bot"), act, NOON, Limits::default(), &block).unwrap_err();
    assert!(
        denial.code == ErrorCode::DeniedNetwork && denial.reason.contains("`[network]`"),
        "{}",
        denial.reason
    );
}

#[test]
fn credentials_go_to_a_host_outside_by_the_same_rule() {
    let rules = "[[rule]]\nname='c'\nallow=['get_credential']\nprincipals=['*']\ntargets=['address:10.1.0.0/16']\ncredentials=['vault:S/*']\n[[rule]]\nname='all'\nallow=['get_credential']\nprincipals=['*']\ntargets=['*']\ncredentials=['**']\n";
    let policy = snapshot(rules, "");
    let ask = |target: &str, name: &str| {
        let credential = model::CredentialRef::parse(name).unwrap();
        let parts = vec![SubAction::Credential { credential, target: outside(target) }];
        crate::world::decide(&policy, "bot", action("get_credential", "gateway", parts)).is_ok()
    };
    assert!(ask("10.1.0.5", "vault:S/x"));
    assert!(
        !ask("10.1.0.5", "vault:T/x") && !ask("10.2.0.5", "vault:S/x") && !ask("x.internal", "vault:S/x")
    );
}
