//! Values of a file with their places, as the readers of each part see them.
//!
//! A reader gets `None` for what is missing and for what [`crate::structure`] has already reported, so no
//! mistake is reported twice and every one of them is found in one run.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::{DeTable, DeValue};

use crate::diagnostic::{Diagnostic, Report, Severity};
use crate::forms::{self, Wrong};
use crate::shape::{Key, Kind};
use crate::text::Text;

/// A file's text, and where it lies.
#[derive(Debug)]
pub(crate) struct TextFile {
    /// The path as it was reached, for people.
    pub(crate) shown: PathBuf,
    /// The absolute folder that relative paths in it start from.
    pub(crate) folder: PathBuf,
    /// What it holds.
    pub(crate) text: Text,
    /// Who may read it, for the secrets written in it.
    pub(crate) exposure: crate::exposure::Exposure,
}

impl TextFile {
    /// Line and column, both from 1, of a byte offset.
    pub(crate) fn position(&self, offset: usize) -> (u32, u32) {
        self.text.position(offset)
    }
}

/// Where something is written.
#[derive(Clone)]
pub(crate) struct Place<'a> {
    pub(crate) file: &'a TextFile,
    pub(crate) report: &'a Report,
    pub(crate) key: String,
    pub(crate) span: Range<usize>,
}

impl Place<'_> {
    pub(crate) fn error(&self, wrong: impl Into<Wrong>) {
        self.add(wrong.into(), Severity::Error);
    }

    pub(crate) fn warn(&self, wrong: impl Into<Wrong>) {
        self.add(wrong.into(), Severity::Warning);
    }

    /// `line 3`, or with the file's name when seen from another file.
    pub(crate) fn seen_from(&self, other: &Place<'_>) -> String {
        let (line, _) = self.file.position(self.span.start);
        if self.file.shown == other.file.shown {
            format!("line {line}")
        } else {
            format!("line {line} of `{}`", self.file.shown.display())
        }
    }

    /// A finding here, for later.
    pub(crate) fn diagnostic(&self, message: String, hint: Option<String>, severity: Severity) -> Diagnostic {
        let (line, column) = self.file.position(self.span.start);
        let (file, key) = (self.file.shown.clone(), self.key.clone());
        Diagnostic { file, line, column, key, code: None, message, hint, severity }
    }

    fn add(&self, wrong: Wrong, severity: Severity) {
        self.report.add(self.diagnostic(wrong.message, wrong.hint, severity));
    }
}

/// A table with what it may hold.
#[derive(Clone)]
pub(crate) struct Table<'a> {
    pub(crate) place: Place<'a>,
    pub(crate) entries: &'a DeTable<'a>,
    pub(crate) keys: &'static [Key],
}

/// A value with what it may be.
#[derive(Clone)]
pub(crate) struct Node<'a> {
    pub(crate) place: Place<'a>,
    pub(crate) value: &'a DeValue<'a>,
    pub(crate) kind: &'static Kind,
}

impl<'a> Table<'a> {
    /// The value under a key.
    pub(crate) fn node(&self, name: &str) -> Option<Node<'a>> {
        let key = self.keys.iter().find(|key| key.name == name);
        debug_assert!(key.is_some(), "`{name}` is read but not described");
        let value = self.entries.get(name)?;
        Some(Node { place: self.child_place(name, value.span()), value: value.get_ref(), kind: &key?.kind })
    }

    /// The value under the key that an alternative is told by; `None` when it is another alternative.
    pub(crate) fn alternative(&self, name: &str) -> Option<Node<'a>> {
        if self.keys.iter().any(|key| key.name == name) { self.node(name) } else { None }
    }

    /// The table under a key.
    pub(crate) fn table(&self, name: &str) -> Option<Table<'a>> {
        self.node(name)?.table()
    }

    /// The items of the list under a key; nothing when it is not written.
    pub(crate) fn list(&self, name: &str) -> Vec<Node<'a>> {
        self.node(name).map(|node| node.list()).unwrap_or_default()
    }

    /// The place of a key's value, or of the table when the key is not written.
    pub(crate) fn place_of(&self, name: &str) -> Place<'a> {
        match self.entries.get(name) {
            Some(value) => self.child_place(name, value.span()),
            None => self.child_place(name, self.place.span.clone()),
        }
    }

    pub(crate) fn child_place(&self, name: &str, span: Range<usize>) -> Place<'a> {
        let bare =
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        let name = if bare { name.to_owned() } else { format!("\"{}\"", forms::printable(name)) };
        let key = if self.place.key.is_empty() { name } else { format!("{}.{name}", self.place.key) };
        Place { key, span, ..self.place.clone() }
    }
}

impl<'a> Node<'a> {
    pub(crate) fn text(&self) -> Option<&'a str> {
        self.kind.select(self.value).and_then(|_| self.value.as_str())
    }

    /// Text of a form that is checked here: what is wrong with it is reported.
    pub(crate) fn read<T, W: Into<Wrong>>(&self, parse: impl FnOnce(&'a str) -> Result<T, W>) -> Option<T> {
        parse(self.text()?).map_err(|wrong| self.place.error(wrong)).ok()
    }

    pub(crate) fn flag(&self) -> Option<bool> {
        self.value.as_bool()
    }

    pub(crate) fn integer(&self) -> Option<i64> {
        forms::integer(self.value)
    }

    pub(crate) fn duration(&self) -> Option<Duration> {
        forms::duration(self.text()?).ok()
    }

    pub(crate) fn size(&self) -> Option<u64> {
        forms::size(self.text()?).ok()
    }

    /// An absolute path.
    pub(crate) fn path(&self) -> Option<PathBuf> {
        self.read(forms::path).map(|path| absolute(&self.place.file.folder, &path))
    }

    pub(crate) fn table(&self) -> Option<Table<'a>> {
        let entries = self.value.as_table()?;
        let keys = match self.kind.select(self.value)? {
            Kind::Table(keys) | Kind::Map(keys) => keys,
            Kind::Choice(alternatives) => alternatives
                .iter()
                .find(|keys| keys.first().is_some_and(|first| entries.contains_key(first.name)))?,
            Kind::Variants(variants) => {
                let word = entries.get(variants.tag)?.get_ref().as_str()?;
                variants.keys.iter().find(|(name, _)| *name == word).map(|(_, keys)| keys)?
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
            | Kind::Either(_) => return None,
        };
        Some(Table { place: self.place.clone(), entries, keys })
    }

    /// The tables of a map, with their names.
    pub(crate) fn map(&self) -> Vec<(&'a str, Place<'a>, Table<'a>)> {
        let Some(all) = self.table() else { return Vec::new() };
        let entry =
            |(name, value): (&'a toml::Spanned<toml::de::DeString<'a>>, &'a toml::Spanned<DeValue<'a>>)| {
                let entries = value.get_ref().as_table()?;
                let place = all.child_place(name.get_ref(), value.span());
                let name_place = all.child_place(name.get_ref(), name.span());
                Some((name.get_ref().as_ref(), name_place, Table { place, entries, keys: all.keys }))
            };
        all.entries.iter().filter_map(entry).collect()
    }

    /// The values under names of the author's choice, each with the place of its name.
    pub(crate) fn named(&self) -> Vec<(&'a str, Place<'a>, Node<'a>)> {
        let (Some(entries), Some(Kind::Named(of))) = (self.value.as_table(), self.kind.select(self.value))
        else {
            return Vec::new();
        };
        let all = Table { place: self.place.clone(), entries, keys: &[] };
        let value =
            |(name, value): (&'a toml::Spanned<toml::de::DeString<'a>>, &'a toml::Spanned<DeValue<'a>>)| {
                let place = all.child_place(name.get_ref(), value.span());
                let name_place = all.child_place(name.get_ref(), name.span());
                (name.get_ref().as_ref(), name_place, Node { place, value: value.get_ref(), kind: of })
            };
        entries.iter().map(value).collect()
    }

    pub(crate) fn list(&self) -> Vec<Node<'a>> {
        let (Some(items), Some(Kind::List(of))) = (self.value.as_array(), self.kind.select(self.value))
        else {
            return Vec::new();
        };
        let node = |(index, item): (usize, &'a toml::Spanned<DeValue<'a>>)| Node {
            place: Place {
                key: format!("{}[{index}]", self.place.key),
                span: item.span(),
                ..self.place.clone()
            },
            value: item.get_ref(),
            kind: of,
        };
        items.iter().enumerate().map(node).collect()
    }
}

/// `path` from `folder` on, without `.` and `..` where that can be told from the text.
pub(crate) fn absolute(folder: &Path, path: &Path) -> PathBuf {
    let joined = folder.join(path);
    std::path::absolute(&joined).unwrap_or(joined)
}
