//! The keys of `portcullis.toml`.

use std::time::Duration;

use super::{ENV, FILE, OUTSIDE_KEY, SYSTEMD, ccp, upstream};
use crate::shape::{Key, Kind, Variants, Word, key, later, later_word, word};

pub(crate) const ROOT: &[Key] = &[
    key("inventory", Kind::Path, "The inventory: a file, or a folder whose `*.toml` files are read together.")
        .or("`inventory.toml` beside this file"),
    key("policy", Kind::Path, "Folder of rules: every `*.toml` and `*.cedar` file in it.").or("`policy` beside this file"),
    key(
        "state",
        Kind::Path,
        "Folder of what the gateway writes: journal, store, recordings, control socket. One process owns it at a time.",
    )
    .or("`state` beside this file"),
    key("watch", Kind::Flag, "Whether changed files are taken over without `portcullis reload`.").or("`false`"),
    key(
        "compat",
        Kind::List(&Kind::Words(COMPAT)),
        "Aliases of other programs' tools. None can be switched on yet; the list must be empty.",
    )
    .or("`[]`"),
    key(
        "insecure",
        Kind::List(&Kind::Words(INSECURE)),
        "Checks that are left out: `hostkey` takes any host key, `tls` any certificate. Each also needs `--insecure` on the command line and warns at every connection.",
    )
    .or("`[]`"),
    key("listen", Kind::Table(LISTEN), "Where clients connect."),
    key("principal", Kind::List(&Kind::Table(PRINCIPAL)), "Who may connect; one table each."),
    key("credential_source", Kind::List(&Kind::Variants(&SOURCE)), "Where credentials come from; one table each."),
    key("upstream", Kind::List(&Kind::Table(upstream::UPSTREAM)), "Third-party MCP servers behind the gate; one table each."),
    key("handles", Kind::Table(HANDLES), "Handles that `get_credential` gives out."),
    key("ssh", Kind::Table(SSH), "SSH connections."),
    key("network", Kind::Table(NETWORK), "Which addresses may be dialled, checked on the resolved address at the dial."),
    key("limits", Kind::Table(LIMITS), "What bounds a call where no permitting rule sets a value; the smallest of several wins."),
    key("audit", Kind::Table(AUDIT), "The audit journal."),
    key("log", Kind::Table(LOG), "What the program itself logs, on standard error."),
    later("oauth"),
    later("winrm"),
    later("fleet"),
    later("node"),
    later("cluster"),
    later("hook"),
    later("skills"),
    later("runbooks"),
    later("telemetry"),
];

const COMPAT: &[Word] =
    &[later_word("ssh-orchestrator"), later_word("python-ssh-mcp"), later_word("mcp-protector")];

const INSECURE: &[Word] = &[word("hostkey"), word("tls")];

const LISTEN: &[Key] = &[
    key(
        "http",
        Kind::Text,
        "Literal address and port of the HTTP listener. One that is not loopback needs `[listen.tls]` or `behind_proxy`, and a principal with `api_key` or `certificate`.",
    )
    .or("`127.0.0.1:8443`"),
    key(
        "behind_proxy",
        Kind::Flag,
        "Whether a reverse proxy stands in front: then only `trusted_proxies` may connect, and their `X-Forwarded-For` counts.",
    )
    .or("`false`"),
    key("trusted_proxies", Kind::List(&Kind::Text), "Networks of the proxies.").or("`[]`"),
    key(
        "allowed_hosts",
        Kind::List(&Kind::Text),
        "What the `Host` header may say beside loopback names; it is checked everywhere but on `/health`.",
    )
    .or("`[]`"),
    key("allowed_origins", Kind::List(&Kind::Text), "What the `Origin` header may say beside loopback origins.").or("`[]`"),
    key("metrics", Kind::Text, "Literal address and port of the Prometheus listener, which asks for no key, or `off`.").or("`off`"),
    key("socket", Kind::Table(SOCKET), "A Unix socket that carries MCP for users of this machine.").or("none"),
    key("tls", Kind::Table(TLS), "TLS on the HTTP listener; the files are read again when they change.").or("none: plain HTTP"),
];

const SOCKET: &[Key] = &[
    key("path", Kind::Path, "Where the socket is; outside `state`, at most 107 bytes.").required(),
    key("group", Kind::Text, "Group that the socket is given to.").or("the gateway's own"),
    key("mode", Kind::Text, "Permission bits of the socket, in octal digits.")
        .or("`0660` with `group`, else `0600`"),
];

const TLS: &[Key] = &[
    key("cert", Kind::Path, "The certificate and its chain, PEM.").required(),
    key("key", Kind::Path, "The private key, PEM.").required(),
    key(
        "client_ca",
        Kind::Path,
        "Certificate authorities of clients, PEM. A client certificate is a principal when its `certificate` names it, else only a gate.",
    )
    .or("no client certificates"),
];

const PRINCIPAL: &[Key] = &[
    key("id", Kind::Text, "The name that rules and the journal use: 1 to 64 of `a-z A-Z 0-9 _ - . @`.")
        .required(),
    key("groups", Kind::List(&Kind::Text), "Groups; rules name them as `group:NAME`.").or("`[]`"),
    key(
        "api_key",
        Kind::Either(&[Kind::Table(API_KEY), Kind::List(&Kind::Table(API_KEY))]),
        "The hash of its API key as `key new` prints it, sent as `X-API-Key` or `Authorization: Bearer`; a list while a key is being replaced.",
    ),
    key(
        "certificate",
        Kind::Table(CERTIFICATE),
        "The client certificate that is this principal; needs `client_ca`.",
    ),
    key(
        "from",
        Kind::List(&Kind::Text),
        "Networks it may come from over HTTP; from elsewhere it gets the same 401 as anybody.",
    )
    .or("anywhere"),
    key(
        "os_user",
        Kind::Text,
        "The user of this machine that is this principal, over the agent socket or `stdio`.",
    ),
];

const API_KEY: &[Key] = &[
    key("hash", Kind::Literal, "`pk_`, 8 hex digits, `:` and 64 hex digits.").required(),
    key("algorithm", Kind::Words(&[word("blake3")]), "How the key was hashed: `blake3`.").required(),
];

const CERTIFICATE: &[Key] =
    &[key("san", Kind::Text, "One subject alternative name, exactly as the certificate holds it.")
        .required()];

const SOURCE: Variants = Variants {
    tag: "kind",
    words: SOURCE_KINDS,
    keys: &[
        ("keystore", KEYSTORE),
        ("folder", FOLDER),
        ("env", ENVIRONMENT),
        ("command", COMMAND),
        ("cyberark-ccp", ccp::SOURCE),
    ],
};

const SOURCE_KINDS: &[Word] = &[
    word("keystore"),
    word("folder"),
    word("env"),
    word("command"),
    word("cyberark-ccp"),
    later_word("vault"),
    later_word("ssh-ca"),
];

const KEYSTORE: &[Key] = &[
    KIND,
    NAME,
    FETCH,
    key("file", Kind::Path, "The encrypted file; `secret set` makes it.").required(),
    key(
        "master_key",
        Kind::Either(&[Kind::Prompt, Kind::Choice(&[FILE, ENV, SYSTEMD])]),
        "What the file is encrypted with; never inside `state`. `prompt` asks at the start.",
    )
    .required(),
];

const FOLDER: &[Key] = &[
    KIND,
    NAME,
    FETCH,
    key(
        "paths",
        Kind::List(&Kind::Path),
        "Folders of secret files, looked through in order. `$CREDENTIALS_DIRECTORY` alone or at the start of one is what systemd sets.",
    )
    .required(),
];

const ENVIRONMENT: &[Key] = &[
    KIND,
    NAME,
    FETCH,
    key(
        "prefix",
        Kind::Text,
        "What the names of the environment variables begin with, such as `MCP_SSH_SECRET_`.",
    )
    .required(),
];

const COMMAND: &[Key] = &[
    KIND,
    NAME,
    FETCH,
    key(
        "command",
        Kind::List(&Kind::Text),
        "Program and arguments, run without a shell. `{safe}`, `{object}` or `{safe}/{object}` as a whole argument stands for that part of the name. One newline at the end of its output is dropped.",
    )
    .required(),
    key(
        "timeout",
        Kind::Duration { min: Duration::from_millis(100), max: Duration::from_secs(55) },
        "How long the program may take: at most `55s`.",
    )
    .or("`10s`"),
];

pub(super) const KIND: Key = key(
    "kind",
    Kind::Words(SOURCE_KINDS),
    "What the source is: `keystore`, `folder`, `env`, `command` or `cyberark-ccp`.",
)
.required();
pub(super) const NAME: Key =
    key("name", Kind::Text, "The name before `:` in credential references: 1 to 64 of `a-z 0-9 -`.")
        .required();
pub(super) const FETCH: Key = key(
    "fetch",
    Kind::Words(&[word("at_use"), word("at_issue")]),
    "When a secret is fetched: again at each use, or once when a handle is issued, for secrets that can be read once only (they stay in memory and die with the process).",
)
.or("`at_use`");

const HANDLES: &[Key] = &[
    key(
        "ttl",
        Kind::Duration { min: Duration::from_secs(1), max: Duration::from_secs(600) },
        "How long a handle lives: at most `10m`.",
    )
    .or("`5m`"),
    key("single_use", Kind::Flag, "Whether one use ends a handle.").or("`true`"),
];

const SSH: &[Key] =
    &[key("known_hosts", Kind::List(&Kind::Path), "Files of known host keys, in OpenSSH's format.")
        .or("`known_hosts` beside this file, then `/etc/ssh/ssh_known_hosts`")];

const NETWORK: &[Key] = &[
    key(
        "allow",
        Kind::List(&Kind::Text),
        "Networks that may be dialled; when written, everything else is refused.",
    )
    .or("everything"),
    key("block", Kind::List(&Kind::Text), "Networks that may not be dialled; wins over `allow`.").or("`[]`"),
];

pub(crate) const TIMEOUT: Kind =
    Kind::Duration { min: Duration::from_millis(100), max: Duration::from_secs(86_400) };
pub(crate) const OUTPUT: Kind = Kind::Size { min: 256, max: 64 << 20 };
pub(crate) const CALLS: Kind = Kind::Integer { min: 1, max: 1_000_000 };

const LIMITS: &[Key] = &[
    key(
        "timeout",
        TIMEOUT,
        "How long the target may take, from connecting to the last byte: `100ms` to `1d`.",
    )
    .or("`60s`"),
    key("output", OUTPUT, "How much output of a call is kept: `256B` to `64MiB`. What is cut is marked.")
        .or("`1MiB`"),
    key("calls_per_minute", CALLS, "How many calls a principal may make in a minute, dry runs included.")
        .or("`120`"),
];

const AUDIT: &[Key] = &[
    key(
        "durability",
        Kind::Words(&[word("auto"), word("disk"), word("process")]),
        "When an entry counts as written. `auto`: on disk before anything above tier read, in the kernel before a read. `disk`: on disk, always. `process`: in the kernel, always. What is only in the kernel reaches the disk within 100 ms.",
    )
    .or("`auto`"),
    key(
        "record_commands",
        Kind::Words(&[word("sealed"), word("clear"), word("never")]),
        "How command lines are kept: encrypted, with a commitment in the chain; readable; or not at all.",
    )
    .or("`sealed`"),
    key("signing_key", OUTSIDE_KEY, "What signs the journal's heads; outside `state`. `init` writes it; nothing starts without it.")
        .or("`{ file = \"audit.key\" }` beside this file"),
    key("seal_key", OUTSIDE_KEY, "What sealed command lines are encrypted with; outside `state`.")
        .or("`{ file = \"audit-seal.key\" }` beside this file"),
    key("heads", Kind::Table(HEADS), "Signed heads of the journal: the anchors for `audit verify`."),
    key("sink", Kind::List(&Kind::Table(SINK)), "Copies beside the journal, for people and log shippers; one table each.").or("none"),
];

const HEADS: &[Key] = &[
    key(
        "every",
        Kind::Duration { min: Duration::from_secs(1), max: Duration::from_secs(86_400) },
        "How often a head is signed: `1s` to `1d`.",
    )
    .or("`60s`"),
    key(
        "to",
        Kind::Choice(&[HEADS_FILE]),
        "File that heads are appended to; best one that another machine keeps.",
    )
    .or("`{ file = \"audit-heads.jsonl\" }` beside this file"),
];

const HEADS_FILE: &[Key] = &[key("file", Kind::Path, "File that heads are appended to.").required()];

const SINK: &[Key] = &[
    key(
        "to",
        Kind::Either(&[Kind::Words(&[word("stdout"), word("stderr"), later_word("syslog")]), Kind::Choice(&[SINK_FILE, SINK_SYSLOG])]),
        "`stdout` (refused under `stdio`), `stderr`, or `{ file = \"PATH\" }`; a file is opened again at SIGHUP.",
    )
    .required(),
    key(
        "format",
        Kind::Words(&[
            word("native"),
            later_word("ecs"),
            later_word("ocsf"),
            later_word("cef"),
            later_word("ssh-orchestrator"),
            later_word("python-ssh-mcp"),
            later_word("mcp-protector"),
            later_word("privileged-access"),
        ]),
        "How an entry is written: `native`, the journal's own lines.",
    )
    .or("`native`"),
];

const SINK_FILE: &[Key] = &[key("file", Kind::Path, "File that entries are appended to.").required()];

const SINK_SYSLOG: &[Key] = &[later("syslog")];

const LOG: &[Key] = &[
    key(
        "level",
        Kind::Words(&[word("error"), word("warn"), word("info"), word("debug"), word("trace")]),
        "The least important level that is logged.",
    )
    .or("`info`"),
    key(
        "format",
        Kind::Words(&[word("auto"), word("text"), word("json")]),
        "`text` for people, `json` for programs; `auto` is `text` on a terminal, else `json`.",
    )
    .or("`auto`"),
];
