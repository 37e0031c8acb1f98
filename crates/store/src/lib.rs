//! The state port and its embedded engine.

mod handles;
mod pins;
mod schema;
mod spent;
mod sqlite;

#[cfg(test)]
mod tests;

use model::{
    BootInstant, CallId, CredentialRef, HandleId, PrincipalId, TargetName, Timestamp, ToolName, UpstreamName,
};

pub use sqlite::SqliteStore;

/// A handle as it is kept: a right, never a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandleRecord {
    /// Hash of the token.
    pub id: HandleId,
    /// Whose it is.
    pub principal: PrincipalId,
    /// What it stands for.
    pub credential: CredentialRef,
    /// Why the agent took it, for the source to record again at use. The agent's words: never shown to a target.
    pub reason: Option<String>,
    /// Where it may be used.
    pub targets: Vec<TargetName>,
    /// Tools it may be used with; the tool sets of the targets' connectors.
    pub tools: Vec<ToolName>,
    /// Whether one use ends it.
    pub single_use: bool,
    /// Boot-clock deadline, and the boot it counts in.
    pub boot_deadline: BootInstant,
    /// Id of the boot that the deadline counts in.
    pub boot_id: String,
    /// Wall-clock deadline.
    pub deadline: Timestamp,
}

/// The definition of an upstream's tool, as an operator accepted it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinRecord {
    /// The upstream's name for the tool.
    pub tool: String,
    /// Hash of the definition's one form.
    pub hash: [u8; 32],
    /// That form, to show later what differs.
    pub definition: String,
    /// When it was accepted.
    pub accepted: Timestamp,
}

/// What a claim found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// The claimer has it now.
    Claimed(Box<HandleRecord>),
    /// Somebody had it before.
    AlreadyConsumed,
    /// Its time is over.
    Expired,
    /// There is none for this principal.
    Unknown,
    /// It is bound to other targets or tools; it was not consumed.
    NotForThisTarget,
}

/// The state could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("the state store failed: {0}")]
pub struct StoreError(pub String);

/// Why a state file was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It is not what was written; nothing in it was changed.
    #[error("the state store {0}")]
    Damaged(String),
    /// It cannot be read or written.
    #[error(transparent)]
    Unusable(#[from] StoreError),
}

/// The port: what the gateway keeps between calls. Every method is atomic.
pub trait StateStore: Send + Sync {
    /// Keeps a new handle.
    fn put_handle(&self, record: &HandleRecord) -> Result<(), StoreError>;
    /// Claims a handle for one call, or says why not. Checks principal, target, tool and time in the same transaction.
    fn claim_handle(&self, claim: &ClaimRequest<'_>) -> Result<Claim, StoreError>;
    /// Gives a claim back: the call ended before its connector started. Nothing happens if another call has the
    /// claim, or if the handle was released meanwhile.
    fn unclaim_handle(&self, id: &HandleId, call: CallId) -> Result<(), StoreError>;
    /// Ends a handle of this principal; false if there was none, or if it was ended before.
    fn release_handle(&self, id: &HandleId, principal: &PrincipalId) -> Result<bool, StoreError>;
    /// Forgets handles whose time has been over for a day, and returns how many.
    fn sweep_handles(&self, now: Timestamp) -> Result<u64, StoreError>;
    /// Spends what may be used once: true for the first who asks, false for everybody after. It is kept until then; what
    /// is spent must have expired by that time.
    fn spend(&self, id: &[u8; 16], until: Timestamp) -> Result<bool, StoreError>;
    /// Forgets what was spent and has expired, and returns how many.
    fn sweep_spent(&self, now: Timestamp) -> Result<u64, StoreError>;
    /// Every accepted definition of an upstream's tools, by name.
    fn pins(&self, upstream: UpstreamName) -> Result<Vec<PinRecord>, StoreError>;
    /// Keeps these definitions, in place of those of the same tools, and forgets those of `gone`.
    fn pin(&self, upstream: UpstreamName, pins: &[PinRecord], gone: &[String]) -> Result<(), StoreError>;
}

/// Who claims what for which use, and when.
#[derive(Debug, Clone, Copy)]
pub struct ClaimRequest<'a> {
    /// The handle.
    pub id: &'a HandleId,
    /// Who presents it.
    pub principal: &'a PrincipalId,
    /// For which target.
    pub target: &'a TargetName,
    /// For which tool.
    pub tool: &'a ToolName,
    /// For which call.
    pub call: CallId,
    /// Wall clock now.
    pub now: Timestamp,
    /// Boot clock now.
    pub boot: BootInstant,
    /// This boot.
    pub boot_id: &'a str,
}
