//! The protocol versions that are spoken, and the era each belongs to.

use std::fmt;

/// How a version carries its requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Era {
    /// A handshake, then requests within a session (up to 2025-11-25).
    Legacy,
    /// Every request stands alone and says its version (from 2026-07-28).
    Modern,
}

/// A version of MCP that the gateway speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProtocolVersion {
    /// 2025-03-26. Its batches are refused.
    V2025_03_26,
    /// 2025-06-18.
    V2025_06_18,
    /// 2025-11-25.
    V2025_11_25,
    /// 2026-07-28.
    V2026_07_28,
}

/// The newest version there is.
pub const LATEST: ProtocolVersion = ProtocolVersion::V2026_07_28;
/// The newest version with a handshake; the answer to an `initialize` that asks for one we do not know.
pub const LATEST_LEGACY: ProtocolVersion = ProtocolVersion::V2025_11_25;

impl ProtocolVersion {
    /// Every version, newest first.
    pub const ALL: &'static [Self] =
        &[Self::V2026_07_28, Self::V2025_11_25, Self::V2025_06_18, Self::V2025_03_26];
    /// Every version as text, newest first: what `server/discover` answers.
    pub const ALL_TEXTS: &'static [&'static str] = &["2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26"];
    /// The versions that a request may name by itself, without a handshake.
    pub const MODERN_TEXTS: &'static [&'static str] = &["2026-07-28"];

    /// Reads the exact text of a version.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|version| version.as_str() == text)
    }

    /// The version as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2026_07_28 => "2026-07-28",
        }
    }

    /// The era it belongs to.
    pub fn era(self) -> Era {
        match self {
            Self::V2025_03_26 | Self::V2025_06_18 | Self::V2025_11_25 => Era::Legacy,
            Self::V2026_07_28 => Era::Modern,
        }
    }

    /// What an `initialize` that asks for `requested` is answered with.
    pub fn negotiate(requested: &str) -> Self {
        Self::parse(requested).filter(|version| version.era() == Era::Legacy).unwrap_or(LATEST_LEGACY)
    }
}

impl fmt::Display for ProtocolVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::{Era, LATEST_LEGACY, ProtocolVersion};

    #[test]
    fn texts_and_versions_agree() {
        let texts: Vec<_> = ProtocolVersion::ALL.iter().map(|version| version.as_str()).collect();
        assert_eq!(texts, ProtocolVersion::ALL_TEXTS);
        for version in ProtocolVersion::ALL {
            assert_eq!(ProtocolVersion::parse(version.as_str()), Some(*version));
            assert_eq!(
                version.era() == Era::Modern,
                ProtocolVersion::MODERN_TEXTS.contains(&version.as_str())
            );
        }
        assert_eq!(ProtocolVersion::parse("2024-11-05"), None);
    }

    #[test]
    fn a_handshake_never_ends_in_the_modern_era() {
        assert_eq!(ProtocolVersion::negotiate("2025-06-18"), ProtocolVersion::V2025_06_18);
        for unknown in ["2026-07-28", "2024-11-05", "2030-01-01", ""] {
            assert_eq!(ProtocolVersion::negotiate(unknown), LATEST_LEGACY, "{unknown}");
        }
    }
}
