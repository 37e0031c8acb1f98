//! The keys of `[[upstream]]`.

use std::time::Duration;

use super::SECRET;
use super::configuration::CALLS;
use crate::shape::{Key, Kind, key, word};

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
        "Program and arguments of a server that speaks MCP on standard input and output, run without a shell. Either this or `url` is written.",
    ),
    key(
        "env",
        Kind::Named(&SECRET),
        "The whole environment of the program; nothing of the gateway's own is in it. A literal is a plain setting, unless its name says that it is a secret (`TOKEN`, `KEY`, `SECRET`, `PASS`, `CREDENTIAL`).",
    )
    .or("empty"),
    key("folder", Kind::Path, "Where the program runs.").or("`/`"),
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
    key(
        "max_concurrent_per_principal",
        Kind::Integer { min: 1, max: 1024 },
        "Of these, calls of one principal, so that none of them keeps the others out.",
    )
    .or("half of `max_concurrent`"),
    key(
        "calls_per_minute",
        CALLS,
        "Calls that it is sent in a minute, of all principals together; more are refused. What one principal may do, rules and `[limits]` say.",
    )
    .or("no bound"),
    key("required", Kind::Flag, "Whether the gateway counts as unhealthy while it is down.").or("`false`"),
    key(
        "pin",
        Kind::Words(&[word("strict"), word("warn"), word("off")]),
        "What becomes of tools whose definitions are new or changed, until `portcullis upstream accept`. `strict`: they are withheld; `warn`: offered, logged and recorded; `off`: offered.",
    )
    .or("`strict`"),
    key(
        "sandbox",
        Kind::Words(&[word("auto"), word("user"), word("landlock"), word("off")]),
        "What keeps the program from the gateway's files and processes. `auto`: another user and Landlock, what this machine has of both, or it is not started; `user`: another user alone; `landlock`: Landlock alone; `off`: nothing, it may do what the gateway's own user may.",
    )
    .or("`auto`"),
    key(
        "user",
        Kind::Text,
        "The account that it runs under as another user. Without it a number that is nobody else's.",
    )
    .or("none"),
    key(
        "read",
        Kind::List(&Kind::Path),
        "Files and folders that Landlock lets it read and execute, beside the system's programs and its own file.",
    )
    .or("`[]`"),
    key(
        "write",
        Kind::List(&Kind::Path),
        "Files and folders that Landlock lets it read, execute and change, beside a folder of its own that is empty at each start.",
    )
    .or("`[]`"),
    key(
        "client_requests",
        Kind::List(&Kind::Words(&[word("sampling"), word("elicitation"), word("roots")])),
        "What it may ask the client whose call it serves, if that client takes such questions: its model (`sampling`), the person at it (`elicitation`: forms and pages), its folders (`roots`). Anything else that it asks is refused and recorded.",
    )
    .or("`[]`"),
    key(
        "url",
        Kind::Text,
        "Address of a server that speaks MCP over Streamable HTTP: `https://HOST/PATH`, or `http://` to this machine. Redirects and proxies are not followed.",
    ),
    key("auth", Kind::Choice(AUTH), "The gateway's own credential at `url`. A client's own is never passed on.").or("none"),
    key(
        "headers",
        Kind::Named(&SECRET),
        "Headers of every request to `url`. A literal is a plain setting, unless the header's name says that it is a secret (`TOKEN`, `KEY`, `SECRET`, `PASS`, `CREDENTIAL`, `AUTH`, `COOKIE`).",
    )
    .or("none"),
    key("ca", Kind::Path, "Certificate authorities of `url`, PEM; no others are believed then.").or("those of the system"),
    key("client_cert", Kind::Path, "The gateway's own certificate and its chain at `url`, PEM.").or("none"),
    key("client_key", Kind::Path, "Its key, PEM, without a passphrase, in a file that others cannot read.").or("none"),
    key(
        "networks",
        Kind::Table(NETWORKS),
        "Where `url` may lead, checked on the address that is dialled. Without it: to public addresses, and to the address that `url` itself is written with (`localhost`: this machine), never to link-local ones or where clouds answer questions about the machine.",
    ),
];

const AUTH: &[&[Key]] = &[
    &[key(
        "bearer",
        SECRET,
        "Sent as `Authorization: Bearer ...`. The word `Bearer` before it changes nothing.",
    )],
    &[key(
        "oauth",
        Kind::Table(OAUTH),
        "Tokens of an authorization server, by client credentials (RFC 6749, 4.4), renewed before they end.",
    )],
];

const OAUTH: &[Key] = &[
    key("client_id", Kind::Text, "Who the gateway is for the authorization server.").required(),
    key("client_secret", SECRET, "What proves it, fetched for each token.").required(),
    key(
        "token_url",
        Kind::Text,
        "Where tokens are given: `https://HOST/PATH`, or `http://` to this machine. Either this or `issuer` is written.",
    ),
    key(
        "issuer",
        Kind::Text,
        "The authorization server as it calls itself. Without `token_url` it is asked where it gives tokens (RFC 8414, or OpenID's configuration), and must call itself exactly so.",
    ),
    key(
        "client_auth",
        Kind::Words(&[word("basic"), word("post")]),
        "How the secret is sent: in the head of the request or in its body.",
    )
    .or("`basic`"),
    key("scopes", Kind::List(&Kind::Text), "What the token is to be good for.").or("`[]`"),
    key("resource", Kind::Text, "What the token is to be good at (RFC 8707).").or("`url`"),
    key(
        "resource_metadata",
        Kind::Flag,
        "Whether the upstream is asked what it is called as a resource (RFC 9728); it must name `issuer` as what protects it.",
    )
    .or("`false`"),
];

const NETWORKS: &[Key] = &[
    key("allow", Kind::List(&Kind::Text), "These networks and no others, such as `10.0.0.0/8`.")
        .or("every public address"),
    key("block", Kind::List(&Kind::Text), "None of these, whatever else is said.").or("`[]`"),
];
