//! The schema that raw Cedar files and conditions are checked against.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::Schema;
use serde_json::{Value, json};

use super::names;
use crate::Vocabulary;
use crate::vocabulary::BUILT_IN;

/// The schema for these tools: one action per tool and verb, groups of them for sets and tiers.
///
/// # Errors
///
/// What Cedar says when it does not take the schema: a defect, or a name that cannot be an action.
pub(crate) fn schema(vocabulary: &Vocabulary) -> Result<Schema, String> {
    let mut actions: BTreeMap<String, Value> = BTreeMap::new();
    let every_tool = json!([{ "id": names::ALL_TOOLS }]);
    let things = [names::UPSTREAM_TOOL, names::UPSTREAM_RESOURCE, names::UPSTREAM_PROMPT];
    for (action, thing) in names::UPSTREAM_ACTIONS.into_iter().zip(things) {
        let applies = json!({ "principalTypes": [names::PRINCIPAL], "resourceTypes": [thing], "context": { "type": "Context" } });
        actions.insert(action.to_owned(), json!({ "memberOf": every_tool, "appliesTo": applies }));
    }
    let mut groups: BTreeSet<String> = [names::ALL_TOOLS, names::ALL_VERBS].map(str::to_owned).into();
    let mut add = |name: &str, parents: Vec<String>| {
        let members: Vec<Value> = parents.iter().map(|parent| json!({ "id": parent })).collect();
        let applies = json!({ "principalTypes": [names::PRINCIPAL], "resourceTypes": [names::TARGET], "context": { "type": "Context" } });
        actions.insert(name.to_owned(), json!({ "memberOf": members, "appliesTo": applies }));
        groups.extend(parents);
    };
    for name in BUILT_IN {
        add(name, vec![names::ALL_TOOLS.to_owned()]);
    }
    for tool in &vocabulary.tools {
        let parents = vec![
            names::ALL_TOOLS.to_owned(),
            format!("set:{}", tool.set),
            format!("tier:{}", tool.tier.as_str()),
        ];
        add(tool.name.as_str(), parents);
    }
    for verb in &vocabulary.verbs {
        add(&format!("operator:{verb}"), vec![names::ALL_VERBS.to_owned()]);
    }
    groups.extend(["read", "low-access", "dangerous", "sudo"].map(|tier| format!("tier:{tier}")));
    actions.extend(groups.into_iter().map(|group| (group, json!({}))));
    Schema::from_json_value(json!({ "": { "entityTypes": entity_types(), "actions": actions, "commonTypes": { "Context": context() } } }))
        .map_err(|e| e.to_string())
}

fn entity_types() -> Value {
    let text = || json!({ "type": "String", "required": true });
    json!({
        (names::PRINCIPAL): { "memberOfTypes": [names::GROUP], "shape": record(&json!({ "name": text() })) },
        (names::GROUP): {},
        (names::TARGET): {
            "memberOfTypes": [names::TAG],
            "shape": record(&json!({
                "name": text(),
                "kind": text(),
                "address": { "type": "String", "required": false },
            })),
        },
        (names::TAG): {},
        (names::UPSTREAM_TOOL): {
            "memberOfTypes": [names::TARGET],
            "shape": record(&json!({ "name": text(), "kind": text(), "tool": text() })),
        },
        (names::UPSTREAM_RESOURCE): {
            "memberOfTypes": [names::TARGET],
            "shape": record(&json!({ "name": text(), "kind": text(), "uri": text() })),
        },
        (names::UPSTREAM_PROMPT): {
            "memberOfTypes": [names::TARGET],
            "shape": record(&json!({ "name": text(), "kind": text(), "prompt": text() })),
        },
    })
}

fn context() -> Value {
    let text = || json!({ "type": "String", "required": true });
    let number = || json!({ "type": "Long", "required": true });
    let optional = |fields: Value| {
        let mut shape = record(&fields);
        if let Some(shape) = shape.as_object_mut() {
            shape.insert("required".to_owned(), json!(false));
        }
        shape
    };
    record(&json!({
        "matched": { "type": "Set", "element": { "type": "String" } },
        "time": record(&json!({ "hour": number(), "weekday": number() })),
        "part": text(),
        "command": optional(json!({
            "program": text(),
            "name": text(),
            "line": text(),
            "opaque": { "type": "Boolean", "required": true },
        })),
        "path": { "type": "String", "required": false },
        "credential": optional(json!({ "source": text(), "safe": text(), "object": text() })),
    }))
}

fn record(attributes: &Value) -> Value {
    json!({ "type": "Record", "attributes": attributes })
}
