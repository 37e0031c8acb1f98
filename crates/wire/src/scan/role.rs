//! Which keys the protocol itself reads, and where.

const ENVELOPE_KEYS: &[&str] = &["jsonrpc", "id", "method", "params", "result", "error"];
const PARAMS_KEYS: &[&str] = &[
    "_meta",
    "name",
    "arguments",
    "uri",
    "cursor",
    "protocolVersion",
    "capabilities",
    "clientInfo",
    "requestId",
    "reason",
    "requestState",
    "inputResponses",
    "task",
    "level",
    "ref",
    "argument",
    "notifications",
    "progressToken",
];
const LISTEN_KEYS: &[&str] =
    &["toolsListChanged", "promptsListChanged", "resourcesListChanged", "resourceSubscriptions"];
const META_KEYS: &[&str] = &[
    "progressToken",
    "io.modelcontextprotocol/protocolVersion",
    "io.modelcontextprotocol/clientCapabilities",
    "io.modelcontextprotocol/clientInfo",
    "io.modelcontextprotocol/logLevel",
];

/// Which keys of an object the protocol itself reads.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Envelope,
    Params,
    Meta,
    /// What `subscriptions/listen` asks to hear of.
    Listen,
    Free,
}

impl Role {
    /// The role of the object under this key.
    pub(super) fn of_member(self, key: &str) -> Self {
        match (self, key) {
            (Self::Envelope, "params") => Self::Params,
            (Self::Params, "_meta") => Self::Meta,
            (Self::Params, "notifications") => Self::Listen,
            _ => Self::Free,
        }
    }

    /// The protocol key that a reader without regard to case would take this one for.
    pub(super) fn case_variant(self, key: &str) -> Option<&'static str> {
        case_variant(key, self.keys())
    }

    fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Envelope => ENVELOPE_KEYS,
            Self::Params => PARAMS_KEYS,
            Self::Meta => META_KEYS,
            Self::Listen => LISTEN_KEYS,
            Self::Free => &[],
        }
    }
}

fn case_variant(key: &str, known: &'static [&'static str]) -> Option<&'static str> {
    if key.is_ascii() {
        return known.iter().find(|name| key.eq_ignore_ascii_case(name) && key != **name).copied();
    }
    // Some readers fold `ſ` and the Kelvin sign too; upper and then lower case maps both to ASCII.
    let folded: String = key.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect();
    known.iter().find(|name| folded.eq_ignore_ascii_case(name)).copied()
}
