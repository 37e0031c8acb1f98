use model::{Principal, Target};
use policy::{Snapshot, command};
use proptest::prelude::*;
use proptest::strategy::ValueTree;

use crate::world::{action, decide, place, run, snapshot, target, tool};

const TAGS: [&str; 3] = ["a", "b", "c"];

fn factor() -> impl Strategy<Value = String> {
    let positive = prop_oneof![
        prop::sample::select(&TAGS[..]).prop_map(|tag| format!("tag:{tag}")),
        "[xy]{1,2}",
        "[xy]?\\*[xy]?",
    ];
    (positive, any::<bool>())
        .prop_map(|(factor, negated)| if negated && factor != "*" { format!("!{factor}") } else { factor })
}

fn expression() -> impl Strategy<Value = String> {
    prop::collection::vec(factor(), 1..4).prop_map(|factors| factors.join(" & "))
}

fn some_target() -> impl Strategy<Value = Target> {
    let host = ("[xy]{1,2}", prop::sample::subsequence(&TAGS[..], 0..=3))
        .prop_map(|(name, tags)| target(&name, &tags));
    prop_oneof![8 => host, 1 => Just(Target::gateway())]
}

/// The definition, written once more and apart: `&` of factors, `!` negates, only negations never mean the gateway.
fn means(expression: &str, target: &Target) -> bool {
    let name = target.name.as_str();
    let factors: Vec<&str> = expression.split('&').map(str::trim).collect();
    if name == Target::GATEWAY && factors.iter().all(|factor| factor.starts_with('!')) {
        return false;
    }
    factors.iter().all(|factor| {
        let (negated, factor) = factor.strip_prefix('!').map_or((false, *factor), |rest| (true, rest));
        let holds = match (factor.strip_prefix("tag:"), factor.split_once('*')) {
            (Some(tag), _) => target.tags.contains(tag),
            (None, Some((head, tail))) => {
                name.len() >= head.len() + tail.len() && name.starts_with(head) && name.ends_with(tail)
            }
            (None, None) => name == factor,
        };
        holds != negated
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    /// Rust finds the rules and Cedar decides: they must mean the same, for permits and for forbids.
    #[test]
    fn no_target_expression_reaches_outside_of_what_it_says(
        expressions in prop::collection::vec(expression(), 1..3),
        target in some_target(),
    ) {
        let expected = expressions.iter().any(|expression| means(expression, &target));
        let listed = format!("{expressions:?}");
        let permit = format!("[[rule]]\nname='a'\nallow=['ssh_execute']\nprincipals=['*']\ntargets={listed}\ncommands=['id']\n");
        let forbid = format!("[[rule]]\nname='b'\nforbid=['ssh_execute']\nprincipals=['*']\ntargets={listed}\n[[rule]]\nname='a'\nallow=['ssh_execute']\nprincipals=['*']\ntargets=['*']\ncommands=['id']\n");
        let ask = |policy: &Snapshot| {
            let line = command::parse("id").unwrap();
            let mut action = action("ssh_execute", "lab", line.parts().collect());
            action.target = target.clone();
            decide(policy, "bot", action).is_ok()
        };
        prop_assert_eq!(ask(&snapshot(&permit, "")), expected, "permit {}", listed);
        prop_assert_eq!(ask(&snapshot(&forbid, "")), !expected, "forbid {}", listed);
    }

    /// The same for tools: a selector gives the tools it names, a forbid with it takes exactly those.
    #[test]
    fn no_tool_selector_reaches_outside_of_what_it_says(
        selectors in prop::collection::vec(prop::sample::select(&[
            "ssh_execute", "ssh_other", "set:exec", "tier:read", "tier:sudo", "tier:dangerous", "operator:reload", "operator:*",
            "get_credential", "set:gateway", "*",
        ][..]), 1..3),
        name in prop::sample::select(&["ssh_execute", "ssh_other", "get_credential", "operator:reload", "operator:health", "whoami"][..]),
    ) {
        let facts = tool(name);
        let operator = name.starts_with("operator:");
        let names = |selector: &str, forbid: bool| match selector.split_once(':') {
            _ if selector == name => true,
            _ if selector == "*" => forbid || !operator,
            Some(("set", set)) => !operator && facts.set.as_str() == set,
            Some(("tier", tier)) => !operator && facts.tier.as_str() == tier,
            Some(("operator", "*")) => operator,
            _ => false,
        };
        let listed = format!("{selectors:?}");
        let permits = snapshot(&format!("[[rule]]\nname='a'\nallow={listed}\nprincipals=['bot']\ntargets=['lab']\n"), "");
        let forbids = snapshot(&format!("[[rule]]\nname='b'\nforbid={listed}\nprincipals=['bot']\ntargets=['*']\n[[rule]]\nname='a'\nallow=['*', 'operator:*']\nprincipals=['*']\ntargets=['*']\n"), "");
        let ask = |policy: &Snapshot| decide(policy, "bot", action(name, "lab", vec![model::SubAction::Whole])).is_ok();
        let permitted = selectors.iter().any(|selector| names(selector, false));
        let forbidden = selectors.iter().any(|selector| names(selector, true));
        prop_assert_eq!(ask(&permits), permitted);
        prop_assert_eq!(ask(&forbids), !forbidden);
        let bot: Principal = crate::world::principal("bot");
        prop_assert_eq!(permits.visible(&bot, &facts), permitted || name == "whoami");
        prop_assert_eq!(forbids.visible(&bot, &facts), !forbidden);
    }

    /// More rules that permit never take an obligation away.
    #[test]
    fn a_further_permit_never_lessens_an_obligation(pattern in prop::sample::select(&["**", "systemctl **", "systemctl restart *", "systemctl * nginx", "* * *"][..])) {
        let strict = "[[rule]]\nname='strict'\nallow=['*']\nprincipals=['*']\ntargets=['*']\ncommands=['systemctl restart *']\napproval={by=['group:oncall']}\nlimits={timeout='5s'}\n";
        let policy = snapshot(&format!("{strict}[[rule]]\nname='lax'\nallow=['*']\nprincipals=['*']\ntargets=['*']\ncommands=['{pattern}']\nlimits={{timeout='1h'}}\n"), "permit(principal, action, resource);");
        let allowed = run(&policy, "bot", "web1", "systemctl restart nginx").unwrap();
        prop_assert_eq!(allowed.obligations().approvals.len(), 1);
        prop_assert_eq!(allowed.limits().timeout, Some(std::time::Duration::from_secs(5)));
    }
}

const WORDS: [&str; 10] = [
    "uptime",
    "systemctl restart nginx",
    "systemctl status nginx",
    "systemctl restart *",
    "systemctl **",
    "find",
    "sudo reboot",
    "reboot",
    "df -h",
    "**",
];
const PATHS: [&str; 6] = ["/srv/a", "/srv/b", "/srv/*", "/srv/**", "/etc/motd", "**"];

fn some_rules() -> impl Strategy<Value = String> {
    let words = || prop::collection::vec(prop::sample::select(&WORDS[..]), 0..3);
    let rule = (words(), words(), prop::collection::vec(prop::sample::select(&PATHS[..]), 0..3), 0..8_u8);
    prop::collection::vec(rule, 1..5).prop_map(|rules| {
        let mut text = String::new();
        for (at, (commands, opaque, writes, kind)) in rules.into_iter().enumerate() {
            let forbids = kind == 0;
            let what = if forbids { "forbid" } else { "allow" };
            text.push_str(&format!(
                "[[rule]]\nname='r{at}'\n{what}=['*']\nprincipals=['*']\ntargets=['*']\n"
            ));
            for (key, list) in [("commands", &commands), ("opaque", &opaque), ("writes", &writes)] {
                let list: Vec<_> = list.iter().filter(|entry| !(forbids && **entry == "**")).collect();
                if !list.is_empty() {
                    text.push_str(&format!("{key}={list:?}\n"));
                }
            }
            if kind > 4 {
                text.push_str("approval={by=['group:oncall']}\n");
            }
        }
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// What is offered passes as it is, and with every approval that the denied line would have needed, had any rule
    /// permitted it.
    #[test]
    fn what_is_offered_instead_passes_and_owes_no_less(
        rules in some_rules(),
        line in prop::sample::select(&[
            "uptime -x", "systemctl restart --now nginx", "systemctl stop nginx", "sudo systemctl restart nginx", "sudo reboot -f",
            "find / -delete", "id", "uptime >/etc/passwd", "df -h >/srv/c", "df -h 2>/srv/x/y", "reboot >/srv/b", "systemctl status nginx >/x",
        ][..]),
    ) {
        let policy = snapshot(&rules, "");
        let Err(denial) = run(&policy, "bot", "web1", line) else { return Ok(()) };
        let any = "[[rule]]\nname='any'\nallow=['*']\nprincipals=['*']\ntargets=['*']\ncommands=['**']\nopaque=['**']\nreads=['**']\nwrites=['**']\n";
        let owed = run(&snapshot(&format!("{rules}{any}"), ""), "bot", "web1", line);
        for offered in &denial.allowed_instead {
            let allowed = run(&policy, "bot", "web1", offered);
            prop_assert!(allowed.is_ok(), "{}\n{} is offered for {}", rules, offered, line);
            let open = allowed.unwrap().obligations().approvals.clone();
            for approval in owed.iter().flat_map(|allowed| &allowed.obligations().approvals) {
                prop_assert!(open.contains(approval), "{}\n{} is offered for {}", rules, offered, line);
            }
        }
    }
}

const PATTERNS: [&str; 16] = [
    "uptime",
    "x *",
    "x 1",
    "x <int>",
    "x <word>",
    "x **",
    "x -a *",
    "x -*",
    "x <path:/a>",
    "x /a/*",
    "x /a/b",
    "x a*",
    "**",
    "find / *",
    "find",
    "find **",
];
const PLACES: [&str; 9] = [
    "*",
    "web1",
    "web*",
    "tag:web",
    "web* & tag:web",
    "!web2",
    "w* & !web2",
    "address:10.0.0.0/8",
    "gateway",
];

/// Rules that often differ in one thing only, so that one of them often says what another says already.
fn alike_rules() -> impl Strategy<Value = Vec<String>> {
    let some = |list: &'static [&'static str]| prop::collection::vec(prop::sample::select(list), 1..3);
    let who = prop::sample::select(&["'*'", "'bot'", "'group:sre'"][..]);
    let tools = prop::sample::select(&["'*'", "'ssh_execute'", "'set:exec'"][..]);
    let keys = prop::sample::select(&["commands", "commands", "opaque", "writes", ""][..]);
    let rule = (0..6_u8, who, tools, some(&PLACES), keys, some(&PATTERNS), some(&PATHS));
    prop::collection::vec(rule, 2..5).prop_map(|rules| {
        let written = rules.into_iter().enumerate().map(|(at, (kind, who, tools, places, key, patterns, paths))| {
            let what = if kind == 0 { "forbid" } else { "allow" };
            let listed = if key == "writes" { paths } else { patterns };
            let listed: Vec<_> = listed.into_iter().filter(|entry| kind > 0 || *entry != "**").collect();
            let entries = if key.is_empty() || listed.is_empty() { String::new() } else { format!("{key}={listed:?}\n") };
            let asks = if kind == 1 { "approval={by=['group:oncall']}\n" } else { "" };
            format!("[[rule]]\nname='r{at}'\n{what}=[{tools}]\nprincipals=[{who}]\ntargets={places:?}\n{entries}{asks}")
        });
        written.collect()
    })
}

const LINES: [&str; 16] = [
    "uptime",
    "/usr/bin/uptime -p",
    "x 1",
    "x a",
    "x abc",
    "x -a 1",
    "x -a",
    "x /a/b",
    "x /a/b/c",
    "x /b",
    "x 1 2",
    "x",
    "sudo x 1",
    "find / -delete",
    "find / x",
    "x 1 >/srv/a",
];

/// What a policy says about everything that can be asked here: who is refused, and what the others owe.
fn everything_said(policy: &Snapshot) -> Vec<Option<String>> {
    let outside = Target {
        kind: model::TargetKind::Outside,
        address: Some("10.1.2.3".to_owned()),
        ..target("10.1.2.3", &[])
    };
    let places = [place("web1"), place("web2"), place("lab"), Target::gateway(), outside];
    let mut said = Vec::new();
    for (who, name) in
        [("bot", "ssh_execute"), ("bot", "ssh_other"), ("human:sre", "ssh_other"), ("human", "ssh_execute")]
    {
        for (target, line) in places.iter().flat_map(|place| LINES.iter().map(move |line| (place, line))) {
            let mut asked = action(name, "lab", command::parse(line).unwrap().parts().collect());
            asked.target = target.clone();
            let owed = |allowed: policy::Allowed| format!("{:?}", allowed.obligations().approvals);
            said.push(decide(policy, who, asked).ok().map(owed));
        }
    }
    said
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// A warning that a rule or an entry is shadowed is an invitation to delete it.
    #[test]
    fn without_what_is_called_shadowed_every_decision_is_the_same(rules in alike_rules()) {
        let (policy, warnings) = crate::world::compile(&rules.concat(), "").unwrap();
        let shadowed = warnings.iter().filter(|warning| warning.code == policy::LintCode::Shadowed);
        for warning in shadowed {
            let policy::Place::Rule(at) = warning.place else { continue };
            let mut fewer = rules.clone();
            match warning.index {
                None => drop(fewer.remove(at)),
                Some(index) => fewer[at] = without_entry(&fewer[at], &warning.field, index),
            }
            let fewer = snapshot(&fewer.concat(), "");
            prop_assert_eq!(everything_said(&policy), everything_said(&fewer), "without r{} of\n{}", at, rules.concat());
        }
    }
}

/// The rule without one entry of this list.
fn without_entry(rule: &str, key: &str, index: usize) -> String {
    let mut lines: Vec<String> = rule.lines().map(str::to_owned).collect();
    let line = lines.iter_mut().find(|line| line.starts_with(&format!("{key}="))).unwrap();
    let mut table: toml::Table = line.parse().unwrap();
    table[key].as_array_mut().unwrap().remove(index);
    *line = format!("{key}={}", table[key]);
    lines.join("\n") + "\n"
}

/// The property above would hold of a lint that never warns.
#[test]
fn among_rules_that_are_alike_many_are_shadowed() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut rules_shadowed, mut entries_shadowed) = (0, 0);
    for _ in 0..200 {
        let rules = alike_rules().new_tree(&mut runner).unwrap().current();
        let warnings = crate::world::compile(&rules.concat(), "").unwrap().1;
        for warning in warnings.iter().filter(|warning| warning.code == policy::LintCode::Shadowed) {
            *if warning.index.is_none() { &mut rules_shadowed } else { &mut entries_shadowed } += 1;
        }
    }
    assert!(rules_shadowed > 10 && entries_shadowed > 10, "{rules_shadowed}, {entries_shadowed}");
}

/// Many rules are sliced; the answer is the same as with few, and a decision looks at few.
#[test]
fn among_thousands_of_rules_the_right_ones_are_found() {
    let mut text = String::new();
    for number in 0..2000 {
        let (who, wher) = (number % 40, number % 50);
        text.push_str(&format!("[[rule]]\nname='r{number}'\nallow=['ssh_execute']\nprincipals=['p{who}']\ntargets=['h{wher}']\ncommands=['tool{number} *']\n"));
    }
    text.push_str("[[rule]]\nname='no'\nforbid=['*']\nprincipals=['*']\ntargets=['h49']\n");
    let policy = snapshot(&text, "");
    assert!(run(&policy, "p7", "h7", "tool7 x").is_ok());
    assert!(run(&policy, "p7", "h7", "tool207 x").is_ok());
    assert!(run(&policy, "p7", "h7", "tool8 x").is_err());
    assert!(run(&policy, "p8", "h7", "tool7 x").is_err());
    assert!(run(&policy, "p9", "h49", "tool49 x").is_err());
    assert_eq!(place("h7").tags.len(), 0);
}
