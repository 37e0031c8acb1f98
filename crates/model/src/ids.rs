//! One type per thing that has a name, so that a target can never be passed where a tool is meant.

use std::fmt;
use std::sync::Arc;

/// A name that does not have the form its kind asks for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {kind}: {expected}")]
pub struct MalformedName {
    text: String,
    kind: &'static str,
    expected: &'static str,
}

impl MalformedName {
    pub(crate) fn new(text: &str, kind: &'static str, expected: &'static str) -> Self {
        Self { text: text.chars().take(80).collect(), kind, expected }
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $max:literal, $allowed:expr, $expected:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes the text as it is, if it has the form of this kind of name.
            pub fn parse(text: &str) -> Result<Self, MalformedName> {
                let allowed: fn(char) -> bool = $allowed;
                if text.is_empty() || text.len() > $max || !text.chars().all(allowed) {
                    return Err(MalformedName::new(text, $kind, $expected));
                }
                Ok(Self(text.into()))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The same text, shared.
            pub fn to_shared(&self) -> Arc<str> {
                Arc::clone(&self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

fn plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '@')
}

name!(
    /// Who a decision is about: the authenticated agent or operator.
    PrincipalId, "principal", 64, plain, "1 to 64 of `a-z A-Z 0-9 _ - . @`"
);
name!(
    /// A group that principals are in; rules name it as `group:NAME`.
    GroupName, "group", 64, plain, "1 to 64 of `a-z A-Z 0-9 _ - . @`"
);
name!(
    /// A tool as offered to agents, or an operator's verb as `operator:VERB`.
    ToolName, "tool name", 128, |c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | '/'),
    "1 to 128 of `a-z A-Z 0-9 _ - . : /`"
);
name!(
    /// A named group of tools; rules name it as `set:NAME`.
    ToolSet, "tool set", 32, |c| c.is_ascii_lowercase() || c == '-', "1 to 32 of `a-z -`"
);
name!(
    /// An inventory entry's alias, `gateway` for the gateway itself, or the address of a host outside of the inventory
    /// (of which only IPv6 addresses have a `:`).
    TargetName, "target name", 128, |c| plain(c) || c == ':', "1 to 128 of `a-z A-Z 0-9 _ - . @`"
);
name!(
    /// A rule's name, as its author wrote it.
    RuleName, "rule name", 200, |c| !c.is_control(), "1 to 200 characters, none of them a control character"
);

impl ToolName {
    /// A name whose form was checked elsewhere: those of resources and prompts are written by others.
    pub(crate) fn checked(text: String) -> Self {
        Self(text.into())
    }
}

/// One call's id; its intent and its completion share it. Random, so it tells nothing about time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId([u8; 16]);

impl CallId {
    /// Wraps 16 random bytes.
    pub fn new(random: [u8; 16]) -> Self {
        Self(random)
    }

    /// Reads the form that [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 16];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(Self(bytes))
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0, &mut [0; 32])
    }
}

impl fmt::Debug for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CallId({self})")
    }
}

/// Writes bytes as lower-case digits, by way of `digits`, which must be twice as long.
pub(crate) fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8], digits: &mut [u8]) -> fmt::Result {
    hex::encode_to_slice(bytes, digits).map_err(|_| fmt::Error)?;
    f.write_str(std::str::from_utf8(digits).map_err(|_| fmt::Error)?)
}

/// The hash of a compiled policy snapshot: what a permit was given under.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SnapshotHash([u8; 32]);

impl SnapshotHash {
    /// Wraps a SHA-256.
    pub fn new(sha256: [u8; 32]) -> Self {
        Self(sha256)
    }
}

impl fmt::Display for SnapshotHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0, &mut [0; 64])
    }
}

impl fmt::Debug for SnapshotHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SnapshotHash({self})")
    }
}
