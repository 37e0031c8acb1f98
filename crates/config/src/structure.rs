//! The first look at a file: unknown keys, keys of later versions, wrong types, words, ranges and units.

use toml::de::DeValue;

use crate::forms::{self, Wrong};
use crate::nearest::nearest;
use crate::node::{Node, Place, Table};
use crate::shape::{Key, Kind, Need, Variants, Word};

const LATER: &str = "comes with a later version of Portcullis";

/// Reports everything about a table that can be told from its description alone.
pub(crate) fn check(table: &Table<'_>) {
    for (name, value) in table.entries {
        let place = table.child_place(name.get_ref(), name.span());
        match table.keys.iter().find(|key| key.name == name.get_ref().as_ref()) {
            None => unknown(&place, name.get_ref(), table.keys),
            Some(key) if key.need == Need::Later => place.error(LATER),
            Some(key) => check_node(&Node {
                place: Place { span: value.span(), ..place },
                value: value.get_ref(),
                kind: &key.kind,
            }),
        }
    }
    for key in table.keys.iter().filter(|key| key.need == Need::Required) {
        if !table.entries.contains_key(key.name) {
            table.child_place(key.name, table.place.span.clone()).error("is missing");
        }
    }
}

fn unknown(place: &Place<'_>, name: &str, keys: &[Key]) {
    let known: Vec<_> = keys.iter().filter(|key| key.need != Need::Later).map(|key| key.name).collect();
    let hint = match nearest(name, known.iter().copied()) {
        Some(close) => format!("did you mean `{close}`?"),
        None => format!("known here: {}", known.join(", ")),
    };
    place.error(Wrong::new("unknown key").hint(hint));
}

fn check_node(node: &Node<'_>) {
    let Some(kind) = node.kind.select(node.value) else {
        return wrong_type(node);
    };
    match kind {
        Kind::Text | Kind::Literal | Kind::Path | Kind::Flag => {}
        Kind::Words(words) => check_word(&node.place, node.value.as_str().unwrap_or_default(), words),
        Kind::Prompt if node.value.as_str() == Some("prompt") => {}
        Kind::Prompt => node.place.error(format!("expected {}", node.kind.describe())),
        Kind::Integer { min, max } => check_integer(node, *min, *max),
        Kind::Duration { min, max } => {
            check_range(node, forms::duration, *min..=*max, |bound| forms::write_duration(*bound));
        }
        Kind::Size { min, max } => {
            check_range(node, forms::size, *min..=*max, |bound| forms::write_size(*bound))
        }
        Kind::List(_) => node.list().iter().for_each(check_node),
        Kind::Table(_) => node.table().iter().for_each(check),
        Kind::Map(_) => check_map(node),
        Kind::Named(_) => node.named().iter().for_each(|(_, _, value)| check_node(value)),
        Kind::Choice(alternatives) => check_choice(node, alternatives),
        Kind::Variants(variants) => check_variants(node, variants),
        Kind::Either(_) => {}
    }
}

/// The value is never quoted: it may be a secret in the wrong place.
fn wrong_type(node: &Node<'_>) {
    let found = match node.value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "`true` or `false`",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    };
    let wrong = Wrong::new(format!("expected {}, found {found}", node.kind.describe()));
    let name = node.place.key.rsplit('.').next().unwrap_or_default();
    let list_of = if let Kind::List(of) = node.kind { Some(of) } else { None };
    node.place.error(match list_of {
        Some(Kind::Table(_) | Kind::Variants(_)) if node.value.is_table() => {
            wrong.hint(format!("write its header as `[[{name}]]`"))
        }
        Some(_) if !node.value.is_table() => wrong.hint("write a list in brackets, even of one item"),
        Some(_) | None => wrong,
    });
}

fn check_word(place: &Place<'_>, text: &str, words: &[Word]) {
    let shown = forms::printable(text);
    match words.iter().find(|word| word.text == text) {
        Some(word) if word.later => place.error(format!("`{shown}` {LATER}")),
        Some(_) => {}
        None => {
            let wrong = Wrong::new(format!("`{shown}` is not known here"));
            let known: Vec<_> = words.iter().filter(|word| !word.later).map(|word| word.text).collect();
            place.error(match nearest(text, known.iter().copied()) {
                Some(close) => wrong.hint(format!("did you mean `{close}`?")),
                None if known.is_empty() => wrong,
                None => wrong.hint(format!("known here: {}", known.join(", "))),
            });
        }
    }
}

fn check_integer(node: &Node<'_>, min: i64, max: i64) {
    if !node.integer().is_some_and(|number| (min..=max).contains(&number)) {
        node.place.error(format!("expected a whole number from {min} to {max}"));
    }
}

fn check_range<T: PartialOrd>(
    node: &Node<'_>,
    parse: fn(&str) -> Result<T, Wrong>,
    range: std::ops::RangeInclusive<T>,
    write: impl Fn(&T) -> String,
) {
    match parse(node.value.as_str().unwrap_or_default()) {
        Err(wrong) => node.place.error(wrong),
        Ok(value) if !range.contains(&value) => {
            let (min, max) = (write(range.start()), write(range.end()));
            node.place.error(format!("expected at least `{min}` and at most `{max}`"));
        }
        Ok(_) => {}
    }
}

fn check_map(node: &Node<'_>) {
    let Some(all) = node.table() else { return };
    for (name, value) in all.entries {
        if !value.get_ref().is_table() {
            let place = all.child_place(name.get_ref(), name.span());
            place.error("expected a table under this name");
        }
    }
    for (_, _, table) in node.map() {
        check(&table);
    }
}

fn check_choice(node: &Node<'_>, alternatives: &[&'static [Key]]) {
    let Some(entries) = node.value.as_table() else { return };
    let written: Vec<_> = alternatives
        .iter()
        .filter_map(|keys| keys.first())
        .filter(|first| entries.contains_key(first.name))
        .map(|first| first.name)
        .collect();
    match written.as_slice() {
        [_] => node.table().iter().for_each(check),
        [] => node.place.error(format!("expected {}", node.kind.describe())),
        several => node.place.error(format!("`{}` exclude each other", several.join("` and `"))),
    }
}

fn check_variants(node: &Node<'_>, variants: &'static Variants) {
    let Some(entries) = node.value.as_table() else { return };
    if let Some(table) = node.table() {
        return check(&table);
    }
    let place =
        |span| Place { key: format!("{}.{}", node.place.key, variants.tag), span, ..node.place.clone() };
    match entries.get(variants.tag) {
        None => place(node.place.span.clone()).error("is missing"),
        Some(tag) => match tag.get_ref().as_str() {
            Some(word) => check_word(&place(tag.span()), word, variants.words),
            None => place(tag.span()).error(format!("expected {}", Kind::Words(variants.words).describe())),
        },
    }
}
