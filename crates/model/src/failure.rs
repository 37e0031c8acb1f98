//! Why something did not happen: a stable code, whose fault it was, and one text for each reader.

use std::fmt;

/// Who is to blame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The agent or operator who asked.
    Caller,
    /// The gateway or its configuration.
    Us,
    /// The machine or service that was acted on.
    Target,
    /// What lies between.
    Network,
}

impl Fault {
    /// The word used in answers and audit entries.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Us => "us",
            Self::Target => "target",
            Self::Network => "network",
        }
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $text:literal, $fault:ident, $retry:literal;)*) => {
        /// The stable codes of results, logs and audit entries.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorCode { $($(#[$doc])* $variant,)* }

        impl ErrorCode {
            /// Every code, for documentation and tests.
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$variant,)*];

            /// The code as it is written everywhere.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// Whose fault it usually is.
            pub fn fault(self) -> Fault {
                match self { $(Self::$variant => Fault::$fault,)* }
            }

            /// Whether the same call may succeed later without anybody changing anything.
            pub fn retry(self) -> bool {
                match self { $(Self::$variant => $retry,)* }
            }
        }
    };
}

codes! {
    /// No rule permits it.
    DeniedNoRule = "denied.no_rule", Caller, false;
    /// A rule forbids it.
    DeniedForbidden = "denied.forbidden", Caller, false;
    /// No rule permits this command, or it was not understood.
    DeniedCommand = "denied.command", Caller, false;
    /// A path is outside what is permitted.
    DeniedPath = "denied.path", Caller, false;
    /// The address is outside what is permitted.
    DeniedNetwork = "denied.network", Caller, false;
    /// Too many calls in the last minute.
    DeniedRate = "denied.rate", Caller, true;
    /// The gate is down.
    DeniedLockdown = "denied.lockdown", Us, true;
    /// The policy changed between the decision and the act; asking again decides anew.
    DeniedPolicyChanged = "denied.policy_changed", Us, true;
    /// A human must approve first.
    ApprovalRequired = "approval.required", Caller, false;
    /// The handle's time is over.
    HandleExpired = "handle_expired", Caller, false;
    /// The handle has been used.
    HandleAlreadyConsumed = "handle_already_consumed", Caller, false;
    /// No such handle for this principal.
    HandleUnknown = "handle_unknown", Caller, false;
    /// The handle was issued for other targets or tools.
    HandleNotForThisTarget = "handle_not_for_this_target", Caller, false;
    /// Wrong or missing key, certificate or source network.
    AuthFailed = "auth.failed", Caller, false;
    /// No such target, or not visible to this principal.
    TargetUnknown = "target.unknown", Caller, false;
    /// No connection.
    TargetUnreachable = "target.unreachable", Network, true;
    /// The target refused the login.
    TargetAuth = "target.auth", Us, false;
    /// The host key is not in known_hosts.
    TargetHostkeyUnknown = "target.hostkey_unknown", Us, false;
    /// The host key is not the one in known_hosts.
    TargetHostkeyChanged = "target.hostkey_changed", Target, false;
    /// The account's shell is not what the inventory says.
    TargetShell = "target.shell", Us, false;
    /// The target took too long.
    TargetTimeout = "target.timeout", Target, true;
    /// The target broke its protocol.
    TargetProtocol = "target.protocol", Target, false;
    /// The upstream does not run, or ended while it had the call.
    UpstreamDown = "upstream.down", Target, true;
    /// The upstream has as many calls under way as it may have.
    UpstreamBusy = "upstream.busy", Us, true;
    /// The definition of the upstream's tool is not one that an operator accepted.
    UpstreamDrift = "upstream.drift", Target, false;
    /// The source has no such credential.
    CredentialNotFound = "credential.not_found", Caller, false;
    /// The source refused to give it.
    CredentialRefused = "credential.refused", Us, false;
    /// The source did not answer.
    CredentialSourceDown = "credential.source_down", Network, true;
    /// An argument is wrong.
    InputInvalid = "input.invalid", Caller, false;
    /// The state that came back with a call is not what was given out for it.
    InputState = "input.state", Caller, false;
    /// The call would have to ask what its client cannot be asked.
    InputAbility = "input.ability", Caller, false;
    /// The client was asked and did not answer.
    InputUnanswered = "input.unanswered", Caller, true;
    /// The caller went away or cancelled.
    CallCancelled = "call.cancelled", Caller, true;
    /// The output was larger than what can be kept.
    LimitOutput = "limit.output", Target, false;
    /// The output held the credential that was in use, so all of it is withheld.
    SecretInOutput = "secret_in_output", Target, false;
    /// The record could not be written, so nothing was done or shown.
    AuditUnavailable = "audit.unavailable", Us, true;
    /// Configuration, inventory or rules are wrong; what was in force before stays in force.
    ConfigInvalid = "config.invalid", Us, false;
    /// A defect of the gateway.
    Internal = "internal", Us, false;
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A failed call: what the agent is told, and apart from it what only the operator may read.
///
/// There is deliberately no `Display`: a caller picks [`Failure::message`] or [`Failure::internal`] by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    code: ErrorCode,
    fault: Fault,
    retry: bool,
    message: String,
    hint: Option<String>,
    internal: Option<String>,
    vendor: Option<String>,
    event: Option<&'static str>,
}

impl Failure {
    /// A failure with the code's usual fault and retry advice; `message` is for the agent: a lowercase
    /// fragment without a full stop.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            fault: code.fault(),
            retry: code.retry(),
            message: message.into(),
            hint: None,
            internal: None,
            vendor: None,
            event: None,
        }
    }

    /// Says what to do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says first where it happened, as `on the way to X`.
    #[must_use]
    pub fn with_context(mut self, context: &str) -> Self {
        self.message = format!("{context}: {}", self.message);
        self
    }

    /// Adds what only the operator's log may hold.
    #[must_use]
    pub fn with_internal(mut self, internal: impl Into<String>) -> Self {
        self.internal = Some(internal.into());
        self
    }

    /// Adds the other system's own code.
    #[must_use]
    pub fn with_vendor(mut self, vendor: impl Into<String>) -> Self {
        self.vendor = Some(vendor.into());
        self
    }

    /// Blames somebody else than the code usually does.
    #[must_use]
    pub fn with_fault(mut self, fault: Fault) -> Self {
        self.fault = fault;
        self
    }

    /// Says otherwise than the code usually does whether trying the same again can help.
    #[must_use]
    pub fn with_retry(mut self, retry: bool) -> Self {
        self.retry = retry;
        self
    }

    /// Has the failed call recorded under an event name of its own.
    #[must_use]
    pub fn with_event(mut self, event: &'static str) -> Self {
        self.event = Some(event);
        self
    }

    /// The stable code.
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// Whose fault it was.
    pub fn fault(&self) -> Fault {
        self.fault
    }

    /// Whether trying the same again can help.
    pub fn retry(&self) -> bool {
        self.retry
    }

    /// For the agent.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do about it, for the agent.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// For the operator's log only.
    pub fn internal(&self) -> Option<&str> {
        self.internal.as_deref()
    }

    /// The event name that the failed call is recorded under, if not its tool's.
    pub fn event(&self) -> Option<&'static str> {
        self.event
    }

    /// The other system's own code.
    pub fn vendor(&self) -> Option<&str> {
        self.vendor.as_deref()
    }
}
