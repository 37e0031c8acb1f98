//! Names of credentials and where secrets are written down; never the secrets themselves.

use std::fmt;
use std::path::PathBuf;

use crate::LiteralSecret;

/// A text that does not name a credential.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` does not name a credential: expected {expected}")]
pub struct MalformedCredential {
    text: String,
    expected: &'static str,
}

/// A credential by name: `SOURCE:SAFE/OBJECT`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CredentialRef {
    source: String,
    safe: String,
    object: String,
}

impl CredentialRef {
    /// From its three parts, each checked.
    pub fn new(source: &str, safe: &str, object: &str) -> Result<Self, MalformedCredential> {
        let whole = || format!("{source}:{safe}/{object}");
        check(source, is_source, whole)?;
        check(safe, |c| is_part(c) && c != '/', whole)?;
        check(object, is_part, whole)?;
        Ok(Self { source: source.to_owned(), safe: safe.to_owned(), object: object.to_owned() })
    }

    /// Reads `SOURCE:SAFE/OBJECT`; the object may hold further `/`.
    pub fn parse(text: &str) -> Result<Self, MalformedCredential> {
        let (source, safe, object) = split(text)?;
        Self::new(source, safe, object)
    }

    /// The credential source's name in the configuration.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The safe: a group of objects in the source.
    pub fn safe(&self) -> &str {
        &self.safe
    }

    /// The object's name in its safe.
    pub fn object(&self) -> &str {
        &self.object
    }
}

impl fmt::Display for CredentialRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}/{}", self.source, self.safe, self.object)
    }
}

/// Credentials by pattern: `SOURCE:SAFE/OBJECT` where `*` in safe or object stands for any characters but
/// `/`, and `**` alone stands for every credential. The source is always literal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CredentialPattern {
    /// `**`
    Any,
    /// `SOURCE:SAFE/OBJECT` with `*` in the last two.
    Parts {
        /// Literal source name.
        source: String,
        /// Pattern of the safe.
        safe: String,
        /// Pattern of the object.
        object: String,
    },
}

impl CredentialPattern {
    /// Reads a pattern.
    pub fn parse(text: &str) -> Result<Self, MalformedCredential> {
        if text == "**" {
            return Ok(Self::Any);
        }
        let (source, safe, object) = split(text)?;
        let whole = || text.to_owned();
        check(source, is_source, whole)?;
        check(safe, |c| (is_part(c) && c != '/') || c == '*', whole)?;
        check(object, |c| is_part(c) || c == '*', whole)?;
        Ok(Self::Parts { source: source.to_owned(), safe: safe.to_owned(), object: object.to_owned() })
    }

    /// Whether the pattern covers this credential.
    pub fn covers(&self, credential: &CredentialRef) -> bool {
        match self {
            Self::Any => true,
            Self::Parts { source, safe, object } => {
                *source == credential.source
                    && star_match(safe, &credential.safe)
                    && star_match(object, &credential.object)
            }
        }
    }

    /// Whether every credential that this pattern covers is covered by `wide`. A no may be too careful.
    pub fn is_within(&self, wide: &Self) -> bool {
        match (self, wide) {
            (_, Self::Any) => true,
            (Self::Any, Self::Parts { .. }) => false,
            (Self::Parts { source, safe, object }, Self::Parts { source: from, safe: of, object: named }) => {
                // Its stars fall into stars of the other as a character that no name has.
                let taken = |text: &str| text.replace('*', "\0");
                source == from && star_match(of, &taken(safe)) && star_match(named, &taken(object))
            }
        }
    }
}

impl fmt::Display for CredentialPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("**"),
            Self::Parts { source, safe, object } => write!(f, "{source}:{safe}/{object}"),
        }
    }
}

/// How a host's own credential (the one used without a handle) is had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialSpec {
    /// From a credential source.
    Stored(CredentialRef),
    /// A key held by the SSH agent, named by its `SHA256:...` fingerprint.
    Agent {
        /// The fingerprint as `ssh-add -l` prints it.
        fingerprint: String,
    },
    /// A private key file.
    Key {
        /// Where the key is.
        path: PathBuf,
        /// Where its passphrase is, if it has one.
        passphrase: Option<SecretLocation>,
    },
    /// A password that lies somewhere outside the inventory.
    Password(SecretLocation),
}

impl CredentialSpec {
    /// What it needs of credential sources.
    pub fn stored(&self) -> impl Iterator<Item = &CredentialRef> {
        let (whole, part) = match self {
            Self::Stored(reference) => (Some(reference), None),
            Self::Key { passphrase, .. } => (None, passphrase.as_ref()),
            Self::Password(location) => (None, Some(location)),
            Self::Agent { .. } => (None, None),
        };
        let part = part.and_then(|location| match location {
            SecretLocation::Stored(reference) => Some(reference),
            SecretLocation::Env(_) | SecretLocation::File(_) | SecretLocation::Literal(_) => None,
        });
        whole.into_iter().chain(part)
    }
}

/// Where a single secret value is written down: `{ env = ... }`, `{ file = ... }` or `{ secret = ... }`, or
/// right there, in a file that nobody else can read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretLocation {
    /// An environment variable of the gateway.
    Env(String),
    /// A file; one trailing newline is dropped.
    File(PathBuf),
    /// A credential source's object.
    Stored(CredentialRef),
    /// The file that names it.
    Literal(LiteralSecret),
}

fn split(text: &str) -> Result<(&str, &str, &str), MalformedCredential> {
    text.split_once(':')
        .and_then(|(source, rest)| rest.split_once('/').map(|(safe, object)| (source, safe, object)))
        .ok_or_else(|| malformed(text))
}

fn check(
    part: &str,
    allowed: impl Fn(char) -> bool,
    whole: impl Fn() -> String,
) -> Result<(), MalformedCredential> {
    let fits = !part.is_empty() && part.len() <= 256 && part.chars().all(allowed);
    if fits { Ok(()) } else { Err(malformed(&whole())) }
}

fn malformed(text: &str) -> MalformedCredential {
    MalformedCredential {
        text: text.chars().take(200).collect(),
        expected: "`SOURCE:SAFE/OBJECT`, parts of 1 to 256 characters without control characters, `*`, `;` or `:`",
    }
}

fn is_source(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'
}

fn is_part(c: char) -> bool {
    !c.is_control() && !matches!(c, '*' | ';' | ':' | '\\')
}

/// `*` in `pattern` stands for any run of characters but `/`.
fn star_match(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, tail)) => text.strip_prefix(head).is_some_and(|rest| {
            let reach = rest.find('/').unwrap_or(rest.len());
            rest.char_indices()
                .map(|(at, _)| at)
                .chain(std::iter::once(rest.len()))
                .take_while(|at| *at <= reach)
                .any(|at| rest.get(at..).is_some_and(|suffix| star_match(tail, suffix)))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::{CredentialPattern, CredentialRef};

    #[test]
    fn references_are_read_and_written_alike() {
        let reference = CredentialRef::parse("cyberark:PROD-LINUX/svc root/a").unwrap();
        assert_eq!(
            (reference.source(), reference.safe(), reference.object()),
            ("cyberark", "PROD-LINUX", "svc root/a")
        );
        assert_eq!(reference.to_string(), "cyberark:PROD-LINUX/svc root/a");
        for wrong in ["", "x", "a:b", "a:/c", "A:b/c", "a:b/", "a:b/*", "a:b;c/d"] {
            assert!(CredentialRef::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn patterns_cover_what_they_say_and_no_more() {
        let covers = |pattern: &str, reference: &str| {
            CredentialPattern::parse(pattern).unwrap().covers(&CredentialRef::parse(reference).unwrap())
        };
        assert!(covers("**", "a:b/c"));
        assert!(covers("a:b/*", "a:b/c"));
        assert!(covers("a:*/c*e", "a:b/cde"));
        assert!(!covers("a:b/*", "a:b/c/d"));
        assert!(!covers("a:b/*", "a:bb/c"));
        assert!(!covers("a:b/c", "a:b/C"));
        assert!(!covers("a:b/c*e", "a:b/c/e"));
        assert!(CredentialPattern::parse("*:b/c").is_err());
    }

    #[test]
    fn wider_patterns_cover_all_that_narrower_ones_do() {
        for (narrow, wide, within) in [
            ("a:b/c", "**", true),
            ("**", "**", true),
            ("**", "a:*/*", false),
            ("a:b/c", "a:b/*", true),
            ("a:b/c*", "a:b/*", true),
            ("a:b*/c", "a:*/c", true),
            ("a:b/c/*", "a:b/c/*", true),
            ("a:b/*", "a:b/c*", false),
            ("a:b/c/*", "a:b/*", false),
            ("a:b/c", "x:b/*", false),
            ("a:*/c", "a:b/c", false),
        ] {
            let parse = |text| CredentialPattern::parse(text).unwrap();
            assert_eq!(parse(narrow).is_within(&parse(wide)), within, "{narrow} in {wide}");
        }
    }
}
