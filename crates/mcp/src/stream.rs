//! MCP on a pair of byte streams, one message a line: stdio and the agent socket.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use gateway::{Authenticated, Endpoint, Presented, Unauthenticated};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wire::{Era, ListenParams, Message, Notification, Refusal, Request, RpcError, ScanLimits};

use crate::alone::{self, Alone};
use crate::answer::{Asker, answer};
use crate::ask::{Ask, ProtocolAsk};
use crate::in_flight::InFlight;
use crate::listen::{self, Listener, Wants};
use crate::peer::{Peer, Talk};
use crate::reply::{self, Sent};
use crate::{Gate, measure};

pub(crate) mod lines;

use lines::{Line, Lines};

/// Who is at the other end. Asked anew for every request, so that a principal that is gone stays out.
pub type Identity = Arc<dyn Fn() -> Result<Authenticated<()>, Unauthenticated> + Send + Sync>;

/// A local user, as the gateway knows it. `transport` is `stdio` or `socket`.
pub fn local_identity(gate: &Arc<dyn Gate>, os_user: String, transport: &'static str) -> Identity {
    let gate = Arc::clone(gate);
    Arc::new(move || {
        gate.authenticate(&Presented { os_user: Some(&os_user), transport, ..Presented::default() })
    })
}

/// What bounds a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamLimits {
    /// Longest line in bytes.
    pub line: usize,
    /// How deep a message may nest.
    pub depth: usize,
    /// Requests under way at once.
    pub requests: usize,
    /// How long requests under way may take after the other side is done sending.
    pub drain: Duration,
    /// How long a client may take to answer what a call has to ask it.
    pub answer: Duration,
}

impl Default for StreamLimits {
    fn default() -> Self {
        let (drain, answer) = (Duration::from_secs(30), Duration::from_secs(300));
        Self { line: 16 * 1024 * 1024, depth: 64, requests: 64, drain, answer }
    }
}

/// How long a cancelled call may take to end, and its answer to be written.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Serves one client until it is done, the line breaks, or `closing` is cancelled; then answers what is under way.
///
/// Writes nothing but protocol messages. Both eras may be spoken on the same stream.
pub async fn serve_stream<R, W>(
    reader: R,
    writer: W,
    gate: Arc<dyn Gate>,
    identity: Identity,
    transport: &'static str,
    limits: StreamLimits,
    closing: CancellationToken,
) -> io::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin + Send + 'static,
{
    let served = Served { gate, identity, transport, limits, alone: None };
    serve(reader, writer, served, closing).await
}

/// What a stream serves, and to whom.
pub(crate) struct Served {
    pub(crate) gate: Arc<dyn Gate>,
    pub(crate) identity: Identity,
    pub(crate) transport: &'static str,
    pub(crate) limits: StreamLimits,
    pub(crate) alone: Option<Arc<Alone>>,
}

/// Serves it.
pub(crate) async fn serve<R, W>(
    reader: R,
    writer: W,
    served: Served,
    closing: CancellationToken,
) -> io::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin + Send + 'static,
{
    let Served { gate, identity, transport, limits, alone } = served;
    let (out, answers) = mpsc::channel(64);
    let writing = tokio::spawn(write(writer, answers));
    let stop = CancellationToken::new();
    let mut stream = Stream {
        gate,
        identity,
        transport,
        limits,
        calls: InFlight::new(limits.requests),
        tasks: TaskTracker::new(),
        stop: stop.clone(),
        out,
        alone,
        peer: Arc::new(Peer::default()),
        handshake: false,
        met: false,
        listening: false,
        listeners: CancellationToken::new(),
    };
    let result = stream.listen(Lines::new(reader, limits.line), &closing).await;
    stream.drain(&stop).await;
    drop(stream);
    // The writer ends when every answer has been written; it is not waited for when nobody reads them.
    let abort = writing.abort_handle();
    match tokio::time::timeout(LAST_WORDS, writing).await {
        Ok(Ok(written)) => result.and(written),
        Ok(Err(error)) => result.and(Err(io::Error::other(error))),
        Err(_) => {
            abort.abort();
            result
        }
    }
}

struct Stream {
    gate: Arc<dyn Gate>,
    identity: Identity,
    transport: &'static str,
    limits: StreamLimits,
    calls: InFlight,
    tasks: TaskTracker,
    /// Cancels what is still under way after the drain.
    stop: CancellationToken,
    out: mpsc::Sender<Vec<u8>>,
    /// Serves one upstream alone.
    alone: Option<Arc<Alone>>,
    /// The client, as far as it speaks the legacy era.
    peer: Arc<Peer>,
    /// Whether the legacy handshake has been made.
    handshake: bool,
    /// Whether it is recorded who is there.
    met: bool,
    /// Whether a legacy client is told what changes.
    listening: bool,
    /// Ends everybody who listens.
    listeners: CancellationToken,
}

/// The other side is nobody any more.
struct Gone;

impl Stream {
    fn endpoint(&self) -> Endpoint {
        alone::endpoint(self.alone.as_ref())
    }

    /// Takes messages until there are no more, or nobody is there to answer.
    async fn listen<R: AsyncRead + Unpin>(
        &mut self,
        mut lines: Lines<R>,
        closing: &CancellationToken,
    ) -> io::Result<()> {
        loop {
            let line = tokio::select! {
                biased;
                () = closing.cancelled() => return Ok(()),
                // Nobody reads any more.
                () = self.out.closed() => return Ok(()),
                line = lines.next() => line?,
            };
            let taken = match line {
                Line::Whole(line) if line.iter().all(u8::is_ascii_whitespace) => continue,
                // Given up also when an answer waits for a reader that does not read.
                Line::Whole(line) => closing.run_until_cancelled(self.message(line)).await,
                Line::TooLong => {
                    let error = RpcError::InvalidRequest("a message is longer than this stream takes");
                    self.send(reply::failed(None, &error, Era::Legacy)).await;
                    None
                }
                Line::End => None,
            };
            if !matches!(taken, Some(Ok(()))) {
                return Ok(());
            }
        }
    }

    async fn message(&mut self, line: &[u8]) -> Result<(), Gone> {
        match Message::parse(line, ScanLimits { depth: self.limits.depth }) {
            Ok(Message::Request(request)) => self.request(&request).await,
            Ok(Message::Notification(notification)) => {
                self.notification(&notification);
                Ok(())
            }
            Ok(Message::Response(response)) => {
                self.peer.answered(&response);
                Ok(())
            }
            Err(Refusal { id, error }) => {
                self.send(reply::failed(id, &error, Era::Legacy)).await;
                Ok(())
            }
        }
    }

    async fn request(&mut self, request: &Request<'_>) -> Result<(), Gone> {
        let Ok(who) = (self.identity)() else {
            measure::unauthenticated(self.transport);
            let error = RpcError::InvalidRequest("authentication failed");
            self.send(reply::failed(Some(request.id), &error, Era::Legacy)).await;
            return Err(Gone);
        };
        if !std::mem::replace(&mut self.met, true) {
            Arc::clone(&self.gate).agent_connected(who.clone()).await;
        }
        match self.read(request) {
            Ok((Ask::Listen(asked), ..)) => self.subscribe(request, &who, &asked).await,
            Ok((ask @ (Ask::Call(_) | Ask::Prompt(_) | Ask::Errand(..)), era, talk)) => {
                self.start(request, who, ask, era, talk).await
            }
            Ok((ask, era, talk)) => {
                let begins = matches!(ask, Ask::Protocol(ProtocolAsk::Initialize(..)));
                let asker = Asker {
                    who,
                    endpoint: self.endpoint(),
                    cancel: self.stop.child_token(),
                    talk,
                    alone: self.alone.clone(),
                };
                let reply = answer(&self.gate, asker, ask, None).await;
                self.send(reply::send(reply, request.id, era)).await;
                if begins {
                    self.tell_changes();
                }
            }
            Err((error, era)) => self.send(reply::failed(Some(request.id), &error, era)).await,
        }
        Ok(())
    }

    fn read(&mut self, request: &Request<'_>) -> Result<(Ask, Era, Talk), (RpcError, Era)> {
        let legacy = |error| (error, Era::Legacy);
        let params = request.params().map_err(legacy)?;
        let meta = params.meta().map_err(legacy)?;
        let era = wire::decide_stream(&request.method, &meta).map_err(|error| (error, Era::Modern))?;
        let ask = Ask::read(request, &params, &meta, era, self.endpoint()).map_err(|error| (error, era))?;
        if let Ask::Protocol(ProtocolAsk::Initialize(_, abilities)) = &ask {
            self.handshake = true;
            self.peer.set_abilities(*abilities);
        }
        if era == Era::Legacy && !self.handshake && !matches!(ask, Ask::Protocol(_)) {
            let error = "say `initialize` first, or name the protocol version in every request's `_meta`";
            return Err((RpcError::InvalidRequest(error), era));
        }
        let talk = match era {
            Era::Legacy => Talk {
                abilities: self.peer.abilities(),
                level: self.peer.level(),
                peer: Some(Arc::clone(&self.peer)),
                patience: self.limits.answer,
            },
            Era::Modern => {
                let level = meta.log_level().map_err(|error| (error, era))?;
                Talk { abilities: meta.abilities(), level, ..Talk::default() }
            }
        };
        Ok((ask, era, talk))
    }

    /// Tells a legacy client what has changed, from its handshake on.
    fn tell_changes(&mut self) {
        if std::mem::replace(&mut self.listening, true) {
            return;
        }
        let identity = Arc::clone(&self.identity);
        let listener = Listener {
            gate: Arc::clone(&self.gate),
            who: Box::new(move || identity()),
            endpoint: self.endpoint(),
            peer: Arc::clone(&self.peer),
            wants: Wants::ALL,
            subscription: None,
        };
        listener.begin();
        let (out, stop) = (self.out.clone(), self.listeners.clone());
        tokio::spawn(async move { stop.run_until_cancelled(listener.run(out)).await });
    }

    /// `subscriptions/listen`: tells what changes until it is cancelled, or the stream ends.
    async fn subscribe(&self, request: &Request<'_>, who: &Authenticated<()>, asked: &ListenParams) {
        let cancel = self.listeners.child_token();
        let opened = self.calls.enter(request.id, &cancel).and_then(|entry| {
            listen::subscribe(&self.gate, who, self.endpoint(), asked)
                .map(|(granted, peer)| (entry, granted, peer))
        });
        let (entry, granted, peer) = match opened {
            Ok(opened) => opened,
            Err(error) => return self.send(reply::failed(Some(request.id), &error, Era::Modern)).await,
        };
        let Ok(first) = wire::write_listening(request.id, &granted) else { return };
        let identity = Arc::clone(&self.identity);
        let listener = Listener {
            gate: Arc::clone(&self.gate),
            who: Box::new(move || identity()),
            endpoint: self.endpoint(),
            peer,
            wants: Wants::of(&granted),
            subscription: Some(request.id.to_owned_json()),
        };
        let out = self.out.clone();
        let _ = out.send(first).await;
        tokio::spawn(async move {
            cancel.run_until_cancelled(listener.run(out)).await;
            drop(entry);
        });
    }

    /// Starts a call; its answer is sent whenever it is there.
    async fn start(&self, request: &Request<'_>, who: Authenticated<()>, ask: Ask, era: Era, talk: Talk) {
        let cancel = self.stop.child_token();
        let entry = match self.calls.enter(request.id, &cancel) {
            Ok(entry) => entry,
            Err(error) => return self.send(reply::failed(Some(request.id), &error, era)).await,
        };
        let id = request.id.to_owned_json();
        let (gate, out, transport) = (Arc::clone(&self.gate), self.out.clone(), self.transport);
        let (endpoint, alone) = (self.endpoint(), self.alone.clone());
        let asked_to_stop = cancel.clone();
        let stopped = self.stop.clone();
        self.tasks.spawn(async move {
            let asker = Asker { who, endpoint, cancel, talk, alone };
            let reply = answer(&gate, asker, ask, Some(&out)).await;
            let sent = reply::send(reply, wire::RequestId::from_owned(&id), era);
            // Before the answer, so that a client that has it may use the id again.
            drop(entry);
            measure::request(transport, sent.outcome);
            // A client that cancelled wants no answer.
            if !asked_to_stop.is_cancelled() || stopped.is_cancelled() {
                let _ = out.send(sent.message).await;
            }
        });
    }

    fn notification(&self, notification: &Notification<'_>) {
        if notification.method == "notifications/cancelled"
            && let Ok(cancelled) = notification.params().and_then(|params| params.cancelled())
        {
            self.calls.cancel(cancelled.request_id);
        }
    }

    async fn send(&self, sent: Sent) {
        measure::request(self.transport, sent.outcome);
        let _ = self.out.send(sent.message).await;
    }

    /// Lets what is under way end by itself for a while, then makes it end.
    async fn drain(&self, stop: &CancellationToken) {
        self.tasks.close();
        self.listeners.cancel();
        let ended = tokio::select! {
            ended = tokio::time::timeout(self.limits.drain, self.tasks.wait()) => ended.is_ok(),
            // Nobody will read what they end with.
            () = self.out.closed() => false,
        };
        if !ended {
            stop.cancel();
            let _ = tokio::time::timeout(LAST_WORDS, self.tasks.wait()).await;
        }
    }
}

async fn write<W: AsyncWrite + Unpin>(mut writer: W, mut answers: mpsc::Receiver<Vec<u8>>) -> io::Result<()> {
    while let Some(mut message) = answers.recv().await {
        message.push(b'\n');
        writer.write_all(&message).await?;
        writer.flush().await?;
    }
    writer.shutdown().await
}
