use std::collections::BTreeSet;

use model::{GroupName, PrincipalId, Target, TargetKind, TargetName, Tier, ToolName, ToolSet};

use super::lint;
use crate::{RawRules, Rule, ToolFacts, Vocabulary};

fn vocabulary() -> Vocabulary {
    let tool = |name: &str, set: &str| ToolFacts {
        name: ToolName::parse(name).unwrap(),
        set: ToolSet::parse(set).unwrap(),
        tier: Tier::Read,
    };
    Vocabulary {
        tools: vec![
            tool("ssh_execute", "exec"),
            tool("ssh_other", "exec"),
            tool("get_credential", "credentials"),
            tool("whoami", "gateway"),
        ],
        verbs: vec!["reload".to_owned()],
        principals: ["bot", "human"].into_iter().map(|p| PrincipalId::parse(p).unwrap()).collect(),
        groups: BTreeSet::from([GroupName::parse("oncall").unwrap()]),
        targets: vec![Target {
            name: TargetName::parse("web1").unwrap(),
            kind: TargetKind::Host,
            tags: BTreeSet::from(["web".to_owned()]),
            address: None,
        }],
        upstreams: [(
            model::UpstreamName::parse("github").unwrap(),
            Some(BTreeSet::from(["get".to_owned()])),
        )]
        .into(),
    }
}

/// `KEY = VALUE, ...` for one rule a line, with what is left out filled in.
fn codes(rules: &[&str]) -> Vec<(usize, &'static str, String)> {
    let mut text = String::new();
    for (at, rule) in rules.iter().enumerate() {
        text.push_str(&format!("[[rule]]\nname = 'r{at}'\n{}\n", rule.replace("; ", "\n")));
        for (key, value) in [("principals", "['*']"), ("targets", "['*']")] {
            if !rule.contains(key) {
                text.push_str(&format!("{key} = {value}\n"));
            }
        }
    }
    let raw: RawRules = toml::from_str(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    let rules: Vec<Rule> = raw.rule.into_iter().map(|raw| Rule::parse(raw.into_inner()).unwrap()).collect();
    let place = |place| match place {
        crate::Place::Rule(at) | crate::Place::Cedar(at) => at,
    };
    lint(&rules, &vocabulary()).into_iter().map(|w| (place(w.place), w.code.as_str(), w.message)).collect()
}

#[test]
fn good_rules_have_no_warnings() {
    for rules in [
        &["allow = ['ssh_execute']; commands = ['uptime', 'tail -n <int> <path:/var/log>', '/opt/x/* **']"][..],
        &[
            "allow = ['get_credential']; credentials = ['**']; targets = ['tag:web', 'web*', 'web1', '!tag:web', '!web1 & gateway']",
        ],
        &["allow = ['operator:*']; principals = ['bot', 'group:oncall']; targets = ['gateway']"],
        &["allow = ['whoami']"],
        &[
            "forbid = ['*']; commands = ['reboot']; principals = ['human']",
            "allow = ['ssh_execute']; opaque = ['git log']",
            "allow = ['ssh_execute']; opaque = ['bash']; principals = ['bot']",
        ],
        &[
            "allow = ['ssh_execute']; commands = ['x']; targets = ['name:*.internal']; networks = { allow = ['10.0.0.0/8'] }",
        ],
        &["allow = ['ssh_execute']; commands = ['x']; targets = ['address:10.0.0.0/8']"],
        &["allow = ['*']; commands = ['**']"],
        &["forbid = ['*']; commands = ['bash **']"],
        &["allow = ['ssh_execute']; opaque = ['find', 'bash -c **', 'sort', 'docker *']"],
        &["forbid = ['*']; commands = ['rm **']", "allow = ['ssh_execute']; commands = ['id **']"],
        &[
            "forbid = ['*']; commands = ['rm **']; principals = ['bot']",
            "allow = ['ssh_execute']; commands = ['**']; principals = ['human']",
        ],
        &[
            "allow = ['ssh_execute']; commands = ['systemctl restart *']; approval = { by = ['group:oncall'] }",
            "allow = ['ssh_execute']; commands = ['systemctl status **']",
        ],
        &[
            "allow = ['ssh_execute']; commands = ['a', 'b']",
            "allow = ['ssh_execute']; commands = ['a']; limits = { timeout = '5s' }",
        ],
        // Strictly within, but the approval is demanded for more wordings of the one than of the other.
        &["allow = ['ssh_execute']; commands = ['df -h', 'df -*']; approval = { by = ['group:oncall'] }"],
        // A line, a target or a principal tells each pair apart.
        &["allow = ['*']; commands = ['df *']", "allow = ['ssh_execute']; commands = ['df -h']"],
        &[
            "allow = ['*']; commands = ['**']",
            "allow = ['*']; commands = ['x']; targets = ['address:10.0.0.0/8']",
        ],
        &[
            "allow = ['*']; commands = ['x *']; targets = ['!web1']",
            "allow = ['*']; commands = ['x 1']; targets = ['g* & !web1']",
        ],
        &[
            "allow = ['*']; commands = ['x *']; principals = ['bot']",
            "allow = ['*']; commands = ['x 1']; principals = ['*']",
        ],
        &["allow = ['ssh_execute']; commands = ['x *']", "allow = ['set:exec']; commands = ['x 1']"],
        &[
            "allow = ['*']; commands = ['x *']; when = 'context.time.hour > 8'",
            "allow = ['*']; commands = ['x 1']",
        ],
        &["allow = ['*']; opaque = ['find **']", "allow = ['*']; opaque = ['find -*']"],
        &["allow = ['*']; writes = ['/srv/*/x']", "allow = ['*']; writes = ['/srv/a/**']"],
        &["allow = ['*']; credentials = ['keystore:a/*']", "allow = ['*']; credentials = ['keystore:*/x']"],
        &[
            "forbid = ['*']; commands = ['systemctl stop']",
            "forbid = ['*']; commands = ['systemctl']; targets = ['web1']",
        ],
        &["forbid = ['*']; commands = ['reboot']", "forbid = ['*']; opaque = ['**']"],
        &[
            "forbid = ['*']; commands = ['reboot']",
            "forbid = ['*']; principals = ['bot']; targets = ['web1']",
        ],
    ] {
        let found: Vec<_> = codes(rules).into_iter().filter(|(_, code, _)| *code != "no-target").collect();
        assert_eq!(found, [], "{rules:?}");
    }
}

#[test]
fn each_doubt_has_its_code() {
    for (rules, at, code, message) in [
        (&["allow = ['whoami']; principals = ['nobody']"][..], 0, "unknown-principal", "`nobody`"),
        (&["allow = ['whoami']; principals = ['group:none']"], 0, "unknown-group", "`none`"),
        (
            &["allow = ['whoami']; approval = { by = ['group:none'] }"],
            0,
            "unknown-group",
            "nobody could approve",
        ),
        (&["allow = ['whoami']; targets = ['web9']"], 0, "unknown-target", "`web9`"),
        (&["allow = ['whoami']; targets = ['tag:db']"], 0, "unknown-tag", "`db`"),
        (&["allow = ['whoami']; targets = ['!tag:db']"], 0, "unknown-tag", "`db`"),
        (&["allow = ['whoami']; targets = ['db*']"], 0, "no-target", "no target"),
        (&["allow = ['whoami']; targets = ['tag:web & !web1']"], 0, "no-target", "no target"),
        (&["allow = ['ssh_execute']; commands = ['./run *']"], 0, "never-matches", "./run"),
        (&["allow = ['ssh_execute']; commands = ['time uptime']"], 0, "never-matches", "keyword"),
        (&["allow = ['ssh_execute']; commands = ['cat \u{430}']"], 0, "never-matches", "taken for another"),
        (
            &["allow = ['ssh_execute']; commands = ['x']; writes = ['/srv/x', '/dev/*']"],
            0,
            "never-matches",
            "/dev/*",
        ),
        (
            &["allow = ['ssh_execute']; commands = ['x']; reads = ['/proc/**']"],
            0,
            "never-matches",
            "/proc/**",
        ),
        (&["allow = ['ssh_execute']; commands = ['uptime', 'sudo *']"], 0, "opaque", "`sudo *`"),
        (&["allow = ['ssh_execute']; commands = ['sort -o *']"], 0, "opaque", "writes a file"),
        (&["allow = ['ssh_execute']; opaque = ['find', 'uptime']"], 0, "not-opaque", "`uptime`"),
        (&["allow = ['ssh_execute']; opaque = ['docker ps']"], 0, "not-opaque", "`docker ps`"),
        (&["allow = ['ssh_execute']; opaque = ['time sh']"], 0, "never-matches", "keyword"),
        (
            &["allow = ['*']; opaque = ['**']", "allow = ['ssh_execute']; opaque = ['find']"],
            1,
            "shadowed",
            "`r0`",
        ),
        (
            &[
                "allow = ['*']; writes = ['**']; commands = ['x']",
                "allow = ['ssh_execute']; commands = ['x']; writes = ['/srv/x']",
            ],
            1,
            "shadowed",
            "`r0`",
        ),
        (
            &["allow = ['ssh_execute']; commands = ['id', 'systemctl status nginx', 'systemctl status **']"],
            0,
            "shadowed",
            "`systemctl status nginx` is within `systemctl status **`",
        ),
        (
            &["allow = ['ssh_execute']; opaque = ['sort -o *', 'sort']"],
            0,
            "shadowed",
            "`sort -o *` is within `sort`",
        ),
        (&["forbid = ['*']; commands = ['rm', 'rm -rf']"], 0, "shadowed", "`rm -rf` is within `rm`"),
        // The networks of the other hold for whatever both permit.
        (
            &[
                "allow = ['ssh_execute']; commands = ['x']",
                "allow = ['ssh_execute']; commands = ['x']; networks = { block = ['10.0.0.0/8'] }",
            ],
            0,
            "shadowed",
            "`r1`",
        ),
        (
            &["allow = ['ssh_execute']; commands = ['x']; targets = ['name:*.internal']"],
            0,
            "name-unbounded",
            "DNS",
        ),
        (
            &[
                "allow = ['ssh_execute']; writes = ['/srv/www/*']; approval = { by = ['group:oncall'] }",
                "allow = ['set:exec']; writes = ['/srv/**']",
            ],
            0,
            "approval-avoidable",
            "`> /srv/www/x` through `ssh_other`",
        ),
        (&["allow = ['ssh_execute']"], 0, "permits-nothing", "nothing"),
        (&["allow = ['get_credential']; commands = ['x']"], 0, "permits-nothing", "nothing"),
        (
            &["allow = ['ssh_execute']; commands = ['x']; credentials = ['**']"],
            0,
            "unused-key",
            "get_credential",
        ),
        (
            &["allow = ['*']; commands = ['**']", "allow = ['ssh_execute']; commands = ['x']"],
            1,
            "shadowed",
            "`r0`",
        ),
        (
            &["allow = ['ssh_execute']; commands = ['x']", "allow = ['ssh_execute']; commands = ['x']"],
            1,
            "shadowed",
            "`r0`",
        ),
        (
            &[
                "allow = ['set:exec']; commands = ['tail -n <int> <path:/var>', 'systemctl status **']; targets = ['tag:web']",
                "allow = ['ssh_other']; commands = ['systemctl status ng*', 'tail -n 5 /var/log/x']; targets = ['w* & tag:web']; principals = ['bot']",
            ],
            1,
            "shadowed",
            "rule `r0` permits all that this rule permits",
        ),
        (
            &[
                "allow = ['*']; credentials = ['keystore:a/web1']; targets = ['web1']",
                "allow = ['*']; credentials = ['keystore:*/web*']; targets = ['web*']",
            ],
            0,
            "shadowed",
            "`r1`",
        ),
        (
            &["allow = ['*']; writes = ['/srv/a/**']", "allow = ['*']; writes = ['/srv/**']"],
            0,
            "shadowed",
            "`r1`",
        ),
        (
            &[
                "forbid = ['*']; commands = ['systemctl restart nginx']; targets = ['address:10.1.0.0/16']",
                "forbid = ['*']; commands = ['systemctl restart **']; targets = ['address:10.0.0.0/8']",
            ],
            0,
            "shadowed",
            "rule `r1` forbids all that this rule forbids",
        ),
        (
            &[
                "forbid = ['*']; targets = ['tag:web']",
                "forbid = ['ssh_execute']; opaque = ['**']; targets = ['web* & tag:web']",
            ],
            1,
            "shadowed",
            "`r0`",
        ),
        (
            &["forbid = ['*']; principals = ['*']", "allow = ['ssh_execute']; commands = ['x']"],
            1,
            "forbidden",
            "`r0`",
        ),
        (
            &[
                "allow = ['ssh_execute']; commands = ['systemctl restart *']; approval = { by = ['group:oncall'] }",
                "allow = ['set:exec']; commands = ['systemctl restart *']",
            ],
            0,
            "approval-avoidable",
            "through `ssh_other`",
        ),
        (&["forbid = ['*']; commands = ['x', 'rm -rf **']"], 0, "option-spelling", "`rm -rf **`"),
        (
            &["forbid = ['*']; commands = ['rm **']", "allow = ['ssh_execute']; commands = ['id', '**']"],
            1,
            "any-command",
            "`r0`",
        ),
        (
            &[
                "allow = ['ssh_execute']; commands = ['reboot']; approval = { by = ['group:oncall'] }",
                "allow = ['ssh_execute']; commands = ['**']",
            ],
            1,
            "any-command",
            "`r0`",
        ),
        (
            &[
                "allow = ['ssh_execute']; commands = ['systemctl restart *']; approval = { by = ['group:oncall'] }",
                "allow = ['ssh_execute']; opaque = ['bash']",
            ],
            1,
            "any-opaque",
            "`bash` can do what rule `r0`",
        ),
        (
            &[
                "forbid = ['*']; commands = ['reboot']",
                "allow = ['ssh_execute']; opaque = ['git log', 'env **']",
            ],
            1,
            "any-opaque",
            "`env **`",
        ),
    ] {
        let found = codes(rules);
        let hit = found.iter().any(|(rule, c, m)| *rule == at && *c == code && m.contains(message));
        assert!(hit, "{rules:?}: {found:?}");
    }
}
