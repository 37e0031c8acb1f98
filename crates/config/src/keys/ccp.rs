//! The keys of `kind = "cyberark-ccp"`.

use std::time::Duration;

use super::configuration::{FETCH, KIND, NAME};
use super::{ENV, FILE};
use crate::shape::{Key, Kind, key, word};

pub(super) const SOURCE: &[Key] = &[
    KIND,
    NAME,
    FETCH,
    key(
        "url",
        Kind::Text,
        "The whole address of the web service, such as `https://ccp.example.internal/AIMWebService/api/Accounts`. Only `https`; redirects and proxies are not followed.",
    )
    .required(),
    key(
        "app_id",
        Kind::Text,
        "The application that is defined in CyberArk for the gateway, upper and lower case exactly. No agent can ask as another.",
    )
    .required(),
    key(
        "ca",
        Kind::Path,
        "Certificate authorities of the web service, PEM; no others are believed then.",
    )
    .or("those of the system"),
    key(
        "client_pfx",
        Kind::Table(PFX),
        "The gateway's own certificate and key in one PKCS #12 file, as CyberArk's administrators hand it out.",
    )
    .or("none"),
    key("client_cert", Kind::Path, "The gateway's own certificate and its chain, PEM; instead of `client_pfx`.").or("none"),
    key("client_key", Kind::Path, "Its key, PEM, without a passphrase, in a file that others cannot read.").or("none"),
    key("folder", Kind::Text, "The folder in the safes that accounts lie in.").or("CyberArk's own, `Root`"),
    key(
        "reason",
        Kind::Text,
        "What is sent as the reason where the agent gave `get_credential` none, and for a host's own credential. CyberArk keeps reasons in its audit, and may demand one.",
    )
    .or("none"),
    key(
        "timeout",
        Kind::Duration { min: Duration::from_secs(1), max: Duration::from_secs(55) },
        "How long a retrieval may take, retries included: at most `55s`.",
    )
    .or("`30s`"),
    key(
        "connect_timeout",
        Kind::Duration { min: Duration::from_millis(100), max: Duration::from_secs(30) },
        "How long a connection may take, TLS included; less than `timeout`.",
    )
    .or("`5s`"),
    key(
        "vault_timeout",
        Kind::Duration { min: Duration::from_secs(1), max: Duration::from_secs(50) },
        "How long the web service may take to reach its vault (`ConnectionTimeout`), in whole seconds; less than `timeout`.",
    )
    .or("`10s`"),
    key(
        "password_change",
        Kind::Words(&[word("refuse"), word("use")]),
        "What is done while CyberArk changes a password, when what it gives may be the old one. `refuse`: it is asked again twice within `timeout`, then the retrieval fails. `use`: the password is used as it is, with a warning in the log.",
    )
    .or("`refuse`"),
    key(
        "account",
        Kind::List(&Kind::Table(ACCOUNT)),
        "Names that stand for something else than the object of that name; one table each. Without one, `SAFE/OBJECT` is the account of that name in that safe.",
    )
    .or("none"),
];

const PFX: &[Key] = &[
    key("file", Kind::Path, "The file, which others must not be able to read.").required(),
    key("password", Kind::Either(&[Kind::Literal, Kind::Choice(&[ENV, FILE])]), "Its password.").or("none"),
];

const ACCOUNT: &[Key] = &[
    key("name", Kind::Text, "The name as rules and the inventory have it, without the source: `SAFE/OBJECT`. The account is looked for in that safe.")
        .required(),
    key("object", Kind::Text, "The account's name in CyberArk (`Object`)."),
    key("folder", Kind::Text, "Its folder.").or("the source's `folder`"),
    key("user_name", Kind::Text, "Its user name."),
    key("address", Kind::Text, "Its address."),
    key("database", Kind::Text, "Its database."),
    key("policy_id", Kind::Text, "Its platform (`PolicyID`)."),
    key(
        "query",
        Kind::Text,
        "Instead of all these, a query in CyberArk's own form, which should name the safe, too: `Safe=PROD;VirtualUsername=svc` finds the active one of a pair of accounts.",
    ),
    key("query_format", Kind::Words(&[word("exact"), word("regexp")]), "How the values in `query` are read.").or("`exact`"),
    key("passphrase", Kind::Text, "Another object in the same safe, which holds the passphrase of this one's private key.").or("none"),
];
