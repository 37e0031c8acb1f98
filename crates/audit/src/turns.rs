//! Whose turn it is to write: the journal's own thread, or a caller whose entry only has to reach the kernel.
//!
//! INVARIANT: nobody leaves an entry behind. Whoever has put one in has a turn coming, and tries for it; who does not get
//! it may go, because who has it looks again after it has let go.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

use crate::queue::{Job, Queue};
use crate::writer::{BATCH, Writer};

/// The writer, for one at a time; `None` when it has ended.
pub(crate) struct Turns {
    writer: Mutex<Option<Writer>>,
    /// Somebody's turn has come, and nobody has taken it yet.
    wanted: AtomicBool,
    queue: Arc<Queue>,
}

/// A turn that somebody has coming. Taken when this is dropped, so also by a caller who goes away.
pub(crate) struct Owed<'a>(Option<&'a Turns>);

impl Owed<'_> {
    /// The entry has been written in somebody else's turn.
    pub(crate) fn settled(mut self) {
        self.0 = None;
    }
}

impl Drop for Owed<'_> {
    fn drop(&mut self) {
        if let Some(turns) = self.0 {
            turns.write();
        }
    }
}

impl Turns {
    pub(crate) fn new(writer: Writer) -> Self {
        let (queue, wanted) = (Arc::clone(&writer.queue), AtomicBool::new(false));
        Self { writer: Mutex::new(Some(writer)), wanted, queue }
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

    /// Puts an entry in that only has to reach the kernel; `false` when the writer has ended. Whoever puts one in has a
    /// turn coming: [`Self::owed`].
    pub(crate) fn put(&self, job: Job) -> bool {
        self.queue.push_quick(job)
    }

    /// The turn of whoever has put an entry in.
    pub(crate) fn owed(&self) -> Owed<'_> {
        Owed(Some(self))
    }

    /// Writes what is there, here and now if nothing speaks against it. Entries whose turn has not come yet are taken
    /// along, and not waited for.
    fn write(&self) {
        self.wanted.store(true, Ordering::SeqCst);
        while self.wanted.load(Ordering::SeqCst) {
            match self.writer.try_lock() {
                Ok(mut turn) => match turn.as_mut() {
                    Some(writer) if writer.is_quick() => {
                        self.wanted.store(false, Ordering::SeqCst);
                        self.take_turn(writer);
                    }
                    Some(_) | None => return self.queue.look_again(),
                },
                // Who has the turn looks again after it has let go.
                Err(TryLockError::WouldBlock) => return,
                Err(TryLockError::Poisoned(_)) => return self.queue.look_again(),
            }
        }
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
