//! One start of an upstream: requests go out under numbers of ours, so that it can serve many clients at once, and each answer
//! finds its request.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use broker::Standing;
use model::{LogLevel, Said, UpstreamName};
use serde_json::value::RawValue;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wire::{Message, RequestId, ScanLimits};

use crate::fault::Fault;
use crate::lines::{Line, Lines};
use crate::watches::{Changed, Watches};

/// The longest message of an upstream, in bytes.
pub(crate) const LONGEST: usize = 16 * 1024 * 1024;
/// Messages that wait for a program that does not read.
const WAITING: usize = 64;
/// What waits for a call to hear it; more is left out.
const TOLD: usize = 64;
/// For so long after a call was given up, what is said on no stream of its own could still be about that one.
const ECHO: Duration = Duration::from_secs(120);
/// Questions that belong to no call and are recorded, of one start.
const STRAYS: usize = 16;
/// How long an upstream has to take another level.
const LEVEL: Duration = Duration::from_secs(10);
/// Why a question at the wrong time is refused.
const NOT_ASKED: &str = "the client of this call is asked nothing";
/// The number of a request that is nobody's call: what is said on its stream is of no call in particular.
pub(crate) const NO_CALL: u64 = 0;
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
    /// Until when something that is said could be about a call that was given up.
    echoes: Mutex<Option<Instant>>,
    /// The level from which on a legacy upstream was asked to tell.
    level: tokio::sync::Mutex<Option<LogLevel>>,
    strays: Mutex<Strays>,
    /// There are strays that were not looked at.
    pub(crate) strayed: Notify,
    watches: Arc<Watches>,
    /// Its tools are not what they were.
    pub(crate) relist: Notify,
    /// Cancelled when it is over: the program has ended, or nothing more is sent to it.
    pub(crate) over: CancellationToken,
}

/// Carries a message to an upstream for whoever waits for its answer, and brings that to the link.
pub(crate) trait Carrier: Send + Sync {
    /// Carries one. Dropped before its end, the message is given up.
    fn carry(self: Arc<Self>, link: Arc<Link>, message: Vec<u8>) -> Carried;
}

/// A message on its way.
pub(crate) type Carried = Pin<Box<dyn Future<Output = ()> + Send>>;

struct Waiting {
    answer: oneshot::Sender<Result<Answered, Fault>>,
    /// Where what it says meanwhile goes; requests of our own hear nothing.
    told: Option<mpsc::Sender<Told>>,
}

/// Questions that belong to no call.
#[derive(Default)]
struct Strays {
    count: usize,
    new: Vec<String>,
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

/// What an upstream says of a call while it has it.
pub(crate) enum Told {
    /// How far it is: the parameters of the notification.
    Progress(Box<str>),
    /// A log message: its level and its parameters.
    Log(LogLevel, Box<str>),
    /// It asks something back.
    Question(Question),
}

/// A request of an upstream.
pub(crate) struct Question {
    id: Box<RawValue>,
    /// Its method.
    pub(crate) method: String,
    /// Its parameters.
    pub(crate) params: Box<str>,
}

/// A request under way. Dropped before its answer, it is given up: the upstream is told.
pub(crate) struct Asked {
    link: Arc<Link>,
    id: u64,
    answer: oneshot::Receiver<Result<Answered, Fault>>,
    told: mpsc::Receiver<Told>,
    /// Whether a client wants it, so that something could be said of it.
    heard: bool,
    /// The request, while it is carried.
    carried: Option<Carried>,
    done: bool,
}

impl Link {
    /// A link whose messages go where the receiver leads; those that somebody waits for are carried, if there is a carrier.
    pub(crate) fn new(
        upstream: UpstreamName,
        standing: Arc<Standing>,
        watches: Arc<Watches>,
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
            echoes: Mutex::default(),
            level: tokio::sync::Mutex::default(),
            strays: Mutex::default(),
            strayed: Notify::new(),
            watches,
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

    /// Sends a request, whose parameters are made for its number. `heard`: a client wants it, and hears what is said of it.
    pub(crate) async fn ask<E>(
        self: &Arc<Self>,
        method: &str,
        heard: bool,
        params: impl FnOnce(u64) -> Result<String, E>,
    ) -> Result<Result<Asked, Fault>, E> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let message = wire::write_request(id, method, &params(id)?);
        let (answer, answered) = oneshot::channel();
        let (tell, told) = mpsc::channel(TOLD);
        lock(&self.waiting).insert(id, Waiting { answer, told: heard.then_some(tell) });
        let link = Arc::clone(self);
        let mut asked = Asked { link, id, answer: answered, told, heard, carried: None, done: false };
        // After the entry: from here on its end is seen by whoever ends all of them.
        if self.over.is_cancelled() {
            return Ok(Err(asked.ended_before()));
        }
        if let Some(carrier) = &self.carrier {
            asked.carried = Some(Arc::clone(carrier).carry(Arc::clone(self), message));
            return Ok(Ok(asked));
        }
        match self.out.send(message).await {
            Ok(()) => Ok(Ok(asked)),
            Err(_) => Ok(Err(asked.ended_before())),
        }
    }

    /// Sends a request of our own and waits for its result, not longer than this.
    pub(crate) async fn request(
        self: &Arc<Self>,
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
    pub(crate) async fn tell(self: &Arc<Self>, message: Vec<u8>) -> Result<(), Fault> {
        if let Some(carrier) = &self.carrier {
            Arc::clone(carrier).carry(Arc::clone(self), message).await;
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
            Ok(Message::Notification(notification)) => self.told(&notification, to),
            Ok(Message::Request(request)) => self.asked(&request, to),
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

    fn told(&self, notification: &wire::Notification<'_>, to: Option<u64>) {
        let params = notification.raw_params();
        match &*notification.method {
            "notifications/tools/list_changed" => self.relist.notify_one(),
            "notifications/resources/list_changed" => self.watches.said(Changed::Resources),
            "notifications/prompts/list_changed" => self.watches.said(Changed::Prompts),
            "notifications/resources/updated" => {
                if let Some(uri) = params.and_then(wire::updated_uri) {
                    self.watches.said(Changed::Resource(uri));
                }
            }
            "notifications/progress" => {
                let Some((params, of)) = params.and_then(|params| Some((params, wire::progress_of(params)?)))
                else {
                    return;
                };
                // On the stream of one call nothing is said of another.
                if to.is_none_or(|to| to == of || to == NO_CALL)
                    && let Some(told) = lock(&self.waiting).get(&of).and_then(|waiting| waiting.told.as_ref())
                {
                    let _ = told.try_send(Told::Progress(params.get().into()));
                }
            }
            "notifications/message" => {
                let Some((params, level)) = params.and_then(|params| Some((params, wire::level_of(params)?)))
                else {
                    return;
                };
                if let Some(told) = self.hearer(to) {
                    let _ = told.try_send(Told::Log(level, params.get().into()));
                }
            }
            _ => {}
        }
    }

    /// A request of the upstream is put to the call that it belongs to, or refused.
    fn asked(&self, request: &wire::Request<'_>, to: Option<u64>) {
        if request.method == "ping" {
            let _ = self.out.try_send(wire::write_pong(request.id));
            return;
        }
        let question = Question {
            id: request.id.to_owned_json(),
            method: request.method.clone().into_owned(),
            params: request.raw_params().map_or("{}", RawValue::get).into(),
        };
        let Some(hearer) = self.hearer(to) else {
            let why = "it cannot be told which call this belongs to, so nobody is asked";
            self.refuse(&question, wire::code::METHOD_NOT_FOUND, why);
            self.stray(&question);
            return;
        };
        if let Err(error) = hearer.try_send(Told::Question(question)) {
            let (mpsc::error::TrySendError::Full(told) | mpsc::error::TrySendError::Closed(told)) = error;
            if let Told::Question(question) = told {
                self.refuse(&question, wire::code::INTERNAL, "nobody can be asked any more");
            }
        }
    }

    /// Whoever hears what is said, if it is sure which call that is about: the one on whose stream it is said. Where streams
    /// are not told apart it is the only one that there is, if none was given up lately that could still say something.
    fn hearer(&self, to: Option<u64>) -> Option<mpsc::Sender<Told>> {
        let waiting = lock(&self.waiting);
        if let Some(to) = to.filter(|to| *to != NO_CALL) {
            return waiting.get(&to)?.told.clone();
        }
        if lock(&self.echoes).is_some_and(|until| Instant::now() < until) {
            return None;
        }
        let mut heard = waiting.values().filter_map(|waiting| waiting.told.as_ref());
        match (heard.next(), heard.next()) {
            (Some(only), None) => Some(only.clone()),
            (Some(_), Some(_)) | (None, _) => None,
        }
    }

    fn stray(&self, question: &Question) {
        let mut strays = lock(&self.strays);
        strays.count += 1;
        if strays.count <= STRAYS {
            strays.new.push(question.shown());
            self.strayed.notify_one();
        }
    }

    /// Methods of questions that belong to no call, since they were asked for last.
    pub(crate) fn take_strays(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.strays).new)
    }

    /// Answers a question of the upstream.
    pub(crate) async fn answer(self: &Arc<Self>, question: &Question, said: &Said) -> Result<(), Fault> {
        self.tell(wire::write_said(RequestId::from_owned(&question.id), said)).await
    }

    /// Answers a question that nobody is asked.
    pub(crate) fn refuse(&self, question: &Question, code: i32, why: &str) {
        // An upstream that does not read is not waited for.
        let _ = self.out.try_send(wire::write_refused(RequestId::from_owned(&question.id), code, why));
    }

    /// Sees to it that a legacy upstream tells from this level on. It is never told to say less: others may want it.
    pub(crate) async fn tell_from(self: &Arc<Self>, level: LogLevel) {
        let mut set = self.level.lock().await;
        if set.is_none_or(|set| level < set) {
            // One that does not take it says what it says.
            let _ = self.request("logging/setLevel", wire::level_params(level), LEVEL).await;
            *set = Some(level);
        }
    }
}

impl Question {
    /// Its method, for people.
    pub(crate) fn shown(&self) -> String {
        self.method.chars().take(60).flat_map(char::escape_default).collect()
    }
}

impl Asked {
    /// Waits for the answer, and hears nothing else.
    pub(crate) async fn answer(mut self) -> Result<Answered, Fault> {
        loop {
            match self.next().await {
                Next::Answer(answered) => return answered,
                Next::Told(Told::Question(question)) => {
                    self.link.refuse(&question, wire::code::METHOD_NOT_FOUND, NOT_ASKED);
                }
                Next::Told(Told::Progress(_) | Told::Log(..)) => {}
            }
        }
    }

    /// Waits for the answer or for what is said before, whichever comes first.
    pub(crate) async fn next(&mut self) -> Next {
        loop {
            tokio::select! {
                biased;
                Some(told) = self.told.recv() => return Next::Told(told),
                answered = &mut self.answer => {
                    self.done = true;
                    return Next::Answer(answered.unwrap_or(Err(Fault::Ended)));
                }
                // What it brought is looked at next.
                () = carried(&mut self.carried) => self.carried = None,
            }
        }
    }

    /// The answer is waited for no more: the upstream is told, unless it has answered.
    pub(crate) fn give_up(&mut self) {
        if self.done || lock(&self.link.waiting).remove(&self.id).is_none() {
            return;
        }
        self.done = true;
        if self.heard {
            *lock(&self.link.echoes) = Some(Instant::now() + ECHO);
        }
        // A program that does not read is not waited for.
        let _ = self.link.out.try_send(wire::write_cancelled(self.id));
    }

    fn ended_before(mut self) -> Fault {
        self.done = true;
        lock(&self.link.waiting).remove(&self.id);
        Fault::Down("it has just ended".to_owned())
    }
}

/// Ends when the message has been carried; never, when there is none.
async fn carried(message: &mut Option<Carried>) {
    match message {
        Some(message) => message.await,
        None => std::future::pending().await,
    }
}

/// What came of a request.
pub(crate) enum Next {
    Told(Told),
    Answer(Result<Answered, Fault>),
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.give_up();
        // It may wait for an answer before it does anything else.
        self.told.close();
        while let Ok(told) = self.told.try_recv() {
            if let Told::Question(question) = told {
                self.link.refuse(&question, wire::code::METHOD_NOT_FOUND, NOT_ASKED);
            }
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
