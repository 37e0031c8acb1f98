//! The keys of `[[upstream]]`.

use std::time::Duration;

use super::SECRET;
use crate::shape::{Key, Kind, key, later, later_word, word};

pub(super) const UPSTREAM: &[Key] = &[
    key(
        "name",
        Kind::Text,
        "Its name: 1 to 20 of `a-z 0-9 -`, not that of a set, an endpoint or a host. `/mcp` offers its tools as `NAME__TOOL`, `/mcp/NAME` under their own names.",
    )
    .required(),
    key(
        "command",
        Kind::List(&Kind::Text),
        "Program and arguments of a server that speaks MCP on standard input and output, run without a shell.",
    )
    .required(),
    key(
        "env",
        Kind::Named(&SECRET),
        "The whole environment of the program; nothing of the gateway's own is in it. A literal is a plain setting, unless its name says that it is a secret (`TOKEN`, `KEY`, `SECRET`, `PASS`, `CREDENTIAL`).",
    )
    .or("empty"),
    key(
        "tools",
        Kind::Either(&[Kind::Words(&[word("*")]), Kind::List(&Kind::Text)]),
        "The tools that may be used, by their exact names; `[]` is none, `\"*\"` all.",
    )
    .required(),
    key(
        "tier",
        Kind::Named(&Kind::Words(&[word("read"), word("low-access"), word("dangerous"), word("sudo")])),
        "How much its tools can do, by name: the journal is as durable as that. No rule reads it.",
    )
    .or("`dangerous` for each"),
    key(
        "timeout",
        Kind::Duration { min: Duration::from_millis(100), max: Duration::from_secs(86_400) },
        "How long a call may take; rules can make it shorter.",
    )
    .or("`[limits] timeout`"),
    key("max_concurrent", Kind::Integer { min: 1, max: 1024 }, "Calls that it may have under way; more are refused at once.").or("`64`"),
    key("required", Kind::Flag, "Whether the gateway counts as unhealthy while it is down.").or("`false`"),
    key(
        "pin",
        Kind::Words(&[later_word("strict"), later_word("warn"), word("off")]),
        "What becomes of tools whose definitions are new or changed. `off`: they are offered as they are. It must be written as long as it can be nothing else.",
    )
    .required(),
    key(
        "sandbox",
        Kind::Words(&[later_word("auto"), later_word("user"), later_word("landlock"), word("off")]),
        "What the program is kept from. `off`: nothing that the gateway's own user may not do. It must be written as long as it can be nothing else.",
    )
    .required(),
    key(
        "client_requests",
        Kind::List(&Kind::Words(&[later_word("sampling"), later_word("elicitation"), later_word("roots")])),
        "What it may ask clients. Nothing can be asked yet; the list must be empty.",
    )
    .or("`[]`"),
    later("url"),
    later("auth"),
    later("headers"),
    later("ca"),
    later("client_cert"),
    later("client_key"),
    later("networks"),
];
