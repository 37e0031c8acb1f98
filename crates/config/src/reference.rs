//! The tables of `docs/configuration.md`: every key, what it takes, its default and its meaning.

use std::fmt::Write;

use crate::keys;
use crate::shape::{Key, Kind, Need};

/// The keys of `portcullis.toml`, as Markdown.
pub fn configuration() -> String {
    tables(keys::configuration::ROOT)
}

/// The keys of inventory files, as Markdown.
pub fn inventory() -> String {
    tables(keys::inventory::ROOT)
}

/// The keys of rule files, as Markdown.
pub fn rules() -> String {
    tables(keys::rules::ROOT)
}

/// The forms of a secret or key that is written down elsewhere, as Markdown.
pub fn secrets() -> String {
    let shared = [keys::ENV, keys::FILE, keys::STORED, keys::SYSTEMD];
    shared.iter().fold(String::new(), |mut text, keys| {
        alternative(&mut text, keys);
        text
    })
}

fn tables(root: &[Key]) -> String {
    let mut text = String::new();
    section(&mut text, "", root);
    text.trim().to_owned() + "\n"
}

fn section(text: &mut String, path: &str, keys: &[Key]) {
    let known: Vec<_> = keys.iter().filter(|key| key.need != Need::Later).collect();
    // Writing into a string cannot fail.
    let _ = writeln!(text, "\n| Key | Takes | Default | Meaning |\n|---|---|---|---|");
    for key in &known {
        let default = match key.need {
            Need::Required => "must be written",
            Need::Optional | Need::Later => key.default,
        };
        let takes = takes(&key.kind).replace('|', "\\|");
        let _ = writeln!(text, "| `{}` | {takes} | {default} | {} |", key.name, key.doc.replace('|', "\\|"));
    }
    for key in &known {
        nested(text, path, key.name, &key.kind);
    }
    let later: Vec<_> =
        keys.iter().filter(|key| key.need == Need::Later).map(|key| format!("`{}`", key.name)).collect();
    if !later.is_empty() {
        let _ = writeln!(text, "\nRefused until a later version: {}.", later.join(", "));
    }
}

fn nested(text: &mut String, path: &str, name: &str, kind: &Kind) {
    let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match kind {
        Kind::Table(keys) => headed(text, &format!("`[{path}]`"), &path, keys),
        Kind::Map(keys) => headed(text, &format!("`[{path}.NAME]`"), &format!("{path}.NAME"), keys),
        Kind::List(Kind::Table(keys)) => headed(text, &format!("`[[{path}]]`"), &path, keys),
        Kind::List(Kind::Variants(variants)) => {
            for (word, keys) in variants.keys {
                headed(text, &format!("`[[{path}]]` with `{} = \"{word}\"`", variants.tag), &path, keys);
            }
        }
        Kind::Choice(alternatives) => choice(text, &path, alternatives),
        Kind::Either(kinds) => {
            // A table and a list of the same table have one set of keys.
            let several = kinds.iter().any(|kind| matches!(kind, Kind::Table(_)));
            kinds.iter().filter(|kind| !several || matches!(kind, Kind::Table(_))).for_each(|kind| {
                let (head, name) = path.rsplit_once('.').unwrap_or(("", &path));
                nested(text, head, name, kind);
            });
        }
        Kind::Text
        | Kind::Literal
        | Kind::Path
        | Kind::Prompt
        | Kind::Words(_)
        | Kind::Flag
        | Kind::Integer { .. }
        | Kind::Duration { .. }
        | Kind::Size { .. }
        | Kind::List(_)
        | Kind::Named(_)
        | Kind::Variants(_) => {}
    }
}

fn headed(text: &mut String, heading: &str, path: &str, keys: &[Key]) {
    let _ = writeln!(text, "\n### {heading}");
    section(text, path, keys);
}

/// The forms that every secret has are told once, by [`secrets`].
fn choice(text: &mut String, path: &str, alternatives: &[&[Key]]) {
    let shared = |keys: &[Key]| {
        keys.first().is_some_and(|key| ["env", "file", "secret", "systemd"].contains(&key.name))
    };
    if alternatives.iter().all(|keys| shared(keys)) {
        return;
    }
    let _ = writeln!(text, "\nForms of `{path}`:\n");
    alternatives
        .iter()
        .filter(|keys| keys.iter().all(|key| key.need != Need::Later))
        .for_each(|keys| alternative(text, keys));
    for key in alternatives.iter().flat_map(|keys| keys.iter()) {
        if let Kind::Table(keys) = &key.kind {
            let path = format!("{path}.{}", key.name);
            headed(text, &format!("`[{path}]`"), &path, keys);
        }
    }
}

fn alternative(text: &mut String, keys: &[Key]) {
    for (index, key) in keys.iter().enumerate() {
        let (mark, more) = if index == 0 { ("-", "") } else { ("  -", " beside it") };
        let _ = writeln!(text, "{mark} `{} = ...`{more}: {}", key.name, key.doc);
    }
}

fn takes(kind: &Kind) -> String {
    match kind {
        Kind::Table(_) | Kind::Map(_) | Kind::List(Kind::Table(_) | Kind::Variants(_)) => {
            "see below".to_owned()
        }
        Kind::Text
        | Kind::Literal
        | Kind::Path
        | Kind::Prompt
        | Kind::Words(_)
        | Kind::Flag
        | Kind::Integer { .. }
        | Kind::Duration { .. }
        | Kind::Size { .. }
        | Kind::List(_)
        | Kind::Named(_)
        | Kind::Choice(_)
        | Kind::Variants(_)
        | Kind::Either(_) => kind.describe(),
    }
}
