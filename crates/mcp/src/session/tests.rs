use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gateway::Proof;
use model::{BootInstant, Clock, Entropy, NoEntropy, PrincipalId, Timestamp};
use wire::ProtocolVersion;

use super::{Found, NoSession, Sessions};
use crate::SessionLimits;

#[derive(Default)]
struct TestClock(Mutex<Duration>);

impl TestClock {
    fn pass(&self, by: Duration) {
        *self.0.lock().unwrap() += by;
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(0)
    }
    fn boot(&self) -> BootInstant {
        BootInstant::new(*self.0.lock().unwrap())
    }
    fn boot_id(&self) -> &str {
        "boot"
    }
}

#[derive(Default)]
struct Counting(AtomicU64);

impl Entropy for Counting {
    fn fill(&self, out: &mut [u8]) -> Result<(), NoEntropy> {
        let count = self.0.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        for (to, from) in out.iter_mut().zip(count) {
            *to = from;
        }
        Ok(())
    }
}

struct Dry;

impl Entropy for Dry {
    fn fill(&self, _out: &mut [u8]) -> Result<(), NoEntropy> {
        Err(NoEntropy)
    }
}

const LIMITS: SessionLimits = SessionLimits {
    total: 10,
    per_principal: 3,
    idle: Duration::from_secs(60),
    streams: 2,
    calls: 4,
    answer: Duration::from_secs(60),
};

fn sessions() -> (Sessions, Arc<TestClock>) {
    let clock = Arc::new(TestClock::default());
    (Sessions::new(LIMITS, clock.clone(), Arc::new(Counting::default())), clock)
}

fn principal(name: &str) -> PrincipalId {
    PrincipalId::parse(name).unwrap()
}

fn create(sessions: &Sessions, name: &str) -> String {
    sessions
        .create(&principal(name), &Proof::default(), ProtocolVersion::V2025_11_25, Arc::default())
        .unwrap()
        .0
}

fn is_there(sessions: &Sessions, id: &str, name: &str) -> bool {
    matches!(sessions.find(id, &principal(name)), Found::Yours(_))
}

#[test]
fn a_session_is_its_principals_alone() {
    let (sessions, _) = sessions();
    let id = create(&sessions, "a");
    assert_eq!(id.len(), 64);
    assert!(is_there(&sessions, &id, "a"));
    assert!(matches!(sessions.find(&id, &principal("b")), Found::NotYours));
    assert!(!sessions.end(&id, &principal("b")));
    assert!(sessions.end(&id, &principal("a")));
    assert!(matches!(sessions.find(&id, &principal("a")), Found::Unknown));
    for wrong in ["", "x", &id.to_uppercase().replace('0', "A"), &format!("{id}0")] {
        assert!(matches!(sessions.find(wrong, &principal("a")), Found::Unknown), "{wrong}");
    }
}

#[test]
fn one_principal_never_holds_more_than_its_share() {
    let (sessions, clock) = sessions();
    let first = create(&sessions, "a");
    clock.pass(Duration::from_secs(1));
    let second = create(&sessions, "a");
    clock.pass(Duration::from_secs(1));
    let third = create(&sessions, "a");
    clock.pass(Duration::from_secs(1));
    assert!(is_there(&sessions, &first, "a"), "and that was a use of it");
    let fourth = create(&sessions, "a");
    assert!(!is_there(&sessions, &second, "a"), "it was used longest ago");
    for id in [&first, &third, &fourth] {
        assert!(is_there(&sessions, id, "a"));
    }
    for _ in 0..100_000 {
        create(&sessions, "a");
    }
    assert_eq!(sessions.count(), LIMITS.per_principal);
    assert_eq!(sessions.lock().by_principal.len(), 1);
}

#[test]
fn all_together_never_hold_more_than_there_is_room_for() {
    let (sessions, clock) = sessions();
    for n in 0..LIMITS.total {
        create(&sessions, &format!("p{n}"));
    }
    let late =
        sessions.create(&principal("late"), &Proof::default(), ProtocolVersion::V2025_11_25, Arc::default());
    assert_eq!(late, Err(NoSession::Full));
    clock.pass(LIMITS.idle);
    create(&sessions, "late");
    assert_eq!(sessions.count(), 1, "the idle ones made room");
}

#[test]
fn a_session_ends_when_nobody_uses_it() {
    let (sessions, clock) = sessions();
    let id = create(&sessions, "a");
    let Found::Yours(session) = sessions.find(&id, &principal("a")) else { panic!() };
    clock.pass(LIMITS.idle - Duration::from_secs(1));
    assert!(is_there(&sessions, &id, "a"));
    let (one, two) = (session.open_stream(LIMITS), session.open_stream(LIMITS));
    assert!(one.is_some() && two.is_some());
    assert!(session.open_stream(LIMITS).is_none(), "two at once");
    clock.pass(LIMITS.idle);
    sessions.sweep();
    assert!(is_there(&sessions, &id, "a"), "an open stream is a use");
    drop((one, two));
    clock.pass(LIMITS.idle);
    assert!(!is_there(&sessions, &id, "a"));
    assert!(session.ended.is_cancelled());
    assert_eq!(sessions.count(), 0);
}

#[test]
fn sessions_of_principals_that_are_gone_end() {
    let (sessions, _) = sessions();
    let (a, b) = (create(&sessions, "a"), create(&sessions, "b"));
    sessions.retain(|principal, _| principal.as_str() != "a");
    assert!(!is_there(&sessions, &a, "a"));
    assert!(is_there(&sessions, &b, "b"));
}

#[test]
fn without_entropy_there_is_no_session() {
    let sessions = Sessions::new(LIMITS, Arc::new(TestClock::default()), Arc::new(Dry));
    let made =
        sessions.create(&principal("a"), &Proof::default(), ProtocolVersion::V2025_11_25, Arc::default());
    assert_eq!(made, Err(NoSession::NoEntropy));
    assert_eq!(sessions.count(), 0);
}
