//! What rules say about the arguments of upstreams' tools.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};
use serde_spanned::Spanned;

use super::selectors::Refused;
use crate::RuleProblem;
use crate::command::Star;

/// The most members a path may lead through.
const DEEPEST: usize = 16;

/// `arguments = { "repo.owner" = ["acme", "acme-*"] }`: each path with what its value may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Arguments(Vec<Predicate>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Predicate {
    written: String,
    path: Vec<String>,
    values: Vec<ValuePattern>,
}

/// What a value may be.
#[derive(Debug, Clone, PartialEq, Eq)]
enum ValuePattern {
    /// `**`: anything that is there.
    Any,
    /// Text, with `*` for any characters but `/`.
    Text(Star),
}

/// What stands in the file: values by path.
pub(crate) type RawArguments = BTreeMap<Spanned<String>, Vec<Spanned<String>>>;

impl Arguments {
    pub(super) fn read(raw: &Spanned<RawArguments>, problems: &mut Vec<RuleProblem>) -> Self {
        if raw.get_ref().is_empty() {
            let problem =
                RuleProblem::new("arguments", "`arguments` names no argument").span(Some(raw.span()));
            problems.push(problem.hint("leave it out, or say what an argument may be"));
        }
        let mut predicates = Vec::new();
        for (path, values) in raw.get_ref() {
            match path_of(path.get_ref()) {
                Ok(steps) => predicates.push(Predicate {
                    written: path.get_ref().clone(),
                    path: steps,
                    values: super::parse::list(Some(values), "arguments", problems, ValuePattern::parse),
                }),
                Err((message, hint)) => {
                    let mut problem = RuleProblem::new("arguments", message).span(Some(path.span()));
                    problem.hint = hint;
                    problems.push(problem);
                }
            }
        }
        Self(predicates)
    }

    /// Whether these arguments are all that is asked for: every path is there, and each of its values fits.
    pub(crate) fn permit(&self, arguments: &Map<String, Value>) -> bool {
        self.0.iter().all(|predicate| {
            let mut found = false;
            let fits = predicate.visit(arguments, &mut |value| {
                found = true;
                predicate.fits(value)
            });
            fits && found
        })
    }

    /// Whether these arguments may be what is meant: of every path some value fits.
    pub(crate) fn narrow(&self, arguments: &Map<String, Value>) -> bool {
        self.0.iter().all(|predicate| !predicate.visit(arguments, &mut |value| !predicate.fits(value)))
    }
}

impl Predicate {
    fn fits(&self, value: &Value) -> bool {
        self.values.iter().any(|pattern| pattern.matches(value))
    }

    /// Has every value that the path leads to judged, until one is not good; lists are gone through. `true` if none was bad.
    fn visit(&self, arguments: &Map<String, Value>, judge: &mut dyn FnMut(&Value) -> bool) -> bool {
        let Some((first, rest)) = self.path.split_first() else { return true };
        arguments.get(first).is_none_or(|value| visit(value, rest, judge))
    }
}

fn visit(value: &Value, path: &[String], judge: &mut dyn FnMut(&Value) -> bool) -> bool {
    match (value, path.split_first()) {
        (Value::Array(items), _) if !items.is_empty() => items.iter().all(|item| visit(item, path, judge)),
        (_, None) => judge(value),
        (Value::Object(members), Some((step, rest))) => match members.get(step) {
            Some(member) => visit(member, rest, judge),
            None => judge(&Value::Null),
        },
        (_, Some(_)) => judge(&Value::Null),
    }
}

impl ValuePattern {
    fn parse(text: &str) -> Result<Self, Refused> {
        match text {
            "**" => Ok(Self::Any),
            _ if text.contains("**") => Err((
                format!("`{text}` is no pattern of a value"),
                Some("`*` is any characters but `/`; `**` alone is any value".to_owned()),
            )),
            _ => Ok(Self::Text(Star::parse(text))),
        }
    }

    /// Numbers and truth values are compared as they are written.
    fn matches(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Any, _) => true,
            (Self::Text(star), Value::String(text)) => star.matches(text, '/'),
            (Self::Text(star), Value::Number(_) | Value::Bool(_)) => star.matches(&value.to_string(), '/'),
            (Self::Text(_), Value::Null | Value::Array(_) | Value::Object(_)) => false,
        }
    }
}

fn path_of(text: &str) -> Result<Vec<String>, Refused> {
    let steps: Vec<String> = text.split('.').map(str::to_owned).collect();
    if steps.iter().any(String::is_empty) || steps.len() > DEEPEST {
        return Err((
            format!("`{text}` is no path to an argument"),
            Some("write names of members with dots between them, such as `\"repo.owner\"`".to_owned()),
        ));
    }
    Ok(steps)
}

impl fmt::Display for Arguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, predicate) in self.0.iter().enumerate() {
            let values: Vec<String> = predicate.values.iter().map(ToString::to_string).collect();
            let comma = if at > 0 { "; " } else { "" };
            write!(f, "{comma}`{}`: {}", predicate.written, values.join(", "))?;
        }
        Ok(())
    }
}

impl fmt::Display for ValuePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("`**`"),
            Self::Text(star) => write!(f, "`{}`", star.segments().join("*")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::{Arguments, Predicate, ValuePattern, path_of};

    fn rule(path: &str, values: &[&str]) -> Arguments {
        let values = values.iter().map(|text| ValuePattern::parse(text).unwrap()).collect();
        Arguments(vec![Predicate { written: path.to_owned(), path: path_of(path).unwrap(), values }])
    }

    fn map(value: Value) -> Map<String, Value> {
        let Value::Object(map) = value else { panic!() };
        map
    }

    #[test]
    fn every_value_must_fit_to_be_permitted_and_one_is_enough_to_be_meant() {
        for (path, values, arguments, permits, narrows) in [
            ("repo", &["acme/*"][..], json!({ "repo": "acme/x" }), true, true),
            ("repo", &["acme/*"], json!({ "repo": "acme/x/y" }), false, false),
            ("repo", &["acme/*"], json!({}), false, false),
            ("repo", &["acme/*"], json!({ "repo": null }), false, false),
            ("repo", &["**"], json!({ "repo": { "any": 1 } }), true, true),
            ("repo", &["**"], json!({}), false, false),
            ("paths", &["/srv/*"], json!({ "paths": ["/srv/a", "/etc/b"] }), false, true),
            ("paths", &["/srv/*"], json!({ "paths": ["/srv/a", "/srv/b"] }), true, true),
            ("paths", &["/srv/*"], json!({ "paths": [] }), false, false),
            ("a.b", &["1"], json!({ "a": { "b": 1 } }), true, true),
            ("a.b", &["1"], json!({ "a": [{ "b": 1 }, {}] }), false, true),
            ("a.b", &["1"], json!({ "a": 1 }), false, false),
            ("on", &["true"], json!({ "on": true }), true, true),
        ] {
            let (rule, map) = (rule(path, values), map(arguments));
            assert_eq!(
                (rule.permit(&map), rule.narrow(&map)),
                (permits, narrows),
                "{path} {values:?} {map:?}"
            );
        }
    }
}
