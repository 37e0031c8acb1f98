//! The workspace as the checks see it.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::scan;
use crate::steps::capture;

/// Packages and Rust files of this workspace.
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) packages: Vec<Package>,
    pub(crate) files: Vec<RustFile>,
    /// Every file under version control, relative to the root.
    pub(crate) tracked: Vec<String>,
}

/// One package.
pub(crate) struct Package {
    pub(crate) name: String,
    /// Its folder, relative to the root.
    pub(crate) folder: String,
    pub(crate) manifest: toml::Table,
}

/// One Rust file.
pub(crate) struct RustFile {
    /// Relative to the root.
    pub(crate) path: String,
    pub(crate) package: String,
    /// Without comments and strings.
    pub(crate) code: String,
    /// Without comments.
    pub(crate) words: String,
    test_only: bool,
    test_lines: Vec<Range<usize>>,
}

impl Workspace {
    /// Reads what git knows of (and what is new but not ignored) under `root`.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let listed = capture(Command::new("git").current_dir(root).args([
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
        ]))?;
        let mut tracked: Vec<String> =
            listed.lines().filter(|f| root.join(f).is_file()).map(str::to_owned).collect();
        tracked.sort();
        tracked.dedup();
        let mut packages = Vec::new();
        for file in tracked.iter().filter(|file| file.ends_with("/Cargo.toml")) {
            let manifest: toml::Table =
                read(root, file)?.parse().with_context(|| format!("`{file}` is not TOML"))?;
            let name = manifest.get("package").and_then(|p| p.get("name")).and_then(toml::Value::as_str);
            let name = name.with_context(|| format!("`{file}` names no package"))?.to_owned();
            packages.push(Package {
                name,
                folder: file.trim_end_matches("/Cargo.toml").to_owned(),
                manifest,
            });
        }
        let mut files = Vec::new();
        for path in tracked.iter().filter(|file| file.ends_with(".rs")) {
            let package = packages.iter().find(|p| path.starts_with(&format!("{}/", p.folder)));
            let package = package.map_or_else(String::new, |package| package.name.clone());
            files.push(RustFile::new(path.clone(), package, &read(root, path)?));
        }
        Ok(Self { root: root.to_owned(), packages, files, tracked })
    }

    /// Files that reach users or others' tests, in any of these packages.
    pub(crate) fn of<'a>(&'a self, packages: &'a [&str]) -> impl Iterator<Item = &'a RustFile> {
        self.files.iter().filter(|file| packages.contains(&file.package.as_str()))
    }

    /// The text of a file, if there is one.
    pub(crate) fn text(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.root.join(path)).ok()
    }
}

impl RustFile {
    pub(crate) fn new(path: String, package: String, text: &str) -> Self {
        let views = scan::views(text);
        let test_lines = scan::test_lines(&views.code);
        let name = path.rsplit('/').next().unwrap_or_default();
        let test_only = path.contains("/tests/") || name == "tests.rs" || name.ends_with("_tests.rs");
        Self { path, package, code: views.code, words: views.words, test_only, test_lines }
    }

    /// Whether the whole file is test code.
    pub(crate) fn is_test(&self) -> bool {
        self.test_only
    }

    /// Whether this line (from 0) is test code.
    pub(crate) fn is_test_line(&self, line: usize) -> bool {
        self.test_only || self.test_lines.iter().any(|range| range.contains(&line))
    }

    /// Lines (from 1) outside tests on which `name` stands as a whole word in the code.
    pub(crate) fn lines_with(&self, name: &str) -> Vec<usize> {
        self.outside_tests(&self.code, name)
    }

    /// The same, in strings too.
    pub(crate) fn lines_with_words(&self, name: &str) -> Vec<usize> {
        self.outside_tests(&self.words, name)
    }

    /// How many lines are no test code.
    pub(crate) fn length(&self) -> usize {
        (0..self.code.lines().count()).filter(|line| !self.is_test_line(*line)).count()
    }

    fn outside_tests(&self, view: &str, name: &str) -> Vec<usize> {
        let lines = scan::occurrences(view, name).into_iter().map(|at| scan::line_of(view, at));
        lines.filter(|line| !self.is_test_line(*line)).map(|line| line + 1).collect()
    }
}

fn read(root: &Path, file: &str) -> Result<String> {
    std::fs::read_to_string(root.join(file)).with_context(|| format!("cannot read `{file}`"))
}
