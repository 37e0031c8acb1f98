//! Finding out whether an account's shell reads our quoting as it is meant.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use model::{CommandLine, ErrorCode, Exit, Failure, Host, Pipeline, SimpleCommand, TargetName};

use crate::remote::Collected;

/// The name of the sub-event.
pub(crate) const EVENT: &str = "shell_probe";

/// What is kept of a probe's output, whatever the call's own bound; an rc file may talk before it.
pub(crate) const OUTPUT: u64 = 64 * 1024;

/// Most accounts that are remembered; beyond it all are forgotten and probed again.
const MOST_REMEMBERED: usize = 4096;

/// Words that other shells read otherwise: fish reads backslashes in single quotes, csh `!`, PowerShell and
/// cmd the quotes themselves.
const WORDS: &[&str] = &[
    "portcullis",
    "two  blanks",
    "it's \"so\"",
    "$HOME ${HOME}",
    "`id`",
    "\\ \\\\ \\'",
    "*",
    "~",
    "!1 !!",
    "# %d",
    "{a,b}",
    "; | & < > ( )",
    "^",
    "=ls",
    "",
];

/// What an account's shell is known by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Account {
    pub(crate) target: TargetName,
    pub(crate) user: String,
    pub(crate) host_key: String,
}

/// The accounts whose shell has been found to be what was said.
#[derive(Default)]
pub(crate) struct Probed(Mutex<HashSet<Account>>);

impl Probed {
    pub(crate) fn knows(&self, account: &Account) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(account)
    }

    pub(crate) fn remember(&self, account: Account) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_REMEMBERED {
            known.clear();
        }
        known.insert(account);
    }

    /// Forgets what is known of accounts on these targets.
    pub(crate) fn forget(&self, of: impl Fn(&TargetName) -> bool) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|account| !of(&account.target));
    }
}

/// The one command of every probe; it changes nothing on the host.
pub(crate) fn command() -> CommandLine {
    let words = ["printf", "%s\\n"].iter().chain(WORDS).map(|word| (*word).to_owned()).collect();
    CommandLine { first: Pipeline { commands: vec![SimpleCommand::new(words)] }, rest: Vec::new() }
}

/// Whether the shell did as a POSIX shell does. What an rc file prints before is not held against it.
pub(crate) fn judge(collected: &Collected, host: &Host, user: &str) -> Result<(), Failure> {
    let expected: String = WORDS.iter().flat_map(|word| [*word, "\n"]).collect();
    if collected.exit == Some(Exit::Status(0)) && collected.out.bytes.ends_with(expected.as_bytes()) {
        return Ok(());
    }
    let (name, hint) = (
        &host.name,
        "only accounts with a POSIX shell take commands; set `shell` in the inventory to what it is",
    );
    let why = if collected.rejected { "the host runs no commands" } else { "it reads our quoting otherwise" };
    Err(Failure::new(
        ErrorCode::TargetShell,
        format!("the shell of `{user}` on `{name}` is not a POSIX shell: {why}"),
    )
    .with_hint(hint))
}

/// How a probe went, for the record.
pub(crate) fn word(judged: &Result<(), Failure>) -> &'static str {
    match judged {
        Ok(()) => "posix",
        Err(failure) if failure.code() == ErrorCode::TargetShell => "not posix",
        Err(_) => "failed",
    }
}
