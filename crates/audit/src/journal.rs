//! The handle that the pipeline holds, and the proofs it gives out.

use guard::Guarded;
use model::{CallId, Principal, SnapshotHash, ToolName};
use policy::Permit;

use crate::{CompletionFacts, Event, Origin};

/// The journal of one state folder. Cheap to clone; one writer behind it.
#[derive(Clone)]
pub struct Journal {}

/// When an entry counts as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// On disk above tier read; in the kernel for reads, on disk within 100 ms.
    #[default]
    Auto,
    /// On disk, always.
    Disk,
    /// In the kernel, always; on disk within 100 ms.
    Process,
}

/// A call that has been opened and not yet recorded. Dropping it writes a closed entry.
#[derive(Debug)]
pub struct Pending {
    id: CallId,
}

/// A permit whose intent is durable. Only the journal makes one; no lease without it.
#[derive(Debug)]
pub struct Intended {
    id: CallId,
    permit: Permit,
}

/// A value whose completion is in the journal: the only thing the front may send as a result.
#[derive(Debug)]
pub struct Recorded<T>(T);

/// The record could not be written.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the audit journal cannot be written: {0}")]
pub struct JournalError(pub String);

/// Why no intent came about.
#[derive(Debug, thiserror::Error)]
pub enum BeginError {
    /// The policy is another one than the permit was given under. The intent has been closed.
    #[error("the policy changed while the call was being decided")]
    PolicyChanged,
    /// The journal failed: nothing may happen.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl Journal {
    /// Opens a call in memory.
    pub fn pending(&self, principal: &Principal, origin: Origin, tool: &ToolName) -> Pending {
        let _ = (principal, origin, tool);
        todo!()
    }

    /// Writes the intent as durably as the tier asks, then checks that the policy is still the permit's.
    pub async fn begin(
        &self,
        pending: &mut Pending,
        permit: Permit,
        current: impl Fn() -> SnapshotHash + Send,
    ) -> Result<Intended, BeginError> {
        let _ = (pending, &permit, current());
        todo!()
    }

    /// Writes the completion (or, without an intent, the closed entry) and releases the answer.
    pub async fn complete<T: Send>(
        &self,
        pending: Pending,
        facts: CompletionFacts,
        answer: Guarded<T>,
    ) -> Result<Recorded<T>, JournalError> {
        let _ = (pending, facts, answer.into_inner());
        todo!()
    }

    /// Whether the last write went well; `false` until a later one does.
    pub fn healthy(&self) -> bool {
        todo!()
    }

    /// Writes an entry of its own.
    pub async fn event(&self, event: Event) -> Result<(), JournalError> {
        let _ = event;
        todo!()
    }
}

impl Pending {
    /// The call's id.
    pub fn id(&self) -> CallId {
        self.id
    }
}

impl Intended {
    /// The call's id.
    pub fn id(&self) -> CallId {
        self.id
    }

    /// What was permitted.
    pub fn permit(&self) -> &Permit {
        &self.permit
    }
}

#[cfg(feature = "test-util")]
impl Intended {
    /// An intent that no journal holds, for the tests of what comes after it.
    pub fn for_test(id: CallId, permit: Permit) -> Self {
        Self { id, permit }
    }
}

impl<T> Recorded<T> {
    /// The value, to be sent.
    pub fn into_inner(self) -> T {
        self.0
    }

    /// A look at it.
    pub fn inner(&self) -> &T {
        &self.0
    }

    /// Another shape of the same value, never more than was recorded. Only the gateway calls this.
    pub fn map<U>(self, shape: impl FnOnce(T) -> U) -> Recorded<U> {
        Recorded(shape(self.0))
    }
}

#[cfg(feature = "test-util")]
impl<T> Recorded<T> {
    /// A value that no journal holds, for the tests of the fronts.
    pub fn for_test(value: T) -> Self {
        Self(value)
    }
}
