//! Files with certificates and keys: where `portcullis.toml` names each, and what it held when it was read.

use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::diagnostic::{Diagnostic, Severity};
use crate::node::{Node, Table};

/// What is larger is no certificate file.
const LARGEST_FILE: u64 = 4 << 20;

/// Who uses a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateOwner {
    /// `[listen.tls]`.
    Listen,
    /// The credential source of this name.
    Source(String),
    /// The upstream of this name.
    Upstream(String),
}

/// A key of `portcullis.toml` that has to do with certificates.
#[derive(Debug, Clone)]
pub struct CertificateKey {
    /// Whose it is.
    pub owner: CertificateOwner,
    /// The key within its table, such as `client_pfx.password`. `client_pfx` stands for its file.
    pub key: &'static str,
    /// The file; `None` where the key says something else about one.
    pub file: Option<PathBuf>,
    /// SHA-256 of the file; `None` if it could not be read. It never leaves the process.
    held: Option<[u8; 32]>,
    place: Diagnostic,
}

impl CertificateKey {
    /// A finding at its place.
    pub fn finding(&self, message: String, hint: Option<String>, severity: Severity) -> Diagnostic {
        Diagnostic { message, hint, severity, ..self.place.clone() }
    }

    /// The file, if `newer` names the same one and it held something else.
    pub(crate) fn renewed(&self, newer: &[Self]) -> Option<&Path> {
        let file = self.file.as_deref()?;
        let same = newer.iter().find(|other| other.file.as_deref() == Some(file))?;
        (same.held != self.held).then_some(file)
    }

    fn at(owner: &CertificateOwner, key: &'static str, node: &Node<'_>, file: Option<PathBuf>) -> Self {
        let place = node.place.diagnostic(String::new(), None, Severity::Error);
        let held = file.as_deref().and_then(digest);
        Self { owner: owner.clone(), key, file, held, place }
    }
}

/// Every such key that is written.
pub(crate) fn read(root: &Table<'_>) -> Vec<CertificateKey> {
    let mut keys = Vec::new();
    if let Some(tls) = root.table("listen").and_then(|listen| listen.table("tls")) {
        keys.extend(files(&CertificateOwner::Listen, &tls, ["cert", "key", "client_ca"]));
    }
    for source in root.list("credential_source").iter().filter_map(Node::table) {
        let is_ccp = source.node("kind").and_then(|kind| kind.text()) == Some("cyberark-ccp");
        let name = source.node("name").and_then(|name| name.text()).filter(|_| is_ccp);
        let Some(name) = name else { continue };
        let owner = CertificateOwner::Source(name.to_owned());
        keys.extend(files(&owner, &source, ["ca", "client_cert", "client_key"]));
        if let Some(pfx) = source.table("client_pfx") {
            let named = |key, written, is_file: bool| {
                let node = pfx.node(written)?;
                let file = if is_file { Some(node.path()?) } else { None };
                Some(CertificateKey::at(&owner, key, &node, file))
            };
            keys.extend(named("client_pfx", "file", true));
            keys.extend(named("client_pfx.password", "password", false));
        }
    }
    for upstream in root.list("upstream").iter().filter_map(Node::table) {
        let Some(name) = upstream.node("name").and_then(|name| name.text()) else { continue };
        let owner = CertificateOwner::Upstream(name.to_owned());
        keys.extend(files(&owner, &upstream, ["ca", "client_cert", "client_key"]));
    }
    keys
}

fn files(owner: &CertificateOwner, table: &Table<'_>, keys: [&'static str; 3]) -> Vec<CertificateKey> {
    let named = |key| {
        let node = table.node(key)?;
        Some(CertificateKey::at(owner, key, &node, Some(node.path()?)))
    };
    keys.into_iter().filter_map(named).collect()
}

fn digest(path: &Path) -> Option<[u8; 32]> {
    // What is no file could keep its reader waiting.
    std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
    let mut bytes = Vec::new();
    std::fs::File::open(path).ok()?.take(LARGEST_FILE).read_to_end(&mut bytes).ok()?;
    Some(Sha256::digest(&bytes).into())
}
