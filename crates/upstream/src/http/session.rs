//! The session of the legacy protocol: given at the greeting, sent with all that follows, made anew when it is lost.

use std::sync::{Mutex, PoisonError};

use http::HeaderValue;
use wire::ProtocolVersion;

/// What was agreed with an upstream.
#[derive(Debug, Clone, Default)]
pub(super) struct Agreed {
    /// Its name for the session, if it has any.
    pub(super) session: Option<HeaderValue>,
    /// The legacy version that a greeting settled on.
    pub(super) version: Option<ProtocolVersion>,
}

/// The session.
#[derive(Default)]
pub(super) struct Session {
    agreed: Mutex<Agreed>,
    /// Held by whoever greets anew: one does it for all.
    pub(super) repairing: tokio::sync::Mutex<()>,
}

impl Session {
    pub(super) fn agreed(&self) -> Agreed {
        self.agreed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn agree(&self, agreed: Agreed) {
        *self.agreed.lock().unwrap_or_else(PoisonError::into_inner) = agreed;
    }
}
