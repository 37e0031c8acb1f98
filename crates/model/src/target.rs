//! What a connector can reach.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::LazyLock;

use crate::TargetName;

/// The kind of thing a target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TargetKind {
    /// The gateway itself: `whoami`, `explain`, operators' verbs.
    Gateway,
    /// A machine with a shell that the inventory declares.
    Host,
    /// A machine that the inventory does not declare: nothing is known of it but the address it was asked for by.
    Outside,
    /// A third-party MCP server.
    Upstream,
}

impl TargetKind {
    /// The word used in audit entries and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Host => "host",
            Self::Outside => "outside",
            Self::Upstream => "upstream",
        }
    }
}

/// A target as policy sees it: its identity and tags, nothing about how to log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The inventory alias; the address for a host outside of the inventory.
    pub name: TargetName,
    /// What it is.
    pub kind: TargetKind,
    /// Tags; rules combine them as `tag:a & !tag:b`.
    pub tags: BTreeSet<String>,
    /// The address as the inventory writes it (a name or a literal), never resolved. `None` for the gateway.
    pub address: Option<String>,
}

/// What every call of a tool that is about the gateway itself names.
static GATEWAY_NAME: LazyLock<TargetName> = LazyLock::new(|| {
    TargetName::parse(Target::GATEWAY).unwrap_or_else(|_| unreachable!("the literal is a target name"))
});

impl Target {
    /// The gateway as a target. Its name is reserved: no inventory entry can have it.
    pub fn gateway() -> Self {
        Self { name: GATEWAY_NAME.clone(), kind: TargetKind::Gateway, tags: BTreeSet::new(), address: None }
    }

    /// A host that the inventory does not declare, by the one spelling of its address.
    ///
    /// `None` for what is neither a literal address of one machine nor a host name that resolvers can only read as a
    /// name.
    pub fn outside(address: &str) -> Option<Self> {
        let address = one_spelling(address)?;
        let name = TargetName::parse(&address).ok()?;
        let kind = TargetKind::Outside;
        Some(Self { name, kind, tags: BTreeSet::new(), address: Some(address) })
            .filter(|t| t.name.as_str() != Self::GATEWAY)
    }

    /// The address if it is written as a literal one; what a name resolves to is known at the dial alone.
    pub fn literal_address(&self) -> Option<IpAddr> {
        self.address.as_deref()?.parse::<IpAddr>().ok().map(|address| address.to_canonical())
    }

    /// The reserved name of the gateway.
    pub const GATEWAY: &'static str = "gateway";
}

/// An address in the one spelling that all its spellings have: `WEB1.example.` is `web1.example`, and
/// `::ffff:10.0.0.1` is `10.0.0.1`.
pub(crate) fn one_spelling(address: &str) -> Option<String> {
    if let Ok(literal) = address.parse::<IpAddr>() {
        let literal = literal.to_canonical();
        let one = !literal.is_unspecified() && !literal.is_multicast();
        return one.then(|| literal.to_string());
    }
    let name = address.strip_suffix('.').unwrap_or(address).to_ascii_lowercase();
    (name.len() <= 128 && is_host_name(&name)).then_some(name)
}

/// Whether a text without a dot at its end has labels that resolvers could only read as a name, whatever its length. To some
/// of them a last label of digits makes an address: `2130706433` is `127.0.0.1`.
pub fn is_host_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let last = name.rsplit('.').next().unwrap_or_default();
    let numeric = last.starts_with("0x") || last.bytes().all(|b| b.is_ascii_digit());
    name.split('.').all(label) && !numeric
}

#[cfg(test)]
mod tests {
    use super::Target;

    #[test]
    fn a_host_outside_has_one_spelling() {
        for (written, name) in [
            ("10.0.0.5", "10.0.0.5"),
            ("::ffff:10.0.0.5", "10.0.0.5"),
            ("2001:DB8:0::1", "2001:db8::1"),
            ("DB.Internal.", "db.internal"),
            ("db_1", "db_1"),
        ] {
            let target = Target::outside(written).unwrap();
            assert_eq!((target.name.as_str(), target.address.as_deref()), (name, Some(name)));
        }
        for wrong in [
            "",
            ".",
            "a..b",
            "a b",
            "-a",
            "a/b",
            "a:22",
            "[::1]",
            "0.0.0.0",
            "::",
            "224.0.0.1",
            "2130706433",
            "0x7f000001",
            "127.1",
            "10.0.0.010",
            "fe80::1%eth0",
            "gateway",
            "d\u{e9}.x",
            "a@b",
        ] {
            assert!(Target::outside(wrong).is_none(), "{wrong}");
        }
    }
}
