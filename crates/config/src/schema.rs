//! JSON Schemas of the three kinds of file, for editors. Draft 7, which is what TOML editors read.

use serde_json::{Map, Value, json};

use crate::keys;
use crate::shape::{Key, Kind, Need, Variants};

/// The schema of `portcullis.toml`.
pub fn configuration() -> Value {
    document("Portcullis configuration", keys::configuration::ROOT)
}

/// The schema of inventory files.
pub fn inventory() -> Value {
    document("Portcullis inventory", keys::inventory::ROOT)
}

/// The schema of rule files.
pub fn rules() -> Value {
    document("Portcullis rules", keys::rules::ROOT)
}

fn document(title: &str, keys: &[Key]) -> Value {
    let mut schema = object(keys);
    if let Value::Object(members) = &mut schema {
        members.insert("$schema".to_owned(), json!("http://json-schema.org/draft-07/schema#"));
        members.insert("title".to_owned(), json!(title));
    }
    schema
}

fn object(keys: &[Key]) -> Value {
    let written = || keys.iter().filter(|key| key.need != Need::Later);
    let properties: Map<_, _> = written().map(|key| (key.name.to_owned(), property(key))).collect();
    let required: Vec<_> = written().filter(|key| key.need == Need::Required).map(|key| key.name).collect();
    json!({ "type": "object", "additionalProperties": false, "properties": properties, "required": required })
}

fn property(key: &Key) -> Value {
    let mut schema = value(&key.kind);
    if let Value::Object(members) = &mut schema {
        let default =
            if key.default.is_empty() { String::new() } else { format!(" Default: {}.", key.default) };
        members.insert("description".to_owned(), json!(format!("{}{default}", key.doc)));
    }
    schema
}

fn value(kind: &Kind) -> Value {
    match kind {
        Kind::Text | Kind::Literal => json!({ "type": "string" }),
        Kind::Prompt => json!({ "const": "prompt" }),
        Kind::Path => json!({ "type": "string", "minLength": 1 }),
        Kind::Words(words) => {
            let known: Vec<_> = words.iter().filter(|word| !word.later).map(|word| word.text).collect();
            if known.is_empty() { json!(false) } else { json!({ "enum": known }) }
        }
        Kind::Flag => json!({ "type": "boolean" }),
        Kind::Integer { min, max } => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Kind::Duration { .. } => json!({ "type": "string", "pattern": "^[0-9]+(ms|s|m|h|d)$" }),
        Kind::Size { .. } => json!({ "type": "string", "pattern": "^[0-9]+(B|KiB|MiB|GiB)$" }),
        Kind::List(of) => json!({ "type": "array", "items": value(of) }),
        Kind::Table(keys) => object(keys),
        Kind::Map(keys) => json!({ "type": "object", "additionalProperties": object(keys) }),
        Kind::Named(of) => json!({ "type": "object", "additionalProperties": value(of) }),
        Kind::Choice(alternatives) => {
            let now =
                alternatives.iter().filter(|keys| keys.first().is_some_and(|key| key.need != Need::Later));
            json!({ "oneOf": now.map(|keys| object(keys)).collect::<Vec<_>>() })
        }
        Kind::Variants(variants) => json!({ "oneOf": branches(variants) }),
        Kind::Either(kinds) => json!({ "anyOf": kinds.iter().map(value).collect::<Vec<_>>() }),
    }
}

fn branches(variants: &Variants) -> Vec<Value> {
    let branch = |(word, keys): &(&str, &[Key])| {
        let mut schema = object(keys);
        if let Some(tag) = schema.pointer_mut(&format!("/properties/{}", variants.tag)) {
            *tag = json!({ "const": word });
        }
        schema
    };
    variants.keys.iter().map(branch).collect()
}
