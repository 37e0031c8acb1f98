//! What a host's answer to a login means.

use model::{ErrorCode, Failure, Fault};
use russh::MethodSet;
use russh::client::{AuthResult, Handle};

use super::Who;
use crate::gatekeeper::{Gatekeeper, Seen};
use crate::refusal::words;

/// What was asked for last, and what came of it.
pub(super) struct Attempt {
    pub(super) asked: Asked,
    /// The host's answer, or why none could be had.
    pub(super) answer: Result<AuthResult, String>,
}

/// What a login was asked for with.
pub(super) enum Asked {
    /// With a password, by one of the two methods for it.
    Password {
        /// `password` or `keyboard-interactive`.
        method: &'static str,
        /// A method that was not tried because another had sent the password already, or none could.
        offered: bool,
    },
    /// With a key, and before it with this certificate, if there was one.
    Key {
        /// What the certificate says of itself, if it was refused.
        certificate: Option<String>,
    },
}

impl Asked {
    fn method(&self) -> &'static str {
        match self {
            Self::Password { method, .. } => method,
            Self::Key { .. } => "publickey",
        }
    }
}

pub(super) fn judge(
    attempt: Attempt,
    handle: &Handle<Gatekeeper>,
    seen: &Seen,
    who: Who<'_>,
) -> Result<(), Failure> {
    let Attempt { asked, answer } = attempt;
    let method = asked.method();
    match answer {
        Ok(AuthResult::Success) => Ok(()),
        Ok(AuthResult::Failure { remaining_methods, partial_success: true }) => {
            let text = format!("accepted the {method} and asks for more ({})", list(&remaining_methods));
            Err(not_for_us(who, &text).with_hint("logins in several steps are not supported"))
        }
        // russh tells a lost connection as a refusal without any method.
        Ok(AuthResult::Failure { remaining_methods, .. })
            if remaining_methods.is_empty() && handle.is_closed() =>
        {
            let end = seen.end().unwrap_or_default();
            let text = format!("ended the connection during the {method} login{}", with_what(&asked));
            Err(refused(who, &text)
                .with_hint("the credential is wrong, or the host allows too few tries for it")
                .with_internal(words(&end)))
        }
        Ok(AuthResult::Failure { remaining_methods, .. }) => Err(not_let_in(&asked, &remaining_methods, who)),
        Err(error) => {
            Err(refused(who, &format!("could not be asked for a {method} login"))
                .with_internal(words(&error)))
        }
    }
}

fn not_let_in(asked: &Asked, accepts: &MethodSet, who: Who<'_>) -> Failure {
    let method = asked.method();
    let offers = list(accepts);
    let failure = refused(who, &format!("refused the {method} login{}", with_what(asked)));
    let known_there = accepts.iter().any(|kind| <&str>::from(kind) == method);
    let hint = match asked {
        Asked::Password { offered: false, .. } => {
            format!("the host does not accept this kind of login; it accepts: {offers}")
        }
        Asked::Key { .. } if !known_there => {
            format!("the host does not accept this kind of login; it accepts: {offers}")
        }
        Asked::Key { certificate: Some(_) } => format!(
            "it takes neither the certificate (is its authority trusted there, and the account among its principals?) \
             nor the bare key; the host accepts: {offers}"
        ),
        Asked::Password { .. } | Asked::Key { .. } => {
            format!("the credential is wrong or the account is closed to it; the host accepts: {offers}")
        }
    };
    failure.with_hint(hint)
}

fn with_what(asked: &Asked) -> String {
    match asked {
        Asked::Key { certificate: Some(what) } => format!(" (with {what})"),
        Asked::Key { certificate: None } | Asked::Password { .. } => String::new(),
    }
}

/// The host said no, in these words. The credential is ours, so it is our fault.
pub(super) fn refused(who: Who<'_>, text: &str) -> Failure {
    Failure::new(ErrorCode::TargetAuth, format!("`{}` {text} for `{}`", who.host.name, who.user))
}

/// The host wants what the gateway does not do; no other credential would help.
pub(super) fn not_for_us(who: Who<'_>, text: &str) -> Failure {
    refused(who, text).with_fault(Fault::Target)
}

/// We cannot even ask, for a reason of our own.
pub(super) fn unusable(who: Who<'_>, what: &str) -> Failure {
    let text = format!("{what}, so `{}` cannot log in to `{}`", who.user, who.host.name);
    Failure::new(ErrorCode::TargetAuth, text).with_fault(Fault::Us)
}

pub(super) fn list(methods: &MethodSet) -> String {
    let names: Vec<&str> = methods.iter().map(<&str>::from).collect();
    if names.is_empty() { "nothing that is known here".to_owned() } else { names.join(", ") }
}
