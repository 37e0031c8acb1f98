//! A CyberArk CCP for tests: the web service with its TLS, applications, accounts and errors, written from the vendor's
//! description and other clients, and knowing nothing of our own client.
//!
//! What nobody outside has described is assumed: which of three codes an ambiguous query gets, the exact texts, and
//! IIS's pages. `tests/main/ccp.rs` checks it with curl and with a client of PyPI.

mod body;
mod decide;
mod listener;
mod vault;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use http::StatusCode;
use tokio::sync::oneshot;

pub use body::CcpMischief;
pub use decide::CcpRequest;
pub use listener::ClientCertificates;
pub use vault::{CcpAccount, CcpApplication};

use crate::{TestCa, TestCertificate};
use decide::Desk;

/// A running CCP; its listener ends when it is dropped.
pub struct CcpServer {
    address: SocketAddr,
    desk: Arc<Mutex<Desk>>,
    tls: listener::SharedTls,
    /// Dropping it ends the server's thread.
    _stop: oneshot::Sender<()>,
}

impl CcpServer {
    /// A web service on loopback with a certificate for `127.0.0.1` and `localhost`, which asks for client certificates of
    /// the same authority.
    pub fn start(ca: &TestCa, clients: ClientCertificates) -> Self {
        let own = ca.server(&["127.0.0.1", "localhost"]);
        let tls = listener::shared_tls(&own, ca.pem(), clients);
        let desk = Arc::new(Mutex::new(Desk::new(clients)));
        let (address, stop) = listener::spawn(Arc::clone(&desk), Arc::clone(&tls));
        Self { address, desk, tls, _stop: stop }
    }

    /// The address of its one resource.
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}/AIMWebService/api/Accounts", self.address.port())
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Shows this certificate on new connections, and believes client certificates of this authority.
    pub fn show(&self, own: &TestCertificate, client_ca: &TestCa) {
        let clients = self.desk.lock().unwrap().clients;
        *self.tls.lock().unwrap() = listener::config(own, client_ca.pem(), clients);
    }

    /// Defines an application, in the place of one of the same name.
    pub fn application(&self, application: CcpApplication) {
        let mut desk = self.desk.lock().unwrap();
        desk.vault.applications.retain(|known| known.id != application.id);
        desk.vault.applications.push(application);
    }

    /// Keeps an account, in the place of one of the same safe, folder and name.
    pub fn account(&self, account: CcpAccount) {
        let mut desk = self.desk.lock().unwrap();
        let place = |a: &CcpAccount| (a.safe.clone(), a.folder.clone(), a.name.clone());
        desk.vault.accounts.retain(|known| place(known) != place(&account));
        desk.vault.accounts.push(account);
    }

    /// Whether the vault can be reached from the web service.
    pub fn vault_is_down(&self, down: bool) {
        self.desk.lock().unwrap().vault.down = down;
    }

    /// Whether names are compared without regard to case, as some installations do.
    pub fn ignores_case(&self, ignores: bool) {
        self.desk.lock().unwrap().vault.ignores_case = ignores;
    }

    /// The next requests are answered so, one each, instead of as they should be.
    pub fn misbehave(&self, mischief: impl IntoIterator<Item = CcpMischief>) {
        self.desk.lock().unwrap().mischief.extend(mischief);
    }

    /// The next request is answered with this error of CyberArk's.
    pub fn fail(&self, status: u16, code: &str, message: &str) {
        let status = StatusCode::from_u16(status).expect("a status");
        self.misbehave([CcpMischief::Json {
            status: status.as_u16(),
            body: serde_json::json!({ "ErrorCode": code, "ErrorMsg": message }).to_string(),
        }]);
    }

    /// Every request so far, in order.
    pub fn requests(&self) -> Vec<CcpRequest> {
        self.desk.lock().unwrap().requests.clone()
    }

    /// How many connections came so far as a request.
    pub fn connections(&self) -> usize {
        let connections = self.requests().into_iter().map(|request| request.connection);
        connections.collect::<std::collections::BTreeSet<_>>().len()
    }
}
