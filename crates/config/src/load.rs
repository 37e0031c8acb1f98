//! From a path to everything that its files say.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use model::Inventory;
use sha2::{Digest, Sha256};
use toml::Spanned;
use toml::de::DeTable;

use crate::configuration::{self, Sources};
use crate::diagnostic::{Diagnostic, Diagnostics, Report, Severity};
use crate::exposure::{Exposure, writable_by_everybody};
use crate::forms::{Wrong, printable};
use crate::node::{Place, Table, TextFile};
use crate::rules::{WrittenCedar, WrittenRule};
use crate::shape::Key;
use crate::text::Text;
use crate::{CertificateKey, Configuration, certificates, inventory, keys, rules, structure};

/// All files, checked. Immutable; a reload makes another.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// What `portcullis.toml` says.
    pub configuration: Configuration,
    /// The declared targets.
    pub inventory: Inventory,
    pub(crate) rules: Vec<WrittenRule>,
    pub(crate) cedar: Vec<WrittenCedar>,
    /// The keys that name files with certificates and keys.
    pub certificates: Vec<CertificateKey>,
    /// What somebody should look at.
    pub warnings: Vec<Diagnostic>,
    /// SHA-256 over every file that was read, in hex: equal if nothing changed.
    pub fingerprint: String,
}

/// No file of ours is anywhere near this large; what is larger is something else.
const LARGEST_FILE: u64 = 4 << 20;
const MOST_FILES: usize = 1000;

/// Reads and checks `portcullis.toml` at `path`, and the inventory and rules that it names.
///
/// # Errors
/// Every mistake of every file, each with its place. Warnings alone are no error.
pub fn load(path: &Path) -> Result<Loaded, Diagnostics> {
    let report = Report::default();
    let loaded = read_all(path, &report);
    let (mut loaded, warnings) = report.conclude(loaded)?;
    loaded.warnings = warnings;
    Ok(loaded)
}

fn read_all(path: &Path, report: &Report) -> Option<Loaded> {
    let main = read_file(path, report)?;
    let document = parse(&main, report)?;
    let root = root(&main, &document, keys::configuration::ROOT, report);
    structure::check(&root);
    let configuration = configuration::read(&root);
    let sources = Sources::declared(&root);

    let inventory_files = inventory_files(&root, report);
    let inventory_documents: Vec<_> =
        inventory_files.iter().filter_map(|file| Some((file, parse(file, report)?))).collect();
    let inventory_roots = roots(&inventory_documents, keys::inventory::ROOT, report);
    let inventory = inventory::read(&inventory_roots, &sources);

    configuration::check_upstream_names(&root, &inventory);

    let policy_files = policy_files(&root, report);
    let (cedar, tables): (Vec<_>, Vec<_>) =
        policy_files.iter().partition(|file| has_extension(&file.shown, "cedar"));
    let rule_documents: Vec<_> =
        tables.into_iter().filter_map(|file| Some((file, parse(file, report)?))).collect();
    let rule_roots = roots(&rule_documents, keys::rules::ROOT, report);
    let rules = rules::read(&rule_roots, &sources);

    let all = std::iter::once(&main).chain(&inventory_files).chain(&policy_files);
    Some(Loaded {
        configuration: configuration?,
        inventory,
        rules,
        cedar: cedar.into_iter().map(rules::cedar).collect(),
        certificates: certificates::read(&root),
        warnings: Vec::new(),
        fingerprint: fingerprint(all),
    })
}

fn root<'a>(
    file: &'a TextFile,
    document: &'a Spanned<DeTable<'a>>,
    keys: &'static [Key],
    report: &'a Report,
) -> Table<'a> {
    Table { place: Place { file, report, key: String::new(), span: 0..0 }, entries: document.get_ref(), keys }
}

fn roots<'a>(
    documents: &'a [(&'a TextFile, Spanned<DeTable<'a>>)],
    keys: &'static [Key],
    report: &'a Report,
) -> Vec<Table<'a>> {
    let roots: Vec<_> = documents.iter().map(|(file, document)| root(file, document, keys, report)).collect();
    roots.iter().for_each(structure::check);
    roots
}

fn parse<'a>(file: &'a TextFile, report: &'a Report) -> Option<Spanned<DeTable<'a>>> {
    let (document, errors) = DeTable::parse_recoverable(file.text.as_str());
    for error in &errors {
        // The error's own text quotes the line; its message does not.
        let span = error.span().unwrap_or(0..0);
        let message = match (error.message(), file.text.as_str().get(span.clone())) {
            ("duplicate key", Some(key)) => format!("the key `{}` is written twice", printable(key)),
            (message, _) => format!("not TOML: {message}"),
        };
        Place { file, report, key: String::new(), span }.error(message);
    }
    errors.is_empty().then_some(document)
}

fn inventory_files(root: &Table<'_>, report: &Report) -> Vec<TextFile> {
    let Some((path, written)) = named(root, "inventory", "inventory.toml") else { return Vec::new() };
    if path.is_dir() {
        return folder(&path, &["toml"], report).iter().filter_map(|path| read_file(path, report)).collect();
    }
    if !written && !path.exists() {
        root.place_of("inventory").warn("there is no `inventory.toml`, so there are no targets");
        return Vec::new();
    }
    read_named(root, "inventory", &path, report).into_iter().collect()
}

fn policy_files(root: &Table<'_>, report: &Report) -> Vec<TextFile> {
    let Some((path, written)) = named(root, "policy", "policy") else { return Vec::new() };
    if path.is_dir() {
        let files = folder(&path, &["toml", "cedar"], report);
        if files.is_empty() {
            root.place_of("policy").warn("the folder holds no rules, so nothing is permitted");
        }
        return files.iter().filter_map(|path| read_file(path, report)).collect();
    }
    let place = root.place_of("policy");
    if path.exists() {
        place.error(
            Wrong::new(format!("`{}` is not a folder", path.display()))
                .hint("name the folder of the rule files"),
        );
    } else if written {
        place.error(format!("there is no folder `{}`", path.display()));
    } else {
        place.warn("there is no folder `policy`, so nothing is permitted");
    }
    Vec::new()
}

/// The path under `key`, as people know it, and whether it was written.
fn named(root: &Table<'_>, key: &str, default: &str) -> Option<(PathBuf, bool)> {
    let folder = root.place.file.shown.parent().unwrap_or(Path::new(""));
    match root.node(key) {
        // An unusable path has been reported by the reader of the configuration.
        Some(node) => crate::forms::path(node.text()?).ok().map(|path| (folder.join(path), true)),
        None => Some((folder.join(default), false)),
    }
}

fn read_named(root: &Table<'_>, key: &str, path: &Path, report: &Report) -> Option<TextFile> {
    if path.exists() {
        return read_file(path, report);
    }
    root.place_of(key).error(format!("there is no file `{}`", path.display()));
    None
}

/// Files of a folder with one of these extensions, in the order of their names. Hidden ones are left alone.
fn folder(path: &Path, extensions: &[&str], report: &Report) -> Vec<PathBuf> {
    let whole = |message: String, severity| {
        report.add(Diagnostic { message, severity, ..about(path) });
    };
    let entries = match std::fs::read_dir(path).and_then(Iterator::collect::<Result<Vec<_>, _>>) {
        Ok(entries) => entries,
        Err(error) => {
            whole(format!("the folder cannot be read: {error}"), Severity::Error);
            return Vec::new();
        }
    };
    if let Ok(metadata) = std::fs::metadata(path) {
        refuse_writable(path, &metadata, report);
    }
    let visible =
        |path: &PathBuf| !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
    let mut paths: Vec<_> = entries.into_iter().map(|entry| entry.path()).filter(visible).collect();
    paths.sort();
    let (wanted, others): (Vec<_>, Vec<_>) =
        paths.into_iter().partition(|path| extensions.iter().any(|extension| has_extension(path, extension)));
    for other in others.iter().filter(|other| !has_extension(other, "md")) {
        let names =
            extensions.iter().map(|extension| format!("`*.{extension}`")).collect::<Vec<_>>().join(" and ");
        report.add(Diagnostic {
            message: format!("is not read: only {names} in this folder are"),
            severity: Severity::Warning,
            ..about(other)
        });
    }
    if wanted.len() > MOST_FILES {
        whole(format!("the folder holds more than {MOST_FILES} files"), Severity::Error);
        return Vec::new();
    }
    wanted
}

/// Whoever can write these files decides everything, so not everybody may.
fn refuse_writable(path: &Path, metadata: &std::fs::Metadata, report: &Report) {
    if let Some(mode) = writable_by_everybody(metadata) {
        report.add(Diagnostic {
            message: format!("everybody can write to it (mode {mode:04o}), and so decide what is permitted"),
            hint: Some(format!("`chmod o-w {}`, after a look at what it says", path.display())),
            ..about(path)
        });
    }
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|found| found == extension)
}

fn read_file(path: &Path, report: &Report) -> Option<TextFile> {
    let failed = |message: String| report.add(Diagnostic { message, ..about(path) });
    match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            failed("there is no such file".to_owned());
            return None;
        }
        Err(error) => {
            failed(format!("cannot be read: {error}"));
            return None;
        }
        Ok(metadata) if !metadata.is_file() => {
            failed("is not a regular file".to_owned());
            return None;
        }
        Ok(_) => {}
    }
    let read = File::open(path).and_then(|file| {
        let metadata = file.metadata()?;
        let mut bytes = Vec::new();
        file.take(LARGEST_FILE + 1).read_to_end(&mut bytes)?;
        Ok((metadata, bytes))
    });
    let (metadata, bytes) = read.map_err(|error| failed(format!("cannot be read: {error}"))).ok()?;
    if bytes.len() as u64 > LARGEST_FILE {
        failed(format!("is larger than {}", crate::forms::write_size(LARGEST_FILE)));
        return None;
    }
    refuse_writable(path, &metadata, report);
    let shown = path.to_owned();
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let folder = absolute.parent().unwrap_or(Path::new("/")).to_owned();
    let file =
        |text| TextFile { shown, folder, text: Text::new(text), exposure: Exposure::of(path, &metadata) };
    match String::from_utf8(bytes) {
        Ok(text) => Some(file(text)),
        Err(error) => {
            let end = error.utf8_error().valid_up_to();
            let file = file(String::from_utf8_lossy(error.as_bytes()).into_owned());
            Place { file: &file, report, key: String::new(), span: end..end }.error("not UTF-8 text");
            None
        }
    }
}

fn about(path: &Path) -> Diagnostic {
    Diagnostic {
        file: path.to_owned(),
        line: 0,
        column: 0,
        key: String::new(),
        code: None,
        message: String::new(),
        hint: None,
        severity: Severity::Error,
    }
}

fn fingerprint<'a>(files: impl Iterator<Item = &'a TextFile>) -> String {
    let mut hash = Sha256::new();
    for file in files {
        let name = file.shown.as_os_str().as_encoded_bytes();
        for part in [name, file.text.as_str().as_bytes()] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
    }
    hex::encode(hash.finalize())
}
