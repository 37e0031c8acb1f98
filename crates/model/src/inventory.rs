//! What the operator declared: the hosts and how each is reached.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::target::one_spelling;
use crate::{CredentialPattern, CredentialRef, CredentialSpec, Target, TargetKind, TargetName};

/// All declared targets, checked. Immutable; a reload makes another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    hosts: BTreeMap<TargetName, Host>,
    /// By the one spelling of their addresses.
    at: BTreeMap<String, Vec<TargetName>>,
    default_user: Option<String>,
}

impl Inventory {
    /// Takes hosts over; of two with one name the later wins (the configuration refuses that before).
    pub fn new(hosts: impl IntoIterator<Item = Host>) -> Self {
        let hosts: BTreeMap<_, _> = hosts.into_iter().map(|host| (host.name.clone(), host)).collect();
        let mut at: BTreeMap<String, Vec<TargetName>> = BTreeMap::new();
        for host in hosts.values() {
            at.entry(spelled(&host.address)).or_default().push(host.name.clone());
        }
        Self { hosts, at, default_user: None }
    }

    /// The account on hosts outside of the inventory, when the credential does not bring one.
    #[must_use]
    pub fn with_default_user(mut self, user: Option<String>) -> Self {
        self.default_user = user;
        self
    }

    /// All hosts, by name.
    pub fn hosts(&self) -> impl Iterator<Item = &Host> {
        self.hosts.values()
    }

    /// The host of this alias.
    pub fn host(&self, name: &TargetName) -> Option<&Host> {
        self.hosts.get(name)
    }

    /// What an agent may write as `host`: an alias, or the address of exactly one entry, in any spelling.
    pub fn find_host(&self, alias_or_address: &str) -> Option<&Host> {
        if let Some(host) = TargetName::parse(alias_or_address).ok().and_then(|name| self.hosts.get(&name)) {
            return Some(host);
        }
        match self.at.get(&spelled(alias_or_address))?.as_slice() {
            [only] => self.hosts.get(only),
            [..] => None,
        }
    }

    /// A host that is not declared, by its address: neither an alias nor the address of any entry.
    pub fn outside(&self, address: &str) -> Option<Host> {
        let target = Target::outside(address)?;
        let declared = self.hosts.contains_key(&target.name) || self.at.contains_key(target.name.as_str());
        (!declared).then(|| self.stranger(&target.name))
    }

    /// The host that an action's target stands for; none for the gateway.
    pub fn reached(&self, target: &Target) -> Option<Cow<'_, Host>> {
        match target.kind {
            TargetKind::Gateway | TargetKind::Upstream => None,
            TargetKind::Host => self.host(&target.name).map(Cow::Borrowed),
            TargetKind::Outside => Some(Cow::Owned(self.stranger(&target.name))),
        }
    }

    /// Every address that an entry has as a literal one.
    pub fn literal_addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.hosts.values().filter_map(|host| host.address.parse::<IpAddr>().ok()).map(|ip| ip.to_canonical())
    }

    fn stranger(&self, name: &TargetName) -> Host {
        Host { declared: false, user: self.default_user.clone(), ..Host::new(name.clone(), name.as_str()) }
    }

    /// The jump hosts on the way to a host, the one that is dialled first coming first.
    ///
    /// The first of a host's `jump` is reached as it says itself, each later one through the one before it.
    ///
    /// # Errors
    /// An alias that is not declared, a way that passes a host twice, or one that is too long. A checked configuration
    /// holds none of these.
    pub fn way<'a>(&'a self, host: &'a Host) -> Result<Vec<&'a Host>, WrongWay> {
        let mut way: Vec<&Host> = Vec::new();
        let mut nearest = host;
        loop {
            let before = nearest.jump.iter().map(|name| {
                self.host(name)
                    .ok_or_else(|| WrongWay::Unknown { name: name.clone(), by: nearest.name.clone() })
            });
            way.splice(0..0, before.collect::<Result<Vec<_>, _>>()?);
            if let Some(twice) = passed_twice(host, &way) {
                return Err(WrongWay::Loop(twice.name.clone()));
            }
            if way.len() > MOST_JUMPS {
                return Err(WrongWay::TooLong);
            }
            match way.first() {
                Some(first) if first.name != nearest.name && !first.jump.is_empty() => nearest = first,
                Some(_) | None => return Ok(way),
            }
        }
    }
}

fn spelled(address: &str) -> String {
    one_spelling(address).unwrap_or_else(|| address.to_owned())
}

fn passed_twice<'a>(host: &Host, way: &[&'a Host]) -> Option<&'a Host> {
    let mut passed: BTreeSet<&TargetName> = BTreeSet::from([&host.name]);
    way.iter().copied().find(|hop| !passed.insert(&hop.name))
}

/// Most jump hosts on one way.
pub const MOST_JUMPS: usize = 8;

/// Why there is no way to a host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WrongWay {
    /// A jump host is not declared.
    #[error("`{by}` is reached through `{name}`, and there is no such host")]
    Unknown {
        /// The alias as written.
        name: TargetName,
        /// The host whose `jump` names it.
        by: TargetName,
    },
    /// A host would be passed twice.
    #[error("the way passes `{0}` twice")]
    Loop(TargetName),
    /// There are too many jump hosts.
    #[error("the way passes more than {MOST_JUMPS} jump hosts")]
    TooLong,
}

/// A machine with a shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Its alias.
    pub name: TargetName,
    /// Name or literal address, as written.
    pub address: String,
    /// SSH port.
    pub port: u16,
    /// The account, when the credential does not bring one.
    pub user: Option<String>,
    /// Tags for rules.
    pub tags: BTreeSet<String>,
    /// Operating system family.
    pub platform: Platform,
    /// What reads our commands there.
    pub shell: Shell,
    /// The credential used without a handle.
    pub credential: Option<CredentialSpec>,
    /// Credentials that handles may be issued for, beside the one above.
    pub credentials: Vec<CredentialPattern>,
    /// Jump hosts on the way, in the order in which they are passed; see [`Inventory::way`].
    pub jump: Vec<TargetName>,
    /// Who turns the address into a literal one when the host is reached through a jump host.
    pub resolve: Resolve,
    /// A note for people and agents.
    pub notes: Option<String>,
    /// Whether the inventory declares it; else only its address is known, and a rule that names the address.
    pub declared: bool,
}

impl Host {
    /// The host as policy sees it.
    pub fn target(&self) -> Target {
        Target {
            name: self.name.clone(),
            kind: if self.declared { TargetKind::Host } else { TargetKind::Outside },
            tags: self.tags.clone(),
            address: Some(self.address.clone()),
        }
    }

    /// A host of which nothing else is said.
    pub fn new(name: TargetName, address: &str) -> Self {
        Self {
            name,
            address: address.to_owned(),
            port: 22,
            user: None,
            tags: BTreeSet::new(),
            platform: Platform::default(),
            shell: Shell::default(),
            credential: None,
            credentials: Vec::new(),
            jump: Vec::new(),
            resolve: Resolve::default(),
            notes: None,
            declared: true,
        }
    }

    /// The credential sources that its own credential needs.
    pub fn sources(&self) -> impl Iterator<Item = &str> {
        self.credential.iter().flat_map(CredentialSpec::stored).map(CredentialRef::source)
    }

    /// Whether a handle for this credential may be used here, as far as the inventory says. Of a host outside it says
    /// nothing: there the rules decide alone.
    pub fn admits(&self, credential: &CredentialRef) -> bool {
        !self.declared
            || self.credential == Some(CredentialSpec::Stored(credential.clone()))
            || self.credentials.iter().any(|pattern| pattern.covers(credential))
    }
}

/// Who resolves the name of a host that lies behind a jump host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Resolve {
    /// The gateway: the jump host is asked for a literal address, which networks have been checked on.
    #[default]
    Gateway,
    /// The jump host: nobody here knows the address, so no rule on networks can permit it.
    Bastion,
}

/// Operating system family of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Platform {
    /// The default.
    #[default]
    Linux,
    /// Windows.
    Windows,
    /// macOS.
    Macos,
    /// A BSD.
    Bsd,
}

/// What reads the commands we send to a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Shell {
    /// A shell that reads POSIX quoting; checked by a probe at first use.
    #[default]
    Posix,
    /// PowerShell: its commands are not understood yet, so none are sent.
    PowerShell,
    /// No shell at all (an appliance); no commands are sent.
    None,
}

#[cfg(test)]
mod tests {
    use super::{Host, Inventory, WrongWay};
    use crate::TargetName;

    /// `web<a,b` is a host `web` with `jump = ["a", "b"]`.
    fn inventory(hosts: &[&str]) -> Inventory {
        Inventory::new(hosts.iter().map(|text| {
            let (name, jump) = text.split_once('<').unwrap_or((text, ""));
            let names = |text: &str| text.split(',').filter(|n| !n.is_empty()).map(name_of).collect();
            Host { jump: names(jump), ..Host::new(name_of(name), "192.0.2.1") }
        }))
    }

    fn name_of(name: &str) -> TargetName {
        TargetName::parse(name).unwrap()
    }

    fn way(hosts: &[&str]) -> Result<Vec<String>, WrongWay> {
        let inventory = inventory(hosts);
        let way = inventory.way(inventory.host(&name_of("web")).unwrap())?;
        Ok(way.iter().map(|hop| hop.name.to_string()).collect())
    }

    #[test]
    fn the_first_jump_host_is_reached_as_it_says_and_later_ones_through_it() {
        assert_eq!(way(&["web"]).unwrap(), [""; 0]);
        assert_eq!(way(&["web<a,b", "a", "b"]).unwrap(), ["a", "b"]);
        assert_eq!(way(&["web<b", "b<a", "a<x", "x"]).unwrap(), ["x", "a", "b"]);
        assert_eq!(way(&["web<a,b", "a<x", "b<y", "x", "y"]).unwrap(), ["x", "a", "b"]);
    }

    #[test]
    fn loops_and_unknown_jump_hosts_are_no_way() {
        for looped in [
            &["web<web"][..],
            &["web<a", "a<web"],
            &["web<a,a", "a"],
            &["web<a", "a<b", "b<a"],
            &["web<a", "a<a"],
        ] {
            assert!(matches!(way(looped), Err(WrongWay::Loop(_))), "{looped:?}");
        }
        assert_eq!(way(&["web<x"]), Err(WrongWay::Unknown { name: name_of("x"), by: name_of("web") }));
        assert_eq!(way(&["web<a", "a<x"]), Err(WrongWay::Unknown { name: name_of("x"), by: name_of("a") }));
        let long: Vec<String> =
            (0..9).map(|n| format!("h{n}<h{}", n + 1)).chain(["web<h0".into(), "h9".into()]).collect();
        assert_eq!(way(&long.iter().map(String::as_str).collect::<Vec<_>>()), Err(WrongWay::TooLong));
    }
}
