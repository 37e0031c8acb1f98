//! What is wrong with a file.

/// One mistake. Its text is what the old program said, behind its `Error: `.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Mistake {
    /// It is not TOML, or not of the form that the program reads.
    #[error("line {line}, column {column}: {why}")]
    Form {
        /// From 1.
        line: usize,
        /// From 1, in characters.
        column: usize,
        /// What, without the text that is there: it may be a token.
        why: String,
    },
    /// A value cannot be.
    #[error("invalid config field '{field}': {reason}")]
    Field {
        /// Its key, with its table.
        field: String,
        /// Why.
        reason: String,
    },
}

impl Mistake {
    pub(super) fn field(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Field { field: field.into(), reason: reason.into() }
    }

    pub(super) fn form(text: &str, at: usize, why: impl Into<String>) -> Self {
        let before = text.get(..at).unwrap_or(text);
        let line = before.bytes().filter(|byte| *byte == b'\n').count().saturating_add(1);
        let last = before.rsplit('\n').next().unwrap_or_default();
        Self::Form { line, column: last.chars().count().saturating_add(1), why: why.into() }
    }
}

/// A value as it may be shown: no user and password of an address, nothing that a terminal would act on, not endless.
pub(super) fn shown(value: &str) -> String {
    let (scheme, rest) = value.split_once("://").map_or(("", value), |(scheme, rest)| (scheme, rest));
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let value = match authority.rsplit_once('@') {
        Some((_, host)) if scheme.is_empty() => format!("***@{host}{path}"),
        Some((_, host)) => format!("{scheme}://***@{host}{path}"),
        None => value.to_owned(),
    };
    value.chars().take(200).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
