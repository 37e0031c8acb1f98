//! Who is known to the gateway, and what proves that it is them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use model::{Principal, PrincipalId};

use crate::api_key;
use crate::authenticate::{Authenticated, Presented, Proof};

/// One `[[principal]]`.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Who it is.
    pub principal: Arc<Principal>,
    /// Hashes of its API keys, as `key new` printed them, or of tokens of another program's making.
    pub api_keys: Vec<String>,
    /// The certificate name that proves it, if there is one.
    pub certificate: Option<String>,
    /// If not empty, network clients must come from here.
    pub from: Vec<IpNet>,
    /// The local user that proves it, if there is one.
    pub os_user: Option<String>,
    /// Whether it is everybody who comes over HTTP, from `from`, and presents nothing. No configuration of ours can say so.
    pub keyless: bool,
}

/// Why nobody is known by what was presented. For the record, never for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stranger {
    /// Nothing was presented.
    Nothing,
    /// What cannot be read, or things that contradict each other.
    Unreadable,
    /// Nobody has it.
    Unknown,
    /// Somebody has it who must come from elsewhere.
    Elsewhere,
}

impl Stranger {
    /// In the words of the record.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Nothing => "no credential",
            Self::Unreadable => "no readable credential",
            Self::Unknown => "unknown credential",
            Self::Elsewhere => "wrong network",
        }
    }
}

/// All principals, found by what they present.
#[derive(Debug, Default)]
pub struct Directory {
    entries: Vec<Entry>,
    by_key_prefix: HashMap<String, Vec<(usize, Arc<str>)>>,
    by_certificate: HashMap<Arc<str>, usize>,
    by_os_user: HashMap<String, usize>,
    /// Hashes that have no prefix to be found by.
    tokens: Vec<(usize, Arc<str>)>,
    keyless: Option<usize>,
}

impl Directory {
    /// Indexes the entries. Doubles are refused by the configuration before; here the first one wins.
    pub fn new(entries: Vec<Entry>) -> Self {
        let mut directory = Self::default();
        for (at, entry) in entries.iter().enumerate() {
            for hash in &entry.api_keys {
                let found = match api_key::hash_prefix(hash) {
                    Some(prefix) => directory.by_key_prefix.entry(prefix.to_owned()).or_default(),
                    None => &mut directory.tokens,
                };
                found.push((at, hash.as_str().into()));
            }
            if let Some(name) = &entry.certificate {
                directory.by_certificate.entry(name.as_str().into()).or_insert(at);
            }
            if entry.keyless {
                directory.keyless.get_or_insert(at);
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

    /// Whether this is still somebody known, and by the same proof.
    pub(crate) fn still_proves(&self, id: &PrincipalId, proof: &Proof) -> bool {
        self.entries.iter().find(|entry| entry.principal.id == *id).is_some_and(|entry| {
            let has_key = |key: &str| entry.api_keys.iter().any(|hash| hash == key);
            let has_name = |name: &str| entry.certificate.as_deref() == Some(name);
            proof.api_key.as_deref().is_none_or(has_key) && proof.certificate.as_deref().is_none_or(has_name)
        })
    }

    /// Whose proofs these are, and which. Every proof that was presented must hold and all must name one principal.
    pub(crate) fn identify(&self, presented: &Presented<'_>) -> Result<(&Arc<Principal>, Proof), Stranger> {
        let by_key = match presented.api_keys {
            [] => None,
            [first, others @ ..] if others.iter().all(|other| other == first) => {
                Some(self.by_key(first).ok_or(Stranger::Unknown)?)
            }
            [..] => return Err(Stranger::Unreadable),
        };
        // A certificate can have several names; it gives none of them more than the others.
        let certificates: Vec<(&Arc<str>, usize)> = presented
            .certificate_names
            .iter()
            .filter_map(|name| self.by_certificate.get_key_value(name.as_str()))
            .map(|(name, at)| (name, *at))
            .collect();
        let by_user = presented.os_user.and_then(|user| self.by_os_user.get(user));
        let mut named = (by_key.iter().map(|(at, _)| *at))
            .chain(certificates.iter().map(|(_, at)| *at))
            .chain(by_user.copied());
        let who = match named.next() {
            Some(who) => who,
            None => self.keyless.filter(|_| is_bare(presented)).ok_or_else(|| nobody(presented))?,
        };
        if named.any(|other| other != who) {
            return Err(Stranger::Unreadable);
        }
        let entry = self.entries.get(who).ok_or(Stranger::Unknown)?;
        if !comes_from(&entry.from, presented) {
            return Err(Stranger::Elsewhere);
        }
        let certificate = certificates.first().map(|(name, _)| Arc::clone(name));
        Ok((&entry.principal, Proof { api_key: by_key.map(|(_, hash)| hash), certificate }))
    }

    /// Who a client is now that proved itself before, if its proof still counts.
    pub(crate) fn renew(&self, who: &Authenticated<()>) -> Option<&Arc<Principal>> {
        let id = &who.principal().id;
        let entry = self.entries.iter().find(|entry| entry.principal.id == *id)?;
        let origin = who.origin();
        let presented =
            Presented { client_ip: origin.client_ip, transport: origin.transport, ..Presented::default() };
        let counts = self.still_proves(id, who.proof()) && comes_from(&entry.from, &presented);
        counts.then_some(&entry.principal)
    }

    fn by_key(&self, presented: &str) -> Option<(usize, Arc<str>)> {
        let own = api_key::prefix(presented).and_then(|prefix| self.by_key_prefix.get(prefix));
        let mut own = own.into_iter().flatten();
        let found = own.find(|(_, hash)| api_key::verify(hash, presented));
        found.or_else(|| self.tokens.iter().find(|(_, hash)| api_key::verify_token(hash, presented))).cloned()
    }
}

/// Whether a client over HTTP presents nothing at all.
fn is_bare(presented: &Presented<'_>) -> bool {
    presented.transport == "http" && nobody(presented) == Stranger::Nothing
}

fn nobody(presented: &Presented<'_>) -> Stranger {
    let nothing = presented.api_keys.is_empty()
        && presented.certificate_names.is_empty()
        && presented.os_user.is_none();
    if nothing { Stranger::Nothing } else { Stranger::Unknown }
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use model::{Principal, PrincipalId};

    use super::{Directory, Entry, Stranger};
    use crate::{Presented, api_key};

    const STRANGE_KEY: &str = "pk_00000000_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    struct Known {
        directory: Directory,
        key: String,
    }

    /// `a` has a key, `b` the certificate name `b.example` and the local user `bob`, `c` the name `c.example` and a
    /// network.
    fn known() -> Known {
        let (key, hash) = api_key::generate(&testkit::SeededEntropy::new(7)).unwrap();
        let entry = |id: &str| Entry {
            principal: Arc::new(Principal { id: PrincipalId::parse(id).unwrap(), groups: [].into() }),
            api_keys: Vec::new(),
            certificate: None,
            from: Vec::new(),
            os_user: None,
            keyless: false,
        };
        let directory = Directory::new(vec![
            Entry { api_keys: vec![hash], ..entry("a") },
            Entry { certificate: Some("b.example".into()), os_user: Some("bob".into()), ..entry("b") },
            Entry {
                certificate: Some("c.example".into()),
                from: vec!["10.0.0.0/8".parse().unwrap()],
                ..entry("c")
            },
        ]);
        Known { directory, key: key.reveal().to_owned() }
    }

    fn who(keys: &[&str], names: &[&str], os_user: Option<&str>, ip: Option<&str>) -> Option<String> {
        let known = known();
        let keys: Vec<&str> =
            keys.iter().map(|key| if *key == "a" { known.key.as_str() } else { key }).collect();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let presented = Presented {
            api_keys: &keys,
            certificate_names: &names,
            os_user,
            client_ip: ip.map(|ip| ip.parse().unwrap()),
            transport: "http",
            agent: None,
        };
        known.directory.identify(&presented).ok().map(|(principal, _)| principal.id.to_string())
    }

    #[test]
    fn each_proof_names_its_principal() {
        assert_eq!(who(&["a"], &[], None, None).as_deref(), Some("a"));
        assert_eq!(who(&["a", "a"], &["gate.example"], None, None).as_deref(), Some("a"));
        assert_eq!(who(&[], &["gate.example", "b.example"], None, None).as_deref(), Some("b"));
        assert_eq!(who(&[], &["b.example"], Some("bob"), None).as_deref(), Some("b"));
        assert_eq!(who(&[], &["c.example"], None, Some("::ffff:10.1.2.3")).as_deref(), Some("c"));
    }

    #[test]
    fn who_presents_nothing_is_somebody_only_over_http_from_where_that_is_said() {
        let entry = Entry {
            principal: Arc::new(Principal { id: PrincipalId::parse("d").unwrap(), groups: [].into() }),
            api_keys: vec![api_key::token_hash("s3cret")],
            certificate: None,
            from: vec!["192.0.2.0/24".parse().unwrap()],
            os_user: None,
            keyless: true,
        };
        let asked = |entry: &Entry, keys: &[&str], transport, ip: Option<&str>| {
            let client_ip = ip.map(|ip| ip.parse().unwrap());
            let presented = Presented { api_keys: keys, transport, client_ip, ..Presented::default() };
            let directory = Directory::new(vec![entry.clone()]);
            directory.identify(&presented).map(|_| ()).map_err(Stranger::reason)
        };
        assert_eq!(asked(&entry, &[], "http", Some("192.0.2.1")), Ok(()));
        assert_eq!(asked(&entry, &["s3cret"], "http", Some("192.0.2.1")), Ok(()));
        assert_eq!(asked(&entry, &["wrong"], "http", Some("192.0.2.1")), Err("unknown credential"));
        assert_eq!(asked(&entry, &["s3cret", "x"], "http", Some("192.0.2.1")), Err("no readable credential"));
        assert_eq!(asked(&entry, &[], "http", Some("198.51.100.1")), Err("wrong network"));
        assert_eq!(asked(&entry, &[], "http", None), Err("wrong network"));
        assert_eq!(asked(&entry, &[], "socket", None), Err("no credential"));
        let closed = Entry { keyless: false, ..entry };
        assert_eq!(asked(&closed, &[], "http", Some("192.0.2.1")), Err("no credential"));
    }

    #[test]
    fn whatever_does_not_fit_together_is_nobody() {
        for (keys, names, os_user, ip) in [
            (&[][..], &[][..], None, None),
            (&[""], &[], None, None),
            (&[STRANGE_KEY], &[], None, None),
            (&["a", STRANGE_KEY], &[], None, None),
            (&[STRANGE_KEY], &["b.example"], Some("bob"), None),
            (&["a"], &["b.example"], None, None),
            (&["a"], &[], Some("bob"), None),
            (&[], &["gate.example"], Some("eve"), None),
            (&[], &["b.example", "c.example"], None, Some("10.1.2.3")),
            (&[], &["c.example"], Some("bob"), Some("10.1.2.3")),
            (&[], &["c.example"], None, Some("192.0.2.1")),
            (&[], &["c.example"], None, None),
        ] {
            assert_eq!(who(keys, names, os_user, ip), None, "{keys:?} {names:?} {os_user:?} {ip:?}");
        }
    }
}
