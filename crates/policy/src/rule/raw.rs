//! Rules as they stand in a file, before anything but their shape is checked.

use std::ops::Range;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_spanned::Spanned;

use super::arguments::RawArguments;

/// A file of rules: `[[rule]]` tables.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawRules {
    /// The rules, in order.
    #[serde(default)]
    #[schemars(with = "Vec<RawRule>")]
    pub rule: Vec<Spanned<RawRule>>,
}

/// One `[[rule]]`. Exactly one of `allow` and `forbid`; `name`, `principals` and `targets` must be written.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawRule {
    /// A name of its own: denials, audit entries and `context.matched` use it.
    #[schemars(with = "String")]
    pub name: Option<Spanned<String>>,
    /// Tools that are permitted: names, `set:NAME`, `tier:NAME`, `operator:VERB`, `operator:*`, `*`.
    #[schemars(with = "Option<Vec<String>>")]
    pub allow: Option<Vec<Spanned<String>>>,
    /// Tools that are forbidden, in the same words.
    #[schemars(with = "Option<Vec<String>>")]
    pub forbid: Option<Vec<Spanned<String>>>,
    /// Who: names, `group:NAME`, `*`.
    #[schemars(with = "Vec<String>")]
    pub principals: Option<Vec<Spanned<String>>>,
    /// Where: aliases with `*`, `tag:NAME`, joined by `&` and negated by `!`.
    #[schemars(with = "Vec<String>")]
    pub targets: Option<Vec<Spanned<String>>>,
    /// Word patterns of the commands. Missing: none in `allow`, any in `forbid`.
    #[schemars(with = "Option<Vec<String>>")]
    pub commands: Option<Vec<Spanned<String>>>,
    /// Programs by name, and word patterns, of commands that run others or write files unseen. Missing: none in `allow`.
    #[schemars(with = "Option<Vec<String>>")]
    pub opaque: Option<Vec<Spanned<String>>>,
    /// Paths that redirections may read: absolute, with `*` and `**`. Missing: none in `allow`, any in `forbid`.
    #[schemars(with = "Option<Vec<String>>")]
    pub reads: Option<Vec<Spanned<String>>>,
    /// Paths that redirections may write. Missing: none in `allow`, any in `forbid`.
    #[schemars(with = "Option<Vec<String>>")]
    pub writes: Option<Vec<Spanned<String>>>,
    /// `SOURCE:SAFE/OBJECT` patterns for `get_credential`. Missing: none in `allow`, any in `forbid`.
    #[schemars(with = "Option<Vec<String>>")]
    pub credentials: Option<Vec<Spanned<String>>>,
    /// What arguments of upstreams' tools may be: values by path. Missing: any.
    #[schemars(with = "Option<std::collections::BTreeMap<String, Vec<String>>>")]
    pub arguments: Option<Spanned<RawArguments>>,
    /// Networks that what this rule permits may dial.
    #[schemars(with = "Option<RawNetworks>")]
    pub networks: Option<Spanned<RawNetworks>>,
    /// A further condition, as a Cedar expression.
    #[schemars(with = "Option<String>")]
    pub when: Option<Spanned<String>>,
    /// Limits of permitted calls.
    #[schemars(with = "Option<RawLimits>")]
    pub limits: Option<Spanned<RawLimits>>,
    /// Humans who must approve first.
    #[schemars(with = "Option<RawApproval>")]
    pub approval: Option<Spanned<RawApproval>>,

    #[serde(default)]
    #[schemars(skip)]
    pub(crate) paths: Option<Spanned<IgnoredAny>>,
    #[serde(default)]
    #[schemars(skip)]
    pub(crate) statements: Option<Spanned<IgnoredAny>>,
    #[serde(default)]
    #[schemars(skip)]
    pub(crate) cmdlets: Option<Spanned<IgnoredAny>>,
}

/// `networks = { ... }`: checked on the address that is dialled; of several permitting rules each must admit it.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawNetworks {
    /// Only these.
    #[schemars(with = "Option<Vec<String>>")]
    pub allow: Option<Vec<Spanned<String>>>,
    /// Never these; wins over `allow`.
    #[schemars(with = "Option<Vec<String>>")]
    pub block: Option<Vec<Spanned<String>>>,
}

/// `limits = { ... }`: the smallest among permitting rules wins.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawLimits {
    /// How long the target may take, such as `30s`.
    #[schemars(with = "Option<String>")]
    pub timeout: Option<Spanned<String>>,
    /// How much output is kept, such as `128KiB`.
    #[schemars(with = "Option<String>")]
    pub output: Option<Spanned<String>>,
    /// Calls of one principal in a minute.
    #[schemars(with = "Option<u32>")]
    pub calls_per_minute: Option<Spanned<u32>>,
}

/// `approval = { ... }`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawApproval {
    /// Groups whose members may approve, each as `group:NAME`.
    #[schemars(with = "Vec<String>")]
    pub by: Vec<Spanned<String>>,
    /// How many must; 1 when left out.
    #[schemars(with = "Option<u32>")]
    pub count: Option<Spanned<u32>>,
    /// How long the approval may take and then last; `15m` when left out.
    #[schemars(with = "Option<String>")]
    pub within: Option<Spanned<String>>,
    /// Whether the requester must give a reason.
    #[serde(default)]
    pub reason: bool,
}

impl RawRule {
    /// Where the value of a key is written, or one element of it.
    pub fn span_of(&self, field: &str, index: Option<usize>) -> Option<Range<usize>> {
        let list = match field {
            "allow" => &self.allow,
            "forbid" => &self.forbid,
            "principals" => &self.principals,
            "targets" => &self.targets,
            "commands" => &self.commands,
            "opaque" => &self.opaque,
            "reads" => &self.reads,
            "writes" => &self.writes,
            "credentials" => &self.credentials,
            "name" => return self.name.as_ref().map(Spanned::span),
            "when" => return self.when.as_ref().map(Spanned::span),
            "networks" => return self.networks.as_ref().map(Spanned::span),
            "arguments" => return self.arguments.as_ref().map(Spanned::span),
            "limits" => return self.limits.as_ref().map(Spanned::span),
            "approval" => return self.approval.as_ref().map(Spanned::span),
            _ => return None,
        };
        let list = list.as_ref()?;
        match index {
            Some(index) => list.get(index).map(Spanned::span),
            None => Some(list.first()?.span().start..list.last()?.span().end),
        }
    }

    /// Keys that are known and not yet built.
    pub(crate) fn later(&self) -> impl Iterator<Item = (&'static str, Range<usize>)> {
        [("paths", &self.paths), ("statements", &self.statements), ("cmdlets", &self.cmdlets)]
            .into_iter()
            .filter_map(|(key, value)| Some((key, value.as_ref()?.span())))
    }
}
