//! A host that follows the protocol up to one point, and does one chosen thing there.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use russh::keys::ssh_key::PublicKey;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use super::host_key::HostKey;
use super::wire::{self, Greeting, Wire, string};

/// Where the host stops following the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    Connected,
    Greeted,
    KeysOffered,
    KeysAgreed,
    Encrypted,
    ServiceAsked,
    LoginAsked,
    LoggedIn,
    ChannelAsked,
    CommandAsked,
}

/// What it does there. Messages may need the client's number of the channel.
#[derive(Clone, Copy)]
pub(crate) enum Act {
    /// Cuts the line.
    Drops,
    /// Says these things and nothing more, and goes on to read.
    Says(fn(u32) -> Vec<Vec<u8>>),
    /// Says this for ever, and reads nothing.
    Floods(fn(u32) -> Vec<u8>),
    /// Sends these bytes for ever, as they are.
    Spills(fn() -> Vec<u8>),
    /// Sends bytes as they are.
    Raw(fn() -> Vec<u8>),
    /// Sends a byte of this now and then, for ever.
    Drips(fn() -> Vec<u8>),
    /// Sends a packet with these insides.
    Packet(fn() -> Vec<u8>),
    /// Exchanges keys anew; then the command ends.
    Rekeys(Later),
}

/// What the host shows in a later key exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Later {
    SameKey,
    OtherKey,
    OtherKind,
}

pub(crate) struct Scripted {
    pub(crate) port: u16,
    key: Arc<HostKey>,
}

struct Host {
    wire: Wire,
    stage: Stage,
    act: Act,
    compression: &'static str,
    channel: u32,
    key: Arc<HostKey>,
    /// The client's.
    version: Vec<u8>,
}

impl Scripted {
    pub(crate) async fn start(stage: Stage, act: Act) -> Self {
        Self::offering("none", stage, act).await
    }

    pub(crate) async fn offering(compression: &'static str, stage: Stage, act: Act) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let key = Arc::new(HostKey::ed25519());
        let shown = Arc::clone(&key);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let key = Arc::clone(&shown);
                tokio::spawn(async move {
                    let mut host = Host::new(stream, stage, act, compression, key);
                    let _ = host.follow().await;
                });
            }
        });
        Self { port, key }
    }

    pub(crate) fn known_hosts_line(&self) -> String {
        let key = PublicKey::from_bytes(&self.key.public()).unwrap();
        format!("[127.0.0.1]:{} {}", self.port, key.to_openssh().unwrap())
    }
}

impl Host {
    fn new(stream: TcpStream, stage: Stage, act: Act, compression: &'static str, key: Arc<HostKey>) -> Self {
        Self { wire: Wire::new(stream), stage, act, compression, channel: 0, key, version: Vec::new() }
    }

    async fn follow(&mut self) -> io::Result<()> {
        self.reach(Stage::Connected).await?;
        self.version = self.wire.greet().await?;
        self.reach(Stage::Greeted).await?;
        let ours = wire::kexinit(self.compression);
        self.wire.send(&ours).await?;
        let kexinit = self.wire.receive().await?;
        assert!(!String::from_utf8_lossy(&kexinit).contains("zlib"), "compression is never offered");
        self.reach(Stage::KeysOffered).await?;
        let greeting = Greeting { version: self.version.clone(), kexinit };
        let (reply, agreed) = self.wire.agree(&self.key, &greeting, &ours).await?;
        self.reach(Stage::KeysAgreed).await?;
        self.wire.send(&reply).await?;
        self.wire.switch(&agreed).await?;
        self.reach(Stage::Encrypted).await?;
        loop {
            let message = self.wire.receive().await?;
            self.answer(&message).await?;
        }
    }

    /// Does what is to be done here, if it is here.
    async fn reach(&mut self, stage: Stage) -> io::Result<()> {
        if stage != self.stage {
            return Ok(());
        }
        match self.act {
            Act::Drops => return Err(io::ErrorKind::ConnectionAborted.into()),
            Act::Says(what) => {
                for message in what(self.channel) {
                    self.wire.send(&message).await?;
                }
            }
            Act::Floods(what) => {
                let message = what(self.channel);
                loop {
                    self.wire.send(&message).await?;
                }
            }
            Act::Spills(what) => {
                let bytes = what();
                loop {
                    self.wire.stream.write_all(&bytes).await?;
                }
            }
            Act::Raw(what) => self.wire.stream.write_all(&what()).await?,
            Act::Drips(what) => {
                for byte in what().into_iter().cycle() {
                    self.wire.stream.write_all(&[byte]).await?;
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
            Act::Packet(what) => self.wire.send_packet(what()).await?,
            Act::Rekeys(later) => self.rekey(later).await?,
        }
        Ok(())
    }

    async fn rekey(&mut self, later: Later) -> io::Result<()> {
        let key = match later {
            Later::SameKey => Arc::clone(&self.key),
            Later::OtherKey => Arc::new(HostKey::ed25519()),
            Later::OtherKind => Arc::new(HostKey::ecdsa()),
        };
        let ours = wire::kexinit_with(key.algorithm(), self.compression);
        self.wire.send(&ours).await?;
        let mut kexinit = Vec::new();
        while kexinit.first() != Some(&wire::KEXINIT) {
            kexinit = self.wire.receive().await?;
        }
        let greeting = Greeting { version: self.version.clone(), kexinit };
        let (reply, agreed) = self.wire.agree(&key, &greeting, &ours).await?;
        self.wire.send(&reply).await?;
        self.wire.switch(&agreed).await?;
        self.wire.send(&data(self.channel, b"under new keys\n")).await?;
        self.wire.send(&exit_status(self.channel, 0)).await?;
        self.wire.send(&close(self.channel)).await
    }

    async fn answer(&mut self, message: &[u8]) -> io::Result<()> {
        let word = |at: usize| u32::from_be_bytes(message[at..at + 4].try_into().unwrap());
        match message[0] {
            5 => {
                self.reach(Stage::ServiceAsked).await?;
                self.wire.send(&[vec![6], string(b"ssh-userauth")].concat()).await
            }
            // Who is let in without anything, proves nothing.
            50 if message.windows(8).any(|part| part == b"\0\0\0\x04none") => {
                self.wire.send(&[vec![51], string(b"password"), vec![0]].concat()).await
            }
            50 => {
                self.reach(Stage::LoginAsked).await?;
                self.wire.send(&[52]).await?;
                self.reach(Stage::LoggedIn).await
            }
            90 => {
                self.channel = word(5 + usize::try_from(word(1)).unwrap());
                self.reach(Stage::ChannelAsked).await?;
                let numbers = [self.channel, 0, 1 << 21, 1 << 15].map(u32::to_be_bytes).concat();
                self.wire.send(&[vec![91], numbers].concat()).await
            }
            98 => {
                let text = String::from_utf8_lossy(message).into_owned();
                match text.find("printf ").and_then(|at| text.get(at..)) {
                    Some(probe) => self.posix(probe).await,
                    None if text.contains("exec") => {
                        self.wire.send(&of_channel(99, self.channel, &[])).await?;
                        self.reach(Stage::CommandAsked).await
                    }
                    None => Ok(()),
                }
            }
            80 => self.wire.send(&[82]).await,
            _ => Ok(()),
        }
    }

    /// Answers the shell probe as a POSIX shell does.
    async fn posix(&mut self, text: &str) -> io::Result<()> {
        let line = policy::command::parse(text).unwrap();
        let words = &line.first.commands[0].words[2..];
        let said: String = words.iter().flat_map(|word| [word.as_str(), "\n"]).collect();
        self.wire.send(&of_channel(99, self.channel, &[])).await?;
        self.wire.send(&data(self.channel, said.as_bytes())).await?;
        self.wire.send(&exit_status(self.channel, 0)).await?;
        self.wire.send(&of_channel(97, self.channel, &[])).await
    }
}

pub(crate) fn of_channel(kind: u8, channel: u32, rest: &[u8]) -> Vec<u8> {
    [&[kind][..], &channel.to_be_bytes(), rest].concat()
}

pub(crate) fn data(channel: u32, bytes: &[u8]) -> Vec<u8> {
    of_channel(94, channel, &string(bytes))
}

pub(crate) fn extended(channel: u32, kind: u32, bytes: &[u8]) -> Vec<u8> {
    of_channel(95, channel, &[&kind.to_be_bytes()[..], &string(bytes)].concat())
}

pub(crate) fn exit_status(channel: u32, status: u32) -> Vec<u8> {
    of_channel(98, channel, &[&string(b"exit-status")[..], &[0], &status.to_be_bytes()].concat())
}

pub(crate) fn close(channel: u32) -> Vec<u8> {
    of_channel(97, channel, &[])
}
