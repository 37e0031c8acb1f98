//! Whether calls are sent to an upstream that runs: when it fails again and again, it is left alone until it answers us.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::fault::Fault;
use crate::link::Answered;

/// Calls that fail in a row before none is sent any more.
const STRIKES: u32 = 5;
/// How long it is left alone before it is asked, at first and at most.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Counts calls that fail in a row. Closed, it lets calls through; open, none; after a question of ours was answered, the next
/// call decides.
#[derive(Default)]
pub(crate) struct Breaker {
    /// Whether there is anything to count: what every call asks first.
    counts: AtomicBool,
    state: Mutex<State>,
    opened: Notify,
}

#[derive(Default)]
struct State {
    failed: u32,
    /// Why it is open, if it is.
    open: Option<String>,
    /// Whether something of it was broken, or it was silent and nothing else.
    broken: bool,
    /// How often it was opened since a call went well.
    times: u32,
}

impl Breaker {
    /// Why no call is sent, if none is.
    pub(crate) fn why(&self) -> Option<String> {
        if !self.counts.load(Ordering::Acquire) {
            return None;
        }
        self.state().open.clone()
    }

    /// Counts what became of a call. `heard`: it said something else meanwhile, so that its silence is about this call.
    pub(crate) fn count(&self, answered: &Result<Answered, Fault>, heard: bool) {
        match answered {
            Ok(_) => self.reset(),
            Err(fault @ (Fault::Ended | Fault::Refused(_) | Fault::Protocol(_))) => self.strike(fault, true),
            Err(fault @ Fault::Slow(_)) if !heard => self.strike(fault, false),
            Err(_) => {}
        }
    }

    /// Nothing is held against it any more.
    pub(crate) fn reset(&self) {
        if self.counts.load(Ordering::Acquire) {
            *self.state() = State::default();
            self.counts.store(false, Ordering::Release);
        }
    }

    /// Waits until it is open; says why, and how long the upstream is left alone.
    pub(crate) async fn opened(&self) -> (String, Duration) {
        loop {
            let opened = self.opened.notified();
            {
                let state = self.state();
                if let Some(why) = &state.open {
                    let pause = PAUSE.0.saturating_mul(2_u32.saturating_pow(state.times.saturating_sub(1)));
                    return (why.clone(), pause.min(PAUSE.1));
                }
            }
            opened.await;
        }
    }

    /// It has answered us. If it was only silent before, that is all; else the next call decides.
    pub(crate) fn answered(&self) {
        let mut state = self.state();
        state.open = None;
        if state.broken {
            state.failed = STRIKES - 1;
        } else {
            *state = State::default();
            self.counts.store(false, Ordering::Release);
        }
    }

    fn strike(&self, fault: &Fault, broken: bool) {
        let mut state = self.state();
        self.counts.store(true, Ordering::Release);
        state.failed = state.failed.saturating_add(1);
        state.broken |= broken;
        if state.failed >= STRIKES && state.open.is_none() {
            state.times = state.times.saturating_add(1);
            let failed = match state.times {
                1 => format!("{STRIKES} calls in a row failed"),
                _ => "calls still fail".to_owned(),
            };
            state.open = Some(format!("{failed}, the last one because {}", fault.of_call_alone()));
            self.opened.notify_one();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::{Breaker, STRIKES};
    use crate::fault::Fault;
    use crate::link::Answered;

    fn fails(breaker: &Breaker, fault: Fault) {
        breaker.count(&Err(fault), false);
    }

    fn works(breaker: &Breaker) {
        breaker.count(&Ok(Answered { json: "{}".into(), is_error: true }), true);
    }

    #[tokio::test]
    async fn failures_in_a_row_open_it_and_one_answer_of_any_kind_closes_it() {
        let breaker = Breaker::default();
        for _ in 0..3 {
            (1..STRIKES).for_each(|_| fails(&breaker, Fault::Ended));
            assert_eq!(breaker.why(), None);
            works(&breaker);
        }
        (0..STRIKES).for_each(|_| fails(&breaker, Fault::Refused("with the HTTP status 502".into())));
        let why = breaker.why().unwrap();
        assert!(why.contains("5 calls in a row") && why.contains("502"), "{why}");
        assert_eq!(breaker.opened().await.0, why);
        // A call that was under way.
        works(&breaker);
        assert_eq!(breaker.why(), None);
    }

    #[tokio::test]
    async fn after_it_answered_us_one_failure_opens_it_again_for_longer() {
        let breaker = Breaker::default();
        (0..STRIKES).for_each(|_| fails(&breaker, Fault::Protocol("a page")));
        let mut pauses = vec![breaker.opened().await.1.as_secs()];
        for _ in 0..6 {
            breaker.answered();
            assert_eq!(breaker.why(), None, "calls are let through");
            fails(&breaker, Fault::Ended);
            pauses.push(breaker.opened().await.1.as_secs());
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
        breaker.answered();
        works(&breaker);
        fails(&breaker, Fault::Ended);
        assert_eq!(breaker.why(), None, "what was is forgotten");
    }

    #[tokio::test]
    async fn a_slow_tool_of_a_server_that_answers_others_is_not_held_against_it() {
        let breaker = Breaker::default();
        (0..100).for_each(|_| breaker.count(&Err(Fault::Slow(1)), true));
        for other in
            [Fault::Cancelled, Fault::Busy, Fault::Drift, Fault::Down("x".into()), Fault::Asks("x".into())]
        {
            (0..STRIKES).for_each(|_| fails(&breaker, other.clone()));
        }
        assert_eq!(breaker.why(), None);
        (0..STRIKES).for_each(|_| fails(&breaker, Fault::Slow(1)));
        assert!(breaker.why().unwrap().contains("1 s"));
        breaker.answered();
        fails(&breaker, Fault::Slow(1));
        assert_eq!(breaker.why(), None, "it answers, so its silence is about those calls");
    }
}
