//! `url` of an upstream, and what goes with it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use model::SecretLocation;

mod oauth;

pub use oauth::OAuthConfig;

use super::{SECRET_NAMES, Setting, Sources, secret_location, setting};
use crate::files::{must_be_private, must_exist};
use crate::forms::{self, Wrong};
use crate::node::{Node, Table};

/// A server that is reached over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpConfig {
    /// Its endpoint: `https`, or `http` to this machine.
    pub url: String,
    /// What is sent as `Authorization: Bearer`.
    pub bearer: Option<SecretLocation>,
    /// Who gives tokens for it, in the place of `bearer`.
    pub oauth: Option<OAuthConfig>,
    /// Headers of every request.
    pub headers: BTreeMap<String, Setting>,
    /// Whom it must have its certificate from, PEM.
    pub ca: Option<PathBuf>,
    /// The gateway's own certificate, and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The networks that it may lie in; `None` is every public one.
    pub allow: Option<Vec<IpNet>>,
    /// The networks that it may not lie in.
    pub block: Vec<IpNet>,
}

/// Headers that the protocol or the connection needs for itself.
const OURS: [&str; 14] = [
    "accept",
    "accept-encoding",
    "connection",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "last-event-id",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

pub(super) fn read(table: &Table<'_>, url: &Node<'_>, sources: &Sources) -> Option<HttpConfig> {
    let address = url.read(endpoint);
    let auth = table.table("auth");
    let bearer = auth.as_ref().and_then(|auth| auth.alternative("bearer"));
    let bearer = bearer.and_then(|node| secret_location(&node, sources));
    let oauth = auth.as_ref().and_then(|auth| auth.alternative("oauth"));
    let oauth = oauth.and_then(|node| oauth::read(&node.table()?, sources));
    let headers = headers(table, auth.is_some(), sources);
    let ca = table.node("ca").and_then(|node| file(&node));
    let identity = identity(table);
    if url.text().is_some_and(|text| text.starts_with("http://")) {
        for node in ["ca", "client_cert", "client_key"].iter().filter_map(|key| table.node(key)) {
            node.place.error("`url` begins with `http://`: there is no TLS");
        }
    }
    let networks = table.table("networks");
    let list = |key: &str| -> Vec<IpNet> {
        let items = networks.as_ref().map(|networks| networks.list(key)).unwrap_or_default();
        items.iter().filter_map(|item| item.read(forms::network)).collect()
    };
    let named = networks.as_ref().is_some_and(|networks| networks.node("allow").is_some());
    let allow = named.then(|| list("allow"));
    Some(HttpConfig { url: address?, bearer, oauth, headers, ca, identity, allow, block: list("block") })
}

fn headers(table: &Table<'_>, has_auth: bool, sources: &Sources) -> BTreeMap<String, Setting> {
    let secret_names: Vec<&str> = SECRET_NAMES.into_iter().chain(["AUTH", "COOKIE"]).collect();
    let mut headers = BTreeMap::new();
    for (name, place, value) in table.node("headers").map(|node| node.named()).unwrap_or_default() {
        let lower = name.to_ascii_lowercase();
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if name.is_empty() || !name.bytes().all(token) {
            place.error("expected the name of a header");
            continue;
        }
        if OURS.contains(&lower.as_str()) || lower.starts_with("mcp-") {
            place.error("is the gateway's own to write");
        }
        if has_auth && lower == "authorization" {
            place.error(Wrong::new("`auth` says it already").hint("write one of them"));
        }
        let setting = setting(name, &value, &secret_names, sources);
        let printable = |text: &String| text.bytes().all(|b| b == b'\t' || (0x20..=0x7e).contains(&b));
        if matches!(&setting, Some(Setting::Plain(text)) if !printable(text)) {
            value.place.error("has characters that no header can have");
        }
        if headers.contains_key(&lower) {
            place.error("the same header is written twice");
        }
        headers.extend(setting.map(|setting| (lower, setting)));
    }
    headers
}

fn identity(table: &Table<'_>) -> Option<(PathBuf, PathBuf)> {
    match (table.node("client_cert"), table.node("client_key")) {
        (Some(cert), Some(key)) => {
            let cert = file(&cert);
            let path = key.path()?;
            must_be_private(&key.place, &path);
            Some((cert?, path))
        }
        (Some(alone), None) => lonely(&alone, "client_key"),
        (None, Some(alone)) => lonely(&alone, "client_cert"),
        (None, None) => None,
    }
}

fn lonely<T>(node: &Node<'_>, other: &str) -> Option<T> {
    node.place.error(format!("needs `{other}` beside it"));
    None
}

fn file(node: &Node<'_>) -> Option<PathBuf> {
    let path = node.path()?;
    must_exist(&node.place, &path);
    Some(path)
}

/// The address of an endpoint.
fn endpoint(text: &str) -> Result<String, Wrong> {
    // Not quoted: somebody may have written a password into it.
    let wrong = |why: &str| {
        Wrong::new(format!("is not the address of a server: {why}"))
            .hint("write it whole, such as `https://mcp.example.com/mcp`")
    };
    let (rest, plain) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
        (Some(rest), _) => (rest, false),
        (None, Some(rest)) => (rest, true),
        (None, None) => return Err(wrong("it must begin with `https://`")),
    };
    let (authority, path) = match rest.find(['/', '?', '#']) {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    if authority.contains('@') {
        return Err(wrong("it holds a user or a password; those belong into `auth` or `headers`"));
    }
    let authority = forms::allowed_host(authority).map_err(|_| wrong("it names no host"))?;
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"/._~-%?=&+:@,;!$'()*".contains(&b);
    if !path.bytes().all(fits) {
        return Err(wrong("its path has a fragment, blanks or other characters that belong to no path"));
    }
    if plain && !is_this_machine(&authority) {
        return Err(wrong("`http://` is for this machine alone, such as `http://127.0.0.1:8000/mcp`"));
    }
    Ok(text.to_owned())
}

fn is_this_machine(authority: &str) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        Some(_) | None => authority,
    };
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.to_canonical().is_loopback())
}
