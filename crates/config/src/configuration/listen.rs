//! `[listen]`: where clients connect, and who must be known there.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use ipnet::IpNet;

use super::{PrincipalConfig, networks};
use crate::files::{must_be_private, must_exist, must_lie_outside};
use crate::forms::{self, Wrong};
use crate::node::Table;

/// `[listen]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// The HTTP listener. Not loopback only with TLS or a proxy, and a principal.
    pub http: SocketAddr,
    /// Whether only [`Listen::trusted_proxies`] may connect, and their `X-Forwarded-For` counts.
    pub behind_proxy: bool,
    /// Networks of the proxies; not empty behind one.
    pub trusted_proxies: Vec<IpNet>,
    /// What `Host` may say beside loopback names, in lower case.
    pub allowed_hosts: BTreeSet<String>,
    /// What `Origin` may say beside loopback origins, in lower case.
    pub allowed_origins: BTreeSet<String>,
    /// The Prometheus listener; `None` is off.
    pub metrics: Option<SocketAddr>,
    /// The agent socket.
    pub socket: Option<AgentSocket>,
    /// TLS of the HTTP listener.
    pub tls: Option<TlsFiles>,
}

/// The Unix socket that carries MCP for users of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentSocket {
    /// Where it is; outside the state folder.
    pub path: PathBuf,
    /// The group that it is given to.
    pub group: Option<String>,
    /// Its permission bits.
    pub mode: u32,
}

/// Files of TLS, all PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificate and chain.
    pub cert: PathBuf,
    /// Private key.
    pub key: PathBuf,
    /// Authorities of client certificates.
    pub client_ca: Option<PathBuf>,
}

const DEFAULT_HTTP: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8443);

pub(super) fn read(root: &Table<'_>, state: &Path) -> Option<Listen> {
    let Some(table) = root.table("listen") else {
        return Some(Listen {
            http: DEFAULT_HTTP,
            behind_proxy: false,
            trusted_proxies: Vec::new(),
            allowed_hosts: BTreeSet::new(),
            allowed_origins: BTreeSet::new(),
            metrics: None,
            socket: None,
            tls: None,
        });
    };
    let http = match table.node("http") {
        Some(node) => node.read(forms::socket_address),
        None => Some(DEFAULT_HTTP),
    };
    let behind_proxy = table.node("behind_proxy").and_then(|node| node.flag()).unwrap_or(false);
    let trusted_proxies = networks(&table, "trusted_proxies");
    check_proxies(&table, behind_proxy, &trusted_proxies);
    let texts = |key, parse: fn(&str) -> Result<String, Wrong>| {
        table.list(key).iter().filter_map(|node| node.read(parse)).collect()
    };
    Some(Listen {
        behind_proxy,
        trusted_proxies,
        allowed_hosts: texts("allowed_hosts", forms::allowed_host),
        allowed_origins: texts("allowed_origins", forms::origin),
        metrics: metrics(&table, http),
        socket: table.table("socket").and_then(|socket| agent_socket(&socket, state)),
        tls: table.table("tls").and_then(|tls| tls_files(&tls)),
        http: http?,
    })
}

/// An address that others can reach must know who comes, and nobody on the way may listen.
pub(super) fn check_principals(root: &Table<'_>, listen: Option<&Listen>, principals: &[PrincipalConfig]) {
    check_certificates(root);
    let (Some(listen), Some(table)) = (listen, root.table("listen")) else { return };
    if !listen.http.ip().is_loopback() {
        let place = table.place_of("http");
        let declared_tls = table.node("tls").is_some();
        if !declared_tls && !listen.behind_proxy {
            let wrong = Wrong::new(format!(
                "`{}` is not a loopback address, so keys would cross the network in clear",
                listen.http
            ));
            place.error(wrong.hint("set `[listen.tls]`, or `behind_proxy` with `trusted_proxies`"));
        }
        if !principals.iter().any(PrincipalConfig::comes_over_http) {
            let wrong = Wrong::new(format!(
                "`{}` is not a loopback address, and no principal can authenticate over HTTP",
                listen.http
            ));
            place.error(wrong.hint(
                "declare a `[[principal]]` with `api_key` (`portcullis key new` prints one) or `certificate`",
            ));
        }
    }
}

fn check_certificates(root: &Table<'_>) {
    let tls = root.table("listen").and_then(|listen| listen.table("tls"));
    if tls.is_some_and(|tls| tls.node("client_ca").is_some()) {
        return;
    }
    for node in root.list("principal") {
        if let Some(certificate) = node.table().and_then(|principal| principal.node("certificate")) {
            let wrong = Wrong::new("no client certificate is ever checked");
            certificate.place.error(wrong.hint("set `client_ca` in `[listen.tls]`"));
        }
    }
}

fn check_proxies(table: &Table<'_>, behind_proxy: bool, proxies: &[IpNet]) {
    let place = table.place_of("trusted_proxies");
    if behind_proxy && table.list("trusted_proxies").is_empty() {
        let wrong = Wrong::new("`behind_proxy` needs the networks of the proxies");
        let key = if table.node("trusted_proxies").is_some() { "trusted_proxies" } else { "behind_proxy" };
        return table.place_of(key).error(wrong.hint("write `trusted_proxies = [\"10.0.0.5/32\"]`"));
    }
    if !behind_proxy && table.node("trusted_proxies").is_some_and(|node| !node.list().is_empty()) {
        place.warn("has no effect without `behind_proxy = true`");
    }
    for node in table.list("trusted_proxies") {
        let everyone =
            node.text().and_then(|text| text.parse::<IpNet>().ok()).is_some_and(|net| net.prefix_len() == 0);
        if everyone && !proxies.is_empty() {
            node.place.error(
                Wrong::new("trusts everybody to name the client's address")
                    .hint("name the proxies' own networks"),
            );
        }
    }
}

fn metrics(table: &Table<'_>, http: Option<SocketAddr>) -> Option<SocketAddr> {
    let node = table.node("metrics")?;
    if node.text() == Some("off") {
        return None;
    }
    let address = node.read(|text| {
        forms::socket_address(text).map_err(|wrong| {
            wrong.hint("write a literal address and port, such as `127.0.0.1:9464`, or `off`")
        })
    })?;
    if Some(address) == http && address.port() != 0 {
        node.place.error("is the address of `listen.http`; metrics need a listener of their own");
    } else if !address.ip().is_loopback() {
        node.place.warn(format!("metrics ask for no key, and `{address}` is not a loopback address"));
    }
    Some(address)
}

fn agent_socket(table: &Table<'_>, state: &Path) -> Option<AgentSocket> {
    let group = table.node("group").and_then(|node| node.read(forms::account));
    let node = table.node("path")?;
    let path = node.path()?;
    // The kernel's limit, less the closing NUL.
    if path.as_os_str().len() > 107 {
        node.place.error("is longer than 107 bytes, which a socket's path cannot be");
    }
    must_lie_outside(&node.place, &path, state);
    let mode = match table.node("mode") {
        Some(mode) => mode.read(forms::socket_mode),
        None => Some(if group.is_some() { 0o660 } else { 0o600 }),
    };
    Some(AgentSocket { path, group, mode: mode? })
}

fn tls_files(table: &Table<'_>) -> Option<TlsFiles> {
    let file = |key| {
        let node = table.node(key)?;
        let path = node.path()?;
        match key {
            "key" => must_be_private(&node.place, &path),
            _ => must_exist(&node.place, &path),
        }
        Some(path)
    };
    let (cert, key, client_ca) = (file("cert"), file("key"), file("client_ca"));
    Some(TlsFiles { cert: cert?, key: key?, client_ca })
}
