//! `kind = "cyberark-ccp"`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::{CredentialRef, SecretLocation};

use super::secrets::{Sources, secret_location};
use crate::files::{must_be_private, must_exist, must_lie_outside};
use crate::forms::{self, Wrong};
use crate::node::{Node, Place, Table};

/// CyberArk's Central Credential Provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CcpConfig {
    /// `https://`, a host, and the path of the web service.
    pub url: String,
    /// The application that the gateway is for CyberArk.
    pub app_id: String,
    /// The folder of accounts, where it is not `Root`.
    pub folder: Option<String>,
    /// The reason that is sent where the agent gives none.
    pub reason: Option<String>,
    /// Certificate authorities, instead of the system's.
    pub ca: Option<PathBuf>,
    /// The gateway's certificate.
    pub identity: Option<CcpIdentity>,
    /// For one connection.
    pub connect_timeout: Duration,
    /// For a whole retrieval.
    pub timeout: Duration,
    /// For the web service to reach its vault.
    pub vault_timeout: Duration,
    /// Whether a password that is being changed is used as it is.
    pub use_changing: bool,
    /// Names that stand for something else than the object of that name.
    pub accounts: Vec<CcpAccount>,
}

/// The gateway's certificate and key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CcpIdentity {
    /// A PKCS #12 file and its password.
    Pfx {
        /// The file.
        file: PathBuf,
        /// Its password.
        password: Option<SecretLocation>,
    },
    /// PEM files.
    Pem {
        /// Certificate and chain.
        cert: PathBuf,
        /// The key.
        key: PathBuf,
    },
}

/// A name, and how its account is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CcpAccount {
    /// Safe of the name and of the account.
    pub safe: String,
    /// Object of the name.
    pub object: String,
    /// By what it is found.
    pub by: CcpCriteria,
    /// Object that holds the passphrase of its key.
    pub passphrase: Option<String>,
}

/// By what an account is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CcpCriteria {
    /// Properties with their values: keys of the table as they are written. At least one.
    Properties(BTreeMap<&'static str, String>),
    /// CyberArk's own form of query.
    Query {
        /// The query.
        query: String,
        /// Whether its values are regular expressions.
        regexp: bool,
    },
}

const PROPERTIES: [&str; 6] = ["object", "folder", "user_name", "address", "database", "policy_id"];

pub(super) fn read(table: &Table<'_>, state: &Path) -> Option<CcpConfig> {
    let text = |key: &str| table.node(key).and_then(|node| node.read(value));
    let time = |key: &str, or: u64| {
        table.node(key).and_then(|node| node.duration()).unwrap_or(Duration::from_secs(or))
    };
    let url = table.node("url").and_then(|node| node.read(web_service));
    let app_id = table.node("app_id").and_then(|node| node.read(application));
    let (connect_timeout, timeout, vault_timeout) =
        (time("connect_timeout", 5), time("timeout", 30), time("vault_timeout", 10));
    for (key, part) in [("connect_timeout", connect_timeout), ("vault_timeout", vault_timeout)] {
        if part >= timeout {
            let wrong = Wrong::new(format!("`{key}` leaves nothing of `timeout`, which bounds the whole"));
            table
                .place_of(key)
                .error(wrong.hint("write a shorter one, or a longer `timeout` (at most `55s`)"));
        }
    }
    let ca = table.node("ca").and_then(|node| file(&node));
    let identity = identity(table, state);
    let use_changing = table.node("password_change").and_then(|node| node.text()) == Some("use");
    let (folder, reason) = (text("folder"), table.node("reason").and_then(|node| node.read(reason)));
    let accounts = accounts(table);
    Some(CcpConfig {
        url: url?,
        app_id: app_id?,
        folder,
        reason,
        ca,
        identity,
        connect_timeout,
        timeout,
        vault_timeout,
        use_changing,
        accounts,
    })
}

fn identity(table: &Table<'_>, state: &Path) -> Option<CcpIdentity> {
    let secret = |node: &Node<'_>| {
        let path = node.path()?;
        must_be_private(&node.place, &path);
        must_lie_outside(&node.place, &path, state);
        Some(path)
    };
    let (cert, key) = (table.node("client_cert"), table.node("client_key"));
    if let Some(pfx) = table.table("client_pfx") {
        if let Some(other) = cert.as_ref().or(key.as_ref()) {
            let wrong = Wrong::new("`client_pfx` holds certificate and key already");
            other.place.error(wrong.hint("write either `client_pfx`, or `client_cert` and `client_key`"));
        }
        let password = pfx.node("password").and_then(|node| secret_location(&node, &Sources::default()));
        return Some(CcpIdentity::Pfx { file: secret(&pfx.node("file")?)?, password });
    }
    match (cert, key) {
        (Some(cert), Some(key)) => {
            let (cert, key) = (file(&cert), secret(&key));
            Some(CcpIdentity::Pem { cert: cert?, key: key? })
        }
        (Some(alone), None) => lonely(&alone, "client_key"),
        (None, Some(alone)) => lonely(&alone, "client_cert"),
        (None, None) => None,
    }
}

fn lonely(node: &Node<'_>, other: &str) -> Option<CcpIdentity> {
    node.place.error(format!("needs `{other}` beside it"));
    None
}

fn file(node: &Node<'_>) -> Option<PathBuf> {
    let path = node.path()?;
    must_exist(&node.place, &path);
    Some(path)
}

fn accounts(table: &Table<'_>) -> Vec<CcpAccount> {
    let mut taken: BTreeMap<String, Place<'_>> = BTreeMap::new();
    let mut accounts = Vec::new();
    for table in table.list("account").iter().filter_map(Node::table) {
        let name = table.node("name").and_then(|node| {
            let name = node.read(account_name)?;
            if let Some(first) = taken.insert(name.to_string(), node.place.clone()) {
                node.place.error(format!("the same name is already at {}", first.seen_from(&node.place)));
            }
            Some(name)
        });
        let by = criteria(&table);
        let passphrase = table.node("passphrase").and_then(|node| node.read(value));
        if let (Some(name), Some(by)) = (name, by) {
            let (safe, object) = (name.safe().to_owned(), name.object().to_owned());
            accounts.push(CcpAccount { safe, object, by, passphrase });
        }
    }
    accounts
}

fn criteria(table: &Table<'_>) -> Option<CcpCriteria> {
    let written = |key: &&&str| table.node(key).is_some();
    let (query, format) = (table.node("query"), table.node("query_format"));
    if let Some(query) = query {
        for key in PROPERTIES.iter().filter(written) {
            let wrong = Wrong::new(format!("CyberArk ignores `{key}` beside a query"));
            table.place_of(key).error(wrong.hint("write it into `query`, or leave `query` out"));
        }
        let regexp = format.and_then(|node| node.text()) == Some("regexp");
        return query.read(free_query).map(|query| CcpCriteria::Query { query, regexp });
    }
    if let Some(format) = format {
        format.place.error("says how `query` is read, and there is none");
    }
    // All of them, so that every mistake is told.
    let found: Vec<_> =
        PROPERTIES.iter().filter(written).map(|key| Some((*key, table.node(key)?.read(value)?))).collect();
    if found.is_empty() && table.node("passphrase").is_none() {
        let wrong = Wrong::new("says nothing about how the account is found");
        table.place.error(wrong.hint(
            "write `query`, or one of `object`, `folder`, `user_name`, `address`, `database`, `policy_id`",
        ));
    }
    found.into_iter().collect::<Option<_>>().map(CcpCriteria::Properties)
}

/// `SAFE/OBJECT`.
fn account_name(text: &str) -> Result<CredentialRef, Wrong> {
    let name = text.split_once('/').and_then(|(safe, object)| CredentialRef::new("x", safe, object).ok());
    let name = name.filter(|_| !text.contains(['+', '&', '%']));
    name.ok_or_else(|| {
        Wrong::new(format!("`{}` is not a name, `SAFE/OBJECT`", forms::printable(text)))
            .hint("the part of the credential's name behind `SOURCE:`; it cannot have `+`, `&` or `%`")
    })
}

/// A value that CyberArk's web service takes.
fn value(text: &str) -> Result<String, Wrong> {
    check(text, &['+', '&', '%', ';'])
}

fn free_query(text: &str) -> Result<String, Wrong> {
    let query = check(text, &['+', '&', '%'])?;
    let named =
        |pair: &str| pair.split_once('=').is_some_and(|(name, value)| !name.is_empty() && !value.is_empty());
    if query.split(';').all(named) {
        return Ok(query);
    }
    Err(Wrong::new(format!("`{}` is not a query", forms::printable(text))).hint(
        "write `Property=value`, several with `;` between them, such as `Safe=PROD;VirtualUsername=svc`",
    ))
}

fn check(text: &str, forbidden: &[char]) -> Result<String, Wrong> {
    if text.is_empty() || text.len() > 256 || text.trim() != text {
        return Err("expected 1 to 256 characters without blanks around them".into());
    }
    match text.chars().find(|c| forbidden.contains(c) || c.is_control()) {
        Some(found) => {
            Err(Wrong::new(format!("CyberArk's web service takes no `{}`", found.escape_default())))
        }
        None => Ok(text.to_owned()),
    }
}

/// A reason is for people: what the web service does not take is replaced when it is sent.
fn reason(text: &str) -> Result<String, Wrong> {
    let fits = (1..=512).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    if fits { Ok(text.to_owned()) } else { Err("expected 1 to 512 characters of one line".into()) }
}

fn application(text: &str) -> Result<String, Wrong> {
    let id = value(text)?;
    if id.eq_ignore_ascii_case("AIMWebService") {
        return Err(Wrong::new(
            "`AIMWebService` is the application that CyberArk itself brings; everybody knows it",
        )
        .hint("have an application defined for the gateway alone"));
    }
    Ok(id)
}

/// The address of the web service.
fn web_service(text: &str) -> Result<String, Wrong> {
    let wrong = |why: &str| {
        Wrong::new(format!("`{}` is not the address of a web service: {why}", forms::printable(text)))
            .hint("write it whole, such as `https://ccp.example.internal/AIMWebService/api/Accounts`")
    };
    let rest = text.strip_prefix("https://").ok_or_else(|| wrong("it must begin with `https://`"))?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    forms::allowed_host(host).map_err(|_| wrong("it names no host"))?;
    if path.is_empty() {
        return Err(wrong("it has no path"));
    }
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/._~-%".contains(&b);
    if path.bytes().all(plain) {
        Ok(text.to_owned())
    } else {
        Err(wrong("its path has no query and no blanks"))
    }
}
