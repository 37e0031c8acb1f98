//! What a program is kept from.

use std::path::{Path, PathBuf};

use crate::files::lies_within;
use crate::forms::Wrong;
use crate::node::{Node, Table};

/// How a program is confined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SandboxConfig {
    /// By what.
    pub kind: SandboxKind,
    /// The account that it runs under as another user.
    pub user: Option<String>,
    /// What it may read.
    pub read: Vec<PathBuf>,
    /// What it may change, too.
    pub write: Vec<PathBuf>,
}

/// By what a program is confined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SandboxKind {
    /// What the machine has.
    Auto,
    /// Another user.
    User,
    /// Landlock.
    Landlock,
    /// Nothing.
    Off,
}

/// The keys that say something about it.
pub(super) const KEYS: [&str; 4] = ["sandbox", "user", "read", "write"];

/// `ours` is what no program may touch: the configuration, the rules, the state.
pub(super) fn read(table: &Table<'_>, ours: &[PathBuf]) -> SandboxConfig {
    let kind = match table.node("sandbox").as_ref().and_then(|node| node.text()) {
        Some("off") => SandboxKind::Off,
        Some("user") => SandboxKind::User,
        Some("landlock") => SandboxKind::Landlock,
        Some(_) | None => SandboxKind::Auto,
    };
    let user = table.node("user").and_then(|node| {
        if matches!(kind, SandboxKind::Landlock | SandboxKind::Off) {
            node.place.error("means nothing with this `sandbox`, which keeps the gateway's own user");
        }
        node.read(account)
    });
    let files = |key: &str| {
        let Some(node) = table.node(key) else { return Vec::new() };
        if matches!(kind, SandboxKind::User | SandboxKind::Off) {
            node.place.error("means nothing with this `sandbox`: only Landlock knows it");
        }
        node.list().iter().filter_map(|item| allowed(item, ours)).collect()
    };
    SandboxConfig { kind, user, read: files("read"), write: files("write") }
}

fn allowed(item: &Node<'_>, ours: &[PathBuf]) -> Option<PathBuf> {
    let path = item.path()?;
    let touches = |ours: &Path| lies_within(ours, &path) || lies_within(&path, ours);
    if let Some(ours) = ours.iter().find(|ours| touches(ours)) {
        let wrong = Wrong::new(format!("no program may touch `{}`", ours.display()));
        item.place.error(wrong.hint("name only what it works on, elsewhere"));
    }
    Some(path)
}

fn account(text: &str) -> Result<String, Wrong> {
    let fits = !text.is_empty()
        && text.len() <= 256
        && text.chars().all(|c| c.is_ascii_graphic() && !":/,".contains(c));
    if !fits {
        return Err(Wrong::new("is not the name of an account"));
    }
    match text {
        "root" => {
            Err(Wrong::new("`root` may do everything").hint("name an account that is there for this program"))
        }
        text => Ok(text.to_owned()),
    }
}
