//! What stands between the tasks that ask for entries and whoever writes them.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::JournalError;
use crate::body::Body;
use crate::log::Prepared;
use crate::open_calls::Change;
use crate::sums::Sums;

/// Told how the end went.
pub(crate) type Stop = oneshot::Sender<Result<(), JournalError>>;

/// One entry to be written.
pub(crate) struct Job {
    pub(crate) entry: Prepared,
    /// Goes right before it, in the same write: the intent of a call that only looked.
    pub(crate) intent: Option<Prepared>,
    /// Whether the acknowledgement waits for the disk, or only for the kernel.
    pub(crate) on_disk: bool,
    /// Who waits; `None` for what is written without anybody waiting.
    pub(crate) ack: Option<oneshot::Sender<Result<(), JournalError>>>,
    /// What is written later if this could not be.
    pub(crate) otherwise: Otherwise,
    /// Not to be written if nobody waits any more: an intent that nobody will act on.
    pub(crate) only_if_awaited: bool,
    /// The place in the queue, given back when the job is done.
    pub(crate) slot: Option<OwnedSemaphorePermit>,
}

/// What is still owed to the record when an entry could not be written.
pub(crate) enum Otherwise {
    /// Nothing: nobody acts on it.
    Nothing,
    /// The same entry, once the disk works again.
    TheSame,
    /// That the call ended and its answer was withheld.
    Withheld(Box<Body>),
}

impl Job {
    /// What is written, in this order.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Prepared> {
        self.intent.iter().chain([&self.entry])
    }

    /// What is written later, now that this could not be; taken out of the job.
    pub(crate) fn owed(&mut self) -> Option<Prepared> {
        match std::mem::replace(&mut self.otherwise, Otherwise::Nothing) {
            Otherwise::Nothing => None,
            Otherwise::TheSame => Some(self.entry.clone()),
            Otherwise::Withheld(body) => {
                let change = Some(Change::Closes(body.id.clone()));
                Some(Prepared { members: body.withheld().members().ok()?, change })
            }
        }
    }
}

#[derive(Default)]
struct State {
    /// For the journal's thread.
    jobs: VecDeque<Job>,
    /// For whichever caller has its turn, or the thread if that comes first.
    quick: VecDeque<Job>,
    /// The thread is to think again about how long it may sleep.
    look_again: bool,
    sums: Sums,
    /// Whether the writer knows that there are sums.
    sums_seen: bool,
    reopen_sinks: bool,
    ending: bool,
    /// The writer sleeps: only then is it worth a system call to wake it.
    asleep: bool,
    stop: Option<Stop>,
    dead: bool,
}

impl State {
    fn has_work(&self) -> bool {
        let new_sums = !self.sums_seen && !self.sums.is_empty();
        let jobs = !self.jobs.is_empty() || !self.quick.is_empty();
        jobs || new_sums || self.ending || self.reopen_sinks || self.look_again
    }

    fn take_jobs(&mut self, most: usize) -> Vec<Job> {
        let quick = self.quick.len().min(most);
        let others = self.jobs.len().min(most - quick);
        self.quick.drain(..quick).chain(self.jobs.drain(..others)).collect()
    }
}

/// Bounded for those who wait (they hold slots of a semaphore); entries of dropped calls take no slot, because
/// a drop cannot wait, and are bounded by the number of calls.
#[derive(Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    wake: Condvar,
}

/// What the writer is to do next.
pub(crate) struct Work {
    pub(crate) jobs: Vec<Job>,
    pub(crate) reopen_sinks: bool,
    /// Nothing more will come; with who waits for the end.
    pub(crate) end: Option<Option<Stop>>,
    /// Nothing came in the time given.
    pub(crate) idle: bool,
}

impl Queue {
    /// Puts a job in for the thread; `false` when the writer has ended.
    pub(crate) fn push(&self, job: Job) -> bool {
        let mut state = self.lock();
        if state.dead || state.ending {
            return false;
        }
        state.jobs.push_back(job);
        self.wake(state);
        true
    }

    /// Puts a job in that its caller writes itself, next; `false` when the writer has ended.
    pub(crate) fn push_quick(&self, job: Job) -> bool {
        let mut state = self.lock();
        let open = !state.dead && !state.ending;
        if open {
            state.quick.push_back(job);
        }
        open
    }

    pub(crate) fn take_quick(&self, most: usize) -> Vec<Job> {
        let mut state = self.lock();
        let count = state.quick.len().min(most);
        state.quick.drain(..count).collect()
    }

    /// Has the thread think again about what is to be done, and when.
    pub(crate) fn look_again(&self) {
        let mut state = self.lock();
        state.look_again = true;
        self.wake(state);
    }

    /// Counts a call that is recorded in a sum; `false` when the writer has ended.
    pub(crate) fn count(&self, call: Body) -> bool {
        let mut state = self.lock();
        if state.dead || state.ending {
            return false;
        }
        state.sums.count(call);
        if !state.sums_seen {
            self.wake(state);
        }
        true
    }

    pub(crate) fn has_sums(&self) -> bool {
        !self.lock().sums.is_empty()
    }

    pub(crate) fn take_sums(&self) -> Sums {
        let mut state = self.lock();
        state.sums_seen = false;
        std::mem::take(&mut state.sums)
    }

    pub(crate) fn reopen_sinks(&self) {
        self.lock().reopen_sinks = true;
        self.wake.notify_one();
    }

    /// No more jobs: the writer finishes what is there.
    pub(crate) fn end(&self, stop: Option<Stop>) {
        let mut state = self.lock();
        state.ending = true;
        if !state.dead && state.stop.is_none() {
            state.stop = stop;
        }
        drop(state);
        self.wake.notify_one();
    }

    /// Waits for jobs, at most this long.
    pub(crate) fn take(&self, most: usize, wait: Option<Duration>) -> Work {
        let mut state = self.lock();
        let mut idle = false;
        while !state.has_work() && !idle {
            state.asleep = true;
            state = match wait {
                None => self.wake.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(wait) => {
                    let (state, timeout) =
                        self.wake.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner);
                    idle = timeout.timed_out();
                    state
                }
            };
        }
        state.asleep = false;
        state.look_again = false;
        state.sums_seen = !state.sums.is_empty();
        let jobs = state.take_jobs(most);
        let ended = state.ending && state.jobs.is_empty() && state.quick.is_empty();
        let end = ended.then(|| state.stop.take());
        Work { jobs, reopen_sinks: std::mem::take(&mut state.reopen_sinks), end, idle }
    }

    /// The writer is gone: whoever waits learns it, because the jobs are dropped.
    pub(crate) fn die(&self) {
        let mut state = self.lock();
        state.dead = true;
        state.jobs.clear();
        state.quick.clear();
        state.stop = None;
    }

    /// A system call only if the thread sleeps.
    fn wake(&self, mut state: MutexGuard<'_, State>) {
        let asleep = std::mem::take(&mut state.asleep);
        drop(state);
        if asleep {
            self.wake.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
