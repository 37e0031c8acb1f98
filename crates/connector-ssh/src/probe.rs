//! Finding out whether an account's shell reads our quoting as it is meant.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::{BootInstant, CommandLine, ErrorCode, Exit, Failure, Host, Pipeline, SimpleCommand, TargetName};

use crate::remote::Collected;

/// The name of the sub-event.
pub(crate) const EVENT: &str = "shell_probe";

/// What is kept of a probe's output, whatever the call's own bound; an rc file may talk before it.
pub(crate) const OUTPUT: u64 = 64 * 1024;

/// Most accounts that are remembered; beyond it all are forgotten and probed again.
const MOST_REMEMBERED: usize = 4096;

/// How long a shell that is no POSIX shell is not asked again.
const REFUSED_FOR: Duration = Duration::from_secs(30);

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

/// What is known of the shells of accounts.
#[derive(Default)]
pub(crate) struct Probed {
    found: Mutex<HashMap<Account, Found>>,
    turns: Mutex<HashMap<Account, Arc<tokio::sync::Mutex<()>>>>,
}

/// What a probe found.
enum Found {
    /// It is what was said.
    Posix,
    /// It is not; for a while nobody asks again.
    Other { failure: Failure, at: BootInstant },
}

impl Probed {
    /// What is known of an account's shell; `None` if it must be probed.
    pub(crate) fn known(&self, account: &Account, now: BootInstant) -> Option<Result<(), Failure>> {
        match lock(&self.found).get(account)? {
            Found::Posix => Some(Ok(())),
            Found::Other { failure, at } => (now.since(*at) < REFUSED_FOR).then(|| Err(failure.clone())),
        }
    }

    /// Remembers what a probe said of the shell. One that came to nothing says nothing.
    pub(crate) fn remember(&self, account: Account, judged: &Result<(), Failure>, now: BootInstant) {
        let found = match judged {
            Ok(()) => Found::Posix,
            Err(failure) if failure.code() == ErrorCode::TargetShell => {
                Found::Other { failure: failure.clone(), at: now }
            }
            Err(_) => return,
        };
        let mut known = lock(&self.found);
        if known.len() >= MOST_REMEMBERED {
            known.clear();
        }
        known.insert(account, found);
    }

    /// Held by the one call that probes an account, so that many at once do not all probe.
    pub(crate) fn turn(&self, account: &Account) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = lock(&self.turns);
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        Arc::clone(turns.entry(account.clone()).or_default())
    }

    /// Forgets what is known of accounts on these targets.
    pub(crate) fn forget(&self, of: impl Fn(&TargetName) -> bool) {
        lock(&self.found).retain(|account, _| !of(&account.target));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
