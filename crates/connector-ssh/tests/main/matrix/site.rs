//! A server and a credential for one line of the table.

use std::time::Duration;

use serde_json::json;
use testkit::{Closed, Dropbear, KeyKind, KeyPair, ScriptedSshd, SshAgent, Sshd};

use super::{Case, Method, Server};
use crate::rig::Rig;

const NOW: &str = "20200101:20900101";
const PAST: &str = "20200101:20210101";

pub(crate) struct Site {
    method: Method,
    case: Case,
    running: Running,
    /// The key that is used, where one is: the server's own one unless it is to be wrong.
    key: KeyPair,
    certificate: Option<String>,
    agent: Option<SshAgent>,
    folder: tempfile::TempDir,
}

enum Running {
    OpenSsh(Sshd),
    Dropbear(Dropbear),
    AsyncSsh(ScriptedSshd),
}

impl Site {
    pub(crate) fn of(method: Method, server: Server, case: Case) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let make = |name: &str| KeyPair::make(&folder.path().join(name), KeyKind::Ed25519, "");
        let (authority, stranger, own) = (make("ca"), make("stranger"), make("own"));
        let running = match server {
            Server::OpenSsh => Running::OpenSsh(openssh(method, case, &authority, &own)),
            Server::Dropbear => Running::Dropbear(Dropbear::start()),
            Server::AsyncSsh => Running::AsyncSsh(asyncssh(method, case, &authority)),
        };
        let known = match &running {
            Running::OpenSsh(sshd) => sshd.client_key().clone(),
            Running::Dropbear(dropbear) => dropbear.client_key().clone(),
            Running::AsyncSsh(scripted) => scripted.client_key().clone(),
        };
        let key = match (method, server, case) {
            // The bare key of a certificate is known nowhere, unless nothing but it is understood there.
            (Method::Certificate, Server::OpenSsh | Server::AsyncSsh, _) => own,
            (Method::Key | Method::Agent, _, Case::Wrong) => stranger.clone(),
            (_, _, _) => known,
        };
        let mut site = Self { method, case, running, key, certificate: None, agent: None, folder };
        if method == Method::Certificate {
            site.certify(&authority);
        }
        if method == Method::Agent {
            let held = if case == Case::Wrong { &stranger } else { &site.key };
            site.agent = Some(SshAgent::start(held));
            // What is pinned is not what it holds.
            if case == Case::Wrong {
                site.key = KeyPair::make(&site.folder.path().join("pinned"), KeyKind::Ed25519, "");
            }
        }
        site.close();
        site
    }

    fn certify(&mut self, authority: &KeyPair) {
        let user = self.user().to_owned();
        let name = if self.case == Case::Wrong { "somebody-else" } else { &user };
        let time = if self.case == Case::Expired { PAST } else { NOW };
        let file = authority.certify(&self.key, &["-n", name, "-V", time]);
        self.certificate = Some(std::fs::read_to_string(file).unwrap());
    }

    /// What is revoked on the server once everything else is in place.
    fn close(&self) {
        let closed = match self.case {
            Case::Expired => Closed::Expired,
            Case::Revoked => Closed::Locked,
            Case::Right | Case::Wrong => return,
        };
        match (&self.running, self.method) {
            (Running::OpenSsh(sshd), Method::Password | Method::Question) => sshd.close_account(closed),
            (Running::Dropbear(dropbear), Method::Password) => dropbear.close_account(closed),
            (Running::OpenSsh(sshd), Method::Key | Method::Agent) if self.case == Case::Expired => {
                let line = format!("expiry-time=\"20200101\" {}\n", self.key.public_line());
                std::fs::write(sshd.folder().join("authorized_keys"), line).unwrap();
            }
            (Running::OpenSsh(_), Method::Key | Method::Agent) => {
                std::fs::write(self.folder.path().join("revoked"), self.key.public_line()).unwrap();
            }
            (_, _) => {}
        }
    }

    pub(crate) fn rig(&self) -> Rig {
        match &self.running {
            Running::OpenSsh(sshd) => Rig::of(sshd),
            Running::Dropbear(d) => Rig::new(d.host(), d.port(), d.user(), &d.known_hosts_line()),
            Running::AsyncSsh(s) => {
                Rig::new("127.0.0.1", s.port(), ScriptedSshd::USER, &s.known_hosts_line())
            }
        }
    }

    fn user(&self) -> &str {
        match &self.running {
            Running::OpenSsh(sshd) => sshd.user(),
            Running::Dropbear(dropbear) => dropbear.user(),
            Running::AsyncSsh(_) => ScriptedSshd::USER,
        }
    }

    /// For [`crate::rig::material`].
    pub(crate) fn credential(&self) -> String {
        let password = match &self.running {
            Running::OpenSsh(sshd) => sshd.password(),
            Running::Dropbear(dropbear) => dropbear.password(),
            Running::AsyncSsh(_) => ScriptedSshd::PASSWORD,
        };
        match (self.method, &self.agent) {
            (Method::Password | Method::Question, _) if self.case == Case::Wrong => {
                json!({ "password": "canary-wrong" })
            }
            (Method::Password | Method::Question, _) => json!({ "password": password }),
            (_, Some(agent)) => json!({ "agent": agent.socket(), "fingerprint": self.key.fingerprint() }),
            (_, None) => json!({ "pem": self.key.pem(), "certificate": self.certificate }),
        }
        .to_string()
    }

    pub(crate) fn log(&self) -> String {
        match &self.running {
            Running::OpenSsh(sshd) => sshd.log(),
            Running::Dropbear(dropbear) => dropbear.log(),
            Running::AsyncSsh(scripted) => scripted.log(),
        }
    }

    /// Waits until the log has these words in it; for none, looks that nobody ever connected.
    pub(crate) fn wait_for(&self, words: &str) -> Result<(), String> {
        if words.is_empty() {
            let log = self.log();
            let connected = log.contains("Connection from") || log.contains("connection\n");
            return if connected { Err(format!("somebody connected: {log}")) } else { Ok(()) };
        }
        let words = words.replace("USER", self.user());
        for _ in 0..100 {
            if self.log().contains(&words) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(format!("no `{words}` in the server's log: {}", self.log()))
    }

    /// How many wrong passwords the server counted.
    pub(crate) fn failed_passwords(&self) -> usize {
        let failed =
            ["Failed password for", "Failed keyboard-interactive", "Bad password attempt", "password wrong"];
        self.log().lines().filter(|line| failed.iter().any(|words| line.contains(words))).count()
    }
}

fn openssh(method: Method, case: Case, authority: &KeyPair, own: &KeyPair) -> Sshd {
    let ca = format!("TrustedUserCAKeys {}.pub", authority.path().display());
    // One file for every server: it must be there before the server starts.
    let revoked = own.path().with_file_name("revoked");
    std::fs::write(&revoked, "").unwrap();
    match method {
        Method::Password => Sshd::options().password_only().start(),
        Method::Question => {
            let lines = "UsePAM yes\nKbdInteractiveAuthentication yes\nPasswordAuthentication no";
            Sshd::options().line(lines).start()
        }
        Method::Certificate if case == Case::Revoked => {
            std::fs::write(&revoked, own.public_line()).unwrap();
            Sshd::options().line(&format!("{ca}\nRevokedKeys {}", revoked.display())).key_only().start()
        }
        Method::Certificate => Sshd::options().line(&ca).key_only().start(),
        Method::Key | Method::Agent => {
            let sshd = Sshd::options().key_only();
            if case == Case::Revoked {
                return sshd.line(&format!("RevokedKeys {}", revoked.display())).start();
            }
            sshd.start()
        }
    }
}

fn asyncssh(method: Method, case: Case, authority: &KeyPair) -> ScriptedSshd {
    let options = ScriptedSshd::options();
    match method {
        Method::Password if case == Case::Expired => {
            options.methods(&["password"]).password_expired().start()
        }
        Method::Password => options.methods(&["password"]).start(),
        Method::Question => options.methods(&["keyboard-interactive"]).start(),
        Method::Key | Method::Agent => options.methods(&["publickey"]).start(),
        Method::Certificate => options.methods(&["publickey"]).authority(authority).start(),
    }
}
