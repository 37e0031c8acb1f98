//! An SSH target for demonstrations: a real SSH server on a loopback port with one account and canned answers.
//!
//! It executes nothing on the machine it runs on: a command line is read by the same grammar that policy uses,
//! and answered from constants. It is no security boundary and listens on loopback only.

mod canned;
mod server;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use model::{Entropy, Secret};
use russh::keys::PrivateKey;
use russh::keys::ssh_key::private::Ed25519Keypair;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use zeroize::Zeroizing;

use self::server::Account;

/// The sandbox's one account.
const USERNAME: &str = "demo";

/// The one command that shows the account's own password, as careless machines do.
pub const LEAK: &str = "cat /etc/backup.conf";

/// A running sandbox; it ends when this is dropped.
pub struct Sandbox {
    /// Where it listens: `127.0.0.1` and a port of its own.
    pub addr: SocketAddr,
    /// The line that makes its host key known.
    pub host_key_line: String,
    /// The account that may log in.
    pub username: String,
    /// The account's password.
    pub password: Secret<String>,
    executed: Arc<Mutex<Vec<String>>>,
    _running: DropGuard,
}

impl Sandbox {
    /// Starts it, with a host key and a password made from `entropy`. Must be called inside a runtime.
    pub async fn start(entropy: &dyn Entropy) -> io::Result<Self> {
        let key = PrivateKey::from(Ed25519Keypair::from_seed(&*random(entropy)?));
        let password = Zeroizing::new(hex(&*random(entropy)?));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        let public = key.public_key().to_openssh().map_err(io::Error::other)?;
        let executed = Arc::<Mutex<Vec<String>>>::default();
        let account = Account {
            username: USERNAME.to_owned(),
            password: Arc::new(Secret::new(password.to_string())),
            executed: Arc::clone(&executed),
        };
        let stop = CancellationToken::new();
        tokio::spawn(server::serve(listener, key, account, stop.clone()));
        Ok(Self {
            addr,
            host_key_line: format!("[{}]:{} {public}", addr.ip(), addr.port()),
            username: USERNAME.to_owned(),
            password: Secret::new(password.to_string()),
            executed,
            _running: stop.drop_guard(),
        })
    }

    /// The command lines it was asked to run, as they came, without the connector's shell probes.
    pub fn executed(&self) -> Vec<String> {
        self.executed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn random(entropy: &dyn Entropy) -> io::Result<Zeroizing<[u8; 32]>> {
    let mut bytes = Zeroizing::new([0; 32]);
    entropy.fill(&mut *bytes).map_err(io::Error::other)?;
    Ok(bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
