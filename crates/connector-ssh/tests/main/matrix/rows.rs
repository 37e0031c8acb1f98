//! The table itself.

use model::{ErrorCode, Fault};

use super::Case::{self, Expired, Revoked, Right, Wrong};
use super::Comes::{self, In, Out};
use super::Method::{self, Agent, Certificate, Key, Password, Question};
use super::Server::{self, AsyncSsh, Dropbear, OpenSsh};

/// One line of it.
pub(crate) struct Row {
    pub(crate) method: Method,
    pub(crate) server: Server,
    pub(crate) case: Case,
    pub(crate) comes: Comes,
    /// What the server's log has in it afterwards; empty: no connection at all.
    pub(crate) log: &'static str,
}

const fn row(method: Method, server: Server, case: Case, comes: Comes, log: &'static str) -> Row {
    Row { method, server, case, comes, log }
}

const AUTH: ErrorCode = ErrorCode::TargetAuth;
const WRONG: Comes = Out(AUTH, "the credential is wrong or the account is closed to it");
const NEITHER: Comes = Out(AUTH, "neither the certificate");

pub(crate) const ROWS: &[Row] = &[
    row(Password, OpenSsh, Right, In, "Accepted password for"),
    row(Password, OpenSsh, Wrong, WRONG, "Failed password for"),
    row(Password, OpenSsh, Expired, WRONG, "Account USER has expired"),
    row(Password, OpenSsh, Revoked, WRONG, "account is locked"),
    row(Password, Dropbear, Right, In, "Password auth succeeded for"),
    row(Password, Dropbear, Wrong, WRONG, "Bad password attempt for"),
    row(Password, Dropbear, Revoked, WRONG, "Bad password attempt for"),
    row(Password, AsyncSsh, Right, In, "password right"),
    row(Password, AsyncSsh, Wrong, WRONG, "password wrong"),
    row(
        Password,
        AsyncSsh,
        Expired,
        Out(ErrorCode::TargetTimeout, "did not finish the login"),
        "password right",
    ),
    row(Question, OpenSsh, Right, In, "Accepted keyboard-interactive/pam for"),
    row(Question, OpenSsh, Wrong, WRONG, "Failed keyboard-interactive/pam for"),
    row(Question, OpenSsh, Expired, WRONG, "Failed keyboard-interactive/pam for"),
    row(Question, OpenSsh, Revoked, WRONG, "Failed keyboard-interactive/pam for"),
    row(Question, AsyncSsh, Right, In, "answers 1 right"),
    row(Question, AsyncSsh, Wrong, WRONG, "answers 1 wrong"),
    row(Key, OpenSsh, Right, In, "Accepted publickey for"),
    row(Key, OpenSsh, Wrong, WRONG, "Failed publickey for"),
    row(Key, OpenSsh, Expired, WRONG, "Failed publickey for"),
    row(Key, OpenSsh, Revoked, WRONG, "revoked by file"),
    row(Key, Dropbear, Right, In, "Pubkey auth succeeded for"),
    row(Key, Dropbear, Wrong, WRONG, "Child connection from"),
    row(Key, AsyncSsh, Right, In, " known"),
    row(Key, AsyncSsh, Wrong, WRONG, " unknown"),
    row(Certificate, OpenSsh, Right, In, "ID portcullis-test (serial 0) CA"),
    row(Certificate, OpenSsh, Wrong, NEITHER, "not a listed principal"),
    row(Certificate, OpenSsh, Expired, Out(AUTH, "it expired at 2021-01-01"), ""),
    row(Certificate, OpenSsh, Revoked, NEITHER, "revoked by file"),
    row(Certificate, Dropbear, Right, In, "Pubkey auth succeeded for"),
    row(Certificate, AsyncSsh, Right, In, "authority"),
    row(Certificate, AsyncSsh, Wrong, NEITHER, "authority"),
    row(Agent, OpenSsh, Right, In, "Accepted publickey for"),
    row(Agent, OpenSsh, Wrong, Out(AUTH, "does not hold the key of this credential"), "Connection from"),
    row(Agent, OpenSsh, Revoked, WRONG, "revoked by file"),
    row(Agent, Dropbear, Right, In, "Pubkey auth succeeded for"),
    row(Agent, AsyncSsh, Right, In, " known"),
];

impl Row {
    /// Who is to blame: who holds the credential, unless the server does not even answer.
    pub(crate) fn fault(&self) -> Fault {
        if self.is_timeout() { Fault::Target } else { Fault::Us }
    }

    /// Whether the server goes silent and is left in time.
    pub(crate) fn is_timeout(&self) -> bool {
        matches!(self.comes, Out(ErrorCode::TargetTimeout, _))
    }

    fn line(&self) -> String {
        let method = match self.method {
            Password => "password",
            Question => "keyboard-interactive",
            Key => "key",
            Certificate => "certificate",
            Agent => "agent",
        };
        let server = match self.server {
            OpenSsh => "OpenSSH",
            Dropbear => "dropbear",
            AsyncSsh => "asyncssh",
        };
        let (comes, code, fault) = match self.comes {
            In => ("logged in".to_owned(), "", "".to_owned()),
            Out(code, words) => {
                (format!("refused: \"{words}\""), code.as_str(), format!("{:?}", self.fault()).to_lowercase())
            }
        };
        let log =
            if self.log.is_empty() { "no connection".to_owned() } else { format!("`{}`", self.log.trim()) };
        let case = format!("{:?}", self.case).to_lowercase();
        let code = if code.is_empty() { String::new() } else { format!("`{code}`") };
        format!("| {method} | {server} | {case} | {comes} | {code} | {fault} | {log} |\n")
    }
}

/// The table as the documentation has it.
pub(crate) fn table() -> String {
    let mut text = "| Login | Server | Case | What comes of it | Code | Fault | In the server's log |\n|---|---|---|---|---|---|---|\n".to_owned();
    text.extend(ROWS.iter().map(Row::line));
    text
}
