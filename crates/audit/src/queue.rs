//! What stands between the tasks that ask for entries and the one thread that writes them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::JournalError;
use crate::body::Body;
use crate::log::Prepared;
use crate::sums::Sums;

/// One entry to be written.
pub(crate) struct Job {
    pub(crate) entry: Prepared,
    /// Whether the acknowledgement waits for the disk, or only for the kernel.
    pub(crate) on_disk: bool,
    /// Who waits; `None` for what is written without anybody waiting.
    pub(crate) ack: Option<oneshot::Sender<Result<(), JournalError>>>,
    /// What is written later if this could not be.
    pub(crate) fallback: Option<Prepared>,
    /// Not to be written if nobody waits any more: an intent that nobody will act on.
    pub(crate) only_if_awaited: bool,
    /// The place in the queue, given back when the job is done.
    pub(crate) slot: Option<OwnedSemaphorePermit>,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    sums: Sums,
    /// Whether the writer knows that there are sums.
    sums_seen: bool,
    reopen_sinks: bool,
    ending: bool,
    /// The writer sleeps: only then is it worth a system call to wake it.
    asleep: bool,
    stop: Option<oneshot::Sender<Result<(), JournalError>>>,
    dead: bool,
}

/// Bounded for those who wait (they hold slots of a semaphore); entries of dropped calls take no slot, because
/// a drop cannot wait, and are bounded by the number of calls.
#[derive(Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    wake: Condvar,
    calls: AtomicUsize,
}

/// A call under way, counted until this is dropped.
pub(crate) struct UnderWay(Arc<Queue>);

impl std::fmt::Debug for UnderWay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("UnderWay")
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::Relaxed);
    }
}

/// With so many calls under way, more entries come at any moment.
const CROWD: usize = 4;
/// How long the writer then waits for them: about what one hand-over between threads costs. A lone caller never waits.
const COMPANY: Duration = Duration::from_micros(60);

/// What the writer is to do next.
pub(crate) struct Work {
    pub(crate) jobs: Vec<Job>,
    pub(crate) reopen_sinks: bool,
    /// Nothing more will come; with who waits for the end.
    pub(crate) end: Option<Option<oneshot::Sender<Result<(), JournalError>>>>,
    /// Nothing came in the time given.
    pub(crate) idle: bool,
}

impl Queue {
    /// Counts a call: how many there are tells the writer whether more entries are about to come.
    pub(crate) fn under_way(self: &Arc<Self>) -> UnderWay {
        self.calls.fetch_add(1, Ordering::Relaxed);
        UnderWay(Arc::clone(self))
    }

    /// Puts a job in; `false` when the writer has ended.
    pub(crate) fn push(&self, job: Job) -> bool {
        let mut state = self.lock();
        if state.dead || state.ending {
            return false;
        }
        state.jobs.push_back(job);
        let asleep = std::mem::take(&mut state.asleep);
        drop(state);
        if asleep {
            self.wake.notify_one();
        }
        true
    }

    /// Counts a call that is recorded in a sum; `false` when the writer has ended.
    pub(crate) fn count(&self, call: Body) -> bool {
        let mut state = self.lock();
        if state.dead || state.ending {
            return false;
        }
        state.sums.count(call);
        let wake = !state.sums_seen && std::mem::take(&mut state.asleep);
        drop(state);
        if wake {
            self.wake.notify_one();
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
    pub(crate) fn end(&self, stop: Option<oneshot::Sender<Result<(), JournalError>>>) {
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
        if self.calls.load(Ordering::Relaxed) >= CROWD {
            // Nobody has to wake the writer meanwhile, and one write serves all who come.
            std::thread::sleep(COMPANY);
        }
        let mut state = self.lock();
        let mut idle = false;
        let new_sums = |state: &State| !state.sums_seen && !state.sums.is_empty();
        while state.jobs.is_empty() && !state.ending && !state.reopen_sinks && !idle && !new_sums(&state) {
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
        state.sums_seen = !state.sums.is_empty();
        let count = state.jobs.len().min(most);
        let jobs: Vec<Job> = state.jobs.drain(..count).collect();
        let ended = state.ending && state.jobs.is_empty();
        let end = ended.then(|| state.stop.take());
        Work { jobs, reopen_sinks: std::mem::take(&mut state.reopen_sinks), end, idle }
    }

    /// The writer is gone: whoever waits learns it, because the jobs are dropped.
    pub(crate) fn die(&self) {
        let mut state = self.lock();
        state.dead = true;
        state.jobs.clear();
        state.stop = None;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
