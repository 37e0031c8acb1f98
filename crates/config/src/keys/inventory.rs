//! The keys of inventory files.

use super::SECRET;
use crate::shape::{Key, Kind, key, later, word};

pub(crate) const ROOT: &[Key] = &[
    key(
        "defaults",
        Kind::Table(DEFAULTS),
        "What holds for hosts that do not say otherwise, in every file of the inventory.",
    ),
    key(
        "hosts",
        Kind::Map(HOST),
        "Hosts, each under its alias: 1 to 128 of `a-z A-Z 0-9 _ - . @`; `gateway` is reserved.",
    ),
    later("databases"),
    later("services"),
];

const DEFAULTS: &[Key] = &[key("ssh", Kind::Table(DEFAULTS_SSH), "Defaults of SSH hosts.")];

const DEFAULTS_SSH: &[Key] =
    &[key("user", Kind::Text, "Account, where neither host nor credential names one.").or("none")];

const HOST: &[Key] = &[
    key("address", Kind::Text, "Host name or literal address, without a port.").required(),
    key("port", Kind::Integer { min: 1, max: 65_535 }, "SSH port.").or("`22`"),
    key("user", Kind::Text, "Account; the credential's own user name wins over it.").or("`defaults.ssh.user`"),
    key("tags", Kind::List(&Kind::Text), "Tags, which rules name as `tag:NAME`: 1 to 128 of `a-z A-Z 0-9 _ - . @ : / =`.").or("`[]`"),
    key(
        "platform",
        Kind::Words(&[word("linux"), word("windows"), word("macos"), word("bsd")]),
        "Operating system family.",
    )
    .or("`linux`"),
    key(
        "shell",
        Kind::Words(&[word("posix"), word("powershell"), word("none")]),
        "What reads commands there; checked at the first use. No commands are sent to `powershell` and `none` yet.",
    )
    .or("`posix`; `powershell` where `platform` is `windows`"),
    key(
        "credential",
        Kind::Either(&[Kind::Text, Kind::Choice(&[AGENT, KEY, PASSWORD])]),
        "What is used without a handle, and never leaves the gateway: `SOURCE:SAFE/OBJECT`, or one of the tables.",
    )
    .or("none: handles only"),
    key(
        "credentials",
        Kind::List(&Kind::Text),
        "What handles may be issued for beside it: `SOURCE:SAFE/OBJECT` with `*` in safe and object, or `**` for all.",
    )
    .or("`[]`"),
    key(
        "jump",
        Kind::List(&Kind::Text),
        "Jump hosts, in the order in which they are passed: aliases of this inventory, each with a credential of its own. The first is reached as its own entry says. At most 8 on one way.",
    )
    .or("`[]`: dialled directly"),
    key(
        "resolve",
        Kind::Words(&[word("gateway"), word("bastion")]),
        "Who turns `address` into a literal address behind a jump host. What the jump host resolves, no rule on networks can permit.",
    )
    .or("`gateway`"),
    key("notes", Kind::Text, "A note for people and agents, at most 1000 characters.").or("none"),
    later("paths"),
    later("container_cli"),
];

const AGENT: &[Key] = &[key(
    "agent",
    Kind::Text,
    "Fingerprint `SHA256:...` of a key that the SSH agent at `$SSH_AUTH_SOCK` holds; the agent runs as the gateway's user or as root.",
)
.required()];

const KEY: &[Key] = &[
    key(
        "key",
        Kind::Path,
        "Private key file, OpenSSH or PEM; a user certificate may lie beside it as `FILE-cert.pub`.",
    )
    .required(),
    key("passphrase", SECRET, "Its passphrase.").or("none"),
];

const PASSWORD: &[Key] = &[key("password", SECRET, "The account's password.").required()];
