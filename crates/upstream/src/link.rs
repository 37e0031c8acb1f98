//! One start of an upstream: requests go out under numbers of ours, so that it can serve many clients at once, and each answer
//! finds its request.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use broker::Standing;
use model::UpstreamName;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use wire::{Message, ProgressSaid, ScanLimits};

use crate::fault::Fault;
use crate::lines::{Line, Lines};

/// The longest message of an upstream, in bytes.
pub(crate) const LONGEST: usize = 16 * 1024 * 1024;
/// Messages that wait for a program that does not read.
const WAITING: usize = 64;
/// Progress that waits for a call; more is left out.
const PROGRESS: usize = 16;
/// Lines that are no messages, before the start is given up: some programs greet, none goes on for ever.
pub(crate) const GARBAGE: usize = 100;

/// Requests and answers over one start of an upstream.
pub(crate) struct Link {
    upstream: UpstreamName,
    out: mpsc::Sender<Vec<u8>>,
    /// Where messages are not lines of one pipe.
    carrier: Option<Arc<dyn Carrier>>,
    waiting: Mutex<HashMap<u64, Waiting>>,
    next: AtomicU64,
    heard: AtomicU64,
    standing: Arc<Standing>,
    /// Its tools are not what they were.
    pub(crate) relist: Notify,
    /// Cancelled when it is over: the program has ended, or nothing more is sent to it.
    pub(crate) over: CancellationToken,
}

/// Carries a message to an upstream for whoever waits for its answer, and brings that to the link.
pub(crate) trait Carrier: Send + Sync {
    /// Carries one. Dropped before its end, the message is given up.
    fn carry<'l>(&'l self, link: &'l Link, message: Vec<u8>) -> Carried<'l>;
}

/// A message on its way.
pub(crate) type Carried<'l> = Pin<Box<dyn Future<Output = ()> + Send + 'l>>;

struct Waiting {
    answer: oneshot::Sender<Result<Answered, Fault>>,
    progress: Option<mpsc::Sender<Progress>>,
}

/// What became of something that an upstream said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It was the answer to a request that waited for it.
    Answer,
    /// It was some other message, perhaps one that is of no use.
    Message,
    /// It was no message.
    Garbage,
}

/// An answer, as JSON text.
pub(crate) struct Answered {
    /// The result or the error.
    pub(crate) json: Arc<str>,
    /// Whether it is an error.
    pub(crate) is_error: bool,
}

/// How far a call is.
pub(crate) struct Progress {
    pub(crate) done: f64,
    pub(crate) total: Option<f64>,
    pub(crate) message: Option<String>,
}

/// A request under way. Dropped before its answer, it is given up: the upstream is told.
pub(crate) struct Asked<'l> {
    link: &'l Link,
    id: u64,
    answer: oneshot::Receiver<Result<Answered, Fault>>,
    progress: mpsc::Receiver<Progress>,
    /// The request, while it is carried.
    carried: Option<Carried<'l>>,
    done: bool,
}

impl Link {
    /// A link whose messages go where the receiver leads; those that somebody waits for are carried, if there is a carrier.
    pub(crate) fn new(
        upstream: UpstreamName,
        standing: Arc<Standing>,
        carrier: Option<Arc<dyn Carrier>>,
    ) -> (Arc<Self>, mpsc::Receiver<Vec<u8>>) {
        let (out, messages) = mpsc::channel(WAITING);
        let link = Self {
            upstream,
            out,
            carrier,
            waiting: Mutex::default(),
            next: AtomicU64::new(1),
            heard: AtomicU64::new(0),
            standing,
            relist: Notify::new(),
            over: CancellationToken::new(),
        };
        (Arc::new(link), messages)
    }

    /// What it was started with.
    pub(crate) fn standing(&self) -> &Arc<Standing> {
        &self.standing
    }

    /// How many messages have come.
    pub(crate) fn heard(&self) -> u64 {
        self.heard.load(Ordering::Relaxed)
    }

    /// Sends a request, whose parameters are made for its number.
    pub(crate) async fn ask<E>(
        &self,
        method: &str,
        wants_progress: bool,
        params: impl FnOnce(u64) -> Result<String, E>,
    ) -> Result<Result<Asked<'_>, Fault>, E> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let message = wire::write_request(id, method, &params(id)?);
        let (answer, answered) = oneshot::channel();
        let (told, progress) = mpsc::channel(PROGRESS);
        lock(&self.waiting).insert(id, Waiting { answer, progress: wants_progress.then_some(told) });
        let mut asked = Asked { link: self, id, answer: answered, progress, carried: None, done: false };
        // After the entry: from here on its end is seen by whoever ends all of them.
        if self.over.is_cancelled() {
            return Ok(Err(asked.ended_before()));
        }
        if let Some(carrier) = &self.carrier {
            asked.carried = Some(carrier.carry(self, message));
            return Ok(Ok(asked));
        }
        match self.out.send(message).await {
            Ok(()) => Ok(Ok(asked)),
            Err(_) => Ok(Err(asked.ended_before())),
        }
    }

    /// Sends a request of our own and waits for its result, not longer than this.
    pub(crate) async fn request(
        &self,
        method: &str,
        params: String,
        limit: Duration,
    ) -> Result<Answered, Fault> {
        let answered = async {
            let asked = self.ask::<std::convert::Infallible>(method, false, |_| Ok(params)).await;
            let Ok(asked) = asked;
            asked?.answer().await
        };
        tokio::time::timeout(limit, answered).await.unwrap_or(Err(Fault::Slow(limit.as_secs())))
    }

    /// Sends what wants no answer.
    pub(crate) async fn tell(&self, message: Vec<u8>) -> Result<(), Fault> {
        if let Some(carrier) = &self.carrier {
            carrier.carry(self, message).await;
            return Ok(());
        }
        self.out.send(message).await.map_err(|_| Fault::Ended)
    }

    /// Nothing more comes: whoever waits learns it.
    pub(crate) fn end(&self) {
        self.over.cancel();
        lock(&self.waiting).clear();
    }

    /// Reads what the program says until it ends or breaks the protocol for good; says why.
    pub(crate) async fn read(&self, pipe: impl AsyncRead + Unpin) -> String {
        let (mut lines, mut garbage) = (Lines::new(pipe, LONGEST), 0);
        loop {
            match lines.next().await {
                Ok(Line::Whole(line)) if line.iter().all(u8::is_ascii_whitespace) => {}
                Ok(Line::Whole(line)) if self.take(line, None) != Taken::Garbage => {}
                Ok(Line::Whole(_)) => {
                    garbage += 1;
                    if garbage == GARBAGE {
                        return format!("it wrote {GARBAGE} lines to standard output that are no messages");
                    }
                }
                Ok(Line::TooLong) => return format!("it wrote a message of more than {} MiB", LONGEST >> 20),
                Ok(Line::End) => return "it closed its standard output".to_owned(),
                Err(error) => return format!("its standard output cannot be read: {error}"),
            }
        }
    }

    /// Takes one message. Where it came in answer to the request with the number `to`, it can answer no other.
    pub(crate) fn take(&self, message: &[u8], to: Option<u64>) -> Taken {
        let parsed = Message::parse(message, ScanLimits::default());
        if parsed.is_ok() {
            self.heard.fetch_add(1, Ordering::Relaxed);
        }
        match parsed {
            Ok(Message::Response(response)) => return self.answered(&response, to),
            Ok(Message::Notification(notification)) => self.told(&notification),
            Ok(Message::Request(request)) => self.asked(&request),
            Err(refusal) => {
                tracing::warn!(upstream = %self.upstream, error = ?refusal.error, "what it said is no message, and is left out");
                return Taken::Garbage;
            }
        }
        Taken::Message
    }

    /// A request of ours gets no answer, for this reason.
    pub(crate) fn fail(&self, id: u64, fault: Fault) {
        if let Some(waiting) = lock(&self.waiting).remove(&id) {
            let _ = waiting.answer.send(Err(fault));
        }
    }

    fn answered(&self, response: &wire::Response<'_>, to: Option<u64>) -> Taken {
        let id = response.id.and_then(|id| id.as_json().parse::<u64>().ok());
        let id = id.filter(|id| to.is_none_or(|to| to == *id));
        let waiting = id.and_then(|id| lock(&self.waiting).remove(&id));
        match (waiting, response.outcome) {
            (Some(waiting), Ok(result)) => {
                let _ = waiting.answer.send(Ok(Answered { json: result.get().into(), is_error: false }));
                return Taken::Answer;
            }
            (Some(waiting), Err(error)) => {
                let _ = waiting.answer.send(Ok(Answered { json: error.get().into(), is_error: true }));
                return Taken::Answer;
            }
            // Late, twice, or to what nobody asked: of no request, so nobody's.
            (None, _) => {
                tracing::debug!(upstream = %self.upstream, "an answer that nobody waits for is left out")
            }
        }
        Taken::Message
    }

    fn told(&self, notification: &wire::Notification<'_>) {
        match &*notification.method {
            "notifications/tools/list_changed" => self.relist.notify_one(),
            "notifications/progress" => {
                let Some(said) = notification.raw_params().and_then(ProgressSaid::read) else { return };
                let ProgressSaid { progress_token, progress, total, message } = said;
                if let Some(waiting) = lock(&self.waiting).get(&progress_token)
                    && let Some(told) = &waiting.progress
                {
                    let message = message.map(std::borrow::Cow::into_owned);
                    let _ = told.try_send(Progress { done: progress, total, message });
                }
            }
            _ => {}
        }
    }

    /// What it asks us is answered by us: no client of ours can be asked anything.
    fn asked(&self, request: &wire::Request<'_>) {
        let answer = match &*request.method {
            "ping" => wire::write_pong(request.id),
            _ => wire::write_not_offered(request.id),
        };
        let _ = self.out.try_send(answer);
    }
}

impl Asked<'_> {
    /// Waits for the answer.
    pub(crate) async fn answer(mut self) -> Result<Answered, Fault> {
        loop {
            if let Next::Answer(answered) = self.next().await {
                return answered;
            }
        }
    }

    /// Waits for the answer or for progress, whichever comes first.
    pub(crate) async fn next(&mut self) -> Next {
        loop {
            tokio::select! {
                biased;
                Some(progress) = self.progress.recv() => return Next::Progress(progress),
                answered = &mut self.answer => {
                    self.done = true;
                    return Next::Answer(answered.unwrap_or(Err(Fault::Ended)));
                }
                // What it brought is looked at next.
                () = carried(&mut self.carried) => self.carried = None,
            }
        }
    }

    fn ended_before(mut self) -> Fault {
        self.done = true;
        lock(&self.link.waiting).remove(&self.id);
        Fault::Down("it has just ended".to_owned())
    }
}

/// Ends when the message has been carried; never, when there is none.
async fn carried(message: &mut Option<Carried<'_>>) {
    match message {
        Some(message) => message.await,
        None => std::future::pending().await,
    }
}

/// What came of a request.
pub(crate) enum Next {
    Progress(Progress),
    Answer(Result<Answered, Fault>),
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        if !self.done && lock(&self.link.waiting).remove(&self.id).is_some() {
            // A program that does not read is not waited for.
            let _ = self.link.out.try_send(wire::write_cancelled(self.id));
        }
    }
}

/// Writes messages, one on a line, until there are none or the program reads no more.
pub(crate) async fn write(
    mut pipe: impl AsyncWrite + Unpin,
    mut messages: mpsc::Receiver<Vec<u8>>,
    over: CancellationToken,
) {
    loop {
        let message = tokio::select! {
            biased;
            () = over.cancelled() => return,
            message = messages.recv() => message,
        };
        let Some(mut message) = message else { return };
        message.push(b'\n');
        let written = async {
            pipe.write_all(&message).await?;
            pipe.flush().await
        };
        let Some(Ok(())) = over.run_until_cancelled(written).await else { return };
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
