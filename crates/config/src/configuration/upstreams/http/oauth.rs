//! `auth = { oauth = {...} }` of an upstream.

use model::SecretLocation;

use super::{Sources, endpoint, secret_location};
use crate::forms::Wrong;
use crate::node::{Node, Table};

/// OAuth client credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuthConfig {
    /// The authorization server as it calls itself.
    pub issuer: Option<String>,
    /// Where it gives tokens.
    pub token_url: Option<String>,
    /// Who we are for it.
    pub client_id: String,
    /// What proves it.
    pub client_secret: SecretLocation,
    /// Whether the secret is sent in the body of the request.
    pub in_body: bool,
    /// What the token is to be good for.
    pub scopes: Vec<String>,
    /// What the token is to be good at; the upstream's `url` unless it is written.
    pub resource: Option<String>,
    /// Whether the upstream is asked what it is called as a resource.
    pub resource_metadata: bool,
}

pub(super) fn read(table: &Table<'_>, sources: &Sources) -> Option<OAuthConfig> {
    let (issuer, token_url) = (table.node("issuer"), table.node("token_url"));
    if issuer.is_none() && token_url.is_none() {
        let wrong = Wrong::new("is missing");
        table.place_of("token_url").error(wrong.hint("write it, or `issuer`, which is asked for it"));
    }
    let metadata = table.node("resource_metadata").filter(|node| node.flag() == Some(true));
    if let Some(node) = &metadata {
        if issuer.is_none() {
            node.place
                .error("needs `issuer` beside it: the upstream alone does not say who is shown the secret");
        }
        if table.node("resource").is_some() {
            node.place.error(Wrong::new("`resource` says it already").hint("write one of them"));
        }
    }
    let url = |node: &Node<'_>| node.read(endpoint);
    let client_id = table.node("client_id").and_then(|node| node.read(visible));
    let client_secret = table.node("client_secret").and_then(|node| secret_location(&node, sources));
    let scopes = table.list("scopes").iter().filter_map(|node| node.read(scope)).collect();
    let resource = table.node("resource").and_then(|node| node.read(resource));
    Some(OAuthConfig {
        issuer: issuer.as_ref().and_then(url),
        token_url: token_url.as_ref().and_then(url),
        client_id: client_id?,
        client_secret: client_secret?,
        in_body: table.node("client_auth").as_ref().and_then(Node::text) == Some("post"),
        scopes,
        resource,
        resource_metadata: metadata.is_some(),
    })
}

fn visible(text: &str) -> Result<String, Wrong> {
    match !text.is_empty() && text.bytes().all(|b| (0x20..=0x7e).contains(&b)) {
        true => Ok(text.to_owned()),
        false => Err(Wrong::new("is empty or has characters that no client's name has")),
    }
}

fn scope(text: &str) -> Result<String, Wrong> {
    let fits = |b: u8| b.is_ascii_graphic() && b != b'"' && b != b'\\';
    match !text.is_empty() && text.bytes().all(fits) {
        true => Ok(text.to_owned()),
        false => Err(Wrong::new("is no scope").hint("write one in each text, without blanks")),
    }
}

fn resource(text: &str) -> Result<String, Wrong> {
    let whole = text.contains("://") && !text.contains('#') && text.bytes().all(|b| b.is_ascii_graphic());
    match whole {
        true => Ok(text.to_owned()),
        false => Err(Wrong::new("is no address").hint("write it whole and without a fragment")),
    }
}
