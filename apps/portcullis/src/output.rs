//! What commands print: answers on standard output, everything else on standard error.

use std::io::{self, IsTerminal, Write};

use anstyle::{AnsiColor, Style};
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::Value;

use crate::cli::{Color, Global};
use crate::failure::{Exit, Stop};

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default().bold();
const GOOD: Style = AnsiColor::Green.on_default();

/// The terminal, or whatever reads us.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    json: bool,
    quiet: bool,
}

impl Output {
    /// Settles colour for the whole process.
    pub(crate) fn new(global: &Global) -> Self {
        match global.color {
            Color::Auto => {}
            Color::Always => anstream::ColorChoice::Always.write_global(),
            Color::Never => anstream::ColorChoice::Never.write_global(),
        }
        Self { json: global.json, quiet: global.quiet }
    }

    /// Whether answers are JSON.
    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// An answer: `value` with `--json`, else the text.
    pub(crate) fn answer(self, value: &Value, text: &str) -> Result<(), Stop> {
        if self.json { self.json(value) } else { self.text(text) }
    }

    /// A line or more of an answer.
    pub(crate) fn text(self, text: &str) -> Result<(), Stop> {
        let mut out = anstream::stdout().lock();
        out.write_all(text.as_bytes())?;
        if !text.ends_with('\n') {
            out.write_all(b"\n")?;
        }
        Ok(out.flush()?)
    }

    /// One JSON value: indented for people who look, one line for pipes.
    pub(crate) fn json(self, value: &Value) -> Result<(), Stop> {
        let pretty = io::stdout().is_terminal();
        let text = if pretty { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
        self.text(&text.map_err(Stop::failed)?)
    }

    /// Rows under headings, as wide as the terminal; nothing is cut when the output goes elsewhere.
    pub(crate) fn table(self, headings: &[&str], rows: Vec<Vec<String>>) -> Result<(), Stop> {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        if io::stdout().is_terminal() {
            table.set_content_arrangement(ContentArrangement::Dynamic);
        }
        table.set_header(headings.iter().map(|heading| heading.to_uppercase()));
        table.add_rows(rows);
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
        self.text(&lines.join("\n"))
    }

    /// Something worth knowing that is no part of the answer.
    pub(crate) fn note(self, text: &str) {
        if !self.quiet && !self.json {
            say(text);
        }
    }

    /// Like a note, with a mark that it went well.
    pub(crate) fn done(self, text: &str) {
        self.note(&format!("{GOOD}done:{GOOD:#} {text}"));
    }

    /// Something that should be looked at.
    pub(crate) fn warning(self, text: &str) {
        say(&format!("{WARNING}warning:{WARNING:#} {text}"));
    }

    /// Something that is wrong.
    pub(crate) fn error(self, text: &str) {
        say(&format!("{ERROR}error:{ERROR:#} {text}"));
    }

    /// Something that is wrong, in the form of a program that this one stands in for.
    pub(crate) fn plain_error(self, text: &str) {
        say(&format!("Error: {text}"));
    }

    /// A finding in a file; its place comes first, so that editors can jump there.
    pub(crate) fn finding(self, severity: &str, text: &str, hint: Option<&str>) {
        let style = if severity == "error" { ERROR } else { WARNING };
        say(&format!("{style}{severity}:{style:#} {text}"));
        if let Some(hint) = hint {
            say(&format!("  {HINT}hint:{HINT:#} {hint}"));
        }
    }

    /// What to do about it.
    pub(crate) fn hint(self, text: &str) {
        say(&format!("{HINT}hint:{HINT:#} {text}"));
    }

    /// The end of a command that did not get through.
    pub(crate) fn stop(self, stop: &Stop) -> Exit {
        if !stop.message.is_empty() {
            self.error(&stop.message);
        }
        if let Some(hint) = &stop.hint {
            self.hint(hint);
        }
        stop.exit
    }
}

/// Standard error may be closed; there is nobody left to tell.
fn say(text: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}
