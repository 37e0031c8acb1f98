//! The keys of rule files.

use std::time::Duration;

use super::configuration::{CALLS, OUTPUT, TIMEOUT};
use crate::shape::{Key, Kind, key, later};

pub(crate) const ROOT: &[Key] =
    &[key("rule", Kind::List(&Kind::Table(RULE)), "Rules; one table each. Their order does not matter.")];

const RULE: &[Key] = &[
    key("name", Kind::Text, "The name that denials, explanations and the journal use; no two rules share one.").required(),
    key(
        "allow",
        Kind::List(&Kind::Text),
        "What the rule permits: tool names, `set:NAME`, `tier:read`, `UPSTREAM__TOOL`, `upstream:NAME`, `operator:VERB`, `*`. A rule has either `allow` or `forbid`.",
    ),
    key("forbid", Kind::List(&Kind::Text), "What the rule forbids, in the same words; wins over every `allow`."),
    key("principals", Kind::List(&Kind::Text), "Who: ids, `group:NAME`, `*`.").required(),
    key("targets", Kind::List(&Kind::Text), "On what: aliases with `*`, `tag:a & !tag:b`, `*`; hosts outside of the inventory by `address:10.0.0.0/8` or `name:*.internal`.").required(),
    key(
        "commands",
        Kind::List(&Kind::Text),
        "Word patterns of command lines: `systemctl status *`. `*` is one word, `**` any number, neither of them one that begins with `-`; `<int>`, `<word>`, `<unit>`, `<path:/prefix>`.",
    )
    .or("in `allow`: none, for tools that run a caller's command; in `forbid`: any"),
    key(
        "opaque",
        Kind::List(&Kind::Text),
        "Commands that run others or write files unseen, permitted by name: `find` (one word: with any words), or word patterns such as `bash -c **`. `commands` never permits them.",
    )
    .or("in `allow`: none; in `forbid`: any"),
    key("reads", Kind::List(&Kind::Text), "Paths that redirections of commands may read: `/srv/in/*.csv`, `/var/log/**`, `**` for any. `/dev/null` needs none.")
        .or("in `allow`: none; in `forbid`: any"),
    key("writes", Kind::List(&Kind::Text), "Paths that redirections of commands may write, in the same form.")
        .or("in `allow`: none; in `forbid`: any"),
    key("credentials", Kind::List(&Kind::Text), "Credentials that `get_credential` may issue handles for: `SOURCE:SAFE/OBJECT` with `*`, or `**`.")
        .or("in `allow`: none; in `forbid`: any"),
    key(
        "arguments",
        Kind::Named(&Kind::List(&Kind::Text)),
        "What arguments of upstreams' tools may be, by path: `{ repo = [\"acme/*\"], \"options.mode\" = [\"read\"] }`. `*` is any characters but `/`, `**` alone any value. A rule with it is about tools of upstreams only.",
    )
    .or("any"),
    key("networks", Kind::Table(NETWORKS), "Networks that what this rule permits may dial, checked at the dial; of several permitting rules each must admit the address.").or("all that `[network]` admits"),
    key("limits", Kind::Table(LIMITS), "What bounds calls that this rule permits; the smallest of several rules wins.").or("`[limits]`"),
    key("approval", Kind::Table(APPROVAL), "Humans who must say yes first. Approvers cannot be configured yet, so such a rule ends in `approval.required`."),
    key("when", Kind::Text, "A Cedar condition, such as `context.time.hour >= 8`.").or("always"),
    later("statements"),
    later("cmdlets"),
    later("paths"),
];

const NETWORKS: &[Key] = &[
    key("allow", Kind::List(&Kind::Text), "Only these.").or("everything"),
    key("block", Kind::List(&Kind::Text), "Never these; wins over `allow`.").or("`[]`"),
];

const LIMITS: &[Key] = &[
    key("timeout", TIMEOUT, "How long the target may take: `100ms` to `1d`."),
    key("output", OUTPUT, "How much output is kept: `256B` to `64MiB`."),
    key("calls_per_minute", CALLS, "How many calls a principal may make in a minute."),
];

const APPROVAL: &[Key] = &[
    key("by", Kind::List(&Kind::Text), "Who may approve: `group:NAME`.").required(),
    key("count", Kind::Integer { min: 1, max: 10 }, "How many of them.").or("`1`"),
    key(
        "within",
        Kind::Duration { min: Duration::from_secs(1), max: Duration::from_secs(86_400) },
        "How long the approval may take and then last.",
    )
    .or("`15m`"),
    key("reason", Kind::Flag, "Whether the requester must give a reason.").or("`false`"),
];
