//! What an upstream offers: of the tools that it lists those that are wanted, each under one name.

use std::collections::HashMap;
use std::sync::Arc;

use guard::{Scanner, visible_json};
use model::{ToolName, UpstreamName};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use tools::Definition;
use wire::ToolHead;

use crate::keeper::Keeper;
use crate::pins::{Pin, Pinning, Pins, Verdict};
use crate::review::Neighbour;
use crate::settings::UpstreamSettings;
use crate::tool::UpstreamTool;

/// The longest name that every client takes.
const NAME: usize = 64;
/// Of a longer one its beginning, and so many digits of its hash.
const DIGITS: usize = 8;

/// The tools of an upstream.
#[derive(Default)]
pub(crate) struct Offer {
    in_order: Vec<Arc<UpstreamTool>>,
    /// Those that are withheld, too.
    by_own_name: HashMap<Arc<str>, Found>,
    /// Every name in it, in the upstream's order.
    names: Vec<Arc<str>>,
    /// How many tools there are in the upstream's list, wanted or not.
    listed: usize,
}

/// A tool that may be used, once its definition is accepted.
struct Found {
    tool: Arc<UpstreamTool>,
    pin: Pin,
    verdict: Verdict,
    withheld: bool,
}

/// How a tool that may be used compares with what was accepted.
pub(crate) struct Seen<'a> {
    pub(crate) tool: &'a str,
    pub(crate) pin: &'a Pin,
    pub(crate) verdict: &'a Verdict,
}

impl Offer {
    /// From its list and what was accepted of it. What is left out is told in the log.
    pub(crate) fn new(
        keeper: &Arc<Keeper>,
        listed: &[Box<RawValue>],
        scanner: &Scanner,
        pins: &Pins,
    ) -> Self {
        let mut offer = Self { listed: listed.len(), ..Self::default() };
        for written in listed {
            match wanted(keeper.settings(), written, scanner) {
                Ok(Some((name, definition))) if !offer.by_own_name.contains_key(&definition.own_name) => {
                    let Some(pin) = Pin::of(&definition.own) else {
                        left_out(keeper.name(), name.as_str(), "its definition has no one form");
                        continue;
                    };
                    let verdict = Verdict::on(&definition.own_name, &pin, pins);
                    offer.add(keeper, name, definition, pin, verdict);
                }
                Ok(Some((name, _))) => left_out(keeper.name(), name.as_str(), "it is listed twice"),
                Ok(None) => {}
                Err((name, why)) => left_out(keeper.name(), &name, why),
            }
        }
        offer
    }

    fn add(
        &mut self,
        keeper: &Arc<Keeper>,
        name: ToolName,
        definition: Definition,
        pin: Pin,
        verdict: Verdict,
    ) {
        let withheld = keeper.settings().pin == Pinning::Strict && verdict != Verdict::Accepted;
        let own_name = Arc::clone(&definition.own_name);
        let definition = if withheld { without_words(definition) } else { definition };
        let tool = Arc::new(UpstreamTool::new(Arc::clone(keeper), name, definition));
        if !withheld {
            self.in_order.push(Arc::clone(&tool));
        }
        self.names.push(Arc::clone(&own_name));
        self.by_own_name.insert(own_name, Found { tool, pin, verdict, withheld });
    }

    /// Every tool that may be used, whether or not it is withheld.
    pub(crate) fn seen(&self) -> impl Iterator<Item = Seen<'_>> {
        self.names.iter().filter_map(|name| {
            let found = self.by_own_name.get(name)?;
            Some(Seen { tool: name, pin: &found.pin, verdict: &found.verdict })
        })
    }

    /// What was accepted and is not listed any more.
    pub(crate) fn gone<'p>(&self, pins: &'p Pins) -> impl Iterator<Item = &'p str> {
        pins.keys().map(String::as_str).filter(|name| !self.by_own_name.contains_key(*name))
    }

    /// How many tools the upstream lists.
    pub(crate) fn listed(&self) -> usize {
        self.listed
    }

    /// How many tools are withheld.
    pub(crate) fn withheld(&self) -> usize {
        self.by_own_name.values().filter(|found| found.withheld).count()
    }

    /// Whether a tool is withheld.
    pub(crate) fn withholds(&self, own_name: &str) -> bool {
        self.by_own_name.get(own_name).is_some_and(|found| found.withheld)
    }

    /// Its tools, as others see them.
    pub(crate) fn neighbours(&self, upstream: UpstreamName) -> Vec<Neighbour> {
        let one = |(name, found): (&Arc<str>, &Found)| Neighbour {
            upstream: Some(upstream),
            tool: Arc::clone(name),
            form: Arc::clone(found.pin.form()),
        };
        self.by_own_name.iter().map(one).collect()
    }

    pub(crate) fn in_order(&self) -> &[Arc<UpstreamTool>] {
        &self.in_order
    }

    pub(crate) fn of_own_name(&self, name: &str) -> Option<&Arc<UpstreamTool>> {
        self.by_own_name.get(name).map(|found| &found.tool)
    }

    pub(crate) fn offered_as(&self, name: &str) -> Option<&Arc<UpstreamTool>> {
        self.by_own_name
            .values()
            .map(|found| &found.tool)
            .find(|tool| *tool.definition_of().offered_name == *name)
    }

    /// Whether clients would see a difference.
    pub(crate) fn differs(&self, other: &Self) -> bool {
        let definitions = |offer: &Self| {
            offer.in_order.iter().map(|tool| Arc::clone(&tool.definition_of().own)).collect::<Vec<_>>()
        };
        definitions(self) != definitions(other)
    }
}

type Unwanted = (String, &'static str);

/// A tool that may be used; `None` for one that is not in the allowlist.
fn wanted(
    settings: &UpstreamSettings,
    written: &RawValue,
    scanner: &Scanner,
) -> Result<Option<(ToolName, Definition)>, Unwanted> {
    let own = written.get();
    let head = ToolHead::read(own).ok_or_else(|| ("?".to_owned(), "its definition has no name"))?;
    if !settings.lists(&head.name) {
        return Ok(None);
    }
    let shown = || head.name.chars().take(NAME).collect::<String>();
    let name = ToolName::of_upstream(settings.name, &head.name);
    let name = name.map_err(|_| (shown(), "rules could not write its name"))?;
    if scanner.finds(own.as_bytes()) {
        return Err((shown(), "its definition holds a secret that the upstream was started with"));
    }
    let offered_name = offered_name(&name);
    let offered = wire::renamed(&visible_json(own), &offered_name)
        .ok_or_else(|| (shown(), "its definition is none"))?;
    let definition = Definition {
        own: own.into(),
        own_name: (*head.name).into(),
        offered: offered.into(),
        offered_name: offered_name.into(),
    };
    Ok(Some((name, definition)))
}

/// Of what nobody accepted nobody reads a word.
fn without_words(definition: Definition) -> Definition {
    let bare =
        |name: &str| serde_json::json!({ "name": name, "inputSchema": { "type": "object" } }).to_string();
    let (own, offered) = (bare(&definition.own_name).into(), bare(&definition.offered_name).into());
    Definition { own, offered, ..definition }
}

/// The name among all tools: the whole, or as much of it as clients take.
fn offered_name(name: &ToolName) -> String {
    let name = name.as_str();
    if name.len() <= NAME {
        return name.to_owned();
    }
    let hash = hex::encode(Sha256::digest(name));
    // Names are ASCII.
    let (start, digits) = (name.get(..NAME - DIGITS - 1), hash.get(..DIGITS));
    format!("{}_{}", start.unwrap_or_default(), digits.unwrap_or_default())
}

fn left_out(upstream: UpstreamName, tool: &str, why: &str) {
    tracing::warn!(%upstream, tool = tool.escape_default().to_string(), "a tool of it is left out: {why}");
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use guard::Scanner;
    use model::{Secret, ToolName, UpstreamName};
    use serde_json::value::RawValue;

    use super::{offered_name, wanted};
    use crate::{Reach, Sandbox, SandboxSettings, UpstreamSettings};

    fn unconfined() -> SandboxSettings {
        let (sandbox, user) = (Sandbox::Off, None);
        SandboxSettings { sandbox, user, read: Vec::new(), write: Vec::new(), guarded: Vec::new() }
    }

    fn settings(tools: Option<&[&str]>) -> UpstreamSettings {
        UpstreamSettings {
            name: UpstreamName::parse("up").unwrap(),
            reach: Reach::Program {
                command: Vec::new(),
                env: Vec::new(),
                folder: "/".into(),
                sandbox: unconfined(),
            },
            tools: tools.map(|tools| tools.iter().map(|tool| (*tool).to_owned()).collect()),
            tier: BTreeMap::new(),
            timeout: None,
            load: crate::Load { concurrent: 1, of_one_principal: 1, per_minute: None },
            pin: crate::Pinning::Off,
            client_requests: model::Abilities::default(),
            required: false,
        }
    }

    #[test]
    fn only_what_is_listed_and_can_be_named_is_offered() {
        let secret = Secret::new("hunter2hunter2".to_owned());
        let scanner = Scanner::new([&secret]);
        let offered = |tools: Option<&[&str]>, definition: &str| {
            let definition = RawValue::from_string(definition.to_owned()).unwrap();
            wanted(&settings(tools), &definition, &scanner)
                .map(|tool| tool.map(|(name, _)| name.to_string()))
                .map_err(|(_, why)| why)
        };
        let get = r#"{"name":"get"}"#;
        assert_eq!(offered(Some(&["get"]), get), Ok(Some("up__get".to_owned())));
        assert_eq!(offered(None, get), Ok(Some("up__get".to_owned())));
        for none in [&[][..], &["Get"], &["get "], &["ge"]] {
            assert_eq!(offered(Some(none), get), Ok(None), "{none:?}");
        }
        assert!(offered(None, r#"{"name":"with blank"}"#).unwrap_err().contains("name"));
        assert!(offered(None, r#"{"title":"x"}"#).unwrap_err().contains("no name"));
        assert!(
            offered(None, r#"{"name":"a","description":"hunter2hunter2"}"#).unwrap_err().contains("secret")
        );
    }

    #[test]
    fn the_offered_definition_says_what_was_hidden_and_the_own_one_is_untouched() {
        let written = "{ \"name\":\"get\", \"description\":\"x\u{200b}y\", \"big\":12345678901234567890123 }";
        let written = RawValue::from_string(written.to_owned()).unwrap();
        let (_, definition) = wanted(&settings(None), &written, &Scanner::empty()).unwrap().unwrap();
        assert_eq!(&*definition.own, written.get());
        assert_eq!(
            &*definition.offered,
            r#"{"name":"up__get","description":"x\\u{200b}y","big":12345678901234567890123}"#
        );
    }

    #[test]
    fn long_names_are_cut_to_what_clients_take_and_stay_different() {
        let name = |tool: &str| {
            offered_name(&ToolName::of_upstream(UpstreamName::parse("up").unwrap(), tool).unwrap())
        };
        assert_eq!(name("a"), "up__a");
        let (one, other) = (name(&format!("{}1", "x".repeat(80))), name(&format!("{}2", "x".repeat(80))));
        assert_eq!((one.len(), other.len()), (64, 64));
        assert_ne!(one, other);
    }
}
