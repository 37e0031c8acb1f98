//! What is wrong in a file, where, and what to do about it.

use std::cell::RefCell;
use std::fmt;
use std::path::{Path, PathBuf};

use policy::LintCode;

/// One finding in one file. It never holds a line of the file, so that it cannot hold a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The file, as it was reached.
    pub file: PathBuf,
    /// Line, from 1; 0 when the file as a whole is meant.
    pub line: u32,
    /// Column in characters, from 1; 0 when the file as a whole is meant.
    pub column: u32,
    /// The dotted key, such as `listen.tls.cert` or `principal[0].id`; empty when no key is meant.
    pub key: String,
    /// What kind of doubt a warning about rules is, to be looked up in `docs/policy.md`.
    pub code: Option<LintCode>,
    /// What is wrong, as a lowercase fragment.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Whether it stops the load.
    pub severity: Severity,
}

/// Whether a finding stops the load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The files are not taken over.
    Error,
    /// The files are taken over; somebody should look.
    Warning,
}

/// Every finding of a load that failed, in the order of files and lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// The findings, errors and warnings.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.0.iter()
    }

    /// How many errors there are.
    pub fn error_count(&self) -> usize {
        self.0.iter().filter(|finding| finding.severity == Severity::Error).count()
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if self.line > 0 {
            write!(f, "{}:{}:", self.line, self.column)?;
        }
        if self.severity == Severity::Warning {
            f.write_str(" warning:")?;
        }
        if !self.key.is_empty() {
            write!(f, " {}:", self.key)?;
        }
        write!(f, " {}", self.message)?;
        if let Some(code) = self.code {
            write!(f, " [{code}]")?;
        }
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, finding) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            finding.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

/// Where findings are collected while files are read.
#[derive(Debug, Default)]
pub(crate) struct Report(RefCell<Vec<Diagnostic>>);

impl Report {
    pub(crate) fn add(&self, finding: Diagnostic) {
        self.0.borrow_mut().push(finding);
    }

    pub(crate) fn has_errors_in(&self, file: &Path) -> bool {
        self.0.borrow().iter().any(|finding| finding.file == file && finding.severity == Severity::Error)
    }

    /// The value with its warnings, or everything that was found if any of it is an error.
    pub(crate) fn conclude<T>(self, value: Option<T>) -> Result<(T, Vec<Diagnostic>), Diagnostics> {
        let mut findings = self.0.into_inner();
        findings.sort_by(|a, b| {
            (&a.file, a.line, a.column, &a.key, &a.message)
                .cmp(&(&b.file, b.line, b.column, &b.key, &b.message))
        });
        findings.dedup();
        match value {
            Some(value) if findings.iter().all(|finding| finding.severity == Severity::Warning) => {
                Ok((value, findings))
            }
            Some(_) | None => Err(Diagnostics(findings)),
        }
    }
}
