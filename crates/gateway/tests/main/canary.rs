//! Canary secrets pushed through every tool, every stream, every error and the log: no byte may come out, in any form.
//!
//! The positive control runs the same with a transparent guard: if nothing is found then, this test proves nothing.

use std::collections::BTreeSet;

use guard::Guard;
use serde_json::json;
use tools::Catalogue;

use crate::encodings::{FORMS, seen};
use crate::fakes::Script;
use crate::harness::{CANARY, Harness, RULES, captured_log};
use crate::unauthorised::samples;

#[tokio::test]
async fn no_tool_shows_a_leased_secret_in_any_form() {
    let (harness, log) = (Harness::new(RULES).await, captured_log());
    let found = leaks(&harness).await;
    assert_eq!(found, BTreeSet::new());
    assert_eq!(seen(CANARY, &harness.journal_bytes()), Vec::<&str>::new(), "in the journal");
    assert_eq!(seen(CANARY, &log.take()), Vec::<&str>::new(), "in the log");
    assert!(harness.journal().iter().any(|entry| entry["event"] == "secret_in_output"), "a leak is an event");
}

#[tokio::test]
async fn with_a_transparent_guard_the_same_test_finds_the_secret_in_every_form() {
    let harness = Harness::with_guard(RULES, Guard::transparent()).await;
    let found = leaks(&harness).await;
    for (form, _) in FORMS {
        assert!(found.iter().any(|leak| leak.ends_with(form)), "the control did not find `{form}`");
    }
}

/// An agent that may only look at files could else read a secret off the end of a cut output, all but a character.
#[tokio::test]
async fn a_secret_across_the_cut_is_seen_whole() {
    let limited = RULES.replace(
        "commands = [\"uptime\", \"df -h\"]",
        "commands = [\"uptime\"]\nlimits = { output = \"4KiB\" }",
    );
    let harness = Harness::new(&limited).await;
    let arguments = json!({"host": "web1", "command": "uptime"});
    for padding in [4096 - CANARY.len(), 4096 - CANARY.len() + 1, 4095, 4096, 40_000] {
        harness.shell.follow(Script::Pads(padding));
        harness.gateway.thaw();
        let answer = harness.call("ssh_execute", arguments.clone()).await;
        assert_eq!(answer.structured["code"], "secret_in_output", "after {padding} bytes");
    }
    harness.shell.follow(Script::Pads(1 << 20));
    harness.gateway.thaw();
    let answer = harness.call("ssh_execute", arguments).await;
    assert!(!answer.is_error, "what is far beyond the cut is never shown");
    let shown = answer.structured["stdout"].as_str().unwrap();
    assert!(shown.starts_with("xxxx") && shown.len() < 4096 + 100, "{}", shown.len());
}

/// Every tool, with every way a host can leak; what was seen where.
async fn leaks(harness: &Harness) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for tool in Catalogue::new().tools() {
        let name = tool.spec().name.as_str();
        for arguments in samples(name) {
            for (form, write) in FORMS {
                for (way, script) in
                    [("output", Script::Leaks(*write)), ("failure", Script::FailsLeaking(*write))]
                {
                    harness.shell.follow(script);
                    harness.let_a_minute_pass();
                    harness.gateway.thaw();
                    let answer = harness.call(name, arguments.clone()).await;
                    let bytes = format!("{}\n{}", answer.text, answer.structured);
                    // JSON text of the structured form escapes once more, so its strings are looked at as well.
                    let strings = strings_of(&answer.structured).join("\n");
                    for seen in seen(CANARY, format!("{bytes}\n{strings}").as_bytes()) {
                        found.insert(format!("{name}, {way} as {form}: {seen}"));
                    }
                }
            }
        }
    }
    found
}

fn strings_of(value: &serde_json::Value) -> Vec<String> {
    match value {
        serde_json::Value::String(text) => vec![text.clone()],
        serde_json::Value::Array(items) => items.iter().flat_map(strings_of).collect(),
        serde_json::Value::Object(map) => map
            .iter()
            .flat_map(|(key, value)| std::iter::once(key.clone()).chain(strings_of(value)))
            .collect(),
        serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => Vec::new(),
    }
}
