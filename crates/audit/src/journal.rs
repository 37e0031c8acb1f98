//! The handle that the pipeline holds.

use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use guard::{Guarded, Report};
use model::{Clock, Entropy, Principal, SnapshotHash, Tier, ToolName};
use policy::Permit;
use serde_json::{Map, Value};
use tokio::sync::{Semaphore, oneshot};

use crate::body::{Body, Ids};
use crate::file::{Disk, Folder};
use crate::heads::{self, HeadWriter};
use crate::log::Prepared;
use crate::pending::Stage;
use crate::queue::{Job, Otherwise, Queue};
use crate::recover::Opening;
use crate::sink::Sink;
use crate::turns::{Owed, Turns};
use crate::writer::{Health, Writer, WriterState};
use crate::{
    CompletionFacts, Durability, Event, Intended, JournalConfig, Origin, Pending, RecordCommands, Recorded,
    recover,
};

/// The journal of one state folder. Cheap to clone; one writer behind it. When the last clone and the last
/// [`Pending`] are gone the writer finishes what it has and ends.
#[derive(Clone)]
pub struct Journal {
    inner: Arc<Inner>,
}

/// The record could not be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the audit journal cannot be written: {0}")]
pub struct JournalError(pub String);

/// Why a journal was not opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// What is there was changed, so nothing is added to it.
    #[error("the audit journal is damaged: {0}")]
    Damaged(String),
    /// It cannot be read or written.
    #[error(transparent)]
    Unusable(#[from] JournalError),
}

impl OpenError {
    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Damaged(_) => Some(recover::ADVICE),
            Self::Unusable(_) => None,
        }
    }
}

/// Why no intent came about.
#[derive(Debug, thiserror::Error)]
pub enum BeginError {
    /// The policy is another one than the permit was given under. The intent is closed by recording the denial
    /// with [`Journal::complete`], or by dropping the pending call.
    #[error("the policy changed while the call was being decided")]
    PolicyChanged,
    /// The journal failed: nothing may happen.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

pub(crate) struct Inner {
    pub(crate) queue: Arc<Queue>,
    turns: Arc<Turns>,
    slots: Arc<Semaphore>,
    patience: Duration,
    durability: Durability,
    record_commands: RecordCommands,
    health: Health,
    entropy: Arc<dyn Entropy>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Ids,
}

impl Journal {
    /// Opens or begins the journal: locks its folder, cuts off what a crash left half-written, closes orphans,
    /// writes its opening entry to disk, and starts the writer. Refuses a journal whose last file was changed.
    pub fn open(
        config: JournalConfig,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, OpenError> {
        let folder = Folder::open(&config.dir).map_err(|cause| at(&config.dir, &cause))?;
        Self::open_on(Box::new(folder), config, clock, entropy)
    }

    pub(crate) fn open_on(
        disk: Box<dyn Disk>,
        config: JournalConfig,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, OpenError> {
        let ids = Ids::new(entropy.as_ref())?;
        let opening = Map::from_iter([
            ("format".to_owned(), Value::from(1)),
            ("key".to_owned(), Value::String(config.signing_key.public().id())),
        ]);
        let heads_path = config.heads.path;
        let (from, key) = (heads_path.clone(), config.signing_key.public());
        let vouched = heads::within(heads::PATIENCE, move || heads::last(&from, &key))
            .map_err(|cause| at(&heads_path, &cause))?;
        let opening = Opening { fields: opening, vouched, now: clock.now() };
        let mut log = recover::open(&config.dir, disk, config.max_file_bytes, ids.clone(), opening)?;
        log.keep_files(config.keep_files);
        let sinks: Result<Vec<_>, _> = config.sinks.into_iter().map(Sink::start).collect();
        let sinks = sinks.map_err(|cause| JournalError(format!("a sink cannot be opened: {cause}")))?;
        let heads = HeadWriter::start(config.signing_key, heads_path.clone())
            .map_err(|cause| at(&heads_path, &cause))?;
        let queue = Arc::new(Queue::default());
        let health = Health::default();
        let mut writer = Writer {
            log,
            queue: Arc::clone(&queue),
            state: WriterState::new(clock.as_ref()),
            clock: Arc::clone(&clock),
            ids: ids.clone(),
            health: Arc::clone(&health),
            heads: Some(heads),
            heads_every: config.heads.every,
            sinks,
        };
        writer.sign_head(true);
        let turns = Arc::new(Turns::new(writer));
        let thread = std::thread::Builder::new().name("audit-journal".to_owned());
        let all = Arc::clone(&turns);
        thread.spawn(move || all.run()).map_err(|cause| JournalError(cause.to_string()))?;
        let inner = Inner {
            queue,
            turns,
            slots: Arc::new(Semaphore::new(config.queue.max(1))),
            patience: config.patience,
            durability: config.durability,
            record_commands: config.record_commands,
            health,
            entropy,
            clock,
            ids,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Opens a call in memory.
    pub fn pending(&self, principal: &Principal, origin: Origin, tool: &ToolName) -> Pending {
        Pending::new(Arc::clone(&self.inner), principal, origin, tool)
    }

    /// Writes the intent as durably as the tier asks, then checks that the policy is still the permit's.
    ///
    /// After [`Pending::only_looks`] it is written together with the end.
    pub async fn begin(
        &self,
        pending: &mut Pending,
        permit: Permit,
        current: impl Fn() -> SnapshotHash + Send,
    ) -> Result<Intended, BeginError> {
        self.write_intent(pending, &permit, "tool_call").await?;
        if current() != permit.snapshot() {
            return Err(BeginError::PolicyChanged);
        }
        Ok(Intended { id: pending.id(), permit, only_looks: pending.intent.is_some() })
    }

    /// Writes the intent of a part of a call (the shell probe): an entry of its own with the call as its parent,
    /// under the same permit. The part ends with [`Journal::complete_part`], or by being dropped.
    pub async fn begin_part(&self, whole: &Intended, event: &'static str) -> Result<Pending, JournalError> {
        if whole.only_looks {
            return Err(JournalError("a call that only looks has no parts".to_owned()));
        }
        let origin = Origin { parent: Some(whole.id), ..Origin::default() };
        let permit = &whole.permit;
        let mut part = self.pending(permit.principal(), origin, &permit.action().tool);
        part.part = true;
        self.write_intent(&mut part, permit, event).await?;
        Ok(part)
    }

    /// Writes the end of a part of a call, which has no answer of its own.
    pub async fn complete_part(&self, part: Pending, facts: &CompletionFacts) -> Result<(), JournalError> {
        self.write_end(part, facts, &Report::default()).await
    }

    /// Writes the completion (or, without an intent, the closed entry) and releases the answer.
    pub async fn complete<T: Send>(
        &self,
        pending: Pending,
        facts: &CompletionFacts,
        answer: Guarded<T>,
    ) -> Result<Recorded<T>, JournalError> {
        self.write_end(pending, facts, answer.report()).await?;
        Ok(Recorded(answer.into_inner()))
    }

    /// Releases an answer that is recorded in a sum, for a call beyond its principal's rate: one entry a second for each
    /// principal (`over_rate`, with a count), so that whoever asks without end does not fill the disk.
    ///
    /// The call is counted before this returns, and the writer owes the count an entry: within a second, or at the end.
    /// While the journal cannot be written the answer is withheld like any other.
    pub fn sum_up<T>(&self, mut pending: Pending, answer: Guarded<T>) -> Result<Recorded<T>, JournalError> {
        if pending.stage != Stage::Open {
            return Err(JournalError("this call has its intent already".to_owned()));
        }
        // Also when it is withheld: a dropped call must not write what a summed up one does not.
        pending.stage = Stage::Ended;
        if !self.inner.queue.count(pending.common().clone()) {
            return Err(ended());
        }
        self.failure().map_or(Ok(Recorded(answer.into_inner())), Err)
    }

    /// Writes an entry of its own.
    pub async fn event(&self, event: Event) -> Result<(), JournalError> {
        let members = Body::of_event(self.inner.ids.next(), event).members()?;
        let job = self.job(Prepared { members, change: None }, self.inner.durability == Durability::Disk);
        self.inner.submit(job).await
    }

    /// Whether the last write went well; `false` until a later one does.
    pub fn healthy(&self) -> bool {
        self.failure().is_none()
    }

    /// Why the last write did not go well.
    pub fn failure(&self) -> Option<JournalError> {
        self.inner.health.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Opens the sinks' files again, after they were rotated.
    pub fn reopen_sinks(&self) {
        self.inner.queue.reopen_sinks();
    }

    /// Writes everything, the closing entry and a last head, and ends the writer. Afterwards every entry is
    /// refused; calls still open are closed as orphans at the next start.
    pub async fn shutdown(&self) -> Result<(), JournalError> {
        let (stop, stopped) = oneshot::channel();
        self.inner.queue.end(Some(stop));
        stopped.await.unwrap_or_else(|_| Err(ended()))
    }

    async fn write_intent(
        &self,
        pending: &mut Pending,
        permit: &Permit,
        event: &'static str,
    ) -> Result<(), JournalError> {
        if pending.stage != Stage::Open {
            return Err(JournalError("this call has its intent already".to_owned()));
        }
        let entry = pending.intent(permit, event)?;
        // From here on the intent may be written, also if this task is cancelled: the end has to be, too.
        pending.stage = Stage::Intended;
        let tier = permit.action().tier;
        if pending.only_looks && tier == Tier::Read {
            pending.intent = Some(entry);
            return Ok(());
        }
        let on_disk = match self.inner.durability {
            Durability::Auto => tier > Tier::Read,
            Durability::Disk => true,
            Durability::Process => false,
        };
        self.inner.submit(Job { only_if_awaited: true, ..self.job(entry, on_disk) }).await
    }

    async fn write_end(
        &self,
        mut pending: Pending,
        facts: &CompletionFacts,
        report: &Report,
    ) -> Result<(), JournalError> {
        let job = self.last_job(&mut pending, facts, report)?;
        let sent = self.inner.reserve().await.and_then(|slot| {
            pending.stage = Stage::Ended;
            self.inner.send(Job { slot: Some(slot), ..job })
        })?;
        self.inner.wait(sent).await
    }

    /// Apart from the waiting, so that no body is carried through it.
    fn last_job(
        &self,
        pending: &mut Pending,
        facts: &CompletionFacts,
        report: &Report,
    ) -> Result<Job, JournalError> {
        let body = Box::new(pending.end(facts, report)?);
        let entry = pending.ending(&body)?;
        let (otherwise, intent) = (Otherwise::Withheld(body), pending.intent.take());
        Ok(Job { intent, otherwise, ..self.job(entry, self.inner.durability == Durability::Disk) })
    }

    fn job(&self, entry: Prepared, on_disk: bool) -> Job {
        let otherwise = Otherwise::Nothing;
        Job { entry, intent: None, on_disk, ack: None, otherwise, only_if_awaited: false, slot: None }
    }
}

/// An entry that is on its way, and whose turn it is to write it.
struct Sent<'a> {
    waiting: oneshot::Receiver<Result<(), JournalError>>,
    turn: Option<Owed<'a>>,
}

impl Inner {
    /// Waits for a place, hands the job over, and waits for its acknowledgement.
    async fn submit(&self, job: Job) -> Result<(), JournalError> {
        let slot = self.reserve().await?;
        let sent = self.send(Job { slot: Some(slot), ..job })?;
        self.wait(sent).await
    }

    async fn reserve(&self) -> Result<tokio::sync::OwnedSemaphorePermit, JournalError> {
        if let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() {
            return Ok(slot);
        }
        let slot = tokio::time::timeout(self.patience, Arc::clone(&self.slots).acquire_owned()).await;
        slot.map_err(|_| self.too_slow())?.map_err(|_| ended())
    }

    fn send(&self, job: Job) -> Result<Sent<'_>, JournalError> {
        let (ack, waiting) = oneshot::channel();
        let job = Job { ack: Some(ack), ..job };
        // Handing an entry to another thread and being woken by it costs more than writing it.
        let (taken, turn) = if job.on_disk {
            (self.queue.push(job), None)
        } else {
            (self.turns.put(job), Some(self.turns.owed()))
        };
        if taken { Ok(Sent { waiting, turn }) } else { Err(ended()) }
    }

    async fn wait(&self, sent: Sent<'_>) -> Result<(), JournalError> {
        let Sent { mut waiting, turn } = sent;
        if let Some(turn) = turn {
            // Whoever else has an entry at this moment puts it in first, and one write takes them all.
            tokio::task::yield_now().await;
            if let Ok(answer) = waiting.try_recv() {
                turn.settled();
                return answer;
            }
            drop(turn);
        }
        if let Ok(answer) = waiting.try_recv() {
            return answer;
        }
        let answer = tokio::time::timeout(self.patience, waiting).await.map_err(|_| self.too_slow())?;
        answer.unwrap_or_else(|_| Err(ended()))
    }

    /// Without waiting and without a place: there is at most one such entry for each open call.
    pub(crate) fn write_unawaited(&self, intent: Option<Prepared>, entry: Prepared) {
        let otherwise = Otherwise::TheSame;
        let job =
            Job { entry, intent, on_disk: false, ack: None, otherwise, only_if_awaited: false, slot: None };
        let _turn = self.turns.owed();
        if !self.turns.put(job) {
            tracing::warn!("a call ended after the journal: it is closed at the next start");
        }
    }

    pub(crate) fn command(&self, id: &str, command: &str) -> Result<Option<Value>, JournalError> {
        self.record_commands.member(id, command, self.entropy.as_ref())
    }

    pub(crate) fn commands_are_clear(&self) -> bool {
        matches!(self.record_commands, RecordCommands::Clear)
    }

    fn too_slow(&self) -> JournalError {
        JournalError(format!("it did not answer within {:?}", self.patience))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.queue.end(None);
    }
}

fn ended() -> JournalError {
    JournalError("it has been closed".to_owned())
}

fn at(path: &Path, cause: &std::io::Error) -> JournalError {
    JournalError(format!("`{}`: {cause}", path.display()))
}
