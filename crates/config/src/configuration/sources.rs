//! `[[credential_source]]`: where credentials come from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::KeyLocation;
use super::ccp::{self, CcpConfig};
use super::secrets::key_location;
use crate::files::must_lie_outside;
use crate::forms::{self, Wrong};
use crate::node::{Node, Place, Table, absolute};

/// A credential source as declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceConfig {
    /// The name before `:` in references.
    pub name: String,
    /// When secrets are fetched.
    pub fetch: Fetch,
    /// What it is.
    pub kind: SourceKind,
}

/// When a secret is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fetch {
    /// Again at each use.
    #[default]
    AtUse,
    /// Once, when a handle is issued.
    AtIssue,
}

/// What a source is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceKind {
    /// Our own encrypted file.
    Keystore {
        /// The file; may not exist before the first `secret set`.
        file: PathBuf,
        /// What it is encrypted with.
        master_key: KeyLocation,
    },
    /// Folders of secret files.
    Folder {
        /// Absolute, looked through in order; at least one. One that begins with `$CREDENTIALS_DIRECTORY` stands for
        /// systemd's folder.
        paths: Vec<PathBuf>,
    },
    /// Environment variables of the gateway.
    Env {
        /// What their names begin with.
        prefix: String,
    },
    /// A program that prints the secret.
    Command {
        /// Program and arguments; no shell. The program is absolute, or a bare name to be looked up in `PATH`.
        argv: Vec<String>,
        /// How long it may take; at most 55 seconds.
        timeout: Duration,
    },
    /// CyberArk's Central Credential Provider.
    Ccp(Box<CcpConfig>),
}

pub(super) fn read(root: &Table<'_>, state: &Path) -> Vec<SourceConfig> {
    let mut taken: BTreeMap<String, Place<'_>> = BTreeMap::new();
    let mut sources = Vec::new();
    for table in root.list("credential_source").iter().filter_map(Node::table) {
        let name = table.node("name").and_then(|node| {
            let name = node.read(forms::source_name)?;
            if let Some(first) = taken.insert(name.clone(), node.place.clone()) {
                node.place.error(format!("the same name is already at {}", first.seen_from(&node.place)));
            }
            Some(name)
        });
        let fetch = match table.node("fetch").and_then(|node| node.text()) {
            Some("at_issue") => Fetch::AtIssue,
            Some(_) | None => Fetch::AtUse,
        };
        let kind = source_kind(&table, state);
        if let (Some(name), Some(kind)) = (name, kind) {
            sources.push(SourceConfig { name, fetch, kind });
        }
    }
    sources
}

fn source_kind(table: &Table<'_>, state: &Path) -> Option<SourceKind> {
    match table.node("kind")?.text()? {
        "keystore" => {
            let master_key = table.node("master_key").and_then(|node| key_location(&node, state));
            Some(SourceKind::Keystore { file: table.node("file")?.path()?, master_key: master_key? })
        }
        "folder" => {
            let paths = not_empty(table, "paths")?;
            Some(SourceKind::Folder {
                paths: paths.iter().filter_map(|node| folder_path(node, state)).collect(),
            })
        }
        "env" => Some(SourceKind::Env { prefix: table.node("prefix")?.read(prefix)? }),
        "command" => {
            // Two steps, so that every word is looked at.
            let words: Vec<_> = not_empty(table, "command")?
                .iter()
                .enumerate()
                .map(|(at, node)| argument(at, node))
                .collect();
            let words: Option<Vec<_>> = words.into_iter().collect();
            let timeout =
                table.node("timeout").and_then(|node| node.duration()).unwrap_or(Duration::from_secs(10));
            Some(SourceKind::Command { argv: words?, timeout })
        }
        "cyberark-ccp" => ccp::read(table, state).map(|found| SourceKind::Ccp(Box::new(found))),
        _ => None,
    }
}

fn not_empty<'a>(table: &Table<'a>, key: &str) -> Option<Vec<Node<'a>>> {
    let node = table.node(key)?;
    if node.value.as_array().is_some_and(|items| items.is_empty()) {
        node.place.error("must not be empty");
    }
    Some(node.list())
}

fn folder_path(node: &Node<'_>, state: &Path) -> Option<PathBuf> {
    const VARIABLE: &str = "$CREDENTIALS_DIRECTORY";
    let path = node.read(forms::path)?;
    let text = node.text()?;
    if let Some(rest) = text.strip_prefix(VARIABLE)
        && (rest.is_empty() || rest.starts_with('/'))
    {
        let below = PathBuf::from(rest.trim_start_matches('/'));
        let climbs = below.components().any(|part| matches!(part, std::path::Component::ParentDir));
        if climbs {
            node.place.error("`..` cannot stand below `$CREDENTIALS_DIRECTORY`");
        }
        return Some(path);
    }
    if text.starts_with('$') {
        node.place.error("only `$CREDENTIALS_DIRECTORY` can stand for a folder");
    }
    let path = absolute(&node.place.file.folder, &path);
    must_lie_outside(&node.place, &path, state);
    Some(path)
}

/// Without a prefix every variable of the process would be a credential.
fn prefix(text: &str) -> Result<String, Wrong> {
    if text.len() < 3 {
        return Err(
            Wrong::new("expected at least 3 characters").hint("a longer prefix keeps other variables out")
        );
    }
    forms::environment_name(text)
        .map_err(|_| Wrong::new(format!("`{}` cannot begin a variable's name", forms::printable(text))))
}

/// The first is the program: a relative path, unlike a bare name, starts at the folder of the file.
pub(super) fn argument(at: usize, node: &Node<'_>) -> Option<String> {
    let text =
        node.read(|text| if text.contains('\0') { Err("an argument cannot hold a NUL") } else { Ok(text) })?;
    if at > 0 {
        return Some(text.to_owned());
    }
    if text.is_empty() || text.contains(['{', '}']) {
        node.place.error("expected a program, written out");
        return None;
    }
    if !text.contains('/') {
        return Some(text.to_owned());
    }
    node.path().map(|path| path.to_string_lossy().into_owned())
}
