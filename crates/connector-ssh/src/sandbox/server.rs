//! The sandbox's side of the SSH protocol.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::Secret;
use russh::keys::PrivateKey;
use russh::server::{Auth, ChannelOpenHandle, Config, Handler, Msg, Session};
use russh::{Channel, ChannelId, MethodKind, MethodSet};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::canned;
use crate::{algorithms, probe};

/// Most connections at a time.
const MOST_CONNECTIONS: usize = 64;
/// Most command lines that are remembered.
const MOST_REMEMBERED: usize = 10_000;

/// Who may log in, and what was asked for.
#[derive(Clone)]
pub(super) struct Account {
    pub(super) username: String,
    pub(super) password: Arc<Secret<String>>,
    pub(super) executed: Arc<Mutex<Vec<String>>>,
}

/// Accepts connections until told to stop; the ones that are open end then as well.
pub(super) async fn serve(listener: TcpListener, key: PrivateKey, account: Account, stop: CancellationToken) {
    let config = Arc::new(Config {
        server_id: russh::SshId::Standard("SSH-2.0-portcullis-sandbox".into()),
        methods: MethodSet::from(&[MethodKind::Password][..]),
        auth_rejection_time: Duration::from_millis(200),
        keys: vec![key],
        preferred: algorithms::for_server(),
        nodelay: true,
        ..Config::default()
    });
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            // Out of descriptors, most likely: others must end first.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let (config, account, stop) = (Arc::clone(&config), account.clone(), stop.clone());
        tokio::spawn(async move {
            let _place = place;
            let _ = stream.set_nodelay(true);
            if let Ok(session) = russh::server::run_stream(config, stream, Visitor { account }).await {
                let handle = session.handle();
                tokio::select! {
                    () = stop.cancelled() => {
                        let goodbye = (russh::Disconnect::ByApplication, "the sandbox ends".to_owned(), String::new());
                        let _ = handle.disconnect(goodbye.0, goodbye.1, goodbye.2).await;
                    }
                    _ = session => {}
                }
            }
        });
    }
}

struct Visitor {
    account: Account,
}

impl Handler for Visitor {
    type Error = russh::Error;

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, russh::Error> {
        let fits = user == self.account.username && self.account.password.same_as(password.as_bytes());
        Ok(if fits { Auth::Accept } else { Auth::reject() })
    }

    async fn channel_open_session(
        &mut self,
        _channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), russh::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        let text = String::from_utf8_lossy(data).into_owned();
        let mut said = canned::run(&text);
        if text == super::LEAK {
            said = canned::backup_conf(self.account.password.expose());
        }
        self.remember(text);
        session.channel_success(channel)?;
        if !said.out.is_empty() {
            session.data(channel, said.out.into_bytes())?;
        }
        if !said.err.is_empty() {
            session.extended_data(channel, 1, said.err.into_bytes())?;
        }
        session.exit_status_request(channel, said.status)?;
        session.eof(channel)?;
        session.close(channel)
    }
}

impl Visitor {
    fn remember(&self, text: String) {
        if text == policy::command::canonical(&probe::command()) {
            return;
        }
        let mut executed = self.account.executed.lock().unwrap_or_else(PoisonError::into_inner);
        if executed.len() < MOST_REMEMBERED {
            executed.push(text);
        }
    }
}
