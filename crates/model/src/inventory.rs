//! What the operator declared: the hosts and how each is reached.

use std::collections::{BTreeMap, BTreeSet};

use crate::{CredentialPattern, CredentialRef, CredentialSpec, Target, TargetKind, TargetName};

/// All declared targets, checked. Immutable; a reload makes another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    hosts: BTreeMap<TargetName, Host>,
}

impl Inventory {
    /// Takes hosts over; of two with one name the later wins (the configuration refuses that before).
    pub fn new(hosts: impl IntoIterator<Item = Host>) -> Self {
        Self { hosts: hosts.into_iter().map(|host| (host.name.clone(), host)).collect() }
    }

    /// All hosts, by name.
    pub fn hosts(&self) -> impl Iterator<Item = &Host> {
        self.hosts.values()
    }

    /// The host of this alias.
    pub fn host(&self, name: &TargetName) -> Option<&Host> {
        self.hosts.get(name)
    }

    /// What an agent may write as `host`: an alias, or the exact address of exactly one entry.
    pub fn find_host(&self, alias_or_address: &str) -> Option<&Host> {
        if let Some(host) = TargetName::parse(alias_or_address).ok().and_then(|name| self.hosts.get(&name)) {
            return Some(host);
        }
        let mut matching = self.hosts.values().filter(|host| host.address == alias_or_address);
        matching.next().filter(|_| matching.next().is_none())
    }
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
    /// A note for people and agents.
    pub notes: Option<String>,
}

impl Host {
    /// The host as policy sees it.
    pub fn target(&self) -> Target {
        Target {
            name: self.name.clone(),
            kind: TargetKind::Host,
            tags: self.tags.clone(),
            address: Some(self.address.clone()),
        }
    }

    /// Whether a handle for this credential may be used here, as far as the inventory says.
    pub fn admits(&self, credential: &CredentialRef) -> bool {
        self.credential == Some(CredentialSpec::Stored(credential.clone()))
            || self.credentials.iter().any(|pattern| pattern.covers(credential))
    }
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
