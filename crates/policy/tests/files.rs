use model::ErrorCode;
use policy::{CedarFile, Place, Snapshot};

use crate::world::{compile, principal, run, snapshot, tool, vocabulary, whole};

#[test]
fn cedar_files_stand_beside_the_rules() {
    let rules = "[[rule]]\nname='open'\nallow=['ssh_execute']\nprincipals=['group:sre']\ntargets=['*']\ncommands=['**']\n";
    let cedar = r#"
@id("no web on fridays")
forbid(principal, action in Action::"set:exec", resource in Tag::"web") when { context.time.weekday == 5 };
permit(principal == Principal::"human", action == Action::"ssh_execute", resource is Target)
  when { context has command && context.command.name == "uptime" && resource.kind == "host" };
permit(principal in Group::"oncall", action in [Action::"operator:reload", Action::"operator:health"], resource);
forbid(principal, action, resource) when { context.matched.contains("open") && context.part == "command" && context has command && context.command.line like "rm *" };
"#;
    let policy = snapshot(rules, cedar);
    let denial = run(&policy, "bot:sre", "web1", "id").unwrap_err();
    assert_eq!(
        (denial.code, denial.rule.as_ref().map(|r| r.as_str())),
        (ErrorCode::DeniedForbidden, Some("no web on fridays"))
    );
    assert!(run(&policy, "bot:sre", "lab", "id").is_ok());
    let denial = run(&policy, "bot:sre", "lab", "rm -rf x").unwrap_err();
    assert_eq!(denial.rule.as_ref().map(|r| r.as_str()), Some("site.cedar#3"));
    let allowed = run(&policy, "human", "lab", "/usr/bin/uptime -p").unwrap();
    assert_eq!(allowed.rules()[0].as_str(), "site.cedar#1");
    assert!(run(&policy, "human", "lab", "id").is_err());
    assert!(run(&policy, "human", "lab", "sudo uptime").is_err());
    assert!(whole(&policy, "x:oncall", "operator:reload", "gateway").is_ok());
    assert!(policy.visible(&principal("human"), &tool("ssh_execute")));
    assert!(!policy.visible(&principal("nobody"), &tool("ssh_execute")));
}

#[test]
fn what_does_not_fit_the_schema_is_an_error_with_its_place() {
    for (text, at) in [
        ("permit(principal, action, resource", None),
        ("permit(principal == User::\"x\", action, resource);", Some("User")),
        ("permit(principal, action == Action::\"ssh_exec\", resource);", Some("Action::\"ssh_exec\"")),
        ("permit(principal, action, resource) when { context.nothing };", Some("context.nothing")),
        (
            "permit(principal, action, resource) when { context.command.line == \"x\" };",
            Some("context.command"),
        ),
        ("permit(principal == ?principal, action, resource);", None),
        ("@id(\"\\n\") permit(principal, action, resource);", None),
    ] {
        let problems = compile("", text).err().unwrap_or_else(|| panic!("{text}"));
        let problem = &problems[0];
        assert_eq!(problem.place, Some(Place::Cedar(0)), "{text}");
        assert!(!problem.message.is_empty());
        if let Some(at) = at {
            let span = problem.span.clone().unwrap_or_else(|| panic!("{text}: {problem:?}"));
            assert!(
                {
                    let shown = text.get(span).unwrap();
                    shown.contains(at) || at.contains(shown)
                },
                "{text}: {problem:?}"
            );
        }
    }
    let twice = || CedarFile { name: "a.cedar".into(), text: String::new() };
    assert!(Snapshot::compile(Vec::<policy::Rule>::new(), vec![twice(), twice()], &vocabulary()).is_err());
}

#[test]
fn long_and_deep_files_are_read_or_refused() {
    let with = |condition: &str| format!("permit(principal, action, resource) when {{ {condition} }};");
    assert!(compile("", &with(&vec!["context.time.hour == 1"; 300].join(" || "))).is_ok());
    assert!(compile("", &with(&format!("{}true{}", "(".repeat(60), ")".repeat(60)))).is_ok());
    assert!(compile("", &with(&format!("{}true{}", "(".repeat(70_000), ")".repeat(70_000)))).is_err());
    assert!(compile("", &"permit(principal, action, resource);".repeat(40_000)).is_err());
}

#[test]
fn what_is_shown_is_cedar_and_whole() {
    let rules = r#"
[[rule]]
name = 'odd "name" */ \ // x'
allow = ["ssh_execute", "tier:read"]
principals = ["bot", "group:sre"]
targets = ["web*", "tag:web & !tag:staging", "!lab"]
commands = ["systemctl restart *"]
approval = { by = ["group:oncall"] }
limits = { timeout = "30s" }
when = 'context.time.hour > 8'
"#;
    let cedar = "// mine\npermit(principal, action == Action::\"whoami\", resource);";
    let text = snapshot(rules, cedar).to_cedar();
    for part in [
        "built-in",
        "systemctl restart *",
        "group:oncall",
        "// mine",
        "context.matched.contains",
        "like \"web*\"",
        "30s",
        "forbid",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    let read: cedar_policy::PolicySet = text.parse().unwrap_or_else(|e| panic!("{e}\n{text}"));
    assert_eq!(read.policies().count(), 3, "{text}");
}
