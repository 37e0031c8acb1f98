//! What a file may hold: the one description that the reader, the JSON Schemas and the reference are made from.

use std::time::Duration;

/// A key of a table.
#[derive(Debug)]
pub(crate) struct Key {
    /// Its name.
    pub(crate) name: &'static str,
    /// What it takes.
    pub(crate) kind: Kind,
    /// Whether it must, may, or must not yet be written.
    pub(crate) need: Need,
    /// What holds when it is not written, for people; empty when that goes without saying.
    pub(crate) default: &'static str,
    /// What it means.
    pub(crate) doc: &'static str,
}

/// Whether a key must be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    Required,
    Optional,
    /// Named here only to be refused by name.
    Later,
}

/// What a key takes.
#[derive(Debug)]
pub(crate) enum Kind {
    /// Text whose form the reader of that key checks.
    Text,
    /// Text that is a secret itself: never quoted.
    Literal,
    /// A path; relative ones start at the folder of the file that names them.
    Path,
    /// The word `prompt`. Any other text may be the secret itself, and is not quoted.
    Prompt,
    /// One of these words.
    Words(&'static [Word]),
    Flag,
    Integer {
        min: i64,
        max: i64,
    },
    Duration {
        min: Duration,
        max: Duration,
    },
    Size {
        min: u64,
        max: u64,
    },
    List(&'static Kind),
    Table(&'static [Key]),
    /// Tables under names of the author's choice.
    Map(&'static [Key]),
    /// Values of one kind under names of the author's choice.
    Named(&'static Kind),
    /// A table of which the first key of exactly one alternative is written.
    Choice(&'static [&'static [Key]]),
    /// A table whose further keys depend on the word under `tag`.
    Variants(&'static Variants),
    /// One of these, told apart by their TOML type.
    Either(&'static [Kind]),
}

/// A table whose further keys depend on one word in it.
#[derive(Debug)]
pub(crate) struct Variants {
    pub(crate) tag: &'static str,
    pub(crate) words: &'static [Word],
    /// Keys of each word that is not [`Word::later`], with the common ones.
    pub(crate) keys: &'static [(&'static str, &'static [Key])],
}

/// A word that a key may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Word {
    pub(crate) text: &'static str,
    /// Named only to be refused by name.
    pub(crate) later: bool,
}

pub(crate) const fn key(name: &'static str, kind: Kind, doc: &'static str) -> Key {
    Key { name, kind, need: Need::Optional, default: "", doc }
}

pub(crate) const fn later(name: &'static str) -> Key {
    Key { name, kind: Kind::Text, need: Need::Later, default: "", doc: "" }
}

pub(crate) const fn word(text: &'static str) -> Word {
    Word { text, later: false }
}

pub(crate) const fn later_word(text: &'static str) -> Word {
    Word { text, later: true }
}

impl Key {
    pub(crate) const fn or(self, default: &'static str) -> Self {
        Self { default, ..self }
    }

    pub(crate) const fn required(self) -> Self {
        Self { need: Need::Required, ..self }
    }
}

impl Kind {
    /// The kind that applies to a value of this TOML type, if any does.
    pub(crate) fn select(&'static self, value: &toml::de::DeValue<'_>) -> Option<&'static Kind> {
        let fits = match self {
            Self::Text
            | Self::Literal
            | Self::Path
            | Self::Prompt
            | Self::Words(_)
            | Self::Duration { .. }
            | Self::Size { .. } => value.is_str(),
            Self::Flag => value.is_bool(),
            Self::Integer { .. } => value.is_integer(),
            Self::List(_) => value.is_array(),
            Self::Table(_) | Self::Map(_) | Self::Named(_) | Self::Choice(_) | Self::Variants(_) => {
                value.is_table()
            }
            Self::Either(kinds) => return kinds.iter().find_map(|kind| kind.select(value)),
        };
        fits.then_some(self)
    }

    /// What is expected, for people.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Text | Self::Literal => "text".to_owned(),
            Self::Path => "a path".to_owned(),
            Self::Prompt => "`\"prompt\"`".to_owned(),
            Self::Words(words) => one_of(words.iter().filter(|word| !word.later).map(|word| word.text)),
            Self::Flag => "`true` or `false`".to_owned(),
            Self::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Self::Duration { .. } => "a duration such as `\"30s\"`".to_owned(),
            Self::Size { .. } => "a size such as `\"1MiB\"`".to_owned(),
            Self::List(Self::Text) => "a list of texts".to_owned(),
            Self::List(Self::Path) => "a list of paths".to_owned(),
            Self::List(Self::Table(_) | Self::Variants(_)) => "a list of tables".to_owned(),
            Self::List(Self::Words(words)) if words.iter().all(|word| word.later) => {
                "an empty list".to_owned()
            }
            Self::List(of) => format!("a list, each item {}", of.describe()),
            Self::Table(_) | Self::Variants(_) => "a table".to_owned(),
            Self::Map(_) => "a table of tables".to_owned(),
            Self::Named(of) => format!("a table of names, each with {}", of.describe()),
            Self::Choice(alternatives) => {
                let forms: Vec<_> = alternatives
                    .iter()
                    .filter_map(|keys| keys.first())
                    .filter(|key| key.need != Need::Later)
                    .map(|key| format!("`{{ {} = ... }}`", key.name))
                    .collect();
                forms.join(" or ")
            }
            Self::Either(kinds) => kinds.iter().map(Self::describe).collect::<Vec<_>>().join(", or "),
        }
    }
}

fn one_of<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let quoted: Vec<_> = words.map(|word| format!("`{word}`")).collect();
    match quoted.as_slice() {
        [only] => only.clone(),
        all => format!("one of {}", all.join(", ")),
    }
}
