//! Third-party servers by name, and what passes between their clients and them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use crate::{Abilities, LogLevel, MalformedName, Said, Target, TargetKind, TargetName, ToolName};

/// The name of an upstream: 1 to 20 of `a-z 0-9 -`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UpstreamName {
    bytes: [u8; Self::LONGEST],
    length: u8,
}

impl UpstreamName {
    /// What stands between an upstream's name and its tool's in the one name of that tool.
    pub const SEPARATOR: &'static str = "__";
    const LONGEST: usize = 20;

    /// Takes the text as it is, if it has the form of such a name.
    pub fn parse(text: &str) -> Result<Self, MalformedName> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let mut bytes = [0; Self::LONGEST];
        let place = bytes.get_mut(..text.len()).filter(|place| !place.is_empty());
        match (place, u8::try_from(text.len())) {
            (Some(place), Ok(length)) if text.bytes().all(plain) => {
                place.copy_from_slice(text.as_bytes());
                Ok(Self { bytes, length })
            }
            _ => Err(MalformedName::new(text, "name of an upstream", "1 to 20 of `a-z 0-9 -`")),
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..usize::from(self.length)).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }
}

impl fmt::Display for UpstreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for UpstreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UpstreamName({self})")
    }
}

impl ToolName {
    /// The one name of an upstream's tool, `UPSTREAM__TOOL`: what rules and the record say.
    pub fn of_upstream(upstream: UpstreamName, tool: &str) -> Result<Self, MalformedName> {
        Self::parse(&format!("{upstream}{}{tool}", UpstreamName::SEPARATOR))
    }

    /// The upstream and its own name for the tool, if it is the tool of one. No tool of ours has such a name.
    pub fn upstream(&self) -> Option<(UpstreamName, &str)> {
        let (upstream, tool) = self.as_str().split_once(UpstreamName::SEPARATOR)?;
        Some((UpstreamName::parse(upstream).ok()?, tool)).filter(|(_, tool)| !tool.is_empty())
    }
}

/// What an upstream has, as far as rules tell it apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Thing {
    /// Something that is called.
    Tool,
    /// Something that is read, by its address.
    Resource,
    /// A text with places to fill in.
    Prompt,
}

impl Thing {
    /// What stands before the names of such things in rules and records; a tool's has its upstream there.
    fn prefix(self) -> Option<&'static str> {
        match self {
            Self::Tool => None,
            Self::Resource => Some("resource:"),
            Self::Prompt => Some("prompt:"),
        }
    }
}

/// Something of an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Theirs<'a> {
    /// Whose it is.
    pub upstream: UpstreamName,
    /// What it is.
    pub thing: Thing,
    /// The upstream's own name for it; of a resource the address.
    pub name: &'a str,
}

/// The longest name of a resource or prompt, in bytes.
const LONGEST_NAME: usize = 2048;

impl ToolName {
    /// The one name of something that an upstream has: `UPSTREAM__TOOL`, `resource:UPSTREAM/ADDRESS`,
    /// `prompt:UPSTREAM/NAME`.
    ///
    /// # Errors
    ///
    /// For names that rules could not be sure of: addresses that other readers take for another one.
    pub fn of_theirs(theirs: Theirs<'_>) -> Result<Self, MalformedName> {
        let Theirs { upstream, thing, name } = theirs;
        let Some(prefix) = thing.prefix() else { return Self::of_upstream(upstream, name) };
        let short = !name.is_empty() && name.len() <= LONGEST_NAME;
        match thing {
            Thing::Resource if !short || !is_one_address(name) => Err(MalformedName::new(
                name,
                "resource's address",
                "1 to 2048 visible ASCII characters, without steps `.` and `..`, `\\` and encoded `/`",
            )),
            Thing::Prompt if !short || !name.bytes().all(|b| b == b' ' || b.is_ascii_graphic()) => {
                Err(MalformedName::new(name, "prompt's name", "1 to 2048 ASCII characters"))
            }
            Thing::Tool | Thing::Resource | Thing::Prompt => {
                Ok(Self::checked(format!("{prefix}{upstream}/{name}")))
            }
        }
    }

    /// What it names, if that is something of an upstream. Nothing of ours has such a name.
    pub fn theirs(&self) -> Option<Theirs<'_>> {
        for thing in [Thing::Resource, Thing::Prompt] {
            if let Some(rest) = thing.prefix().and_then(|prefix| self.as_str().strip_prefix(prefix)) {
                let (upstream, name) = rest.split_once('/')?;
                let upstream = UpstreamName::parse(upstream).ok()?;
                return Some(Theirs { upstream, thing, name }).filter(|_| !name.is_empty());
            }
        }
        self.upstream().map(|(upstream, name)| Theirs { upstream, thing: Thing::Tool, name })
    }
}

/// Whether everybody who reads this address takes it for the same one: what a path leads through is written out.
fn is_one_address(uri: &str) -> bool {
    let lower = uri.to_ascii_lowercase();
    let hidden = ["\\", "%2f", "%5c", "%00"].iter().any(|hidden| lower.contains(hidden));
    let path = lower.replace("%2e", ".");
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let steps = path.split('/').any(|step| step == "." || step == "..");
    uri.bytes().all(|b| b.is_ascii_graphic()) && !hidden && !steps
}

impl Target {
    /// An upstream as a target: what its tools act on. Configurations refuse one that is called as a host is.
    pub fn upstream(upstream: UpstreamName) -> Self {
        let name = TargetName::parse(upstream.as_str());
        Self {
            name: name.unwrap_or_else(|_| unreachable!("an upstream's name has the form of a target's")),
            kind: TargetKind::Upstream,
            tags: std::collections::BTreeSet::new(),
            address: None,
        }
    }
}

/// A call as it goes on to an upstream. It holds the client's own text: what was decided on is what is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward {
    /// The JSON text of the request's parameters, as the client wrote it.
    pub params: Arc<str>,
    /// The same without `_meta`, which is about the request and not about the act. The digest covers it.
    pub act: Arc<str>,
    /// Whether the answer goes back as it came, unless the guard must step in. Else what deceives a reader is made visible.
    pub faithful: bool,
    /// What the client can be asked.
    pub abilities: Abilities,
    /// From which level on it wants to be told.
    pub level: Option<LogLevel>,
    /// What it answered, if it was asked before.
    pub resumed: Option<Arc<Resumed>>,
}

/// What came back after questions of an upstream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resumed {
    /// What the client said, by the names of the questions. The digest covers it.
    pub answers: BTreeMap<String, Said>,
    /// What was sealed with the questions: the upstream's own state, or which of its calls waits.
    pub carried: Option<Value>,
}

impl Forward {
    /// From a client that can be asked nothing, and was not.
    pub fn new(params: Arc<str>, act: Arc<str>, faithful: bool) -> Self {
        Self { params, act, faithful, abilities: Abilities::default(), level: None, resumed: None }
    }
}

/// What an upstream answered, as its own JSON text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The result, or the error.
    pub json: Arc<str>,
    /// What it is.
    pub kind: ReplyKind,
    /// See [`Forward::faithful`].
    pub faithful: bool,
    /// Whether it says what kind of result it is, as results of the modern era do.
    pub says_its_type: bool,
}

/// What an upstream's answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyKind {
    /// The result of a tool that did what it was asked to.
    Done,
    /// The result of a tool that says that it failed.
    ToolError,
    /// A protocol error with this code.
    ProtocolError(i64),
}

#[cfg(test)]
mod tests {
    use super::{Theirs, Thing, UpstreamName};
    use crate::{Target, ToolName};

    #[test]
    fn resources_and_prompts_have_names_that_say_whose_they_are() {
        let upstream = UpstreamName::parse("files").unwrap();
        for (thing, name, whole) in [
            (Thing::Resource, "file:///srv/a%20b?x=1", "resource:files/file:///srv/a%20b?x=1"),
            (Thing::Prompt, "two words", "prompt:files/two words"),
            (Thing::Tool, "get", "files__get"),
        ] {
            let theirs = Theirs { upstream, thing, name };
            let one_name = ToolName::of_theirs(theirs).unwrap();
            assert_eq!((one_name.as_str(), one_name.theirs()), (whole, Some(theirs)));
        }
        for none in ["resource:Files/x", "resource:files/", "prompt:files", "resource:a__b", "ssh_execute"] {
            assert_eq!(ToolName::parse(none).unwrap().theirs(), None, "{none}");
        }
    }

    #[test]
    fn an_address_that_two_could_read_differently_is_none() {
        let upstream = UpstreamName::parse("files").unwrap();
        let long = format!("file:///{}", "a".repeat(2048));
        for uri in [
            "file:///srv/../etc",
            "file:///srv/./a",
            "file:///srv/..",
            "file:///srv/%2e%2E/etc",
            "file:///srv/.%2e/etc",
            "file:///srv%2Fetc",
            "file:///srv\\etc",
            "file:///a%00b",
            "file:///a b",
            "file:///h\u{e9}",
            "",
            &long,
        ] {
            let theirs = Theirs { upstream, thing: Thing::Resource, name: uri };
            assert!(ToolName::of_theirs(theirs).is_err(), "{uri}");
        }
    }

    #[test]
    fn names_of_upstreams_are_short_and_plain() {
        for name in ["a", "github", "my-server-2", "abcdefghijklmnopqrst"] {
            assert_eq!(UpstreamName::parse(name).unwrap().as_str(), name);
            assert_eq!(Target::upstream(UpstreamName::parse(name).unwrap()).name.as_str(), name);
        }
        for wrong in ["", "A", "a_b", "a.b", "abcdefghijklmnopqrstu", "\u{e9}", "a b"] {
            assert!(UpstreamName::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_tool_name_says_whose_it_is() {
        let of = |name: &str| {
            let name = ToolName::parse(name).unwrap();
            name.upstream().map(|(upstream, tool)| (upstream.to_string(), tool.to_owned()))
        };
        assert_eq!(of("github__get_issue"), Some(("github".into(), "get_issue".into())));
        assert_eq!(of("a__b__c"), Some(("a".into(), "b__c".into())));
        for ours in ["ssh_execute", "GitHub__x", "a__", "__x", "operator:reload", "a_b__c"] {
            assert_eq!(of(ours), None, "{ours}");
        }
        let github = UpstreamName::parse("github").unwrap();
        assert_eq!(ToolName::of_upstream(github, "get").unwrap().as_str(), "github__get");
        assert!(ToolName::of_upstream(github, "with blank").is_err());
    }
}
