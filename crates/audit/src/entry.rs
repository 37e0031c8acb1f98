//! What is written down.

use std::net::IpAddr;

use model::{
    ActionDigest, CallId, CredentialRef, ErrorCode, Fault, HandleId, PrincipalId, RuleName, ToolName,
};

/// Where a call came from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origin {
    /// The client's address, after trusted proxies; `None` for local sockets and stdio.
    pub client_ip: Option<IpAddr>,
    /// `http`, `stdio`, `socket` or `control`.
    pub transport: &'static str,
    /// The client's session over HTTP, counted from the start of the process; `None`: it has none.
    pub session: Option<u64>,
    /// What the client says it is. Untrusted, for people.
    pub agent: Option<String>,
    /// The call this one is part of.
    pub parent: Option<CallId>,
    /// Who really acts, when an operator calls as another principal; `None`: the principal itself.
    pub actor: Option<PrincipalId>,
}

/// Facts that only the end of a call knows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CompletionFacts {
    /// Event name: `ssh_executed`, `credential_fetched`, `tool_call`, ...
    pub event: &'static str,
    /// `allowed`, `denied`, `pending` or `failed`.
    pub decision: &'static str,
    /// Exit status of a command.
    pub exit_code: Option<u32>,
    /// Error code, if it failed or was denied.
    pub error_code: Option<ErrorCode>,
    /// Whose fault.
    pub fault: Option<Fault>,
    /// The rule that denied, for closed entries.
    pub rules: Vec<RuleName>,
    /// A reason text for the operator.
    pub reason: Option<String>,
    /// Whether the reason quotes the command: then it is only kept where commands are kept in the clear.
    pub quotes_command: bool,
    /// The target's name.
    pub target: Option<String>,
    /// The action's digest.
    pub action_digest: Option<ActionDigest>,
    /// The credential that was named.
    pub credential: Option<CredentialRef>,
    /// The handle used or issued.
    pub handle_id: Option<HandleId>,
    /// Life of an issued handle.
    pub ttl_seconds: Option<u64>,
    /// The command line as the agent wrote it; sealed, clear or left out, as configured.
    pub command: Option<String>,
    /// The other system's own code.
    pub vendor_code: Option<String>,
    /// More members, all plain facts without secrets.
    pub fields: serde_json::Map<String, serde_json::Value>,
}

/// An entry that belongs to no call (`config_reloaded`, `agent_connected`, aggregated `auth_failure`).
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Event name.
    pub event: &'static str,
    /// Who, if known.
    pub principal: Option<PrincipalId>,
    /// Where from.
    pub origin: Origin,
    /// The tool or verb, if any.
    pub tool: Option<ToolName>,
    /// More members, all plain facts without secrets.
    pub fields: serde_json::Map<String, serde_json::Value>,
}
