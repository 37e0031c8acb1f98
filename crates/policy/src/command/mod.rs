//! Shell lines: understood or refused, and quoted again in one canonical way.
//!
//! The order of checks: caps, then `scan` (characters, quoting and operators; refuses by name), then the
//! grammar in `shape`, whose words must be the ones the scan saw, then the program's name. Nothing that
//! nests reaches the grammar, so its recursion is bounded by construction.

mod name;
mod opaque;
mod pattern;
mod quote;
mod reading;
mod scan;
mod shape;
#[cfg(test)]
mod tests;
mod wide;

use model::{CommandLine, SimpleCommand};

pub use opaque::{OpaqueProgram, OpaqueWhen, opaque_programs};
pub use pattern::{CommandPattern, MalformedPattern};
pub(crate) use pattern::{Star, WordPattern};
pub use quote::canonical;
pub(crate) use quote::simple;
pub(crate) use reading::Reading;

/// The longest line that is looked at, in bytes.
pub const MAX_LINE: usize = 32 * 1024;
/// The most words and operators a line may have.
pub const MAX_PIECES: usize = 1024;

/// Why a line is not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct NotUnderstood {
    /// A lowercase fragment that names the construct.
    pub reason: String,
    /// The part of the line it is in, at most 200 characters, control and invisible characters escaped.
    pub part: String,
    /// What to do instead.
    pub hint: Option<String>,
}

/// Parses a POSIX shell line into simple commands, pipelines and lists, or refuses it.
pub fn parse(line: &str) -> Result<CommandLine, NotUnderstood> {
    let pieces = scan::scan(line)?;
    let parsed = shape::parse(line, &pieces)?;
    for command in parsed.commands() {
        shape::check_program(command)?;
    }
    Ok(parsed)
}

/// Why this command can run other programs or write files in ways its words do not show, in a few words.
///
/// `None` means that what the words say is what the program does, as far as the list in
/// `data/opaque.txt` knows.
pub fn opaque(command: &SimpleCommand) -> Option<&'static str> {
    opaque::reason(command)
}

/// Whether some commands of this program are opaque.
pub(crate) fn is_opaque_with_some(program: &str) -> bool {
    opaque::is_listed(program)
}

impl NotUnderstood {
    fn new(reason: impl Into<String>, part: &str) -> Self {
        Self { reason: reason.into(), part: excerpt(part), hint: None }
    }

    fn hint(mut self, hint: &str) -> Self {
        self.hint = Some(hint.to_owned());
        self
    }
}

/// At most 200 characters that are safe to show: everything but printable ASCII and letters is escaped.
fn excerpt(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars() {
        let piece = if c == ' ' || c.is_ascii_graphic() {
            c.to_string()
        } else {
            format!("\\u{{{:x}}}", u32::from(c))
        };
        if shown.len() + piece.len() > 200 {
            break;
        }
        shown.push_str(&piece);
    }
    shown
}
