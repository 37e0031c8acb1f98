//! The whole policy as Cedar text.

use cedar_policy::Policy;
use cedar_policy_formatter::{Config, policies_str_to_pretty};

use crate::Snapshot;
use crate::snapshot::CompiledRule;

pub(crate) fn to_cedar(snapshot: &Snapshot) -> String {
    let mut text = String::from("// Built in: needs no rule.\n");
    push(&mut text, &snapshot.built_in);
    for CompiledRule { rule, policy } in &snapshot.rules {
        text.push_str(&format!("\n// Rule `{}`.\n", rule.name));
        push(&mut text, policy);
    }
    for file in &snapshot.files {
        text.push_str(&format!("\n// File `{}`, as it is.\n{}", file.name.escape_default(), file.text));
        if !file.text.ends_with('\n') {
            text.push('\n');
        }
    }
    text
}

fn push(text: &mut String, policy: &Policy) {
    // The policy was made from its JSON form, so this prints what Cedar holds and decides with.
    let plain = policy.to_cedar().unwrap_or_else(|| policy.to_string());
    match policies_str_to_pretty(&plain, &Config { line_width: 100, indent_width: 2 }) {
        Ok(pretty) => text.push_str(pretty.trim_end()),
        Err(_) => text.push_str(&plain),
    }
    text.push('\n');
}
