use std::collections::{BTreeMap, BTreeSet};

use model::{GroupName, PrincipalId};
use policy::{CaseFacts, Expected, RawCase, RawCases, run_cases};

use crate::world::{snapshot, tool, vocabulary};

const RULES: &str = r#"
[[rule]]
name = "look"
allow = ["ssh_execute"]
principals = ["group:sre"]
targets = ["tag:web"]
commands = ["uptime"]
when = 'context.time.hour < 20'
[[rule]]
name = "restart"
allow = ["ssh_execute"]
principals = ["group:sre"]
targets = ["tag:web"]
commands = ["systemctl restart *"]
approval = { by = ["group:oncall"] }
[[rule]]
name = "credentials"
allow = ["get_credential"]
principals = ["bot"]
targets = ["web1"]
credentials = ["a:b/*"]
[[rule]]
name = "issues"
allow = ["github__get_issue"]
principals = ["bot"]
targets = ["github"]
arguments = { repo = ["acme/*"] }
"#;

fn outcomes(cases: &str) -> Vec<(bool, Option<Expected>, String)> {
    let raw: RawCases = toml::from_str(cases).unwrap();
    let cases: Vec<RawCase> = raw.case.into_iter().map(serde_spanned::Spanned::into_inner).collect();
    let words = vocabulary();
    let groups = BTreeSet::from([GroupName::parse("sre").unwrap()]);
    let facts = CaseFacts {
        principals: BTreeMap::from([(PrincipalId::parse("bot").unwrap(), groups)]),
        targets: words
            .targets
            .into_iter()
            .chain([model::Target::upstream(model::UpstreamName::parse("github").unwrap())])
            .collect(),
        tools: words.tools.into_iter().chain([tool("operator:reload")]).collect(),
    };
    run_cases(&snapshot(RULES, ""), &cases, &facts)
        .into_iter()
        .map(|o| (o.passed, o.decided, o.message.unwrap_or_default()))
        .collect()
}

#[test]
fn a_table_of_cases_is_decided() {
    let good = r#"
[[case]]
as = "bot"
tool = "ssh_execute"
host = "web1"
command = "uptime"
expect = "allow"
rule = "look"
[[case]]
as = "bot"
tool = "ssh_execute"
target = "web1"
command = "uptime"
hour = 21
expect = "deny"
code = "denied.command"
rule = "look"
[[case]]
name = "restart asks"
as = "bot"
tool = "ssh_execute"
target = "web2"
command = "systemctl restart nginx"
expect = "approval"
rule = "restart"
[[case]]
as = "bot"
tool = "ssh_execute"
target = "web2"
command = "uptime > /tmp/x"
expect = "deny"
code = "denied.command"
[[case]]
as = "stranger"
groups = ["group:sre"]
tool = "ssh_execute"
target = "web2"
command = "uptime"
expect = "allow"
[[case]]
as = "bot"
tool = "get_credential"
target = "web1"
credential = "a:b/c"
expect = "allow"
[[case]]
as = "bot"
tool = "whoami"
expect = "allow"
rule = "built-in"
[[case]]
as = "bot"
tool = "operator:reload"
expect = "deny"
code = "denied.no_rule"
"#;
    for (at, (passed, _, message)) in outcomes(good).into_iter().enumerate() {
        assert!(passed, "case {at}: {message}");
    }
}

#[test]
fn what_differs_or_is_wrong_fails_with_its_reason() {
    let case = |body: &str| {
        let text =
            format!("[[case]]\nas = 'bot'\ntool = 'ssh_execute'\ntarget = 'web1'\nexpect = 'allow'\n{body}");
        outcomes(&text).remove(0)
    };
    for (body, message) in [
        ("command = 'reboot'", "expected allow, decided deny: the command `reboot`"),
        ("command = 'systemctl restart x'", "expected allow, decided approval"),
        ("command = 'uptime'\nrule = 'restart'", "expected rule `restart`"),
        ("command = 'uptime'\ncode = 'denied.command'", "expected code"),
        ("command = 'uptime'\ncredential = 'a:b/c'", "either `command` or `credential`"),
        ("credential = 'x'", "`credential`"),
        ("command = 'uptime'\nhour = 24", "`hour`"),
        ("command = 'uptime'\nweekday = 0", "`weekday`"),
        ("command = 'uptime'\ngroups = ['a b']", "`groups`"),
    ] {
        let (passed, _, said) = case(body);
        assert!(!passed && said.contains(message), "{body}: {said}");
    }
    for (wrong, message) in
        [("as = 'who'", "no principal"), ("tool = 'x'", "no tool"), ("target = 'x'", "no target")]
    {
        let key = wrong.split(' ').next().unwrap();
        let text: String = ["as = 'bot'", "tool = 'ssh_execute'", "target = 'web1'"]
            .iter()
            .map(|line| if line.starts_with(key) { wrong } else { line })
            .map(|line| format!("{line}\n"))
            .collect();
        let (passed, decided, said) =
            outcomes(&format!("[[case]]\n{text}command = 'id'\nexpect = 'deny'\n")).remove(0);
        assert!(!passed && decided.is_none() && said.contains(message), "{wrong}: {said}");
    }
    assert!(toml::from_str::<RawCases>("[[case]]\nas='a'\ntool='b'\nexpect='maybe'\n").is_err());
    assert!(toml::from_str::<RawCases>("[[case]]\nas='a'\ntool='b'\nexpect='deny'\nwhat=1\n").is_err());
}

#[test]
fn cases_of_upstreams_have_arguments_and_no_target_of_their_own() {
    let case = |rest: &str| format!("[[case]]\nas = \"bot\"\n{rest}\n");
    for (rest, expected) in [
        (
            "tool = \"github__get_issue\"\narguments = { repo = \"acme/x\" }\nexpect = \"allow\"\nrule = \"issues\"",
            "",
        ),
        (
            "tool = \"github__get_issue\"\ntarget = \"github\"\narguments = { repo = \"evil/x\" }\nexpect = \"deny\"",
            "",
        ),
        ("tool = \"github__push\"\nexpect = \"deny\"\ncode = \"denied.no_rule\"", ""),
        ("tool = \"gitlab__push\"\nexpect = \"deny\"", "no upstream is called `gitlab`"),
        ("tool = \"github__push\"\ntarget = \"web1\"\nexpect = \"deny\"", "acts on `github` alone"),
        (
            "tool = \"github__push\"\ncommand = \"id\"\nexpect = \"deny\"",
            "neither `command` nor `credential`",
        ),
        ("tool = \"whoami\"\narguments = {}\nexpect = \"allow\"", "for tools of upstreams"),
    ] {
        let (passed, _, message) = outcomes(&case(rest)).remove(0);
        assert_eq!(passed, expected.is_empty(), "{rest}: {message}");
        assert!(message.contains(expected), "{rest}: {message}");
    }
}
