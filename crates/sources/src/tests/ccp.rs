//! CyberArk, against the testkit's web service with its TLS, its errors and its mischief.

mod bad_input;
mod dialling;
mod identity;
mod retrieval;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Mutex;

use broker::Remark;
use model::Fault;
use testkit::{CcpAccount as Account, CcpApplication, CcpMischief, CcpServer, ClientCertificates, TestCa};

use super::*;
use crate::{
    CcpAccount, CcpIdentity, CcpQuery, CcpSettings, CcpSource, CcpTrust, PasswordChange, SourceKind,
    SourceSpec, Surroundings, build,
};

/// A web service with the account `PROD/root`, and settings that reach it.
struct Site {
    ca: TestCa,
    folder: tempfile::TempDir,
    server: CcpServer,
    settings: CcpSettings,
}

impl Site {
    fn new() -> Self {
        Self::with(ClientCertificates::Ignored)
    }

    fn with(clients: ClientCertificates) -> Self {
        let (ca, folder) = (TestCa::new(), tempfile::tempdir().unwrap());
        std::fs::write(folder.path().join("ca.pem"), ca.pem()).unwrap();
        let server = CcpServer::start(&ca, clients);
        server.application(CcpApplication::new("Gate Keeper", &["PROD"]));
        server.account(root().with("Address", "10.0.0.11").with("PolicyID", "UnixSSH"));
        let settings = CcpSettings {
            url: server.url(),
            app_id: "Gate Keeper".to_owned(),
            folder: None,
            reason: None,
            trust: CcpTrust::Authorities(folder.path().join("ca.pem")),
            identity: None,
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(20),
            vault_timeout: Duration::from_secs(10),
            password_change: PasswordChange::Refuse,
            accounts: Vec::new(),
        };
        Self { ca, folder, server, settings }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn source(&self) -> CcpSource {
        self.try_source(&[]).unwrap_or_else(|why| panic!("{why}"))
    }

    fn try_source(&self, of: &[(&str, &str)]) -> Result<CcpSource, String> {
        CcpSource::new(self.settings.clone(), &variables(of), Arc::new(Running::default()), versions())
    }

    /// What a new source cannot be built with.
    fn unbuildable(&self, of: &[(&str, &str)]) -> String {
        self.try_source(of).err().expect("these settings are wrong")
    }

    /// The last request's parameter.
    fn asked(&self, parameter: &str) -> Option<String> {
        self.server.requests().last()?.parameter(parameter).map(str::to_owned)
    }
}

fn root() -> Account {
    Account::new("PROD", "root", "svc_root", SECRET)
}

fn declared(object: &str, query: CcpQuery) -> CcpAccount {
    CcpAccount { safe: "PROD".to_owned(), object: object.to_owned(), query, passphrase: None }
}

/// A clock that goes a millisecond at each look, so that waits have an end and kept connections their time.
#[derive(Default)]
struct Running(Mutex<u64>);

impl Clock for Running {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_000_000)
    }

    fn boot(&self) -> BootInstant {
        let mut millis = self.0.lock().unwrap();
        *millis += 1;
        BootInstant::new(Duration::from_millis(*millis))
    }

    fn boot_id(&self) -> &str {
        "boot-1"
    }
}

/// A failure that the journal calls `cyberark_error`, with nothing of a secret in it.
async fn error(source: &dyn CredentialSource, name: &str) -> Failure {
    let failure = failure(source, name).await;
    assert_eq!(failure.event(), Some("cyberark_error"), "{failure:?}");
    assert!(failure.hint().is_some(), "{failure:?}");
    failure
}
