//! `[audit]`: how the journal is kept.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::KeyLocation;
use super::secrets::key_location;
use crate::files::{lies_within, must_be_private, must_lie_outside};
use crate::node::{Node, Place, Table};

/// `[audit]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// When an entry counts as written.
    pub durability: Durability,
    /// How command lines are kept.
    pub record_commands: RecordCommands,
    /// What signs heads; never asked for.
    pub signing_key: KeyLocation,
    /// What sealed command lines are encrypted with; never asked for.
    pub seal_key: KeyLocation,
    /// Signed heads.
    pub heads: Heads,
    /// Copies beside the journal.
    pub sinks: Vec<Sink>,
}

/// When an entry counts as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// On disk above tier read; in the kernel for reads.
    #[default]
    Auto,
    /// On disk, always.
    Disk,
    /// In the kernel, always.
    Process,
}

/// How command lines are kept in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RecordCommands {
    /// Encrypted, with a commitment in the chain.
    #[default]
    Sealed,
    /// Readable.
    Clear,
    /// Not at all.
    Never,
}

/// When and where heads are signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heads {
    /// How often.
    pub every: Duration,
    /// The file they are appended to.
    pub to: PathBuf,
}

/// A copy of every entry, in the journal's own format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sink {
    /// Where it goes.
    pub to: SinkTo,
}

/// Where a sink writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SinkTo {
    /// Standard output; not under `stdio`.
    Stdout,
    /// Standard error.
    Stderr,
    /// A file, opened again when the program is told to.
    File(PathBuf),
}

pub(super) fn read(root: &Table<'_>, state: &Path) -> Audit {
    let table = root.table("audit");
    let node = |key: &str| table.as_ref().and_then(|table| table.node(key));
    let record_commands = match node("record_commands").and_then(|node| node.text()) {
        Some("clear") => RecordCommands::Clear,
        Some("never") => RecordCommands::Never,
        Some(_) | None => RecordCommands::Sealed,
    };
    let place = |key: &str| match &table {
        Some(table) => table.place_of(key),
        None => Place { key: format!("audit.{key}"), ..root.place.clone() },
    };
    let key = |name: &str, default: &str, needed: bool| match node(name) {
        // What cannot be read has been reported, and the fallback is never used.
        Some(node) => key_location(&node, state).unwrap_or(KeyLocation::Prompt),
        None => {
            let path = root.place.file.folder.join(default);
            if needed {
                must_lie_outside(&place(name), &path, state);
                must_be_private(&place(name), &path);
            }
            KeyLocation::File(path)
        }
    };
    Audit {
        durability: match node("durability").and_then(|node| node.text()) {
            Some("disk") => Durability::Disk,
            Some("process") => Durability::Process,
            Some(_) | None => Durability::Auto,
        },
        signing_key: key("signing_key", "audit.key", true),
        seal_key: key("seal_key", "audit-seal.key", record_commands == RecordCommands::Sealed),
        record_commands,
        heads: heads(node("heads").and_then(|node| node.table()).as_ref(), &root.place.file.folder, state),
        sinks: table.as_ref().map(|table| sinks(table)).unwrap_or_default(),
    }
}

fn heads(table: Option<&Table<'_>>, folder: &Path, state: &Path) -> Heads {
    let node = |key| table.and_then(|table| table.node(key));
    let written = node("to").and_then(|to| to.table()?.alternative("file"));
    if let Some(file) = &written
        && file.path().is_some_and(|path| lies_within(&path, state))
    {
        file.place.warn("heads inside the state folder are lost, or forged, together with the journal");
    }
    Heads {
        every: node("every").and_then(|node| node.duration()).unwrap_or(Duration::from_secs(60)),
        to: written.and_then(|file| file.path()).unwrap_or_else(|| folder.join("audit-heads.jsonl")),
    }
}

fn sinks(table: &Table<'_>) -> Vec<Sink> {
    table.list("sink").iter().filter_map(Node::table).filter_map(|table| sink(&table)).collect()
}

fn sink(table: &Table<'_>) -> Option<Sink> {
    let node = table.node("to")?;
    let to = match node.text() {
        Some("stdout") => SinkTo::Stdout,
        Some("stderr") => SinkTo::Stderr,
        Some(_) => return None,
        None => SinkTo::File(node.table()?.alternative("file")?.path()?),
    };
    Some(Sink { to })
}
