//! An SSH server that misbehaves in one chosen way, after a correct start.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use russh::keys::{HashAlg, PrivateKey};
use russh::server::{Auth, ChannelOpenHandle, Config, Handle, Handler, Msg, Session};
use russh::{Channel, ChannelId, Preferred, Sig, cipher, kex, mac};
use testkit::{KeyKind, KeyPair};
use tokio::net::TcpListener;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behaviour {
    NoStrictKexChaCha,
    NoStrictKexCtr,
    NoStrictKexGcm,
    SmallKey,
    EndlessLogin,
    OpensChannels,
    ClosesWithoutStatus,
    OddSignal,
    RejectsExec,
    DropsDuringExec,
    NeverEnds,
    NeverOpens,
    FloodsWhenIdle,
}

pub(crate) struct HostileHost {
    pub(crate) port: u16,
    key: PrivateKey,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    answers: Mutex<Vec<String>>,
    ended: AtomicBool,
}

impl HostileHost {
    pub(crate) async fn start(behaviour: Behaviour) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        if behaviour == Behaviour::SmallKey {
            let made = std::process::Command::new("ssh-keygen")
                .args(["-q", "-t", "rsa", "-b", "1024", "-N", "", "-f"])
                .arg(&path)
                .status();
            assert!(made.unwrap().success());
        } else {
            KeyPair::make(&path, KeyKind::Ed25519, "");
        }
        let key = russh::keys::load_secret_key(&path, None).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let config = Arc::new(config(behaviour, key.clone()));
        let state = Arc::<State>::default();
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (config, state) = (Arc::clone(&config), Arc::clone(&shared));
                tokio::spawn(async move {
                    let peer = Peer { behaviour, state: Arc::clone(&state), kept: Vec::new() };
                    if let Ok(session) = russh::server::run_stream(config, stream, peer).await {
                        let _ = session.await;
                        state.ended.store(true, Ordering::SeqCst);
                    }
                });
            }
        });
        Self { port, key, state }
    }

    pub(crate) fn known_hosts_line(&self) -> String {
        format!("[127.0.0.1]:{} {}", self.port, self.key.public_key().to_openssh().unwrap())
    }

    /// What came of the channels it opened.
    pub(crate) fn answers(&self) -> Vec<String> {
        self.state.answers.lock().unwrap().clone()
    }

    /// Whether a connection has ended.
    pub(crate) fn ended(&self) -> bool {
        self.state.ended.load(Ordering::SeqCst)
    }
}

fn config(behaviour: Behaviour, key: PrivateKey) -> Config {
    let mut preferred = Preferred::DEFAULT;
    preferred.cipher = Cow::Owned(vec![cipher::AES_256_GCM]);
    let without_strict = |preferred: &mut Preferred, cipher| {
        preferred.kex = Cow::Owned(vec![kex::CURVE25519]);
        preferred.cipher = Cow::Owned(vec![cipher]);
        preferred.mac = Cow::Owned(vec![mac::HMAC_SHA256_ETM]);
    };
    match behaviour {
        Behaviour::NoStrictKexChaCha => without_strict(&mut preferred, cipher::CHACHA20_POLY1305),
        Behaviour::NoStrictKexCtr => without_strict(&mut preferred, cipher::AES_256_CTR),
        Behaviour::NoStrictKexGcm => without_strict(&mut preferred, cipher::AES_256_GCM),
        Behaviour::SmallKey => {
            preferred.key = Cow::Owned(vec![russh::keys::Algorithm::Rsa { hash: Some(HashAlg::Sha512) }]);
        }
        _ => {}
    }
    Config { keys: vec![key], preferred, auth_rejection_time: Duration::from_millis(10), ..Config::default() }
}

struct Peer {
    behaviour: Behaviour,
    state: Arc<State>,
    kept: Vec<ChannelOpenHandle>,
}

impl Handler for Peer {
    type Error = russh::Error;

    async fn auth_password(&mut self, _user: &str, _password: &str) -> Result<Auth, russh::Error> {
        if self.behaviour == Behaviour::EndlessLogin {
            std::future::pending::<()>().await;
        }
        Ok(Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        _channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), russh::Error> {
        if self.behaviour == Behaviour::NeverOpens {
            self.kept.push(reply);
            return Ok(());
        }
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        let text = String::from_utf8(data.to_vec()).unwrap();
        if text.starts_with("printf ") {
            return posix(channel, &text, session);
        }
        if self.behaviour == Behaviour::RejectsExec {
            return session.channel_failure(channel);
        }
        session.channel_success(channel)?;
        match self.behaviour {
            Behaviour::NeverEnds => Ok(()),
            Behaviour::DropsDuringExec => Err(russh::Error::Disconnect),
            Behaviour::ClosesWithoutStatus => session.close(channel),
            Behaviour::OddSignal => {
                let odd = Sig::Custom("BAD\u{1b}[31m".to_owned());
                session.exit_signal_request(channel, odd, false, "", "")?;
                session.close(channel)
            }
            Behaviour::OpensChannels => {
                tokio::spawn(open_channels(session.handle(), channel, Arc::clone(&self.state)));
                Ok(())
            }
            Behaviour::FloodsWhenIdle => {
                session.exit_status_request(channel, 0)?;
                session.close(channel)?;
                tokio::spawn(flood(session.handle()));
                Ok(())
            }
            _ => {
                session.exit_status_request(channel, 0)?;
                session.close(channel)
            }
        }
    }
}

/// Answers the shell probe as a POSIX shell does.
fn posix(channel: ChannelId, text: &str, session: &mut Session) -> Result<(), russh::Error> {
    let line = policy::command::parse(text).unwrap();
    let words = &line.first.commands[0].words[2..];
    let said: String = words.iter().flat_map(|word| [word.as_str(), "\n"]).collect();
    session.channel_success(channel)?;
    session.data(channel, said.into_bytes())?;
    session.exit_status_request(channel, 0)?;
    session.close(channel)
}

async fn open_channels(handle: Handle, channel: ChannelId, state: Arc<State>) {
    let note = |name: &str, refused: bool| {
        let answer = format!("{name}: {}", if refused { "refused" } else { "accepted" });
        state.answers.lock().unwrap().push(answer);
    };
    note("agent", handle.channel_open_agent().await.is_err());
    note("session", handle.channel_open_session().await.is_err());
    note("direct", handle.channel_open_direct_tcpip("127.0.0.1", 22, "x", 1).await.is_err());
    note("forwarded", handle.channel_open_forwarded_tcpip("127.0.0.1", 22, "x", 1).await.is_err());
    note("socket", handle.channel_open_forwarded_streamlocal("/run/x").await.is_err());
    note("x11", handle.channel_open_x11("x", 1).await.is_err());
    let _ = handle.data(channel, &b"done\n"[..]).await;
    let _ = handle.exit_status_request(channel, 0).await;
    let _ = handle.close(channel).await;
}

/// Global requests that nobody asked for, for as long as somebody listens.
async fn flood(handle: Handle) {
    tokio::time::sleep(Duration::from_millis(200)).await;
    let address = "x".repeat(8000);
    for port in 0..10_000 {
        let asked = tokio::time::timeout(Duration::from_secs(2), handle.forward_tcpip(address.clone(), port));
        if asked.await.is_err() {
            return;
        }
    }
}
