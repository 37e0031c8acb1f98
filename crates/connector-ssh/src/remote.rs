//! A command on a channel: its output is pumped, and it is ended even if nobody waits for it any more.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::Exit;
use russh::client::Msg;
use russh::{Channel, ChannelMsg, ChannelOpenFailure, ChannelReadHalf, ChannelWriteHalf, Sig};
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::connection::{Connection, Seat};
use crate::kept::{Half, Kept, Side};

/// How long an idle connection may take to open a channel before another is dialled.
const OPEN_PATIENCE: Duration = Duration::from_secs(5);
/// How long a command has to end after a signal.
const SIGNAL_PATIENCE: Duration = Duration::from_millis(400);
/// How long a host has to close a channel after we did.
const CLOSE_PATIENCE: Duration = Duration::from_millis(500);
/// How long a message to russh's own task may wait.
const SEND_PATIENCE: Duration = Duration::from_millis(200);

/// One channel and the command on it. Dropping it ends the command, in the background.
pub(crate) struct Remote {
    core: Arc<Core>,
    marks: watch::Receiver<Mark>,
    finished: bool,
}

/// Why no channel came about.
pub(crate) enum NotOpened {
    /// The host refused it.
    Refused(ChannelOpenFailure),
    /// The connection does not answer.
    Dead,
}

/// What is known of a command that was ended from here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The host said how it ended.
    Told(Exit),
    /// The host said nothing.
    Untold,
}

/// Everything that came of a command.
pub(crate) struct Collected {
    pub(crate) out: Half,
    pub(crate) err: Half,
    pub(crate) exit: Option<Exit>,
    /// Whether the host refused to start it.
    pub(crate) rejected: bool,
    /// Whether the host closed the channel, as opposed to the connection being lost.
    pub(crate) closed: bool,
}

struct Core {
    write: ChannelWriteHalf<Msg>,
    connection: Arc<Connection>,
    record: Arc<Record>,
}

struct Record {
    state: Mutex<State>,
    marks: watch::Sender<Mark>,
    /// Set when nothing more can come on the channel.
    drained: CancellationToken,
    /// Set when nobody waits for that any longer.
    abandoned: CancellationToken,
}

#[derive(Default)]
struct State {
    /// Whether a command was sent, so that there may be something to end.
    sent: bool,
    kept: Kept,
    exit: Option<Exit>,
    rejected: bool,
    closed: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Mark {
    total: u64,
    over: bool,
}

impl Remote {
    /// Opens a channel on a seat.
    pub(crate) async fn open(seat: Seat) -> Result<Self, NotOpened> {
        let connection = Arc::clone(&seat.connection);
        let (tell, opened) = oneshot::channel();
        // In a task of its own: a confirmation that comes when nobody waits any more must still be answered by a
        // close, or the host would count an open channel forever.
        let asking = Arc::clone(&connection);
        tokio::spawn(async move {
            let asked = tokio::time::timeout(OPEN_PATIENCE, asking.link.handle.channel_open_session()).await;
            let answer = match asked {
                Ok(Ok(channel)) => Ok((channel, seat)),
                Ok(Err(russh::Error::ChannelOpenFailure(reason))) => {
                    drop(seat);
                    Err(NotOpened::Refused(reason))
                }
                Ok(Err(_)) | Err(_) => {
                    asking.retire();
                    drop(seat);
                    Err(NotOpened::Dead)
                }
            };
            if let Err(Ok((channel, seat))) = tell.send(answer) {
                within(SEND_PATIENCE, channel.close()).await;
                drop(seat);
            }
        });
        let (channel, seat) = opened.await.unwrap_or(Err(NotOpened::Dead))?;
        Ok(Self::on(channel, connection, seat))
    }

    fn on(channel: Channel<Msg>, connection: Arc<Connection>, seat: Seat) -> Self {
        let (sender, marks) = watch::channel(Mark::default());
        let record = Arc::new(Record {
            state: Mutex::default(),
            marks: sender,
            drained: CancellationToken::new(),
            abandoned: CancellationToken::new(),
        });
        let (read, write) = channel.split();
        tokio::spawn(pump(read, Arc::clone(&record), seat));
        Self { core: Arc::new(Core { write, connection, record }), marks, finished: false }
    }

    /// The connection it is on.
    pub(crate) fn connection(&self) -> &Arc<Connection> {
        &self.core.connection
    }

    /// Sends the command, with nothing on its standard input; `output` bounds what is kept of what it writes.
    pub(crate) async fn exec(&self, command: &str, output: u64) -> bool {
        self.core.record.expect(output);
        within(OPEN_PATIENCE, self.core.write.exec(true, command)).await
            && within(OPEN_PATIENCE, self.core.write.eof()).await
    }

    /// Waits until the channel is over, telling how many bytes have come. May be dropped and called again.
    pub(crate) async fn wait(&mut self, progress: &(dyn Fn(u64) + Send + Sync)) {
        loop {
            let mark = *self.marks.borrow_and_update();
            if mark.total > 0 {
                progress(mark.total);
            }
            if mark.over || self.marks.changed().await.is_err() {
                self.finished = true;
                return;
            }
        }
    }

    /// Whether the host has said how the command ended.
    pub(crate) fn has_exited(&self) -> bool {
        self.core.record.lock().exit.is_some()
    }

    /// What has come so far.
    pub(crate) fn collected(&self) -> Collected {
        let mut state = self.core.record.lock();
        let (out, err) = state.kept.take();
        Collected { out, err, exit: state.exit.clone(), rejected: state.rejected, closed: state.closed }
    }

    /// Ends the command: asks it to, then makes it, then closes the channel, then ends the connection.
    pub(crate) async fn end(mut self) -> Ending {
        self.finished = true;
        // In a task of its own, so that it is carried through even if the caller goes away.
        tokio::spawn(end(Arc::clone(&self.core), self.marks.clone())).await.unwrap_or(Ending::Untold)
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(end(Arc::clone(&self.core), self.marks.clone()))),
            Err(_) => self.core.connection.end(),
        }
    }
}

/// Reads a channel dry. It waits for nobody: russh stops the whole connection when one channel is not read.
async fn pump(mut read: ChannelReadHalf, record: Arc<Record>, seat: Seat) {
    let drain = async {
        while let Some(message) = read.wait().await {
            record.take_in(message);
        }
    };
    tokio::select! {
        () = drain => {}
        () = record.abandoned.cancelled() => {}
    }
    drop(seat);
    record.drained.cancel();
    record.marks.send_modify(|mark| mark.over = true);
}

impl Record {
    fn expect(&self, output: u64) {
        let mut state = self.lock();
        (state.sent, state.kept) = (true, Kept::new(output));
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the enum is open, and what is not named is ignored")]
    fn take_in(&self, message: ChannelMsg) {
        let mut state = self.lock();
        match message {
            ChannelMsg::Data { data } => state.kept.push(Side::Out, &data),
            ChannelMsg::ExtendedData { data, ext: 1 } => state.kept.push(Side::Err, &data),
            // A command ends once: what is said of its end afterwards counts for nothing.
            ChannelMsg::ExitStatus { exit_status } => {
                state.exit.get_or_insert(Exit::Status(exit_status));
            }
            ChannelMsg::ExitSignal { signal_name, .. } => {
                state.exit.get_or_insert_with(|| Exit::Signal(name(&signal_name)));
            }
            ChannelMsg::Failure => state.rejected = true,
            ChannelMsg::Close => state.closed = true,
            // Of the rest, nothing matters to a command without a terminal.
            _ => return,
        }
        let (total, over) = (state.kept.total(), state.closed || state.rejected);
        drop(state);
        self.marks.send_modify(|mark| *mark = Mark { total, over });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn end(core: Arc<Core>, mut marks: watch::Receiver<Mark>) -> Ending {
    for signal in [Sig::TERM, Sig::KILL] {
        let needless = {
            let state = core.record.lock();
            !state.sent || state.rejected || state.closed || state.exit.is_some()
        };
        if needless || marks.borrow().over {
            break;
        }
        within(SEND_PATIENCE, core.write.signal(signal)).await;
        until_over(&mut marks, SIGNAL_PATIENCE).await;
    }
    within(SEND_PATIENCE, core.write.close()).await;
    if tokio::time::timeout(CLOSE_PATIENCE, core.record.drained.cancelled()).await.is_err() {
        // Others may have commands on this connection: it ends with the last of them.
        core.connection.retire();
        core.record.abandoned.cancel();
    }
    match core.record.lock().exit.clone() {
        Some(exit) => Ending::Told(exit),
        None => Ending::Untold,
    }
}

async fn until_over(marks: &mut watch::Receiver<Mark>, patience: Duration) {
    let _ = tokio::time::timeout(patience, marks.wait_for(|mark| mark.over)).await;
}

/// Whether it was done in time.
async fn within<T, E>(patience: Duration, doing: impl Future<Output = Result<T, E>>) -> bool {
    matches!(tokio::time::timeout(patience, doing).await, Ok(Ok(_)))
}

fn name(signal: &Sig) -> String {
    match signal {
        Sig::Custom(name) => crate::refusal::words(name),
        Sig::ABRT
        | Sig::ALRM
        | Sig::FPE
        | Sig::HUP
        | Sig::ILL
        | Sig::INT
        | Sig::KILL
        | Sig::PIPE
        | Sig::QUIT
        | Sig::SEGV
        | Sig::TERM
        | Sig::USR1 => format!("{signal:?}"),
    }
}
