//! Paths as they are written; what they lead to is known on the target alone.

use std::fmt;

/// The longest path that systems take, in bytes.
const MAX_PATH: usize = 4096;

/// An absolute path without `.`, `..` and empty parts; never `/` itself. Links in it are not followed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LexicalPath(String);

/// A text that is no such path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an absolute path without `.`, `..` and empty parts")]
pub struct NotLexical;

impl LexicalPath {
    /// Takes the text as it is.
    ///
    /// # Errors
    ///
    /// For any text that a shell could take for another path than it looks like.
    pub fn parse(text: &str) -> Result<Self, NotLexical> {
        let rest = text.strip_prefix('/').ok_or(NotLexical)?;
        let plain = rest.split('/').all(|part| !matches!(part, "" | "." | "..") && !part.contains('\0'));
        if plain && text.len() <= MAX_PATH { Ok(Self(text.to_owned())) } else { Err(NotLexical) }
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The names between the slashes; at least one.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').skip(1)
    }

    /// Whether it is `/dev/null`, which holds nothing and keeps nothing.
    pub fn is_null_device(&self) -> bool {
        self.0 == "/dev/null"
    }
}

impl fmt::Display for LexicalPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::LexicalPath;

    #[test]
    fn a_lexical_path_says_where_it_leads() {
        for text in ["/a", "/var/log/x", "/a b", "/-", "/...", "/a/.b"] {
            let path = LexicalPath::parse(text).unwrap();
            assert_eq!(path.parts().map(|part| format!("/{part}")).collect::<String>(), text);
        }
        for text in ["", "/", "a", "./a", "//a", "/a/", "/a//b", "/a/./b", "/a/..", "/../a", "~/a", "/a\0b"] {
            assert!(LexicalPath::parse(text).is_err(), "{text:?}");
        }
        assert!(LexicalPath::parse(&format!("/{}", "a".repeat(4096))).is_err());
    }
}
