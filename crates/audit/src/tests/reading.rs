//! Query and tail.

use model::{Tier, Timestamp};
use serde_json::{Map, json};

use super::{
    answer, call, executed, folder, journal_of, open_rotating, origin, permit, policy, principal, reopen,
    tool,
};
use crate::{CompletionFacts, Entry, Event, Filter, Origin, query, tail};

fn found(dir: &std::path::Path, filter: Filter) -> Vec<Entry> {
    query(&folder(dir), filter).unwrap().map(Result::unwrap).collect()
}

#[tokio::test]
async fn entries_are_found_by_what_they_say() {
    let dir = journal_of(2).await;
    let journal = reopen(dir.path());
    let fields = Map::from_iter([("target".to_owned(), json!("web1")), ("files".to_owned(), json!(3))]);
    let reloaded =
        Event { event: "config_reloaded", principal: None, origin: Origin::default(), tool: None, fields };
    journal.event(reloaded).await.unwrap();
    let pending = journal.pending(&principal(), origin(), &tool());
    let denied = CompletionFacts { event: "tool_call", decision: "denied", ..CompletionFacts::default() };
    journal.complete(pending, &denied, answer()).await.unwrap();
    journal.shutdown().await.unwrap();
    let some = |text: &str| Some(text.to_owned());
    let count = |filter: Filter| found(dir.path(), filter).len();
    assert_eq!(count(Filter { principal: some("claude-ops"), ..Filter::default() }), 5);
    assert_eq!(count(Filter { principal: some("nobody"), ..Filter::default() }), 0);
    assert_eq!(count(Filter { tool: some("ssh_execute"), ..Filter::default() }), 5);
    assert_eq!(count(Filter { event: some("ssh_executed"), ..Filter::default() }), 2);
    assert_eq!(count(Filter { decision: some("denied"), ..Filter::default() }), 1);
    let target = found(dir.path(), Filter { target: some("web1"), ..Filter::default() });
    assert_eq!((target.len(), &target[0].members["fields"]["files"]), (1, &json!(3)));
    let of_call =
        Filter { call: Some(found(dir.path(), Filter::default())[1].id.clone()), ..Filter::default() };
    assert_eq!(count(of_call), 2);
    let all = found(dir.path(), Filter::default());
    let since = Timestamp::parse(&all[4].ts);
    assert_eq!(
        count(Filter { since, ..Filter::default() }),
        all.iter().filter(|e| e.ts >= all[4].ts).count()
    );
}

#[tokio::test]
async fn the_tail_reaches_over_files() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open_rotating(dir.path(), 1500);
    for _ in 0..6 {
        call(&journal).await;
    }
    let mut pending = journal.pending(&principal(), origin(), &tool());
    journal.begin(&mut pending, permit(Tier::Read), policy).await.unwrap();
    journal.complete(pending, &executed(), answer()).await.unwrap();
    journal.shutdown().await.unwrap();
    let all: Vec<u64> = found(dir.path(), Filter::default()).iter().map(|entry| entry.seq).collect();
    assert_eq!(all, (1..=all.len() as u64).collect::<Vec<_>>());
    for count in [0, 1, 2, 5, 9, 1000] {
        let last: Vec<u64> =
            tail(&folder(dir.path()), count).unwrap().iter().map(|entry| entry.seq).collect();
        assert_eq!(last, all[all.len().saturating_sub(count)..]);
    }
}

#[tokio::test]
async fn a_line_that_is_no_entry_is_named() {
    let dir = journal_of(1).await;
    let path = super::file(dir.path(), 1);
    let text = std::fs::read_to_string(&path).unwrap().replacen('{', "[", 1);
    std::fs::write(&path, text).unwrap();
    let error = query(&folder(dir.path()), Filter::default()).unwrap().find_map(Result::err).unwrap();
    assert!(error.to_string().contains("000001.jsonl` line 1"), "{error}");
}
