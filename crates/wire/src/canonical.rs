//! JSON in the one form that all texts of the same value share, so that a hash of it says whether the value changed.

use serde_json::value::RawValue;

use crate::forward::{Members, NotAnObject};

/// Levels that are followed; a message of more was refused before ([`crate::ScanLimits`]).
const DEPTH: usize = 128;

/// An object with the keys of all its objects in order, without blanks, every string written in the one shortest way. Lists
/// keep their order and numbers their digits: `1.0` is not `1`, and no number is rounded.
pub fn canonical(object: &str) -> Result<String, NotAnObject> {
    let members = Members::read(object)?;
    let mut out = String::with_capacity(object.len());
    write_members(members, DEPTH, &mut out)?;
    Ok(out)
}

/// What an object says, one statement a line: the way to each value that is no object, and the [canonical] form of that value.
/// In the order of the ways.
pub fn statements(object: &str) -> Result<Vec<(String, String)>, NotAnObject> {
    let mut all = Vec::new();
    collect("", object, DEPTH, &mut all)?;
    all.sort();
    Ok(all)
}

fn collect(
    way: &str,
    object: &str,
    depth: usize,
    all: &mut Vec<(String, String)>,
) -> Result<(), NotAnObject> {
    let depth = depth.checked_sub(1).ok_or(NotAnObject)?;
    for (key, value) in Members::read(object)?.0 {
        let way = if way.is_empty() { key.into_owned() } else { format!("{way}.{key}") };
        let inner = value.get().strip_prefix('{').filter(|rest| !rest.trim_start().starts_with('}'));
        if inner.is_some() {
            collect(&way, value.get(), depth, all)?;
        } else {
            let mut form = String::new();
            write(value.get(), depth, &mut form)?;
            all.push((way, form));
        }
    }
    Ok(())
}

fn write_members(
    Members(mut members): Members<'_>,
    depth: usize,
    out: &mut String,
) -> Result<(), NotAnObject> {
    members.sort_by(|(one, _), (other, _)| one.cmp(other));
    out.push('{');
    for (at, (key, value)) in members.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        out.push_str(&serde_json::Value::from(&**key).to_string());
        out.push(':');
        write(value.get(), depth, out)?;
    }
    out.push('}');
    Ok(())
}

fn write(value: &str, depth: usize, out: &mut String) -> Result<(), NotAnObject> {
    let depth = depth.checked_sub(1).ok_or(NotAnObject)?;
    match value.as_bytes().first() {
        Some(b'{') => write_members(Members::read(value)?, depth, out),
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(value).map_err(|_| NotAnObject)?;
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write(item.get(), depth, out)?;
            }
            out.push(']');
            Ok(())
        }
        Some(b'"') => {
            let text: String = serde_json::from_str(value).map_err(|_| NotAnObject)?;
            out.push_str(&serde_json::Value::from(text).to_string());
            Ok(())
        }
        Some(_) | None => {
            out.push_str(value);
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{canonical, statements};

    #[test]
    fn texts_of_one_value_have_one_form_and_other_values_another() {
        let one =
            canonical(r#"{ "b":[1.0, {"z":null,"y":"\u0041\/"}], "a" : 12345678901234567890123 }"#).unwrap();
        assert_eq!(one, r#"{"a":12345678901234567890123,"b":[1.0,{"y":"A/","z":null}]}"#);
        assert_eq!(canonical(&one).unwrap(), one);
        for other in [
            r#"{"a":12345678901234567890124,"b":[1.0,{"y":"A/","z":null}]}"#,
            r#"{"a":12345678901234567890123,"b":[{"y":"A/","z":null},1.0]}"#,
            r#"{"a":12345678901234567890123,"b":[1,{"y":"A/","z":null}]}"#,
            "{\"a\":12345678901234567890123,\"b\":[1.0,{\"y\":\"A\u{200b}/\",\"z\":null}]}",
        ] {
            assert_ne!(canonical(other).unwrap(), one);
        }
        assert!(canonical("[]").is_err());
        assert_eq!(
            statements(r#"{"b":{"d":[ 1 ],"c":{ }},"a":"x"}"#).unwrap(),
            [("a", "\"x\""), ("b.c", "{}"), ("b.d", "[1]")]
                .map(|(way, form)| (way.to_owned(), form.to_owned()))
        );
    }

    proptest! {
        #[test]
        fn the_form_says_the_same(members in prop::collection::btree_map(any::<String>(), any::<(i64, String)>(), 0..5)) {
            let value = serde_json::json!(members);
            let form = canonical(&value.to_string()).unwrap();
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&form).unwrap(), value);
        }
    }
}
