//! `stdio` for one client, over whatever serves the state at the moment.
//!
//! The gateway may end while the client lives on. Then another link is made, the client's handshake is repeated on it,
//! and so is every request that the lost gateway cannot have taken, or that only looks. The others are answered with
//! an error: whether they were carried out is not known, and the relay never does anything twice.

mod link;
mod said;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;

use crate::StreamLimits;
use crate::stream::lines::{Line, Lines};
use link::{Taken, Written, write_all};
pub use said::OnlyLooks;
use said::Said;

/// Both directions to whatever serves the state.
pub type Link = (Box<dyn AsyncRead + Send + Unpin>, Box<dyn AsyncWrite + Send + Unpin>);

/// Where links come from: the agent socket, or a gateway that this process becomes.
#[async_trait]
pub trait Connect: Send {
    /// Makes a link, trying for as long as makes sense.
    async fn connect(&mut self) -> io::Result<Link>;
}

/// Why a relay ended before its client did.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// There is nothing to relay to.
    #[error("no gateway can be reached: {0}")]
    Connect(#[source] io::Error),
    /// Links are made and break before they say anything.
    #[error("every link to the gateway breaks at once")]
    Unsteady,
    /// The client's side broke.
    #[error("the client's side broke: {0}")]
    Client(#[source] io::Error),
    /// The client sent a longer line than can be taken.
    #[error("the client sent a message longer than {0} bytes")]
    TooLong(usize),
}

/// Links in a row that may break without having said anything.
const MOST_SILENT_LINKS: u32 = 5;

/// Relays one client until it is done sending and everything it asked is answered.
pub async fn relay<R, W>(
    reader: R,
    mut writer: W,
    connect: &mut dyn Connect,
    only_looks: OnlyLooks,
    limits: StreamLimits,
) -> Result<(), RelayError>
where
    R: AsyncRead + Send + Unpin,
    W: AsyncWrite + Send + Unpin,
{
    let mut client = Client { lines: Lines::new(reader, limits.line), done: false, again: VecDeque::new() };
    let mut said = Said::new(only_looks);
    let mut silent = 0;
    loop {
        let link = connect.connect().await.map_err(RelayError::Connect)?;
        let carried = carry(&mut client, &mut writer, link, &mut said, limits).await?;
        let settled = said.settle(carried.taken);
        // What was to be said again and was not comes after what was.
        client.again = settled.again.into_iter().chain(std::mem::take(&mut client.again)).collect();
        for lost in settled.lost {
            write_line(&mut writer, lost).await?;
        }
        if client.done && client.again.is_empty() {
            return Ok(());
        }
        silent = if carried.spoke { 0 } else { silent + 1 };
        if silent >= MOST_SILENT_LINKS {
            return Err(RelayError::Unsteady);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

struct Client<R> {
    lines: Lines<R>,
    /// Whether it has said everything.
    done: bool,
    /// What it said to a gateway that is gone, for the next.
    again: VecDeque<Vec<u8>>,
}

/// How it went on one link.
struct Carried {
    /// Whether the gateway said anything.
    spoke: bool,
    /// What of the link the gateway may have taken.
    taken: Taken,
}

/// Carries lines until the link ends.
async fn carry<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
    client: &mut Client<R>,
    writer: &mut W,
    (from_gateway, to_gateway): Link,
    said: &mut Said,
    limits: StreamLimits,
) -> Result<Carried, RelayError> {
    let (to_write, lines) = mpsc::channel::<Vec<u8>>(16);
    let written = Arc::new(Written::default());
    // In a task of its own, so that answers are read while the gateway is not reading.
    let writing = tokio::spawn(write_all(to_gateway, lines, Arc::clone(&written)));
    let mut answers = Lines::new(from_gateway, usize::MAX);
    let mut repeated = said.handshake_to_repeat(&to_write).await;
    let mut to_write = Some(to_write);
    let mut spoke = false;
    let unread = loop {
        if client.done && client.again.is_empty() {
            to_write = None;
        }
        // Nothing is taken from the client before there is a place for it.
        let from_client = async {
            match &to_write {
                Some(to_write) => match to_write.clone().reserve_owned().await {
                    Ok(place) => Some((place, client.next().await)),
                    Err(_) => None,
                },
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            answer = answers.next() => match answer {
                Ok(Line::Whole(line)) => {
                    spoke = true;
                    if said.answered(line, &mut repeated) {
                        write_line(writer, line.to_vec()).await?;
                    }
                }
                Ok(Line::TooLong | Line::End) => break false,
                Err(error) => break error.kind() == io::ErrorKind::ConnectionReset,
            },
            next = from_client => match next {
                // The link does not take anything any more; what it still says is read above.
                None => to_write = None,
                Some((_, Err(error))) => return Err(RelayError::Client(error)),
                Some((_, Ok(Next::TooLong))) => return Err(RelayError::TooLong(limits.line)),
                Some((_, Ok(Next::Done))) => client.done = true,
                Some((place, Ok(Next::Line(line)))) => {
                    said.asked(&line);
                    place.send(line);
                }
            },
        }
    };
    writing.abort();
    // Only when it has ended is it known what it wrote.
    let _ = writing.await;
    Ok(Carried { spoke, taken: written.taken(unread) })
}

/// What is to be said next.
enum Next {
    Line(Vec<u8>),
    TooLong,
    Done,
}

impl<R: AsyncRead + Unpin> Client<R> {
    /// What is to be said again comes first. Nothing is lost when this is given up while it waits.
    async fn next(&mut self) -> io::Result<Next> {
        if let Some(line) = self.again.pop_front() {
            return Ok(Next::Line(line));
        }
        Ok(match self.lines.next().await? {
            Line::Whole(line) => Next::Line(line.to_vec()),
            Line::TooLong => Next::TooLong,
            Line::End => Next::Done,
        })
    }
}

async fn write_line<W: AsyncWrite + Unpin>(writer: &mut W, mut line: Vec<u8>) -> Result<(), RelayError> {
    line.push(b'\n');
    writer.write_all(&line).await.map_err(RelayError::Client)?;
    writer.flush().await.map_err(RelayError::Client)
}
