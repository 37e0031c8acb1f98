use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use model::{
    BootInstant, CallId, CredentialRef, HandleId, HandleToken, PrincipalId, TargetName, Timestamp, ToolName,
    UpstreamName,
};

use crate::{Claim, ClaimRequest, HandleRecord, PinRecord, SqliteStore, StateStore};

const BOOT: &str = "boot-1";
const DAY: i64 = 86_400_000;

fn record(seed: u8) -> HandleRecord {
    HandleRecord {
        id: HandleToken::new(&[seed; 32]).id(),
        principal: PrincipalId::parse("claude").unwrap(),
        credential: CredentialRef::parse("keystore:PROD/root").unwrap(),
        reason: Some("ticket 4711: \"disk\" full".to_owned()),
        targets: vec![TargetName::parse("web1").unwrap(), TargetName::parse("web2").unwrap()],
        tools: vec![ToolName::parse("ssh_execute").unwrap()],
        single_use: true,
        boot_deadline: BootInstant::new(Duration::from_secs(400)),
        boot_id: BOOT.to_owned(),
        deadline: Timestamp::from_millis(400_000),
    }
}

/// A claim with every answer right; tests spoil one.
struct Asked {
    principal: &'static str,
    target: &'static str,
    tool: &'static str,
    call: u8,
    now: i64,
    boot: u64,
    boot_id: &'static str,
}

fn asked() -> Asked {
    Asked {
        principal: "claude",
        target: "web1",
        tool: "ssh_execute",
        call: 1,
        now: 100_000,
        boot: 100,
        boot_id: BOOT,
    }
}

impl Asked {
    fn of(&self, store: &SqliteStore, id: &HandleId) -> Claim {
        store
            .claim_handle(&ClaimRequest {
                id,
                principal: &PrincipalId::parse(self.principal).unwrap(),
                target: &TargetName::parse(self.target).unwrap(),
                tool: &ToolName::parse(self.tool).unwrap(),
                call: CallId::new([self.call; 16]),
                now: Timestamp::from_millis(self.now),
                boot: BootInstant::new(Duration::from_secs(self.boot)),
                boot_id: self.boot_id,
            })
            .unwrap()
    }
}

fn with_handle() -> (SqliteStore, HandleRecord) {
    let store = SqliteStore::in_memory().unwrap();
    let record = record(1);
    store.put_handle(&record).unwrap();
    (store, record)
}

#[test]
fn a_handle_is_claimed_once_and_comes_back_as_it_was_put() {
    let (store, record) = with_handle();
    assert_eq!(asked().of(&store, &record.id), Claim::Claimed(Box::new(record.clone())));
    assert_eq!(asked().of(&store, &record.id), Claim::AlreadyConsumed);
}

#[test]
fn a_handle_for_many_uses_is_claimed_until_it_expires() {
    let store = SqliteStore::in_memory().unwrap();
    let record = HandleRecord { single_use: false, ..record(1) };
    store.put_handle(&record).unwrap();
    for _ in 0..3 {
        assert!(matches!(asked().of(&store, &record.id), Claim::Claimed(_)));
    }
    assert_eq!(Asked { boot: 400, ..asked() }.of(&store, &record.id), Claim::Expired);
}

#[test]
fn another_principals_handle_is_as_unknown_as_an_invented_one_whatever_its_state() {
    let (store, record) = with_handle();
    let stranger = || Asked { principal: "mallory", ..asked() };
    assert_eq!(stranger().of(&store, &record.id), Claim::Unknown);
    assert_eq!(Asked { boot_id: "boot-2", ..stranger() }.of(&store, &record.id), Claim::Unknown);
    assert_eq!(asked().of(&store, &HandleToken::new(&[9; 32]).id()), Claim::Unknown);
    assert!(matches!(asked().of(&store, &record.id), Claim::Claimed(_)), "the stranger consumed nothing");
    assert_eq!(stranger().of(&store, &record.id), Claim::Unknown);
}

#[test]
fn a_handle_expires_by_the_boot_clock_by_the_wall_clock_and_by_another_boot() {
    for expired in [
        Asked { boot: 400, ..asked() },
        Asked { now: 400_000, ..asked() },
        Asked { boot_id: "boot-2", ..asked() },
        // Setting the wall clock back does not help, nor does a young boot clock of another boot.
        Asked { boot: 400, now: 0, ..asked() },
        Asked { boot: 1, boot_id: "boot-2", ..asked() },
    ] {
        let (store, record) = with_handle();
        assert_eq!(expired.of(&store, &record.id), Claim::Expired);
    }
    let (store, record) = with_handle();
    assert!(matches!(Asked { boot: 399, now: 399_999, ..asked() }.of(&store, &record.id), Claim::Claimed(_)));
}

#[test]
fn a_wrong_target_or_tool_does_not_consume() {
    let (store, record) = with_handle();
    assert_eq!(Asked { target: "db1", ..asked() }.of(&store, &record.id), Claim::NotForThisTarget);
    assert_eq!(Asked { tool: "ps_execute", ..asked() }.of(&store, &record.id), Claim::NotForThisTarget);
    assert!(matches!(asked().of(&store, &record.id), Claim::Claimed(_)));
}

#[test]
fn consumed_is_said_before_expired_and_expired_before_wrong_target() {
    let (store, record) = with_handle();
    let late_elsewhere = || Asked { boot: 999, target: "db1", ..asked() };
    assert_eq!(late_elsewhere().of(&store, &record.id), Claim::Expired);
    assert!(matches!(asked().of(&store, &record.id), Claim::Claimed(_)));
    assert_eq!(late_elsewhere().of(&store, &record.id), Claim::AlreadyConsumed);
}

#[test]
fn only_the_call_that_claimed_gives_back() {
    let (store, record) = with_handle();
    assert!(matches!(asked().of(&store, &record.id), Claim::Claimed(_)));
    store.unclaim_handle(&record.id, CallId::new([2; 16])).unwrap();
    assert_eq!(asked().of(&store, &record.id), Claim::AlreadyConsumed);
    store.unclaim_handle(&record.id, CallId::new([1; 16])).unwrap();
    assert!(matches!(Asked { call: 2, ..asked() }.of(&store, &record.id), Claim::Claimed(_)));
}

#[test]
fn a_released_handle_is_gone_also_when_a_claim_is_given_back_later() {
    let (store, record) = with_handle();
    let stranger = PrincipalId::parse("mallory").unwrap();
    assert!(!store.release_handle(&record.id, &stranger).unwrap());
    assert!(matches!(asked().of(&store, &record.id), Claim::Claimed(_)));
    assert!(store.release_handle(&record.id, &record.principal).unwrap());
    assert!(!store.release_handle(&record.id, &record.principal).unwrap());
    store.unclaim_handle(&record.id, CallId::new([1; 16])).unwrap();
    assert_eq!(asked().of(&store, &record.id), Claim::AlreadyConsumed);

    let (store, record) = with_handle();
    assert!(store.release_handle(&record.id, &record.principal).unwrap());
    assert_eq!(asked().of(&store, &record.id), Claim::Unknown);
}

#[test]
fn ended_handles_are_remembered_for_a_day() {
    let (store, record) = with_handle();
    assert!(matches!(asked().of(&store, &record.id), Claim::Claimed(_)));
    assert_eq!(store.sweep_handles(Timestamp::from_millis(400_000 + DAY)).unwrap(), 0);
    assert_eq!(asked().of(&store, &record.id), Claim::AlreadyConsumed);
    assert_eq!(store.sweep_handles(Timestamp::from_millis(400_001 + DAY)).unwrap(), 1);
    assert_eq!(asked().of(&store, &record.id), Claim::Unknown);
}

#[test]
fn of_eight_that_race_for_a_handle_exactly_one_gets_it() {
    const RACERS: u8 = 8;
    const ROUNDS: u8 = 200;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    // Two stores on one file: the claim must hold between connections, not only behind one lock.
    let stores = [SqliteStore::open(&path).unwrap(), SqliteStore::open(&path).unwrap()];
    for round in 0..ROUNDS {
        stores[0].put_handle(&record(round)).unwrap();
    }
    let wins: Vec<AtomicUsize> = (0..ROUNDS).map(|_| AtomicUsize::new(0)).collect();
    let start = Barrier::new(usize::from(RACERS));
    std::thread::scope(|scope| {
        for racer in 0..RACERS {
            let (store, wins, start) = (&stores[usize::from(racer % 2)], &wins, &start);
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    start.wait();
                    let claim = Asked { call: racer, ..asked() }.of(store, &record(round).id);
                    if matches!(claim, Claim::Claimed(_)) {
                        wins[usize::from(round)].fetch_add(1, Ordering::SeqCst);
                    } else {
                        assert_eq!(claim, Claim::AlreadyConsumed);
                    }
                }
            });
        }
    });
    assert!(wins.iter().all(|won| won.load(Ordering::SeqCst) == 1));
}

#[test]
fn a_claim_outlives_a_killed_process() {
    let (lived, found) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = SqliteStore::open(&lived.path().join("store.db")).unwrap();
    store.put_handle(&record(1)).unwrap();
    assert!(matches!(asked().of(&store, &record(1).id), Claim::Claimed(_)));
    // What the kernel has is what a killed process leaves; the store is still open and has flushed nothing since.
    for entry in std::fs::read_dir(lived.path()).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name() != "store.db-shm" {
            std::fs::copy(entry.path(), found.path().join(entry.file_name())).unwrap();
        }
    }
    let again = SqliteStore::open(&found.path().join("store.db")).unwrap();
    assert_eq!(asked().of(&again, &record(1).id), Claim::AlreadyConsumed);
}

#[test]
fn the_file_is_private_and_keeps_its_handles() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    SqliteStore::open(&path).unwrap().put_handle(&record(1)).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let store = SqliteStore::open(&path).unwrap();
    assert!(matches!(asked().of(&store, &record(1).id), Claim::Claimed(_)));
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.file_name());
    }
}

#[test]
fn a_store_from_before_reasons_were_kept_is_brought_up_to_date_with_its_handles() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    SqliteStore::open(&path).unwrap().put_handle(&record(1)).unwrap();
    rusqlite::Connection::open(&path)
        .unwrap()
        .execute_batch("DROP TABLE spent; DROP TABLE pin; ALTER TABLE handle DROP COLUMN reason; PRAGMA user_version = 1")
        .unwrap();
    let store = SqliteStore::open(&path).unwrap();
    let kept = HandleRecord { reason: None, ..record(1) };
    assert_eq!(asked().of(&store, &record(1).id), Claim::Claimed(Box::new(kept)));
    store.put_handle(&record(2)).unwrap();
    assert_eq!(asked().of(&store, &record(2).id), Claim::Claimed(Box::new(record(2))));
}

#[test]
fn what_is_no_usable_database_is_refused_by_name_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |path: &Path, expected: &str| {
        let before = std::fs::read(path).ok();
        let error = SqliteStore::open(path).err().unwrap().to_string();
        assert!(error.contains(expected) && error.contains(path.to_str().unwrap()), "{error}");
        assert_eq!(std::fs::read(path).ok(), before);
    };
    let text = folder.path().join("text.db");
    std::fs::write(&text, "this is a text and no database at all".repeat(20)).unwrap();
    refused(&text, "not a database");

    let newer = folder.path().join("newer.db");
    drop(SqliteStore::open(&newer).unwrap());
    let raw = rusqlite::Connection::open(&newer).unwrap();
    raw.pragma_update(None, "user_version", 99).unwrap();
    drop(raw);
    refused(&newer, "newer version");

    let foreign = folder.path().join("foreign.db");
    rusqlite::Connection::open(&foreign)
        .unwrap()
        .execute_batch("CREATE TABLE t (a); PRAGMA journal_mode = WAL")
        .unwrap();
    refused(&foreign, "another program");

    let damaged = folder.path().join("damaged.db");
    drop(SqliteStore::open(&damaged).unwrap());
    let mut bytes = std::fs::read(&damaged).unwrap();
    bytes[4096..].fill(0xff);
    std::fs::write(&damaged, bytes).unwrap();
    refused(&damaged, "damaged");

    let link = folder.path().join("link.db");
    std::os::unix::fs::symlink(&newer, &link).unwrap();
    refused(&link, "not a regular file");
    refused(folder.path(), "not a regular file");
}

#[test]
fn a_row_that_makes_no_sense_is_an_error_and_no_claim() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = SqliteStore::open(&path).unwrap();
    store.put_handle(&record(1)).unwrap();
    rusqlite::Connection::open(&path).unwrap().execute("UPDATE handle SET targets = '{'", []).unwrap();
    let claim = ClaimRequest {
        id: &record(1).id,
        principal: &record(1).principal,
        target: &record(1).targets[0],
        tool: &record(1).tools[0],
        call: CallId::new([1; 16]),
        now: Timestamp::from_millis(0),
        boot: BootInstant::new(Duration::ZERO),
        boot_id: BOOT,
    };
    assert!(store.claim_handle(&claim).is_err());
}

#[test]
fn what_may_be_used_once_is_spent_by_the_first_of_many() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("store.db")).unwrap();
    let (start, got) = (Barrier::new(8), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                start.wait();
                if store.spend(&[1; 16], Timestamp::from_millis(1000)).unwrap() {
                    got.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
    });
    assert_eq!(got.load(Ordering::SeqCst), 1);
    assert!(store.spend(&[2; 16], Timestamp::from_millis(2000)).unwrap());
    assert_eq!(store.sweep_spent(Timestamp::from_millis(1500)).unwrap(), 1);
    assert!(
        !store.spend(&[2; 16], Timestamp::from_millis(2000)).unwrap(),
        "what has not expired stays spent"
    );
}

#[test]
fn accepted_definitions_are_kept_by_upstream_replaced_and_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (UpstreamName::parse("one").unwrap(), UpstreamName::parse("other").unwrap());
    let pin = |tool: &str, seed: u8| PinRecord {
        tool: tool.to_owned(),
        hash: [seed; 32],
        definition: format!("{{\"name\":\"{tool}\"}}"),
        accepted: Timestamp::from_millis(i64::from(seed)),
    };
    let path = folder.path().join("store.sqlite");
    let store = SqliteStore::open(&path).unwrap();
    assert_eq!(store.pins(one).unwrap(), []);
    store.pin(one, &[pin("b", 1), pin("a", 2)], &[]).unwrap();
    store.pin(other, &[pin("a", 3)], &[]).unwrap();
    store.pin(one, &[pin("a", 4)], &["b".to_owned(), "never there".to_owned()]).unwrap();
    drop(store);
    let store = SqliteStore::open(&path).unwrap();
    assert_eq!(store.pins(one).unwrap(), [pin("a", 4)]);
    assert_eq!(store.pins(other).unwrap(), [pin("a", 3)]);
}
