//! The thread that starts programs.
//!
//! The kernel ends a program with the *thread* that started it. The runtime's threads come and go; this one stays as long as
//! there are upstreams.

use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, OnceLock, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::oneshot;

type Work = Box<dyn FnOnce() + Send>;

/// Runs what starts programs, one after the other.
#[derive(Default)]
pub(crate) struct Starter(OnceLock<Mutex<Sender<Work>>>);

impl Starter {
    /// Runs it there, within the runtime of who asks.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, String> {
        let (told, done) = oneshot::channel();
        let runtime = Handle::current();
        let work: Work = Box::new(move || {
            let _within = runtime.enter();
            let _ = told.send(work());
        });
        let thread = self.0.get_or_init(|| Mutex::new(begin()));
        let sent = thread.lock().unwrap_or_else(PoisonError::into_inner).send(work);
        sent.map_err(|_| "the thread that starts programs has ended".to_owned())?;
        done.await.map_err(|_| "starting it ended in a defect".to_owned())
    }
}

/// Ends with the last sender. If there is no thread to be had, nothing can be sent.
fn begin() -> Sender<Work> {
    let (sender, works) = channel::<Work>();
    let run = move || works.into_iter().for_each(|work| work());
    let _ = std::thread::Builder::new().name("upstreams".to_owned()).spawn(run);
    sender
}
