//! Where secrets and keys are written down.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use model::{CredentialRef, LiteralSecret, Secret, SecretLocation};

use crate::exposure::Exposure;
use crate::files::{must_be_private, must_exist, must_lie_outside};
use crate::forms::{self, Wrong};
use crate::nearest::nearest;
use crate::node::{Node, Place, Table};

/// Where a key lies that opens or proves the gateway's own state: never inside the state folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyLocation {
    /// A file; one trailing newline is dropped.
    File(PathBuf),
    /// An environment variable of the gateway.
    Env(String),
    /// A systemd credential: a file of this name in `$CREDENTIALS_DIRECTORY`.
    Systemd(String),
    /// Asked for at the start.
    Prompt,
}

/// Names of the declared credential sources, those with mistakes included.
#[derive(Debug, Default)]
pub(crate) struct Sources(BTreeSet<String>);

impl Sources {
    pub(crate) fn declared(root: &Table<'_>) -> Self {
        let name = |node: &Node<'_>| Some(node.value.as_table()?.get("name")?.get_ref().as_str()?.to_owned());
        Self(root.list("credential_source").iter().filter_map(name).collect())
    }

    /// Reports a source that is not declared.
    pub(crate) fn must_know(&self, name: &str, place: &Place<'_>) {
        if self.0.contains(name) {
            return;
        }
        let wrong = Wrong::new(format!("no credential source is called `{name}`"));
        place.error(match nearest(name, self.0.iter().map(String::as_str)) {
            Some(close) => wrong.hint(format!("did you mean `{close}`?")),
            None => wrong.hint("declare it as a `[[credential_source]]` in portcullis.toml"),
        });
    }

    /// A reference to a credential of a declared source. Other text is not quoted: it may be the secret itself.
    pub(crate) fn reference(&self, node: &Node<'_>) -> Option<CredentialRef> {
        let reference = node.read(|text| match text.strip_prefix("ssh-ca:") {
            Some(_) if !self.0.contains("ssh-ca") => {
                Err(Wrong::new("`ssh-ca:...` comes with a later version of Portcullis"))
            }
            Some(_) | None => {
                CredentialRef::parse(text).map_err(|_| Wrong::new(EXPECTED_REFERENCE).hint(HOW_TO_WRITE))
            }
        })?;
        self.must_know(reference.source(), &node.place);
        Some(reference)
    }
}

const EXPECTED_REFERENCE: &str = "expected a credential's name, `SOURCE:SAFE/OBJECT`";
const HOW_TO_WRITE: &str = "parts of 1 to 256 characters without control characters, `*`, `;`, `:` and `\\`; \
    a password is written as `{ password = ... }`";

/// A secret: a literal that nobody else can read, or where it is written down.
pub(crate) fn secret_location(node: &Node<'_>, sources: &Sources) -> Option<SecretLocation> {
    if let Some(literal) = node.text() {
        match node.place.file.exposure {
            Exposure::Private => {}
            Exposure::Exposed => {
                let wrong = Wrong::new("a secret is written here, and others can read this file");
                node.place.error(wrong.hint("write `{ file = \"PATH\" }`, `{ env = \"NAME\" }` or `{ secret = \"SOURCE:SAFE/OBJECT\" }`, or give the file mode 0600"));
            }
            Exposure::ExposedReadOnly => {
                node.place.warn(
                    "a secret is written here, and others can read this file (on a read-only file system)",
                );
            }
        }
        if literal.is_empty() {
            node.place.error("the secret is empty");
        }
        return Some(SecretLocation::Literal(LiteralSecret::new(Secret::new(literal.to_owned()))));
    }
    let table = node.table()?;
    if let Some(env) = table.alternative("env") {
        return env.read(forms::environment_name).map(SecretLocation::Env);
    }
    if let Some(file) = table.alternative("file") {
        let path = file.path()?;
        must_exist(&file.place, &path);
        return Some(SecretLocation::File(path));
    }
    sources.reference(&table.alternative("secret")?).map(SecretLocation::Stored)
}

/// A key that must lie outside the state folder.
pub(crate) fn key_location(node: &Node<'_>, state: &Path) -> Option<KeyLocation> {
    if node.text() == Some("prompt") {
        return Some(KeyLocation::Prompt);
    }
    let table = node.table()?;
    if let Some(env) = table.alternative("env") {
        return env.read(forms::environment_name).map(KeyLocation::Env);
    }
    if let Some(name) = table.alternative("systemd") {
        return name.read(systemd_name).map(KeyLocation::Systemd);
    }
    let file = table.alternative("file")?;
    let path = file.path()?;
    must_lie_outside(&file.place, &path, state);
    must_be_private(&file.place, &path);
    Some(KeyLocation::File(path))
}

fn systemd_name(text: &str) -> Result<String, Wrong> {
    let fits = (1..=255).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        && text != "."
        && text != "..";
    if fits { Ok(text.to_owned()) } else { Err("expected the name of a systemd credential".into()) }
}
