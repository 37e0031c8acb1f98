//! Accounts and applications, and which account a query means.

use std::collections::BTreeMap;
use std::net::IpAddr;

/// An account as it is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CcpAccount {
    /// The safe it is in.
    pub safe: String,
    /// The folder in it; `Root` if empty.
    pub folder: String,
    /// Its name, which requests call `Object`.
    pub name: String,
    /// The user it is for.
    pub user_name: String,
    /// The secret.
    pub content: String,
    /// Anything else: `Address`, `Database`, `PolicyID`, `VirtualUsername` ...
    pub properties: BTreeMap<String, String>,
    /// Whether its password is being changed right now.
    pub changing: bool,
    /// Of two accounts for one virtual user, whether this one rests.
    pub inactive: bool,
}

impl CcpAccount {
    /// An account with nothing beside its secret.
    pub fn new(safe: &str, name: &str, user_name: &str, content: &str) -> Self {
        let text = str::to_owned;
        Self {
            safe: text(safe),
            name: text(name),
            user_name: text(user_name),
            content: text(content),
            ..Self::default()
        }
    }

    /// With one property more.
    #[must_use]
    pub fn with(mut self, property: &str, value: &str) -> Self {
        self.properties.insert(property.to_owned(), value.to_owned());
        self
    }

    pub(super) fn folder(&self) -> &str {
        if self.folder.is_empty() { "Root" } else { &self.folder }
    }

    fn property(&self, name: &str) -> Option<&str> {
        Some(match name.to_ascii_lowercase().as_str() {
            "safe" => &self.safe,
            "folder" => self.folder(),
            "object" | "name" => &self.name,
            "username" => &self.user_name,
            _ => self.properties.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?.1,
        })
    }
}

/// An application that may retrieve accounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CcpApplication {
    /// Its name, exact.
    pub id: String,
    /// Where it may ask from; anywhere if empty.
    pub machines: Vec<IpAddr>,
    /// The certificate it must show, in PEM, if any.
    pub certificate: Option<String>,
    /// Safes on which it has List and Retrieve.
    pub safes: Vec<String>,
}

impl CcpApplication {
    /// An application that may ask from this machine for what is in these safes.
    pub fn new(id: &str, safes: &[&str]) -> Self {
        Self {
            id: id.to_owned(),
            machines: vec!["127.0.0.1".parse().expect("an address")],
            certificate: None,
            safes: safes.iter().map(|safe| (*safe).to_owned()).collect(),
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Vault {
    pub(super) applications: Vec<CcpApplication>,
    pub(super) accounts: Vec<CcpAccount>,
    pub(super) down: bool,
    pub(super) ignores_case: bool,
}

impl Vault {
    /// The accounts of the application's safes that have all these properties. Of a pair for one virtual user, the active.
    pub(super) fn find(&self, by: &[(String, String)], regexp: bool, safes: &[String]) -> Vec<&CcpAccount> {
        let same = |is: &str, wanted: &str| match regexp {
            true => resembles(wanted, is),
            false if self.ignores_case => is.eq_ignore_ascii_case(wanted),
            false => is == wanted,
        };
        let fits = |account: &&CcpAccount| {
            safes.contains(&account.safe)
                && by.iter().all(|(name, wanted)| account.property(name).is_some_and(|is| same(is, wanted)))
        };
        let virtual_user = by.iter().any(|(name, _)| name.eq_ignore_ascii_case("VirtualUsername"));
        self.accounts.iter().filter(fits).filter(|account| !(virtual_user && account.inactive)).collect()
    }
}

/// As much of regular expressions as tests need: `.*` stands for anything, everything else for itself.
fn resembles(pattern: &str, text: &str) -> bool {
    match pattern.split_once(".*") {
        None => pattern == text,
        Some((head, tail)) => text.strip_prefix(head).is_some_and(|rest| {
            (0..=rest.len()).any(|at| rest.get(at..).is_some_and(|rest| resembles(tail, rest)))
        }),
    }
}
