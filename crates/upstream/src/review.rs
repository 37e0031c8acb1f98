//! What an operator looks at before accepting tools: what changed, what hides in it, what passes for something else.

use std::collections::BTreeSet;
use std::sync::Arc;

use guard::{look_alike, suspicions, visible_json};
use model::{ErrorCode, Failure, UpstreamName};
use sha2::{Digest as _, Sha256};

use crate::keeper::Keeper;
use crate::offer::{Offer, Seen};
use crate::pins::{Pinning, Pins, Verdict};

/// Names shorter than this are everyday words, which any description may hold.
const TELLING: usize = 6;

/// An upstream's tools beside what was accepted of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    /// The upstream.
    pub upstream: UpstreamName,
    /// What becomes of tools that nobody accepted.
    pub pinning: Pinning,
    /// Why it does not run, if it does not: then the tools are those that it listed last.
    pub down: Option<String>,
    /// What its program is confined by, if it is a program.
    pub sandbox: Option<String>,
    /// Its tools, of those that may be used.
    pub tools: Vec<ToolReview>,
    /// Tools that were accepted and that it does not list any more.
    pub gone: Vec<String>,
}

/// One tool beside what was accepted of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolReview {
    /// The upstream's name for it.
    pub tool: String,
    /// `accepted`, `new` or `changed`.
    pub is: &'static str,
    /// Whether it may be called.
    pub offered: bool,
    /// Hash of its definition, in hexadecimal digits.
    pub hash: String,
    /// What its definition says otherwise than the accepted one; of a new tool all that it says.
    pub changes: Vec<Change>,
    /// What in its definition should be looked at, each with where it is.
    pub suspicions: Vec<String>,
    /// How it passes for a tool of somebody else, or speaks of one.
    pub shadows: Vec<String>,
}

/// One statement of a definition that is not as it was. JSON in which nothing is hidden.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Where: `inputSchema.properties.path.description`.
    pub at: String,
    /// What was accepted.
    pub accepted: Option<String>,
    /// What it says.
    pub now: Option<String>,
}

/// What was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Accepted {
    /// Tools whose definitions are accepted now.
    pub tools: BTreeSet<String>,
    /// Tools that are forgotten.
    pub gone: Vec<String>,
    /// Tools that must be named, because they pass for others.
    pub left: Vec<String>,
}

/// A tool of somebody else.
pub(crate) struct Neighbour {
    /// `None` if it is one of ours.
    pub(crate) upstream: Option<UpstreamName>,
    pub(crate) tool: Arc<str>,
    pub(crate) form: Arc<str>,
}

impl Review {
    pub(crate) fn new(keeper: &Keeper, offer: &Offer, pins: &Pins, neighbours: &[Neighbour]) -> Self {
        let upstream = keeper.name();
        let pinning = keeper.settings().pin;
        let tools = offer.seen().map(|seen| tool(upstream, pinning, &seen, offer, neighbours)).collect();
        let gone = offer.gone(pins).map(str::to_owned).collect();
        Self { upstream, pinning, down: keeper.down(), sandbox: keeper.settings().confinement(), tools, gone }
    }

    /// These tools of it alone; all if none is named. A failure names what there is not.
    pub fn only(mut self, named: &BTreeSet<String>) -> Result<Self, Failure> {
        if named.is_empty() {
            return Ok(self);
        }
        let known =
            |name: &String| self.gone.contains(name) || self.tools.iter().any(|tool| tool.tool == *name);
        if let Some(unknown) = named.iter().find(|name| !known(name)) {
            let shown: String = unknown.chars().take(80).collect();
            let text = format!("`{}` lists no tool `{shown}` that may be used", self.upstream);
            return Err(Failure::new(ErrorCode::InputInvalid, text)
                .with_hint(format!("`portcullis upstream tools {}` shows its tools", self.upstream)));
        }
        self.tools.retain(|tool| named.contains(&tool.tool));
        self.gone.retain(|tool| named.contains(tool));
        Ok(self)
    }

    /// Stands for exactly what this review shows as not accepted.
    pub fn digest(&self) -> String {
        let mut hasher = Sha256::new();
        for tool in self.waiting() {
            hasher.update(format!("{} {} {}\n", tool.is, tool.tool, tool.hash));
        }
        for tool in &self.gone {
            hasher.update(format!("gone {tool}\n"));
        }
        hex::encode(hasher.finalize())
    }

    /// Tools whose definitions nobody accepted.
    pub fn waiting(&self) -> impl Iterator<Item = &ToolReview> {
        self.tools.iter().filter(|tool| tool.is != Verdict::Accepted.as_str())
    }

    /// What is accepted of it. What passes for somebody else's tool must be named.
    pub(crate) fn takes(&self, by_name: bool) -> Accepted {
        let (taken, left): (Vec<_>, Vec<_>) =
            self.waiting().partition(|tool| by_name || tool.shadows.is_empty());
        let name = |tool: &ToolReview| tool.tool.clone();
        Accepted {
            tools: taken.into_iter().map(name).collect(),
            gone: self.gone.clone(),
            left: left.into_iter().map(name).collect(),
        }
    }
}

fn tool(
    upstream: UpstreamName,
    pinning: Pinning,
    seen: &Seen<'_>,
    offer: &Offer,
    others: &[Neighbour],
) -> ToolReview {
    let now = statements(seen.pin.form());
    let before = match seen.verdict {
        Verdict::Accepted => now.clone(),
        Verdict::New => Vec::new(),
        Verdict::Changed(accepted) => statements(accepted.form()),
    };
    let suspicious = now.iter().flat_map(|(at, value)| {
        let found = suspicions(at).into_iter().chain(suspicions(&decoded(value)));
        found.map(|what| format!("{}: {what}", shown(at))).collect::<Vec<_>>()
    });
    ToolReview {
        tool: seen.tool.to_owned(),
        is: seen.verdict.as_str(),
        offered: pinning != Pinning::Strict || *seen.verdict == Verdict::Accepted,
        hash: hex::encode(seen.pin.hash()),
        changes: changes(&before, &now),
        suspicions: suspicious.collect(),
        shadows: shadows(upstream, seen, offer, others),
    }
}

fn statements(form: &str) -> Vec<(String, String)> {
    wire::statements(form).unwrap_or_default()
}

fn changes(before: &[(String, String)], now: &[(String, String)]) -> Vec<Change> {
    let ways: BTreeSet<&String> = before.iter().chain(now).map(|(at, _)| at).collect();
    let said = |all: &[(String, String)], way: &str| {
        all.iter().find(|(at, _)| at == way).map(|(_, value)| visible_json(value).into_owned())
    };
    let change = |at: &String| Change { at: shown(at), accepted: said(before, at), now: said(now, at) };
    ways.into_iter().map(change).filter(|change| change.accepted != change.now).collect()
}

/// A key is its upstream's text like any other.
fn shown(way: &str) -> String {
    let quoted = serde_json::Value::from(way).to_string();
    let visible = visible_json(&quoted);
    visible.trim_matches('"').to_owned()
}

fn decoded(value: &str) -> String {
    serde_json::from_str::<String>(value).unwrap_or_else(|_| value.to_owned())
}

/// How a tool passes for another: by its name, or by speaking of it.
fn shadows(upstream: UpstreamName, seen: &Seen<'_>, offer: &Offer, others: &[Neighbour]) -> Vec<String> {
    let alike = look_alike(seen.tool);
    let within = offer.seen().filter(|other| other.tool != seen.tool && look_alike(other.tool) == alike);
    let mut found: Vec<String> =
        within.map(|other| format!("its name looks like that of its own tool `{}`", other.tool)).collect();
    for other in others.iter().filter(|other| other.upstream != Some(upstream)) {
        let whose = match other.upstream {
            Some(other) => format!("of the upstream `{other}`"),
            None => "of the gateway itself".to_owned(),
        };
        let name = &*other.tool;
        if name == seen.tool {
            found.push(format!("the tool `{name}` {whose} has the same name"));
        } else if look_alike(name) == alike {
            found.push(format!("its name looks like that of the tool `{name}` {whose}"));
        }
        if name != seen.tool && speaks_of(seen.pin.form(), name) {
            found.push(format!("its definition speaks of the tool `{name}` {whose}"));
        }
        if other.upstream.is_some() && name != seen.tool && speaks_of(&other.form, seen.tool) {
            found.push(format!("the definition of the tool `{name}` {whose} speaks of it"));
        }
    }
    found
}

/// Whether a definition holds the name as a word of its own.
fn speaks_of(form: &str, name: &str) -> bool {
    let of_names = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let telling = name.len() >= TELLING && name.contains(['_', '-', '.', '/', ':']);
    telling
        && form.match_indices(name).any(|(at, _)| {
            let before = form.get(..at).and_then(|text| text.chars().next_back());
            let after = form.get(at + name.len()..).and_then(|text| text.chars().next());
            // `UPSTREAM__TOOL` speaks of it, too.
            let starts = before.is_none_or(|c| !of_names(c))
                || form.get(..at).is_some_and(|text| text.ends_with("__"));
            starts && after.is_none_or(|c| !of_names(c))
        })
}

#[cfg(test)]
mod tests {
    use super::{changes, speaks_of, statements};

    #[test]
    fn what_changed_is_told_where_it_is_and_nothing_hides() {
        let before = statements(
            r#"{"name":"a","inputSchema":{"properties":{"p":{"type":"string"}},"type":"object"}}"#,
        );
        let now = statements(
            "{\"name\":\"a\",\"inputSchema\":{\"properties\":{\"p\":{\"type\":\"string\",\"description\":\"x\u{200b}\"}},\"k\u{202e}\":1}}",
        );
        let told: Vec<String> = changes(&before, &now)
            .into_iter()
            .map(|change| format!("{} {:?} {:?}", change.at, change.accepted, change.now))
            .collect();
        assert_eq!(
            told,
            [
                r#"inputSchema.k\\u{202e} None Some("1")"#,
                r#"inputSchema.properties.p.description None Some("\"x\\\\u{200b}\"")"#,
                r#"inputSchema.type Some("\"object\"") None"#,
            ]
        );
    }

    #[test]
    fn a_definition_speaks_of_a_tool_when_it_names_it_as_a_word() {
        for (form, spoken) in [
            (r#"{"description":"call send_mail first"}"#, true),
            (r#"{"description":"use mail__send_mail"}"#, true),
            (r#"{"description":"send_mails"}"#, false),
            (r#"{"description":"resend_mail"}"#, false),
            (r#"{"description":"sends mail"}"#, false),
        ] {
            assert_eq!(speaks_of(form, "send_mail"), spoken, "{form}");
        }
        assert!(!speaks_of(r#"{"description":"a search tool"}"#, "search"), "an everyday word");
    }
}
