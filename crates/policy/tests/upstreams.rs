//! Rules about the tools of third-party servers.

use std::sync::Arc;

use model::{
    Action, CredentialUse, ErrorCode, Limits, SubAction, Target, Theirs, Thing, Tier, ToolName, ToolSet,
    UpstreamName,
};
use policy::{Allowed, Denial, Snapshot, ToolFacts};
use serde_json::{Map, Value, json};

use crate::world::{compile, decide, principal, snapshot};

fn call(upstream: &str, tool: &str, arguments: Value) -> Action {
    let upstream = UpstreamName::parse(upstream).unwrap();
    let arguments: Map<String, Value> = serde_json::from_value(arguments).unwrap();
    Action {
        tool: ToolName::of_upstream(upstream, tool).unwrap(),
        set: ToolSet::parse("upstream").unwrap(),
        tier: Tier::Read,
        target: Target::upstream(upstream),
        parts: vec![SubAction::Upstream(Arc::new(arguments))],
        command: None,
        credential: CredentialUse::None,
        limits: Limits::default(),
        arguments: Value::Null,
        forward: None,
    }
}

fn facts(action: &Action) -> ToolFacts {
    ToolFacts { name: action.tool.clone(), set: action.set.clone(), tier: action.tier }
}

fn ask(snapshot: &Snapshot, tool: (&str, &str), arguments: Value) -> Result<Allowed, Denial> {
    let action = call(tool.0, tool.1, arguments);
    let (visible, decided) =
        (snapshot.visible(&principal("bot"), &facts(&action)), decide(snapshot, "bot", action));
    assert!(visible || decided.is_err(), "what is not visible cannot be called");
    decided
}

fn rule(rest: &str) -> String {
    format!("[[rule]]\nname = \"r\"\nprincipals = [\"*\"]\n{rest}\n")
}

#[test]
fn rules_name_tools_of_upstreams_one_by_one_all_of_one_or_with_everything() {
    let get = ("github", "get_issue");
    for (rest, permitted) in [
        ("allow = [\"github__get_issue\"]\ntargets = [\"*\"]", true),
        ("allow = [\"github__get_issue\"]\ntargets = [\"github\"]", true),
        ("allow = [\"github__get_issue\", \"set:exec\"]\ntargets = [\"git*\"]\ncommands = [\"**\"]", true),
        ("allow = [\"upstream:github\"]\ntargets = [\"*\"]", true),
        ("allow = [\"*\"]\ntargets = [\"*\"]", true),
        ("allow = [\"*\"]\ntargets = [\"github\"]", true),
        ("allow = [\"*\"]\ntargets = [\"*\"]\nwhen = \"context.time.hour >= 0\"", true),
        ("allow = [\"*\"]\ntargets = [\"github\"]\nwhen = \"resource.kind == \\\"upstream\\\"\"", true),
        ("allow = [\"github__push\"]\ntargets = [\"*\"]", false),
        ("allow = [\"upstream:files\"]\ntargets = [\"*\"]", false),
        ("allow = [\"github__get_issue\"]\ntargets = [\"web1\"]", false),
        ("allow = [\"*\"]\ntargets = [\"!tag:payment\"]", false),
        ("allow = [\"*\"]\ntargets = [\"tag:web\"]", false),
        ("allow = [\"tier:read\"]\ntargets = [\"*\"]", false),
        ("allow = [\"set:exec\", \"ssh_execute\"]\ntargets = [\"*\"]\ncommands = [\"**\"]", false),
    ] {
        let snapshot = snapshot(&rule(rest), "");
        assert_eq!(ask(&snapshot, get, json!({})).is_ok(), permitted, "{rest}\n{}", snapshot.to_cedar());
    }
}

#[test]
fn a_forbid_ends_a_call_on_an_upstream_and_takes_its_tool_out_of_sight() {
    let open = rule("allow = [\"*\"]\ntargets = [\"*\"]");
    for (forbid, code, visible) in [
        ("forbid = [\"github__get_issue\"]\ntargets = [\"*\"]", ErrorCode::DeniedForbidden, false),
        ("forbid = [\"upstream:github\"]\ntargets = [\"github\"]", ErrorCode::DeniedForbidden, false),
        ("forbid = [\"*\"]\ntargets = [\"!tag:web\"]", ErrorCode::DeniedForbidden, false),
        (
            "forbid = [\"*\"]\ntargets = [\"*\"]\narguments = { repo = [\"acme/*\"] }",
            ErrorCode::DeniedForbidden,
            true,
        ),
    ] {
        let text = format!("{open}{}", rule(forbid).replace("\"r\"", "\"no\""));
        let snapshot = snapshot(&text, "");
        let action = call("github", "get_issue", json!({ "repo": "acme/x" }));
        assert_eq!(snapshot.visible(&principal("bot"), &facts(&action)), visible, "{forbid}");
        assert_eq!(decide(&snapshot, "bot", action).unwrap_err().code, code, "{forbid}");
        assert!(
            ask(&snapshot, ("files", "read"), json!({})).is_ok() || forbid.contains("\"*\"]\ntargets = [\"!")
        );
    }
}

#[test]
fn arguments_narrow_what_a_rule_permits() {
    let snapshot = snapshot(
        &rule(
            "allow = [\"*\"]\ntargets = [\"*\"]\narguments = { repo = [\"acme/*\"], \"opt.n\" = [\"1\", \"2\"] }",
        ),
        "",
    );
    for (arguments, permitted) in [
        (json!({ "repo": "acme/a", "opt": { "n": 1 } }), true),
        (json!({ "repo": "acme/a", "opt": { "n": 3 } }), false),
        (json!({ "repo": "evil/a", "opt": { "n": 1 } }), false),
        (json!({ "repo": ["acme/a", "evil/b"], "opt": { "n": 1 } }), false),
        (json!({ "opt": { "n": 1 } }), false),
    ] {
        let decided = ask(&snapshot, ("github", "push"), arguments.clone());
        assert_eq!(decided.is_ok(), permitted, "{arguments}");
        if let Err(denial) = decided {
            assert_eq!(denial.code, ErrorCode::DeniedNoRule);
            assert!(denial.reason.contains("is about other `arguments`"), "{}", denial.reason);
        }
    }
    assert!(
        crate::world::run(&snapshot, "bot", "web1", "uptime").is_err(),
        "it speaks of nothing but upstreams"
    );
}

#[test]
fn cedar_files_know_upstreams_by_call_and_tool() {
    let open = "permit(principal, action == Action::\"UpstreamCall\", resource == UpstreamTool::\"github/get_issue\");";
    let snapshot = snapshot("", open);
    assert!(ask(&snapshot, ("github", "get_issue"), json!({})).is_ok());
    assert!(ask(&snapshot, ("github", "push"), json!({})).is_err());
    let whole = "permit(principal, action, resource in Target::\"github\"); forbid(principal, action == Action::\"UpstreamCall\", resource) when { resource.tool == \"push\" };";
    let snapshot = crate::world::snapshot("", whole);
    assert!(ask(&snapshot, ("github", "get_issue"), json!({})).is_ok());
    assert!(ask(&snapshot, ("github", "push"), json!({})).is_err());
    assert!(ask(&snapshot, ("files", "push"), json!({})).is_err());
}

#[test]
fn what_the_configuration_does_not_know_of_upstreams_is_a_warning() {
    let codes = |rest: &str| {
        let (_, warnings) = compile(&rule(rest), "").unwrap();
        warnings.into_iter().map(|warning| warning.code.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(codes("allow = [\"github__get_issue\", \"files__x\"]\ntargets = [\"*\"]"), [""; 0]);
    assert_eq!(codes("allow = [\"gitlab__x\"]\ntargets = [\"*\"]"), ["unknown-upstream"]);
    assert_eq!(codes("allow = [\"upstream:gitlab\"]\ntargets = [\"*\"]"), ["unknown-upstream"]);
    assert_eq!(codes("allow = [\"github__drop\"]\ntargets = [\"*\"]"), ["unlisted-tool"]);
    assert_eq!(codes("allow = [\"whoami\"]\ntargets = [\"*\"]\narguments = { a = [\"*\"] }"), ["unused-key"]);
}

/// Whether a principal may read this resource, or get this prompt.
fn may(snapshot: &Snapshot, thing: Thing, upstream: &str, name: &str) -> bool {
    let action = call(upstream, "x", json!({}));
    let upstream = UpstreamName::parse(upstream).unwrap();
    let tool = ToolName::of_theirs(Theirs { upstream, thing, name }).unwrap();
    let action = Action { tool, ..action };
    let visible = snapshot.visible(&principal("bot"), &facts(&action));
    let decided = decide(snapshot, "bot", action).is_ok();
    assert!(visible || !decided, "what is not visible cannot be had");
    decided
}

#[test]
fn resources_and_prompts_are_permitted_by_patterns_and_tools_are_not_among_them() {
    let rules = rule(
        "allow = [\"resource:files/file:///srv/**\", \"prompt:github/re*\", \"github__push\"]\ntargets = [\"*\"]",
    );
    let snapshot = snapshot(&rules, "");
    for (thing, upstream, name, permitted) in [
        (Thing::Resource, "files", "file:///srv/a/b", true),
        (Thing::Resource, "files", "file:///etc/passwd", false),
        (Thing::Resource, "github", "file:///srv/a", false),
        (Thing::Prompt, "files", "file:///srv/a", false),
        (Thing::Prompt, "github", "review", true),
        (Thing::Prompt, "github", "write", false),
        (Thing::Resource, "github", "review", false),
        (Thing::Prompt, "github", "push", false),
    ] {
        assert_eq!(may(&snapshot, thing, upstream, name), permitted, "{thing:?} {upstream} {name}");
    }
    assert!(ask(&snapshot, ("github", "push"), json!({})).is_ok());
    assert!(ask(&snapshot, ("github", "review"), json!({})).is_err());
    assert!(ask(&snapshot, ("files", "x"), json!({})).is_err());
}

#[test]
fn all_of_an_upstream_is_its_resources_and_prompts_too_and_a_forbid_ends_some() {
    let forbid = "\n[[rule]]\nname = \"not these\"\nforbid = [\"resource:files/file:///srv/secret/**\"]\nprincipals = [\"*\"]\ntargets = [\"*\"]\n";
    for allow in ["upstream:files", "*"] {
        let snapshot = snapshot(
            &format!("{}{forbid}", rule(&format!("allow = [\"{allow}\"]\ntargets = [\"files\"]"))),
            "",
        );
        assert!(may(&snapshot, Thing::Resource, "files", "file:///srv/a"), "{allow}");
        assert!(may(&snapshot, Thing::Prompt, "files", "any"), "{allow}");
        assert!(!may(&snapshot, Thing::Resource, "files", "file:///srv/secret/a"), "{allow}");
        assert!(!may(&snapshot, Thing::Resource, "files", "file:///srv/%73ecret/a"), "{allow}");
        assert!(!may(&snapshot, Thing::Resource, "github", "file:///srv/a"), "{allow}");
        assert!(ask(&snapshot, ("files", "x"), json!({})).is_ok());
    }
}

#[test]
fn cedar_files_know_resources_and_prompts_by_their_names() {
    let cedar = "permit(principal, action == Action::\"UpstreamRead\", resource in Target::\"files\") when { resource.uri like \"file:///srv/*\" };
        permit(principal, action == Action::\"UpstreamPrompt\", resource == UpstreamPrompt::\"github/review\");";
    let snapshot = snapshot("", cedar);
    assert!(may(&snapshot, Thing::Resource, "files", "file:///srv/a"));
    assert!(!may(&snapshot, Thing::Resource, "files", "file:///etc/a"));
    assert!(may(&snapshot, Thing::Prompt, "github", "review"));
    assert!(!may(&snapshot, Thing::Prompt, "github", "other"));
    assert!(ask(&snapshot, ("files", "x"), json!({})).is_err());
}
