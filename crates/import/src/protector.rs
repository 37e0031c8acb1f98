//! The one TOML file of `mcp-protector`, schema version 1.

mod mistake;
mod read;

use std::collections::BTreeSet;

use ipnet::IpNet;
use model::LiteralSecret;

pub use mistake::Mistake;

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Protector {
    /// The one server behind it.
    pub upstream: Upstream,
    /// Where its clients are.
    pub listen: Listen,
    /// The tools that may be called, byte for byte; empty is none.
    pub allow: BTreeSet<String>,
    /// Keys that mean nothing, with their tables. The old program did not look at them.
    pub unknown: Vec<String>,
    /// What is written and does nothing.
    pub idle: Vec<&'static str>,
}

/// The server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upstream {
    /// A program, spoken to by its standard input and output.
    Program {
        /// Program and arguments; no shell. Never empty.
        command: Vec<String>,
    },
    /// A server elsewhere.
    Https {
        /// Its address; it begins with `https://` and names no user.
        url: String,
        /// What is sent as `Authorization: Bearer`.
        token: Option<LiteralSecret>,
    },
}

/// Where clients are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listen {
    /// One, on standard input and output.
    Stdio,
    /// Any number, over HTTP.
    Http {
        /// Not 0.
        port: u16,
        /// Who may come.
        auth: Auth,
    },
}

/// Who may come over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Auth {
    /// Everybody.
    Nobody,
    /// Whoever has the token, of which only this form is kept.
    Bearer(String),
    /// Whoever has an address in one of these networks.
    Addresses(Vec<IpNet>),
}

impl Protector {
    /// Reads the text of a file. `kept` makes of a token that clients present what may be kept of it.
    ///
    /// # Errors
    /// Every mistake, in the words of the old program; no value of a token and no line of the file is in them. A file
    /// that is not TOML, or whose values have other types, has those mistakes alone, as it had before.
    pub fn parse(text: &str, kept: impl Fn(&str) -> String) -> Result<Self, Vec<Mistake>> {
        read::read(text, &kept)
    }
}

#[cfg(test)]
mod tests;
