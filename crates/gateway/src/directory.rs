//! Who is known to the gateway, and what proves that it is them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use model::Principal;

use crate::api_key;
use crate::authenticate::Presented;

/// One `[[principal]]`.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Who it is.
    pub principal: Arc<Principal>,
    /// Hashes of its API keys, as `key new` printed them.
    pub api_keys: Vec<String>,
    /// The certificate name that proves it, if there is one.
    pub certificate: Option<String>,
    /// If not empty, network clients must come from here.
    pub from: Vec<IpNet>,
    /// The local user that proves it, if there is one.
    pub os_user: Option<String>,
}

/// All principals, found by what they present.
#[derive(Debug, Default)]
pub struct Directory {
    entries: Vec<Entry>,
    by_key_prefix: HashMap<String, Vec<(usize, String)>>,
    by_certificate: HashMap<String, usize>,
    by_os_user: HashMap<String, usize>,
}

impl Directory {
    /// Indexes the entries. Doubles are refused by the configuration before; here the first one wins.
    pub fn new(entries: Vec<Entry>) -> Self {
        let mut directory = Self::default();
        for (at, entry) in entries.iter().enumerate() {
            for hash in &entry.api_keys {
                if let Some(prefix) = api_key::hash_prefix(hash) {
                    directory.by_key_prefix.entry(prefix.to_owned()).or_default().push((at, hash.clone()));
                }
            }
            if let Some(name) = &entry.certificate {
                directory.by_certificate.entry(name.clone()).or_insert(at);
            }
            if let Some(user) = &entry.os_user {
                directory.by_os_user.entry(user.clone()).or_insert(at);
            }
        }
        directory.entries = entries;
        directory
    }

    /// All entries, in the order of the configuration.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The principal of this id.
    pub fn principal(&self, id: &str) -> Option<&Arc<Principal>> {
        self.entries.iter().map(|entry| &entry.principal).find(|principal| principal.id.as_str() == id)
    }

    /// Whose proofs these are. Every proof that was presented must hold and all must name one principal.
    pub(crate) fn identify(&self, presented: &Presented<'_>) -> Option<&Arc<Principal>> {
        let by_key = match presented.api_keys {
            [] => None,
            [first, others @ ..] if others.iter().all(|other| other == first) => Some(self.by_key(first)?),
            [..] => return None,
        };
        let by_certificate =
            presented.certificate_names.iter().find_map(|name| self.by_certificate.get(name)).copied();
        let by_user = presented.os_user.and_then(|user| self.by_os_user.get(user)).copied();
        let mut named = [by_key, by_certificate, by_user].into_iter().flatten();
        let who = named.next()?;
        if named.any(|other| other != who) {
            return None;
        }
        let entry = self.entries.get(who)?;
        comes_from(&entry.from, presented).then_some(&entry.principal)
    }

    fn by_key(&self, presented: &str) -> Option<usize> {
        let candidates = self.by_key_prefix.get(api_key::prefix(presented)?)?;
        candidates.iter().find(|(_, hash)| api_key::verify(hash, presented)).map(|(at, _)| *at)
    }
}

/// `from` bounds network clients; sockets and stdio have no address, their proof is the kernel's.
fn comes_from(networks: &[IpNet], presented: &Presented<'_>) -> bool {
    let inside = |ip: IpAddr| networks.iter().any(|network| network.contains(&ip.to_canonical()));
    networks.is_empty()
        || match presented.client_ip {
            Some(ip) => inside(ip),
            None => presented.transport != "http",
        }
}
