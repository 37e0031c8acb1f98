//! How a command ends: its exit code, and what is said when it did not do what it should.

use std::fmt;
use std::io;
use std::process::ExitCode;

/// Exit codes; the table is public and stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Done = 0,
    /// The configuration is wrong.
    Configuration = 1,
    /// Failed while running.
    Failed = 2,
    /// Denied by policy.
    Denied = 3,
    /// An approval is needed, refused or expired.
    Approval = 4,
    /// An integrity check failed.
    Integrity = 5,
    /// The command line is wrong.
    Usage = 64,
}

impl Exit {
    /// The exit of a control socket's reply.
    pub(crate) fn of_reply(code: u8) -> Self {
        match code {
            0 => Self::Done,
            1 => Self::Configuration,
            3 => Self::Denied,
            4 => Self::Approval,
            _ => Self::Failed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command stopped: one message for people, what to do about it, and the exit code for scripts.
#[derive(Debug)]
pub(crate) struct Stop {
    pub(crate) exit: Exit,
    /// A lowercase fragment; empty if everything has been said already.
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl Stop {
    /// The configuration, or another file of the operator's, is wrong.
    pub(crate) fn configuration(message: impl fmt::Display) -> Self {
        Self { exit: Exit::Configuration, message: message.to_string(), hint: None }
    }

    /// Something failed.
    pub(crate) fn failed(message: impl fmt::Display) -> Self {
        Self { exit: Exit::Failed, message: message.to_string(), hint: None }
    }

    /// What was written is not what is there any more.
    pub(crate) fn damaged(message: impl fmt::Display) -> Self {
        Self { exit: Exit::Integrity, message: message.to_string(), hint: None }
    }

    /// The command line asks for something that makes no sense.
    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self { exit: Exit::Usage, message: message.to_string(), hint: None }
    }

    /// Ends with this code; what there is to say has been said.
    pub(crate) fn said(exit: Exit) -> Self {
        Self { exit, message: String::new(), hint: None }
    }

    /// Says what to do about it.
    #[must_use]
    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// For errors of our own output: who closed it (`| head`) has seen enough.
impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe { Self::said(Exit::Done) } else { Self::failed(error) }
    }
}
