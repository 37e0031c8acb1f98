use std::sync::Arc;
use std::time::Duration;

use model::{CallId, ErrorCode};
use serde_json::{Value, json};
use store::SqliteStore;
use testkit::{FakeClock, SeededEntropy};

use super::{LIFE, Purpose, StateSeal};

fn seal(seed: u64, clock: &Arc<FakeClock>) -> StateSeal {
    let store = Arc::new(SqliteStore::in_memory().unwrap());
    StateSeal::new(Arc::new(SeededEntropy::new(seed)), Arc::clone(clock) as _, store).unwrap()
}

fn purpose(principal: &str, actor: &str, name: &str, arguments: Value) -> Purpose {
    Purpose::new(principal, actor, name, &arguments)
}

fn mine() -> Purpose {
    purpose("a", "a", "tool", json!({ "host": "web1" }))
}

#[tokio::test]
async fn a_state_opens_for_its_purpose_and_is_good_for_one_use() {
    let clock = Arc::new(FakeClock::new());
    let seal = seal(1, &clock);
    let call = CallId::new([7; 16]);
    let text = seal.seal(&mine(), call, json!({ "step": 1 })).unwrap();
    assert!(!text.contains("step"));
    let (first, second) = (seal.open(&mine(), &text).unwrap(), seal.open(&mine(), &text).unwrap());
    assert_eq!((first.carried.clone(), first.call), (json!({ "step": 1 }), Some(call)));
    let (one, two) = tokio::join!(seal.claim(&first), seal.claim(&second));
    let used = [one, two].into_iter().filter_map(Result::err).collect::<Vec<_>>();
    assert_eq!(used.len(), 1, "of two that race exactly one gets it");
    assert!(used[0].message().contains("used before"));
    assert_eq!(used[0].code(), ErrorCode::InputState);
}

/// What was used is known to the store and not to a process: even with one key for all, as a cluster has it, no restart
/// gives a state a second use.
#[tokio::test]
async fn a_state_that_was_used_stays_used_for_who_opens_the_store_next() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(FakeClock::new());
    let started = || {
        let store = Arc::new(SqliteStore::open(&folder.path().join("state")).unwrap());
        StateSeal::new(Arc::new(SeededEntropy::new(1)), Arc::clone(&clock) as _, store).unwrap()
    };
    let first = started();
    let [used, unused] = [1, 2].map(|n| first.seal(&mine(), CallId::new([n; 16]), json!(n)).unwrap());
    first.claim(&first.open(&mine(), &used).unwrap()).await.unwrap();
    drop(first);
    let next = started();
    let failure = next.claim(&next.open(&mine(), &used).unwrap()).await.unwrap_err();
    assert!(failure.message().contains("used before"), "{failure:?}");
    next.claim(&next.open(&mine(), &unused).unwrap()).await.unwrap();
}

#[test]
fn a_state_of_another_principal_actor_tool_or_arguments_does_not_open() {
    let clock = Arc::new(FakeClock::new());
    let seal = seal(1, &clock);
    let text = seal.seal(&mine(), CallId::new([7; 16]), json!(1)).unwrap();
    let web1 = || json!({ "host": "web1" });
    for other in [
        purpose("b", "a", "tool", web1()),
        purpose("a", "b", "tool", web1()),
        purpose("a", "a", "other", web1()),
        purpose("a", "a", "tool", json!({ "host": "web2" })),
        purpose("a", "at", "ool", web1()),
        purpose("a", "a", "tool", json!({})),
    ] {
        let failure = seal.open(&other, &text).err().expect("refused");
        assert_eq!(failure.code(), ErrorCode::InputState);
    }
}

#[test]
fn a_state_that_was_changed_or_made_up_does_not_open() {
    let clock = Arc::new(FakeClock::new());
    let (one, other) = (seal(1, &clock), seal(2, &clock));
    let text = one.seal(&mine(), CallId::new([7; 16]), json!(1)).unwrap();
    for at in 0..text.len() {
        let mut changed = text.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        assert!(one.open(&mine(), &changed).is_err(), "character {at}");
    }
    let long = "A".repeat(100_000);
    let cut = text.get(..40).unwrap();
    for wrong in ["", "A", "not base64!", cut, &format!("{text}-TAMPERED"), &long] {
        assert!(one.open(&mine(), wrong).is_err(), "{wrong:.40}");
    }
    assert!(other.open(&mine(), &text).is_err(), "another process has another key");
    assert!(one.open(&mine(), &text).is_ok());
}

#[test]
fn a_state_expires() {
    let clock = Arc::new(FakeClock::new());
    let seal = seal(1, &clock);
    let text = seal.seal(&mine(), CallId::new([7; 16]), json!(1)).unwrap();
    clock.advance(LIFE - Duration::from_millis(1));
    assert!(seal.open(&mine(), &text).is_ok());
    clock.advance(Duration::from_millis(1));
    let failure = seal.open(&mine(), &text).err().expect("refused");
    assert!(failure.message().contains("its time is over"));
}

#[test]
fn more_than_a_client_can_keep_is_not_given_out() {
    let clock = Arc::new(FakeClock::new());
    let large = json!("x".repeat(64 * 1024));
    let failure = seal(1, &clock).seal(&mine(), CallId::new([7; 16]), large).unwrap_err();
    assert_eq!(failure.code(), ErrorCode::Internal);
}
