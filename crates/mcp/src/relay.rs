//! `stdio` for one client, over whatever serves the state at the moment.
//!
//! The gateway may end while the client lives on. Then the calls under way are answered with an error, another link
//! is made, the client's handshake is repeated on it, and what the client says next works.

use std::collections::HashSet;
use std::io;
use std::time::Duration;

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;
use wire::{Era, Message, RequestId, RpcError, ScanLimits};

use crate::StreamLimits;
use crate::stream::lines::{Line, Lines};

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
    limits: StreamLimits,
) -> Result<(), RelayError>
where
    R: AsyncRead + Send + Unpin,
    W: AsyncWrite + Send + Unpin,
{
    let mut client = Client { lines: Lines::new(reader, limits.line), done: false };
    let mut said = Said::default();
    let mut silent = 0;
    loop {
        let link = connect.connect().await.map_err(RelayError::Connect)?;
        let spoke = carry(&mut client, &mut writer, link, &mut said, limits).await?;
        for lost in said.give_up() {
            write_line(&mut writer, lost).await?;
        }
        if client.done {
            return Ok(());
        }
        silent = if spoke { 0 } else { silent + 1 };
        if silent >= MOST_SILENT_LINKS {
            return Err(RelayError::Unsteady);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

struct Client<R> {
    lines: Lines<R>,
    done: bool,
}

/// Carries lines until the link ends; true if the gateway said anything.
async fn carry<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
    client: &mut Client<R>,
    writer: &mut W,
    (from_gateway, to_gateway): Link,
    said: &mut Said,
    limits: StreamLimits,
) -> Result<bool, RelayError> {
    let (to_write, lines) = mpsc::channel::<Vec<u8>>(16);
    // In a task of its own, so that answers are read while the gateway is not reading.
    let writing = tokio::spawn(write_all(to_gateway, lines));
    let mut answers = Lines::new(from_gateway, usize::MAX);
    let mut repeated = said.handshake_to_repeat(&to_write).await;
    let mut to_write = (!client.done).then_some(to_write);
    let mut spoke = false;
    loop {
        // Nothing is taken from the client before there is a place for it.
        let from_client = async {
            match &to_write {
                Some(to_write) => match to_write.clone().reserve_owned().await {
                    Ok(place) => Some((place, client.lines.next().await)),
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
                Ok(Line::TooLong | Line::End) | Err(_) => break,
            },
            next = from_client => match next {
                // The link does not take anything any more; what it still says is read above.
                None => to_write = None,
                Some((_, Err(error))) => return Err(RelayError::Client(error)),
                Some((_, Ok(Line::TooLong))) => return Err(RelayError::TooLong(limits.line)),
                Some((_, Ok(Line::End))) => {
                    client.done = true;
                    to_write = None;
                }
                Some((place, Ok(Line::Whole(line)))) => {
                    said.asked(line);
                    place.send(line.to_vec());
                }
            },
        }
    }
    writing.abort();
    Ok(spoke)
}

/// What the client has said, as far as another gateway must know it.
#[derive(Default)]
struct Said {
    /// Requests that have no answer yet, by the JSON of their ids.
    under_way: HashSet<Box<str>>,
    /// The legacy handshake, and its id.
    handshake: Option<(Box<str>, Vec<u8>)>,
    /// The notification after it.
    initialized: Option<Vec<u8>>,
}

const SCAN: ScanLimits = ScanLimits { depth: 100 };

impl Said {
    fn asked(&mut self, line: &[u8]) {
        match Message::parse(line, SCAN) {
            Ok(Message::Request(request)) => {
                let id: Box<str> = request.id.as_json().into();
                if request.method == "initialize" {
                    self.handshake = Some((id.clone(), line.to_vec()));
                }
                self.under_way.insert(id);
            }
            Ok(Message::Notification(notification)) if notification.method == "notifications/initialized" => {
                self.initialized = Some(line.to_vec());
            }
            // The gateway says what is wrong with the rest.
            Ok(Message::Notification(_) | Message::Response(_)) | Err(_) => {}
        }
    }

    /// Notes an answer; false if the client has seen it before.
    fn answered(&mut self, line: &[u8], repeated: &mut Option<Box<str>>) -> bool {
        let Ok(Message::Response(response)) = Message::parse(line, SCAN) else { return true };
        let Some(id) = response.id else { return true };
        if repeated.as_deref() == Some(id.as_json()) {
            *repeated = None;
            return false;
        }
        self.under_way.remove(id.as_json());
        true
    }

    /// Says the handshake again on a new link, and returns the id whose answer the client already has.
    async fn handshake_to_repeat(&self, to_write: &mpsc::Sender<Vec<u8>>) -> Option<Box<str>> {
        let (id, line) = self.handshake.as_ref()?;
        to_write.send(line.clone()).await.ok()?;
        if let Some(initialized) = &self.initialized {
            to_write.send(initialized.clone()).await.ok()?;
        }
        Some(id.clone())
    }

    /// The errors that answer what the lost link can answer no more.
    fn give_up(&mut self) -> Vec<Vec<u8>> {
        if self.handshake.as_ref().is_some_and(|(id, _)| self.under_way.contains(id)) {
            (self.handshake, self.initialized) = (None, None);
        }
        let lost = |id: Box<str>| {
            let raw = serde_json::value::RawValue::from_string(id.into()).ok()?;
            Some(wire::error_message(Some(RequestId::from_owned(&raw)), &RpcError::ShuttingDown, Era::Legacy))
        };
        self.under_way.drain().filter_map(lost).collect()
    }
}

async fn write_all(
    mut writer: Box<dyn AsyncWrite + Send + Unpin>,
    mut lines: mpsc::Receiver<Vec<u8>>,
) -> io::Result<()> {
    while let Some(mut line) = lines.recv().await {
        line.push(b'\n');
        writer.write_all(&line).await?;
        writer.flush().await?;
    }
    writer.shutdown().await
}

async fn write_line<W: AsyncWrite + Unpin>(writer: &mut W, mut line: Vec<u8>) -> Result<(), RelayError> {
    line.push(b'\n');
    writer.write_all(&line).await.map_err(RelayError::Client)?;
    writer.flush().await.map_err(RelayError::Client)
}
