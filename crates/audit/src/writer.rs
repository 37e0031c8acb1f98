//! Writing the journal: group commit, acknowledgements, and what is owed after a failure. Who writes, and when, is
//! decided in `turns`.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::{BootInstant, Clock, Timestamp};
use serde_json::{Map, Value, json};

use crate::JournalError;
use crate::body::Ids;
use crate::heads::HeadWriter;
use crate::log::{Log, Prepared};
use crate::queue::{Job, Otherwise, Queue, Stop, Work};
use crate::sink::Sink;
use crate::sums::SUM_EVERY;

/// Entries in one batch, and so under one sync.
pub(crate) const BATCH: usize = 512;
/// Entries that are remembered for later while the disk does not take them.
const OWED: usize = 10_000;
/// An entry in the kernel is on disk within 100 ms: this, and the time of a sync.
const SYNC_WITHIN: Duration = Duration::from_millis(80);
/// How long to wait before a failed disk is tried again without anybody asking.
const RETRY: Duration = Duration::from_secs(1);
/// A write that took longer than this waited for the disk, not only for the kernel.
const SLOW: Duration = Duration::from_millis(200);
/// For so long after it, callers do not write themselves: a disk that hangs must hang one thread of its own, not the
/// tasks of everybody.
const SLOW_FOR: Duration = Duration::from_secs(1);
/// Wall clock and boot clock may part this far before it is recorded.
const CLOCK_JUMP: Duration = Duration::from_secs(5);

/// The last failure, for health checks; `None` while all is well.
pub(crate) type Health = Arc<Mutex<Option<JournalError>>>;

pub(crate) struct Writer {
    pub(crate) log: Log,
    pub(crate) queue: Arc<Queue>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Ids,
    pub(crate) health: Health,
    pub(crate) heads: Option<HeadWriter>,
    pub(crate) heads_every: Duration,
    pub(crate) sinks: Vec<Sink>,
    pub(crate) state: WriterState,
}

/// What the writer remembers from batch to batch.
pub(crate) struct WriterState {
    clocks: (Timestamp, BootInstant),
    /// When the oldest entry that is not on disk was written.
    dirty_since: Option<BootInstant>,
    /// The last batch could not be written: that older entries reach the disk does not heal it.
    append_failed: bool,
    /// Until when the disk counts as slow.
    slow_until: Option<BootInstant>,
    signed_seq: u64,
    signed_at: BootInstant,
    /// When sums were written last.
    summed_at: Option<BootInstant>,
    owed: VecDeque<Prepared>,
    lost: u64,
    refused: u64,
}

impl WriterState {
    pub(crate) fn new(clock: &dyn Clock) -> Self {
        let (now, boot) = (clock.now(), clock.boot());
        let owed = VecDeque::new();
        Self {
            clocks: (now, boot),
            dirty_since: None,
            append_failed: false,
            slow_until: None,
            signed_seq: 0,
            signed_at: boot,
            summed_at: None,
            owed,
            lost: 0,
            refused: 0,
        }
    }
}

impl Writer {
    /// What one round of the thread does; `true` when it was the last before the end.
    pub(crate) fn round(&mut self, work: Work) -> Option<Option<Stop>> {
        let Work { jobs, reopen_sinks, end, idle } = work;
        if reopen_sinks {
            self.sinks.iter().for_each(Sink::reopen);
        }
        let summed = self.sum_up_if_due();
        if !jobs.is_empty() || summed || (idle && self.is_failing()) {
            self.write(jobs);
        }
        self.sync_if_due(idle);
        self.sign_head(false);
        end
    }

    /// Whether a write now is one system call on a file that works: whatever may take longer is the thread's.
    pub(crate) fn is_quick(&self) -> bool {
        let slow = self.state.slow_until.is_some_and(|until| self.clock.boot() < until);
        !slow && self.log.is_plain() && !self.is_failing()
    }

    /// Writes jobs that wait for the kernel only. `true` when the thread has to know of it: something is to be synced now,
    /// or failed.
    pub(crate) fn write_quick(&mut self, jobs: Vec<Job>) -> bool {
        let (begun, was_clean) = (self.clock.boot(), self.state.dirty_since.is_none());
        self.write(jobs);
        let now = self.clock.boot();
        if now.since(begun) > SLOW {
            self.state.slow_until = Some(now.after(SLOW_FOR));
        }
        was_clean || self.is_failing()
    }

    pub(crate) fn next_wake(&self) -> Option<Duration> {
        let now = self.clock.boot();
        let failed = self.is_failing();
        let sync = self.state.dirty_since.map(|since| SYNC_WITHIN.saturating_sub(now.since(since)));
        let unsigned = self.heads.is_some() && self.log.head().seq > self.state.signed_seq;
        let head = unsigned.then(|| self.heads_every.saturating_sub(now.since(self.state.signed_at)));
        let sums = self.queue.has_sums().then(|| self.sums_wait(now));
        let soonest = [sync, head, sums, failed.then_some(RETRY)].into_iter().flatten().min();
        // Never spin, whatever a clock says.
        soonest.map(|wait| if failed { wait.max(RETRY) } else { wait.max(Duration::from_millis(1)) })
    }

    /// Turns what was counted into entries; while the disk fails it is counted on.
    fn sum_up_if_due(&mut self) -> bool {
        let now = self.clock.boot();
        if self.is_failing() || self.sums_wait(now) > Duration::ZERO {
            return false;
        }
        let entries = self.queue.take_sums().entries();
        if entries.is_empty() {
            return false;
        }
        self.state.summed_at = Some(now);
        self.state.owed.extend(entries);
        true
    }

    fn sums_wait(&self, now: BootInstant) -> Duration {
        self.state.summed_at.map_or(Duration::ZERO, |at| SUM_EVERY.saturating_sub(now.since(at)))
    }

    fn write(&mut self, jobs: Vec<Job>) {
        let jobs: Vec<Job> = jobs.into_iter().filter(is_wanted).collect();
        let now = self.clock.now();
        let ours = self.about_ourselves(now);
        let owed = self.state.owed.len().min(BATCH);
        let others = self.state.owed.iter().take(owed).chain(jobs.iter().flat_map(Job::entries));
        let batch: Vec<&Prepared> = ours.iter().chain(others).collect();
        if batch.is_empty() {
            return;
        }
        let appended = self.log.append(now, &batch);
        self.state.append_failed = appended.is_err();
        match appended {
            Err(cause) => self.fail(jobs, &cause),
            Ok(lines) => {
                self.state.owed.drain(..owed);
                (self.state.lost, self.state.refused) = (0, 0);
                self.sinks.iter_mut().for_each(|sink| sink.send(&lines));
                self.acknowledge(jobs, now);
            }
        }
    }

    /// Those who wait for the kernel have what they want; one sync is for all the others.
    fn acknowledge(&mut self, jobs: Vec<Job>, now: Timestamp) {
        let (on_disk, in_kernel): (Vec<Job>, Vec<Job>) = jobs.into_iter().partition(|job| job.on_disk);
        if on_disk.is_empty() {
            *self.lock_health() = None;
        }
        in_kernel.into_iter().for_each(|job| answer(job, Ok(())));
        if on_disk.is_empty() {
            self.state.dirty_since.get_or_insert(self.clock.boot());
            return;
        }
        match self.sync(now) {
            Ok(()) => on_disk.into_iter().for_each(|job| answer(job, Ok(()))),
            Err(cause) => self.fail(on_disk, &cause),
        }
    }

    fn sync(&mut self, now: Timestamp) -> io::Result<()> {
        let done = self.log.sync(now);
        self.state.dirty_since = if done.is_ok() { None } else { Some(self.clock.boot()) };
        match &done {
            Ok(()) if self.state.append_failed => {}
            Ok(()) => *self.lock_health() = None,
            Err(cause) => *self.lock_health() = Some(JournalError(cause.to_string())),
        }
        done
    }

    fn sync_if_due(&mut self, idle: bool) {
        let Some(since) = self.state.dirty_since else { return };
        // An idle wait has been as long as it was told to, whatever the clock says.
        if (idle || self.clock.boot().since(since) >= SYNC_WITHIN)
            && let Err(cause) = self.sync(self.clock.now())
        {
            tracing::error!(%cause, "the audit journal failed to sync");
        }
    }

    /// Refuses, and remembers what has to be written once the disk works again.
    fn fail(&mut self, jobs: Vec<Job>, cause: &io::Error) {
        tracing::error!(%cause, entries = jobs.len(), "the audit journal cannot be written: requests are refused");
        let error = JournalError(cause.to_string());
        *self.lock_health() = Some(error.clone());
        for mut job in jobs {
            self.state.refused = self.state.refused.saturating_add(u64::from(job.ack.is_some()));
            if !matches!(job.otherwise, Otherwise::Nothing) {
                match job.owed() {
                    Some(entry) if self.state.owed.len() < OWED => self.state.owed.push_back(entry),
                    Some(_) | None => self.state.lost = self.state.lost.saturating_add(1),
                }
            }
            answer(job, Err(error.clone()));
        }
    }

    /// Entries about the journal itself that go before the batch.
    fn about_ourselves(&mut self, now: Timestamp) -> Vec<Prepared> {
        let mut events = Vec::new();
        let (wall, boot) = std::mem::replace(&mut self.state.clocks, (now, self.clock.boot()));
        let expected = wall.after(self.state.clocks.1.since(boot));
        let jump = now.as_millis().saturating_sub(expected.as_millis());
        if u128::from(jump.unsigned_abs()) > CLOCK_JUMP.as_millis() {
            events.push(("clock_jump", json!({ "by_ms": jump })));
        }
        if self.state.lost > 0 || self.state.refused > 0 {
            let fields = json!({ "refused": self.state.refused, "lost": self.state.lost });
            events.push(("journal_recovered", fields));
        }
        let prepare = |(event, fields): (&'static str, Value)| {
            let fields: Map<String, Value> = fields.as_object().cloned().unwrap_or_default();
            Some(Prepared { members: self.ids.own_event(event, fields).ok()?, change: None })
        };
        events.into_iter().filter_map(prepare).collect()
    }

    /// Only what is on disk is signed, so that no crash can take back what a head stands for.
    pub(crate) fn sign_head(&mut self, now_in_any_case: bool) {
        let Some(heads) = &self.heads else { return };
        let (head, boot) = (self.log.head(), self.clock.boot());
        let due = now_in_any_case || boot.since(self.state.signed_at) >= self.heads_every;
        if !due || head.seq <= self.state.signed_seq || !self.log.is_synced() {
            return;
        }
        // Busy, perhaps because the file's machine hangs: not asked again before the next interval.
        self.state.signed_at = boot;
        if heads.sign(head, self.clock.now()) {
            self.state.signed_seq = head.seq;
        }
    }

    pub(crate) fn close(mut self) -> Result<(), JournalError> {
        let now = self.clock.now();
        let fields = Map::from_iter([("open_calls".to_owned(), json!(self.log.open_calls().len()))]);
        let mut last: Vec<Prepared> = self.state.owed.drain(..).collect();
        last.extend(self.queue.take_sums().entries());
        last.push(Prepared { members: self.ids.own_event("journal_closed", fields)?, change: None });
        let last: Vec<&Prepared> = last.iter().collect();
        let written = self.log.append(now, &last);
        if let Ok(lines) = &written {
            self.sinks.iter_mut().for_each(|sink| sink.send(lines));
        }
        let done = written.map(drop).and_then(|()| self.log.sync(now));
        let head = self.log.is_synced().then(|| (self.log.head(), now));
        if let Some(heads) = self.heads.take() {
            heads.finish(head);
        }
        self.sinks.into_iter().for_each(Sink::finish);
        done.map_err(|cause| JournalError(cause.to_string()))
    }

    fn is_failing(&self) -> bool {
        self.lock_health().is_some() || !self.state.owed.is_empty()
    }

    fn lock_health(&self) -> std::sync::MutexGuard<'_, Option<JournalError>> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_wanted(job: &Job) -> bool {
    !job.only_if_awaited || job.ack.as_ref().is_some_and(|ack| !ack.is_closed())
}

fn answer(job: Job, result: Result<(), JournalError>) {
    if let Some(ack) = job.ack {
        let _ = ack.send(result);
    }
    drop(job.slot);
}
