//! What can go wrong between the gateway and the web service, and what each reader is told.

use std::fmt::Write as _;

use model::{ErrorCode, Failure, Fault as Blame};

use super::tls::TlsFault;
use super::vendor::{self, Meaning};

/// The event that every failure of this source is recorded as.
const EVENT: &str = "cyberark_error";

/// Why a request brought no account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// The host's name has no address.
    Unresolved(String),
    /// Nobody took the connection.
    Unreachable(String),
    /// The connection was not there in time.
    ConnectSlow,
    /// TLS did not come about.
    Tls(TlsFault),
    /// The connection ended before an answer had begun.
    Closed,
    /// The answer ended before it was whole.
    Broken,
    /// What came is not HTTP.
    NotHttp(String),
    /// Not all of it came in time.
    Slow,
    /// It is larger than any account.
    TooLarge,
    /// It points somewhere else.
    Redirect(u16),
    /// It is not of the form that was promised.
    NotJson {
        /// Its status.
        status: u16,
        /// What it says it is.
        content_type: String,
    },
    /// It is JSON, but no account.
    NotAnAccount(&'static str),
    /// It is another account than was asked for.
    OtherAccount(&'static str),
    /// CyberArk says why.
    Vendor {
        /// Its status.
        status: u16,
        /// Its code.
        code: Option<String>,
        /// Its message, cleaned and cut.
        message: String,
    },
    /// What came may be the old password, however often one asks.
    Changing,
}

impl Fault {
    /// Whether asking once more, on a new connection, can help: nothing was answered yet, and asking changes nothing.
    pub(super) fn is_of_connecting(&self) -> bool {
        matches!(self, Self::Unresolved(_) | Self::Unreachable(_))
    }

    /// Whether CyberArk is changing the password right now.
    pub(super) fn is_password_change(&self) -> bool {
        if let Self::Vendor { status, code, .. } = self {
            return *status >= 500 && vendor::meaning(*status, code.as_deref(), &[]) == vendor::CHANGING;
        }
        *self == Self::Changing
    }

    /// The failure of a retrieval from the source of this name.
    pub(super) fn failure(&self, source: &str, at: &str) -> Failure {
        let Meaning { code, fault, retry, message, hint } = self.meaning();
        let mut internal = format!("credential source `{source}` at {at}");
        let details = self.details();
        if !details.is_empty() {
            let _ = write!(internal, ": {details}");
        }
        let failure = Failure::new(code, format!("credential source `{source}`: {message}"))
            .with_fault(fault)
            .with_retry(retry)
            .with_hint(hint)
            .with_internal(internal)
            .with_event(EVENT);
        if let Self::Vendor { code: Some(code), .. } = self {
            return failure.with_vendor(code.clone());
        }
        failure
    }

    fn meaning(&self) -> Meaning {
        match self {
            Self::Vendor { status, code, message } => {
                vendor::meaning(*status, code.as_deref(), &vendor::codes_in(message))
            }
            Self::Changing => vendor::CHANGING,
            Self::Tls(fault) => fault.meaning(),
            Self::Unresolved(_) => network(
                "the host of its web service has no address",
                "the operator checks the host in `url` and this machine's name resolution",
            ),
            Self::Unreachable(_) => network(
                "its web service cannot be reached",
                "the operator checks host and port in `url`, and firewalls between here and there",
            ),
            Self::ConnectSlow => {
                network("its web service did not take the connection in time", "ask again later")
            }
            Self::Closed => network(
                "its web service closed the connection without an answer",
                "ask again; if it stays and certificates are required there: on IIS it must ask for them when the connection \
                 opens (`netsh http ... clientcertnegotiation=enable`)",
            ),
            Self::Broken => network("the answer of its web service broke off", "ask again"),
            Self::Slow => down("its web service did not answer in time", "ask again later", true),
            Self::NotHttp(_) => {
                down("what answers there is no web service", "the operator checks `url`", false)
            }
            Self::TooLarge => down(
                "the answer is larger than any account",
                "the operator checks that `url` is that of CyberArk's web service",
                false,
            ),
            Self::Redirect(_) => ours(
                "its web service points somewhere else",
                "redirects are not followed: the operator writes the final address as `url`",
            ),
            Self::NotJson { status, .. } => not_json(*status),
            Self::NotAnAccount(_) => down(
                "the answer is no account",
                "the operator checks that `url` is that of CyberArk's web service",
                false,
            ),
            Self::OtherAccount(_) => Meaning {
                code: ErrorCode::CredentialNotFound,
                fault: Blame::Caller,
                retry: false,
                message: "CyberArk answers with an account of another name",
                hint: "write safe and object exactly as CyberArk has them, upper and lower case included",
            },
        }
    }

    fn details(&self) -> String {
        match self {
            Self::Unresolved(why) | Self::Unreachable(why) | Self::NotHttp(why) => why.clone(),
            Self::Tls(fault) => fault.to_string(),
            Self::Redirect(status) => format!("status {status}"),
            Self::NotJson { status, content_type } => {
                format!("status {status}, content type `{content_type}`")
            }
            Self::NotAnAccount(why) => (*why).to_owned(),
            Self::OtherAccount(property) => format!("its `{property}` is written otherwise than asked for"),
            Self::Vendor { status, code, message } => {
                format!("status {status}, {}: {message}", code.as_deref().unwrap_or("no code"))
            }
            Self::ConnectSlow
            | Self::Closed
            | Self::Broken
            | Self::Slow
            | Self::TooLarge
            | Self::Changing => String::new(),
        }
    }
}

/// Pages that the web server itself writes, before CyberArk sees the request.
fn not_json(status: u16) -> Meaning {
    match status {
        401 | 403 => Meaning {
            code: ErrorCode::CredentialRefused,
            ..ours(
                "its web server turned the gateway away",
                "the operator sets `client_pfx` or `client_cert` if certificates are required there (on IIS: asked for when \
                 the connection opens, `netsh http ... clientcertnegotiation=enable`), and checks its address restrictions",
            )
        },
        404 => ours(
            "its web server has nothing at that path",
            "the operator checks the path in `url`, such as `/AIMWebService/api/Accounts`",
        ),
        500..=599 => down("its web server failed", "ask again later", true),
        _ => down("what answers there is not CyberArk's web service", "the operator checks `url`", false),
    }
}

fn network(message: &'static str, hint: &'static str) -> Meaning {
    Meaning { fault: Blame::Network, ..down(message, hint, true) }
}

pub(super) const fn ours(message: &'static str, hint: &'static str) -> Meaning {
    Meaning { code: ErrorCode::CredentialSourceDown, fault: Blame::Us, retry: false, message, hint }
}

pub(super) const fn down(message: &'static str, hint: &'static str, retry: bool) -> Meaning {
    Meaning { code: ErrorCode::CredentialSourceDown, fault: Blame::Target, retry, message, hint }
}
