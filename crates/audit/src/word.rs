//! Texts that several entries of a call repeat.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A text that costs nothing to repeat.
#[derive(Debug, Clone)]
pub(crate) enum Word {
    /// One of ours.
    Ours(&'static str),
    /// One that came with the call.
    Shared(Arc<str>),
}

impl Word {
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Ours(text) => text,
            Self::Shared(text) => text,
        }
    }
}

impl Default for Word {
    fn default() -> Self {
        Self::Ours("")
    }
}

impl PartialEq for Word {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Word {}

impl PartialOrd for Word {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Word {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl From<&'static str> for Word {
    fn from(text: &'static str) -> Self {
        Self::Ours(text)
    }
}

impl From<String> for Word {
    fn from(text: String) -> Self {
        Self::Shared(text.into())
    }
}

impl From<Arc<str>> for Word {
    fn from(text: Arc<str>) -> Self {
        Self::Shared(text)
    }
}

impl Serialize for Word {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Ok(Self::Shared(text.as_ref().into()))
    }
}
