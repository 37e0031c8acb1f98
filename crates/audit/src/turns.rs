//! Whose turn it is to write: the journal's own thread, or a caller whose entry only has to reach the kernel.
//!
//! INVARIANT: nobody leaves an entry behind. Whoever has put one in tries for its turn; who does not get it may go,
//! because who has it looks again after it has let go.

use std::sync::{Arc, Mutex, PoisonError, TryLockError};

use crate::queue::{Job, Queue};
use crate::writer::{BATCH, Writer};

/// The writer, for one at a time; `None` when it has ended.
pub(crate) struct Turns {
    writer: Mutex<Option<Writer>>,
    queue: Arc<Queue>,
}

impl Turns {
    pub(crate) fn new(writer: Writer) -> Self {
        Self { queue: Arc::clone(&writer.queue), writer: Mutex::new(Some(writer)) }
    }

    /// The thread: writes until the queue ends. Whatever ends it, nobody waits for it afterwards.
    pub(crate) fn run(&self) {
        struct Last<'a>(&'a Turns);
        impl Drop for Last<'_> {
            fn drop(&mut self) {
                self.0.queue.die();
                self.0.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
            }
        }
        let _last = Last(self);
        while let Some(wait) = self.with_writer(|writer| writer.next_wake()) {
            let work = self.queue.take(BATCH, wait);
            let Some(end) = self.with_writer(|writer| writer.round(work)) else { return };
            if let Some(stop) = end {
                let writer = self.writer.lock().ok().and_then(|mut writer| writer.take());
                let result = writer.map(Writer::close);
                if let Some((stop, result)) = stop.zip(result) {
                    let _ = stop.send(result);
                }
                return;
            }
        }
    }

    /// Has an entry written that only has to reach the kernel, here and now if nothing speaks against it. `false` when
    /// the writer has ended.
    pub(crate) fn write(&self, job: Job) -> bool {
        let taken = self.queue.push_quick(job);
        while taken && self.queue.has_quick() {
            match self.writer.try_lock() {
                Ok(mut turn) => match turn.as_mut() {
                    Some(writer) if writer.is_quick() => self.take_turn(writer),
                    Some(_) | None => {
                        self.queue.look_again();
                        break;
                    }
                },
                Err(TryLockError::WouldBlock) => break,
                Err(TryLockError::Poisoned(_)) => {
                    self.queue.look_again();
                    break;
                }
            }
        }
        taken
    }

    fn take_turn(&self, writer: &mut Writer) {
        let jobs = self.queue.take_quick(BATCH);
        if !jobs.is_empty() && writer.write_quick(jobs) {
            self.queue.look_again();
        }
    }

    /// `None` when there is no writer any more, or when one failed in the middle: nobody knows what its file holds then, and
    /// nothing is written to it again.
    fn with_writer<T>(&self, act: impl FnOnce(&mut Writer) -> T) -> Option<T> {
        self.writer.lock().ok()?.as_mut().map(act)
    }
}
