//! The journal from outside and with failing disks. Names say the row of the threat table, where there is one.

mod audit_gaps_crash;
mod audit_gaps_disk;
mod audit_gaps_tampering;
mod clock;
mod faults;
mod format;
mod keys;
mod lifecycle;
mod looks;
mod meter;
mod reading;
mod sums;
mod turns;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use guard::{Guard, Guarded};
use model::{
    Action, CommandLine, CredentialUse, Limits, Pipeline, Principal, PrincipalId, SimpleCommand,
    SnapshotHash, SubAction, Target, Tier, ToolName, ToolSet,
};
use policy::{Fences, Permit};
use serde_json::{Map, json};

use crate::test_util::{TestClock, TestEntropy, test_config, test_public_key};
use crate::{CompletionFacts, Entry, Event, Filter, Journal, Origin, VerifyReport, query, verify};

pub(crate) fn principal() -> Principal {
    Principal { id: PrincipalId::parse("claude-ops").unwrap(), groups: BTreeSet::new() }
}

pub(crate) fn tool() -> ToolName {
    ToolName::parse("ssh_execute").unwrap()
}

pub(crate) fn origin() -> Origin {
    Origin { client_ip: Some("10.0.0.7".parse().unwrap()), transport: "http", ..Origin::default() }
}

pub(crate) const COMMAND: &str = "systemctl status nginx";

/// A permit for one command, under the policy whose hash is all zeros.
pub(crate) fn permit(tier: Tier) -> Permit {
    let words: Vec<String> = COMMAND.split(' ').map(ToOwned::to_owned).collect();
    let command = SimpleCommand::new(words);
    let action = Action {
        tool: tool(),
        set: ToolSet::parse("exec").unwrap(),
        tier,
        target: Target::gateway(),
        parts: vec![SubAction::Command(command.clone())],
        command: Some(CommandLine { first: Pipeline { commands: vec![command] }, rest: Vec::new() }),
        credential: CredentialUse::None,
        limits: Limits::default(),
        arguments: json!({ "host": "web1", "command": COMMAND }),
        forward: None,
    };
    Permit::for_test(principal(), action, Limits::default(), Fences::default())
}

pub(crate) fn policy() -> SnapshotHash {
    SnapshotHash::new([0; 32])
}

pub(crate) fn executed() -> CompletionFacts {
    CompletionFacts {
        event: "ssh_executed",
        decision: "allowed",
        exit_code: Some(0),
        command: Some(COMMAND.to_owned()),
        ..CompletionFacts::default()
    }
}

pub(crate) fn answer() -> Guarded<&'static str> {
    Guard::new().admit_own("the answer")
}

pub(crate) fn event(name: &'static str) -> Event {
    Event { event: name, principal: None, origin: Origin::default(), tool: None, fields: Map::new() }
}

/// One call, all of it.
pub(crate) async fn call(journal: &Journal) {
    let mut pending = journal.pending(&principal(), origin(), &tool());
    journal.begin(&mut pending, permit(Tier::Dangerous), policy).await.unwrap();
    journal.complete(pending, &executed(), answer()).await.unwrap();
}

/// A folder with a journal of so many calls, closed in order.
pub(crate) async fn journal_of(calls: usize) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::for_test(dir.path()).unwrap();
    for _ in 0..calls {
        call(&journal).await;
    }
    journal.shutdown().await.unwrap();
    dir
}

/// Opens a journal that was closed before. A process that another test starts holds every lock of ours for the moment
/// between its fork and its exec.
pub(crate) fn reopen(dir: &Path) -> Journal {
    for _ in 0..500 {
        match Journal::for_test(dir) {
            Err(error) if error.to_string().contains("another process") => {
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            opened => return opened.unwrap(),
        }
    }
    panic!("somebody else holds the journal's lock");
}

/// With small files, so that they rotate.
pub(crate) fn open_rotating(dir: &Path, max_file_bytes: u64) -> Journal {
    let config = crate::JournalConfig { max_file_bytes, ..test_config(dir) };
    Journal::open(config, Arc::new(TestClock::default()), Arc::new(TestEntropy::default())).unwrap()
}

pub(crate) fn folder(dir: &Path) -> PathBuf {
    dir.join("journal")
}

pub(crate) fn file(dir: &Path, number: u64) -> PathBuf {
    folder(dir).join(crate::file::name(number))
}

/// Verified without an anchor.
pub(crate) fn check(dir: &Path) -> VerifyReport {
    verify(&folder(dir), None, None).unwrap()
}

/// Verified with key and heads.
pub(crate) fn check_anchored(dir: &Path) -> VerifyReport {
    verify(&folder(dir), Some(&test_public_key()), Some(&dir.join("heads.jsonl"))).unwrap()
}

pub(crate) fn entries(dir: &Path) -> Vec<Entry> {
    query(&folder(dir), Filter::default()).unwrap().map(Result::unwrap).collect()
}

pub(crate) fn events(dir: &Path) -> Vec<String> {
    entries(dir).into_iter().map(|entry| entry.event).collect()
}
