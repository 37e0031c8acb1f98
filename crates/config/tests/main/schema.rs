//! The JSON Schemas say what the reader says.

use std::path::{Path, PathBuf};

use serde_json::Value;

fn docs(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name)
}

/// A generated file is as the code makes it; `PORTCULLIS_REGENERATE=1` writes it.
pub(crate) fn is_current(name: &str, generated: &str) {
    let path = docs(name);
    if std::env::var_os("PORTCULLIS_REGENERATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, generated).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == generated,
        "docs/{name} is stale: run the tests of `config` with PORTCULLIS_REGENERATE=1"
    );
}

#[test]
fn the_written_schemas_are_current() {
    for (name, schema) in [
        ("portcullis", config::schema::configuration()),
        ("inventory", config::schema::inventory()),
        ("policy", config::schema::rules()),
    ] {
        let text = format!("{}\n", serde_json::to_string_pretty(&schema).unwrap());
        is_current(&format!("schema/{name}.schema.json"), &text);
    }
}

#[test]
fn complete_files_pass_their_schemas() {
    for (text, schema) in [
        (include_str!("full/portcullis.toml"), config::schema::configuration()),
        (include_str!("full/hosts.toml"), config::schema::inventory()),
        (include_str!("full/ops.toml"), config::schema::rules()),
    ] {
        let file = json(&text.parse::<toml::Table>().unwrap().into());
        check(&schema, &file, "").unwrap();
    }
}

#[test]
fn what_is_unknown_or_of_another_type_fails_them() {
    let schema = config::schema::configuration();
    for text in [
        "lisen = {}",
        "watch = 1",
        "compat = [\"mcp-protector\"]",
        "[oauth]\n",
        "[listen]\nhttp = 1",
        "[[principal]]\ngroups = []",
        "[[credential_source]]\nkind = \"vault\"\nname = \"v\"",
        "[[credential_source]]\nkind = \"env\"\nname = \"v\"\npaths = []",
        "[audit]\ndurability = \"never\"",
    ] {
        let file = json(&text.parse::<toml::Table>().unwrap().into());
        assert!(check(&schema, &file, "").is_err(), "{text}");
    }
}

/// The complete example has every key of the schema, so the tests that take keys from it leave none out.
#[test]
fn the_complete_files_use_every_key() {
    for (text, schema) in [
        (include_str!("full/portcullis.toml"), config::schema::configuration()),
        (include_str!("full/hosts.toml"), config::schema::inventory()),
        (include_str!("full/ops.toml"), config::schema::rules()),
    ] {
        let mut known = Vec::new();
        names(&schema, &mut known);
        for name in known {
            let written = text.lines().any(|line| {
                line.starts_with(&format!("{name} =")) || line.contains(&format!(" {name} = ")) || {
                    line.starts_with('[') && line.trim_matches(['[', ']']).split('.').any(|part| part == name)
                }
            });
            assert!(written, "`{name}` is in the schema and not in the complete file");
        }
    }
}

pub(crate) fn names(schema: &Value, into: &mut Vec<String>) {
    match schema {
        Value::Object(members) => {
            if let Some(Value::Object(properties)) = members.get("properties") {
                into.extend(properties.keys().cloned());
            }
            members.values().for_each(|member| names(member, into));
        }
        Value::Array(items) => items.iter().for_each(|item| names(item, into)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn json(value: &toml::Value) -> Value {
    match value {
        toml::Value::Table(table) => table.iter().map(|(key, value)| (key.clone(), json(value))).collect(),
        toml::Value::Array(items) => items.iter().map(json).collect(),
        toml::Value::String(text) => Value::from(text.as_str()),
        toml::Value::Integer(number) => Value::from(*number),
        toml::Value::Boolean(flag) => Value::from(*flag),
        toml::Value::Float(_) | toml::Value::Datetime(_) => panic!("no key takes this"),
    }
}

/// As much of JSON Schema as ours use, patterns aside.
fn check(schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    let fail = |what: &str| Err(format!("{at}: {what}"));
    if schema == &Value::Bool(false) {
        return fail("nothing is allowed here");
    }
    let fits = match schema.get("type").and_then(Value::as_str) {
        None => true,
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64(),
        Some("boolean") => value.is_boolean(),
        Some(other) => panic!("type {other}"),
    };
    if !fits {
        return fail("another type");
    }
    if let Some(words) = schema.get("enum").and_then(Value::as_array)
        && !words.contains(value)
    {
        return fail("another word");
    }
    if schema.get("const").is_some_and(|only| only != value) {
        return fail("another word");
    }
    for (key, wanted) in [("oneOf", 1..=1), ("anyOf", 1..=usize::MAX)] {
        if let Some(options) = schema.get(key).and_then(Value::as_array) {
            let passing = options.iter().filter(|option| check(option, value, at).is_ok()).count();
            if !wanted.contains(&passing) {
                return fail(&format!("{passing} of {key}"));
            }
        }
    }
    for item in value.as_array().into_iter().flatten() {
        check(&schema["items"], item, at)?;
    }
    for name in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
        if value.get(name.as_str().unwrap()).is_none() {
            return fail(&format!("{name} is missing"));
        }
    }
    if schema.get("type").is_some_and(|kind| kind == "object") {
        for (name, member) in value.as_object().into_iter().flatten() {
            let inner =
                schema.pointer(&format!("/properties/{name}")).unwrap_or(&schema["additionalProperties"]);
            check(inner, member, &format!("{at}.{name}"))?;
        }
    }
    Ok(())
}

/// The policy crate reads rules by its own description: both must have the same keys.
#[test]
fn the_policy_crate_reads_the_same_keys() {
    let theirs = serde_json::to_value(schemars::schema_for!(policy::RawRules)).unwrap();
    let (mut ours, mut known) = (Vec::new(), Vec::new());
    names(&config::schema::rules(), &mut ours);
    names(&theirs, &mut known);
    ours.sort();
    known.sort();
    assert_eq!(ours, known);
}
