use super::{RawRules, Rule};

fn problems(text: &str) -> Vec<(String, Option<usize>, String, Option<String>)> {
    let rules: RawRules = toml::from_str(text).unwrap_or_else(|e| panic!("{text}: {e}"));
    rules
        .rule
        .into_iter()
        .filter_map(|raw| Rule::parse(raw.into_inner()).err())
        .flatten()
        .map(|p| {
            let at = p.span.map(|span| text.get(span).unwrap().to_owned());
            (p.field, p.index, p.message, at)
        })
        .collect()
}

const WHO: &str = "principals = ['*']\ntargets = ['*']\n";

#[test]
fn every_key_is_checked_and_points_at_its_value() {
    for (body, field, index, message, at) in [
        ("allow = ['*']", "name", None, "missing", None),
        ("name = ''\nallow = ['*']", "name", None, "not a rule name", Some("''")),
        ("name = 'built-in x'\nallow = ['*']", "name", None, "cannot be", Some("'built-in x'")),
        ("name = 'x.cedar#1'\nallow = ['*']", "name", None, "cannot be", Some("'x.cedar#1'")),
        ("name = 'a'", "rule", None, "neither", None),
        ("name = 'a'\nallow = ['*']\nforbid = ['*']", "forbid", None, "both", Some("'*'")),
        ("name = 'a'\nallow = []", "allow", None, "empty", None),
        ("name = 'a'\nallow = ['*', 'tier:huge']", "allow", Some(1), "unknown tier", Some("'tier:huge'")),
        ("name = 'a'\nallow = ['set:BAD']", "allow", Some(0), "not a tool set", Some("'set:BAD'")),
        ("name = 'a'\nallow = ['bad name']", "allow", Some(0), "not a tool name", Some("'bad name'")),
        (
            "name = 'a'\nallow = ['GitHub__get_issue']",
            "allow",
            Some(0),
            "not the tool of an upstream",
            Some("'GitHub__get_issue'"),
        ),
        (
            "name = 'a'\nallow = ['upstream:Git Hub']",
            "allow",
            Some(0),
            "not a name of an upstream",
            Some("'upstream:Git Hub'"),
        ),
        ("name = 'a'\nallow = ['resource:x']", "allow", Some(0), "names no resource", Some("'resource:x'")),
        ("name = 'a'\nallow = ['prompt:X/y']", "allow", Some(0), "name of an upstream", Some("'prompt:X/y'")),
        ("name = 'a'\nallow = ['*']\ncommands = []", "commands", None, "empty", None),
        (
            "name = 'a'\nallow = ['*']\ncommands = ['ok', 'a | b']",
            "commands",
            Some(1),
            "`|` in a pattern",
            Some("'a | b'"),
        ),
        (
            "name = 'a'\nallow = ['*']\ncommands = ['a <nope>']",
            "commands",
            Some(0),
            "unknown placeholder",
            Some("'a <nope>'"),
        ),
        (
            "name = 'a'\nallow = ['*']\ncredentials = ['x']",
            "credentials",
            Some(0),
            "does not name",
            Some("'x'"),
        ),
        (
            "name = 'a'\nallow = ['*']\ncredentials = ['*:a/b']",
            "credentials",
            Some(0),
            "does not name",
            Some("'*:a/b'"),
        ),
        (
            "name = 'a'\nallow = ['*']\nlimits = { timeout = '5' }",
            "limits.timeout",
            None,
            "not a duration",
            Some("'5'"),
        ),
        (
            "name = 'a'\nallow = ['*']\nlimits = { timeout = '2d' }",
            "limits.timeout",
            None,
            "not a duration",
            Some("'2d'"),
        ),
        (
            "name = 'a'\nallow = ['*']\nlimits = { output = '5 K' }",
            "limits.output",
            None,
            "not a size",
            Some("'5 K'"),
        ),
        (
            "name = 'a'\nallow = ['*']\nlimits = { calls_per_minute = 0 }",
            "limits.calls_per_minute",
            None,
            "never",
            Some("0"),
        ),
        (
            "name = 'a'\nforbid = ['*']\nlimits = { timeout = '5s' }",
            "limits",
            None,
            "no meaning",
            Some("{ timeout = '5s' }"),
        ),
        (
            "name = 'a'\nforbid = ['*']\napproval = { by = ['group:x'] }",
            "approval",
            None,
            "no meaning",
            Some("{ by = ['group:x'] }"),
        ),
        (
            "name = 'a'\nallow = ['*']\napproval = { by = ['x'] }",
            "approval.by",
            Some(0),
            "not a group",
            Some("'x'"),
        ),
        ("name = 'a'\nallow = ['*']\napproval = { by = [] }", "approval.by", None, "empty", None),
        (
            "name = 'a'\nallow = ['*']\napproval = { by = ['group:x'], count = 0 }",
            "approval.count",
            None,
            "cannot",
            Some("0"),
        ),
        (
            "name = 'a'\nallow = ['*']\napproval = { by = ['group:x'], within = 'x' }",
            "approval.within",
            None,
            "not a duration",
            Some("'x'"),
        ),
        (
            "name = 'a'\nallow = ['*']\nwhen = 'context.time.hour >'",
            "when",
            None,
            "not a Cedar expression",
            Some("'context.time.hour >'"),
        ),
        ("name = 'a'\nallow = ['*']\nwhen = ''", "when", None, "not a Cedar expression", Some("''")),
        (
            "name = 'a'\nallow = ['*']\nwhen = 'true }; permit(principal, action, resource) when { true'",
            "when",
            None,
            "not a Cedar expression",
            Some("'true }; permit(principal, action, resource) when { true'"),
        ),
        (
            "name = 'a'\nallow = ['*']\nwhen = 'true; true'",
            "when",
            None,
            "not a Cedar expression",
            Some("'true; true'"),
        ),
        (
            "name = 'a'\nallow = ['*']\nwhen = '?principal == principal'",
            "when",
            None,
            "it",
            Some("'?principal == principal'"),
        ),
        (
            "name = 'a'\nallow = ['*']\nopaque = ['find', 'a | b']",
            "opaque",
            Some(1),
            "in a pattern",
            Some("'a | b'"),
        ),
        ("name = 'a'\nallow = ['*']\nopaque = []", "opaque", None, "can never match", None),
        ("name = 'a'\nallow = ['*']\nreads = ['/a', 'x']", "reads", Some(1), "no absolute path", Some("'x'")),
        (
            "name = 'a'\nallow = ['*']\nwrites = ['/a/../b']",
            "writes",
            Some(0),
            "no absolute",
            Some("'/a/../b'"),
        ),
        ("name = 'a'\nallow = ['*']\nwrites = []", "writes", None, "can never match", None),
        ("name = 'a'\nallow = ['*']\npaths = ['x']", "paths", None, "later version", Some("['x']")),
        ("name = 'a'\nallow = ['*']\nstatements = ['x']", "statements", None, "later version", Some("['x']")),
        ("name = 'a'\nallow = ['*']\ncmdlets = 5", "cmdlets", None, "later version", Some("5")),
        ("name = 'a'\nallow = ['*']\narguments = {}", "arguments", None, "names no argument", Some("{}")),
        (
            "name = 'a'\nallow = ['*']\narguments = { 'a..b' = ['x'] }",
            "arguments",
            None,
            "no path to an argument",
            Some("'a..b'"),
        ),
        (
            "name = 'a'\nallow = ['*']\narguments = { a = ['x**'] }",
            "arguments",
            Some(0),
            "no pattern of a value",
            Some("'x**'"),
        ),
        (
            "name = 'a'\nallow = ['*']\nnetworks = { allow = ['10.0.0.1/8'] }",
            "networks.allow",
            Some(0),
            "bits set",
            Some("'10.0.0.1/8'"),
        ),
        (
            "name = 'a'\nallow = ['*']\nnetworks = { block = ['10.0.0.0/8', 'x'] }",
            "networks.block",
            Some(1),
            "not a network",
            Some("'x'"),
        ),
        ("name = 'a'\nallow = ['*']\nnetworks = { allow = [] }", "networks.allow", None, "empty", None),
        ("name = 'a'\nallow = ['*']\nnetworks = {}", "networks", None, "neither", Some("{}")),
        (
            "name = 'a'\nforbid = ['*']\nnetworks = { allow = ['10.0.0.0/8'] }",
            "networks",
            None,
            "has no meaning",
            None,
        ),
    ] {
        let text = format!("[[rule]]\n{WHO}{body}\n");
        let found = problems(&text);
        let hit = found.iter().any(|(f, i, m, a)| {
            f == field && *i == index && m.contains(message) && (at.is_none() || a.as_deref() == at)
        });
        assert!(hit, "{body}: {found:?}");
    }
}

#[test]
fn who_and_where_must_be_written_and_make_sense() {
    let found = problems("[[rule]]\nname = 'a'\nallow = ['*']\n");
    assert_eq!(found.iter().map(|p| p.0.as_str()).collect::<Vec<_>>(), ["principals", "targets"]);
    for wrong in ["group:", "a b", "", "user:x", "group:*"] {
        let text =
            format!("[[rule]]\nname = 'a'\nallow = ['*']\nprincipals = ['{wrong}']\ntargets = ['*']\n");
        assert_eq!(problems(&text).len(), 1, "{wrong}");
    }
    for wrong in [
        "",
        "tag:",
        "tag:a b",
        "!*",
        "tag:a &",
        "& tag:a",
        "tag:a | tag:b",
        "(tag:a)",
        "tag:a && tag:b",
        "web-**",
        "a b",
        "address:10.0.0.0",
        "address:10.0.0.1/8",
        "address:::ffff:10.0.0.0/104",
        "address:x",
        "!address:10.0.0.0/8",
        "tag:a & !address:10.0.0.0/8",
        "name:*.internal & address:10.0.0.0/8",
        "name:",
        "name:*",
        "name:**.internal",
        "name:a b",
        "adress:10.0.0.0/8",
        "host:x",
        "web/1",
        "!!tag:a",
        "tag:*",
        "tag:a, tag:b",
        "*:x",
    ] {
        let text =
            format!("[[rule]]\nname = 'a'\nallow = ['*']\nprincipals = ['*']\ntargets = ['{wrong}']\n");
        assert_eq!(problems(&text).len(), 1, "{wrong}");
    }
}

#[test]
fn unknown_keys_are_errors() {
    for text in [
        "[[rule]]\nnmae = 'x'\n",
        "[[rules]]\n",
        "[[rule]]\nlimits = { time = '5s' }\n",
        "[[rule]]\napproval = { by = [], who = 1 }\n",
    ] {
        let error = toml::from_str::<RawRules>(text).unwrap_err().to_string();
        assert!(error.contains("unknown field"), "{text}: {error}");
    }
}

#[test]
fn conditions_are_bounded() {
    let with = |when: &str| problems(&format!("[[rule]]\nname = 'a'\nallow = ['*']\n{WHO}when = '{when}'\n"));
    assert_eq!(with("context.time.hour >= 8 && context.time.hour < 18"), []);
    for long in [vec!["1"; 65].join("&&"), vec!["1"; 65].join("+"), format!("context{}", ".a".repeat(64))] {
        assert_eq!(with(&long), [], "{long}");
    }
    for long in [vec!["1"; 66].join("||"), vec!["1"; 66].join("*"), format!("context{}", ".a".repeat(65))] {
        assert_eq!(with(&long).len(), 1, "{long}");
    }
    let ifs = |n: usize| format!("{}true{}", "if true then ".repeat(n), " else true".repeat(n));
    assert_eq!(with(&ifs(8)), []);
    for deep in [
        format!("{}true{}", "(".repeat(400), ")".repeat(400)),
        ifs(9),
        "!".repeat(1000) + "true",
        "-".repeat(1000) + "1",
        "true && ".repeat(5000),
        "[".repeat(500),
    ] {
        assert_eq!(with(&deep).len(), 1);
    }
}

#[test]
fn the_schema_for_editors_names_the_keys_of_this_version_only() {
    let schema = serde_json::to_string(&schemars::schema_for!(RawRules)).unwrap();
    for key in [
        "allow",
        "forbid",
        "principals",
        "targets",
        "commands",
        "reads",
        "writes",
        "credentials",
        "when",
        "limits",
        "approval",
    ] {
        assert!(schema.contains(&format!("\"{key}\"")), "{key}");
    }
    for later in ["statements", "cmdlets"] {
        assert!(!schema.contains(&format!("\"{later}\"")), "{later}");
    }
}
