//! `[[principal]]`: who may connect, and how each is known.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use model::{GroupName, PrincipalId};

use super::networks;
use crate::forms::{self, Wrong};
use crate::node::{Node, Place, Table};

/// A principal with the ways it can be known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrincipalConfig {
    /// Its name.
    pub id: PrincipalId,
    /// Its groups.
    pub groups: BTreeSet<GroupName>,
    /// Hashes of its API keys: two or more only while one is being replaced.
    pub api_keys: Vec<ApiKeyHash>,
    /// The subject alternative name of its client certificate.
    pub certificate_san: Option<String>,
    /// Networks it may come from over HTTP; empty is anywhere.
    pub from: Vec<IpNet>,
    /// The user of this machine that it is.
    pub os_user: Option<String>,
    /// Whether it is everybody who comes over HTTP from `from` and presents nothing. No file says so; who stands in for a
    /// program that had it so sets it.
    pub keyless: bool,
}

impl PrincipalConfig {
    /// Whether it has a way to authenticate over HTTP.
    pub(crate) fn comes_over_http(&self) -> bool {
        !self.api_keys.is_empty() || self.certificate_san.is_some()
    }
}

/// What the configuration holds of an API key: its prefix, which may be shown, and BLAKE3 of the whole key. Keys are
/// long and random, so this can be read by anybody and turned back by nobody.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ApiKeyHash {
    text: String,
    prefix: String,
}

/// A text that is no hash of an API key. It is not quoted: it may be the key itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected the hash of an API key: `pk_`, 8 hex digits, `:` and 64 hex digits")]
pub struct MalformedKeyHash;

impl ApiKeyHash {
    /// Reads `pk_PREFIX:HASH` with lower-case digits.
    pub fn parse(text: &str) -> Result<Self, MalformedKeyHash> {
        let (prefix, hash) = text.split_once(':').ok_or(MalformedKeyHash)?;
        let hex = |digits: &str, count| {
            digits.len() == count && digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        };
        let fits = prefix.strip_prefix("pk_").is_some_and(|digits| hex(digits, 8)) && hex(hash, 64);
        fits.then(|| Self { text: text.to_owned(), prefix: prefix.to_owned() }).ok_or(MalformedKeyHash)
    }

    /// Of a token that another program made, by its whole hash. No file says so.
    pub fn of_token(hash: String) -> Self {
        Self { text: hash, prefix: "token".to_owned() }
    }

    /// The whole, as it is written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// `pk_` and eight digits: the part that the key itself begins with.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }
}

pub(super) fn read(root: &Table<'_>) -> Vec<PrincipalConfig> {
    let mut taken = Taken::default();
    root.list("principal")
        .iter()
        .filter_map(Node::table)
        .filter_map(|table| principal(&table, &mut taken))
        .collect()
}

/// What may belong to one principal only, with where it was first written.
#[derive(Default)]
struct Taken<'a>(BTreeMap<(&'static str, String), Place<'a>>);

impl<'a> Taken<'a> {
    fn claim(&mut self, kind: &'static str, text: String, place: &Place<'a>) {
        match self.0.get(&(kind, text.clone())) {
            Some(first) => place.error(format!("the same {kind} is already at {}", first.seen_from(place))),
            None => {
                self.0.insert((kind, text), place.clone());
            }
        }
    }
}

fn principal<'a>(table: &Table<'a>, taken: &mut Taken<'a>) -> Option<PrincipalConfig> {
    let id = table.node("id").and_then(|node| {
        let id = node.read(PrincipalId::parse)?;
        taken.claim("id", id.to_string(), &node.place);
        Some(id)
    });
    let groups = table.list("groups").iter().filter_map(|node| node.read(GroupName::parse)).collect();
    let api_keys: Vec<_> = api_key_tables(table).iter().filter_map(|key| api_key(key, taken)).collect();
    let certificate_san =
        table.table("certificate").and_then(|certificate| certificate.node("san")).and_then(|node| {
            let san = node.read(forms::alternative_name)?;
            taken.claim("subject alternative name", san.to_ascii_lowercase(), &node.place);
            Some(san)
        });
    let os_user = table.node("os_user").and_then(|node| {
        let user = node.read(forms::account)?;
        taken.claim("user of this machine", user.clone(), &node.place);
        Some(user)
    });
    if let Some(from) = table.node("from")
        && from.value.as_array().is_some_and(|items| items.is_empty())
    {
        from.place.error(
            Wrong::new("an empty list lets it come from nowhere")
                .hint("name the networks, or leave the key out"),
        );
    }
    let known_by = ["api_key", "certificate", "os_user"];
    if known_by.iter().all(|key| table.node(key).is_none()) {
        let wrong = Wrong::new("this principal can never be authenticated");
        table.place.warn(wrong.hint("give it `api_key`, `certificate` or `os_user`"));
    }
    Some(PrincipalConfig {
        id: id?,
        groups,
        api_keys,
        certificate_san,
        from: networks(table, "from"),
        os_user,
        keyless: false,
    })
}

fn api_key_tables<'a>(principal: &Table<'a>) -> Vec<Table<'a>> {
    let Some(node) = principal.node("api_key") else { return Vec::new() };
    match node.table() {
        Some(one) => vec![one],
        None => node.list().iter().filter_map(Node::table).collect(),
    }
}

fn api_key<'a>(table: &Table<'a>, taken: &mut Taken<'a>) -> Option<ApiKeyHash> {
    let node = table.node("hash")?;
    let hash = node.read(|text| {
        ApiKeyHash::parse(text).map_err(|wrong| {
            Wrong::new(wrong.to_string())
                .hint("`portcullis key new` prints the line; the key itself is never written here")
        })
    })?;
    taken.claim("API key", hash.as_str().to_owned(), &node.place);
    Some(hash)
}
