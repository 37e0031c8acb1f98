//! Legacy sessions: made after authentication, bounded, bound to their principal.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use gateway::Proof;
use model::{BootInstant, Clock, Entropy, NoEntropy, PrincipalId};
use tokio_util::sync::CancellationToken;
use wire::ProtocolVersion;

use crate::SessionLimits;
use crate::in_flight::InFlight;
use crate::measure;
use crate::peer::Peer;

/// A client's session: 256 random bits say which. What it may do is decided anew for every request.
pub(crate) struct Session {
    principal: PrincipalId,
    /// What its `initialize` was let in by.
    proof: Proof,
    version: ProtocolVersion,
    number: u64,
    /// Its calls under way.
    pub(crate) calls: InFlight,
    /// The client.
    pub(crate) peer: Arc<Peer>,
    /// Cancelled when the session ends.
    pub(crate) ended: CancellationToken,
    streams: AtomicUsize,
    used: Mutex<BootInstant>,
}

/// All sessions of one front.
pub(crate) struct Sessions {
    table: Mutex<Table>,
    begun: AtomicU64,
    limits: SessionLimits,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

#[derive(Default)]
struct Table {
    sessions: HashMap<SessionId, Arc<Session>>,
    /// Oldest first. Empty entries do not stay.
    by_principal: HashMap<PrincipalId, Vec<SessionId>>,
}

type SessionId = [u8; 32];

/// Why there is no session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoSession {
    /// There are as many as there may be.
    Full,
    /// No random bytes.
    NoEntropy,
}

/// What a session id stands for.
pub(crate) enum Found {
    /// A session of this principal.
    Yours(Arc<Session>),
    /// A session of somebody else. To the client this is the same as none.
    NotYours,
    /// None, or none any more.
    Unknown,
}

/// One of a session's event streams; its place is free again when this is dropped.
pub(crate) struct StreamPlace(Arc<Session>);

impl Sessions {
    pub(crate) fn new(limits: SessionLimits, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self { table: Mutex::default(), begun: AtomicU64::new(0), limits, clock, entropy }
    }

    /// Makes a session for an authenticated principal, and returns its id as text, with its number.
    pub(crate) fn create(
        &self,
        principal: &PrincipalId,
        proof: &Proof,
        version: ProtocolVersion,
        peer: Arc<Peer>,
    ) -> Result<(String, u64), NoSession> {
        let mut id = [0; 32];
        self.entropy.fill(&mut id).map_err(|NoEntropy| NoSession::NoEntropy)?;
        let now = self.clock.boot();
        let mut table = self.lock();
        if table.sessions.len() >= self.limits.total {
            table.end_idle(now, self.limits);
        }
        if table.by_principal.get(principal).is_some_and(|own| own.len() >= self.limits.per_principal) {
            table.end_least_used(principal);
        }
        if table.sessions.len() >= self.limits.total {
            return Err(NoSession::Full);
        }
        let number = self.begun.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let session = Session {
            number,
            principal: principal.clone(),
            proof: proof.clone(),
            version,
            calls: InFlight::new(self.limits.calls),
            peer,
            ended: CancellationToken::new(),
            streams: AtomicUsize::new(0),
            used: Mutex::new(now),
        };
        table.sessions.insert(id, Arc::new(session));
        table.by_principal.entry(principal.clone()).or_default().push(id);
        measure::sessions(table.sessions.len());
        Ok((to_text(&id), number))
    }

    /// Finds a session, and marks it as used if it is this principal's.
    pub(crate) fn find(&self, id: &str, principal: &PrincipalId) -> Found {
        let Some(id) = from_text(id) else { return Found::Unknown };
        let now = self.clock.boot();
        let mut table = self.lock();
        let Some(session) = table.sessions.get(&id).map(Arc::clone) else { return Found::Unknown };
        if session.is_idle(now, self.limits) {
            table.end(&id, "idle");
            return Found::Unknown;
        }
        if session.principal != *principal {
            return Found::NotYours;
        }
        session.touch(now);
        Found::Yours(session)
    }

    /// Ends a session of this principal; false if there is none.
    pub(crate) fn end(&self, id: &str, principal: &PrincipalId) -> bool {
        let Some(id) = from_text(id) else { return false };
        let mut table = self.lock();
        let own = table.sessions.get(&id).is_some_and(|session| session.principal == *principal);
        if own {
            table.end(&id, "client");
        }
        own
    }

    /// Ends the sessions of all principals that are not to stay, or not with the proof the session was begun with.
    pub(crate) fn retain(&self, stays: impl Fn(&PrincipalId, &Proof) -> bool) {
        self.lock().end_where("revoked", |session| !stays(&session.principal, &session.proof));
    }

    /// Ends what nobody has used for too long.
    pub(crate) fn sweep(&self) {
        let now = self.clock.boot();
        self.lock().end_idle(now, self.limits);
    }

    /// How many there are.
    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.lock().sessions.len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Table> {
        // No code panics while it holds the lock, and the table is whole between any two of its methods.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn end(&mut self, id: &SessionId, cause: &'static str) {
        let Some(session) = self.sessions.remove(id) else { return };
        session.ended.cancel();
        session.calls.cancel_all();
        if let Some(own) = self.by_principal.get_mut(&session.principal) {
            own.retain(|other| other != id);
            if own.is_empty() {
                self.by_principal.remove(&session.principal);
            }
        }
        measure::session_ended(cause);
        measure::sessions(self.sessions.len());
    }

    fn end_where(&mut self, cause: &'static str, ends: impl Fn(&Session) -> bool) {
        let ending: Vec<SessionId> =
            self.sessions.iter().filter(|(_, session)| ends(session)).map(|(id, _)| *id).collect();
        ending.iter().for_each(|id| self.end(id, cause));
    }

    fn end_idle(&mut self, now: BootInstant, limits: SessionLimits) {
        self.end_where("idle", |session| session.is_idle(now, limits));
    }

    fn end_least_used(&mut self, principal: &PrincipalId) {
        let own = self.by_principal.get(principal).map(Vec::as_slice).unwrap_or_default();
        let oldest = own
            .iter()
            .filter_map(|id| Some((self.sessions.get(id)?.used(), *id)))
            .min_by_key(|(used, _)| *used);
        if let Some((_, id)) = oldest {
            self.end(&id, "displaced");
        }
    }
}

impl Session {
    /// Which session of this process it is: 1 is the first. It says so to people, and is no proof of anything.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// The version its handshake ended in.
    pub(crate) fn version(&self) -> ProtocolVersion {
        self.version
    }

    /// A place for one more event stream, if there is one.
    pub(crate) fn open_stream(self: &Arc<Self>, limits: SessionLimits) -> Option<StreamPlace> {
        let place = StreamPlace(Arc::clone(self));
        // Counted up before it is compared, so that two at once cannot both take the last place.
        (self.streams.fetch_add(1, Ordering::Relaxed) < limits.streams).then_some(place)
    }

    fn is_idle(&self, now: BootInstant, limits: SessionLimits) -> bool {
        now.since(self.used()) >= limits.idle
            && self.calls.is_empty()
            && self.streams.load(Ordering::Relaxed) == 0
    }

    fn used(&self) -> BootInstant {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn touch(&self, now: BootInstant) {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }
}

impl Drop for StreamPlace {
    fn drop(&mut self) {
        self.0.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

fn to_text(id: &SessionId) -> String {
    use std::fmt::Write as _;
    id.iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn from_text(text: &str) -> Option<SessionId> {
    let mut id = [0; 32];
    if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
        return None;
    }
    for (byte, digits) in id.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(id)
}

#[cfg(test)]
mod tests;
