//! What a connector can reach.

use std::collections::BTreeSet;

use crate::TargetName;

/// The kind of thing a target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TargetKind {
    /// The gateway itself: `whoami`, `explain`, operators' verbs.
    Gateway,
    /// A machine with a shell.
    Host,
}

impl TargetKind {
    /// The word used in audit entries and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Host => "host",
        }
    }
}

/// A target as policy sees it: its identity and tags, nothing about how to log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The inventory alias.
    pub name: TargetName,
    /// What it is.
    pub kind: TargetKind,
    /// Tags; rules combine them as `tag:a & !tag:b`.
    pub tags: BTreeSet<String>,
    /// The address as the inventory writes it (a name or a literal), never resolved. `None` for the gateway.
    pub address: Option<String>,
}

impl Target {
    /// The gateway as a target. Its name is reserved: no inventory entry can have it.
    pub fn gateway() -> Self {
        Self {
            name: TargetName::parse(Self::GATEWAY)
                .unwrap_or_else(|_| unreachable!("the literal is a target name")),
            kind: TargetKind::Gateway,
            tags: BTreeSet::new(),
            address: None,
        }
    }

    /// The reserved name of the gateway.
    pub const GATEWAY: &'static str = "gateway";
}
