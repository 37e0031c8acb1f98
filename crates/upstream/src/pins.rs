//! Accepted definitions: what a tool's definition is compared with before anybody is offered the tool.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use model::{Failure, UpstreamName};
use sha2::{Digest as _, Sha256};

/// What becomes of tools whose definitions nobody accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pinning {
    /// They are withheld.
    Strict,
    /// They are offered, and reported.
    Warn,
    /// They are offered.
    Off,
}

/// A definition in its one form, with its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    hash: [u8; 32],
    form: Arc<str>,
}

/// The accepted definitions of one upstream, by the names of its tools.
pub type Pins = BTreeMap<String, Pin>;

/// Keeps accepted definitions over restarts.
#[async_trait]
pub trait PinBook: Send + Sync {
    /// Those of an upstream.
    async fn pins(&self, upstream: UpstreamName) -> Result<Pins, Failure>;

    /// Keeps these in place of those of the same tools, and forgets those of `gone`; all or nothing.
    async fn keep(&self, upstream: UpstreamName, pins: Pins, gone: Vec<String>) -> Result<(), Failure>;
}

/// How a definition compares with the accepted one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is that one.
    Accepted,
    /// There is none.
    New,
    /// It is another.
    Changed(Pin),
}

impl Pinning {
    /// As it is written in configurations.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Warn => "warn",
            Self::Off => "off",
        }
    }
}

impl Pin {
    /// Of a definition as its upstream wrote it; `None` if it is no object.
    pub(crate) fn of(definition: &str) -> Option<Self> {
        wire::canonical(definition).ok().map(|form| Self::of_form(form.into()))
    }

    /// Of a definition that was kept in its one form.
    pub fn of_form(form: Arc<str>) -> Self {
        Self { hash: Sha256::digest(form.as_bytes()).into(), form }
    }

    /// SHA-256 of the form.
    pub fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    /// The definition with its keys in order and without blanks.
    pub fn form(&self) -> &Arc<str> {
        &self.form
    }
}

impl Verdict {
    pub(crate) fn on(tool: &str, pin: &Pin, pins: &Pins) -> Self {
        match pins.get(tool) {
            None => Self::New,
            // The whole is compared: nothing rests on what the hash was when it was kept.
            Some(accepted) if accepted.form == pin.form => Self::Accepted,
            Some(accepted) => Self::Changed(accepted.clone()),
        }
    }

    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::New => "new",
            Self::Changed(_) => "changed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Pin, Pins, Verdict};

    #[test]
    fn a_definition_is_accepted_as_a_whole_however_it_is_laid_out() {
        let pin = |definition: &str| Pin::of(definition).unwrap();
        let accepted = pin(
            r#"{"name":"a","description":"d","inputSchema":{"type":"object","x":1},"annotations":{"readOnlyHint":true}}"#,
        );
        let pins = Pins::from([("a".to_owned(), accepted.clone())]);
        let same = r#"{ "annotations":{"readOnlyHint":true}, "inputSchema":{"x":1,"type":"object"},"description":"\u0064","name":"a" }"#;
        assert_eq!(Verdict::on("a", &pin(same), &pins), Verdict::Accepted);
        assert_eq!(Verdict::on("b", &pin(same), &pins), Verdict::New);
        for (from, to) in [
            ("\"description\":\"\\u0064\"", "\"description\":\"d\u{200b}\""),
            ("\"x\":1", "\"x\":1.0"),
            ("true", "false"),
            ("\"name\":\"a\"", "\"name\":\"a\",\"title\":\"A\""),
            ("\"name\":\"a\"", "\"name\":\"a\",\"outputSchema\":{}"),
        ] {
            let changed = pin(&same.replace(from, to));
            assert_eq!(Verdict::on("a", &changed, &pins), Verdict::Changed(accepted.clone()), "{to}");
            assert_ne!(changed.hash(), accepted.hash());
        }
    }
}
