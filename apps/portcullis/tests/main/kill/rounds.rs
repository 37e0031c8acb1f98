//! `kill -9`, again and again, spread over the stages of calls and of starts.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use model::Entropy as _;
use testkit::{SeededEntropy, kill_rounds};
use tokio::runtime::Runtime;

use super::book::Book;
use super::load::{Call, Load, counted};
use super::rig::Rig;

/// What happened, for people.
#[derive(Debug, Default)]
struct Figures {
    rounds: u32,
    calls: usize,
    answered: usize,
    /// Calls that the kill broke off: before the intent, before the act, before the completion, before the answer.
    cut: [usize; 4],
    orphans_closed: usize,
    torn_lines: u32,
    killed_starts: u64,
    handles: usize,
    handles_usable_after: usize,
}

#[test]
fn kill_9_at_any_moment_leaves_no_act_without_intent_and_no_handle_for_two() {
    let seed = seed();
    let rounds = kill_rounds(12);
    say(&format!("kill -9: {rounds} rounds with PORTCULLIS_KILL_SEED={seed}"));
    let clock = tokio::time::Instant::now();
    let dice = Dice(SeededEntropy::new(seed));
    let runtime = Runtime::new().unwrap();
    let mut rig = Rig::new();
    let mut book = Book::open(rig.installed.path("state/journal"));
    let (mut figures, mut loads) = (Figures::default(), Vec::new());
    let mut gateway = rig.serve();
    for round in 0..rounds {
        let load = runtime.block_on(Load::prepare(&rig, &gateway, round, dice.roll(4) > 0));
        let tasks = load.start(&runtime);
        // Calls on handles log in first: some rounds give them the time for it.
        std::thread::sleep(dice.up_to(if dice.roll(3) > 0 { 60 } else { 400 }));
        gateway.kill();
        runtime.block_on(load.end(tasks));
        rig.assert_nobody_owns_the_state();

        let acts = rig.sshd.acts();
        book.read_on();
        book.assert_covers(&acts);
        load.assert_answers(&counted(&acts), &book);
        figures.count(&load.calls(), &acts, &book);

        // What a crash of the whole machine can leave, too.
        if dice.roll(4) == 0 {
            rig.leave_half_a_line();
            assert!(book.read_on() > 0);
            figures.torn_lines += 1;
        }
        let orphans = book.open_calls();
        let seen = book.entries.len();
        for _ in 0..dice.roll(3) {
            kill_while_it_starts(&rig, dice.up_to(120));
            figures.killed_starts += 1;
        }
        gateway = rig.serve();
        assert_eq!(book.read_on(), 0, "half a line is left");
        let closed: Vec<String> = book.entries[seen..]
            .iter()
            .filter(|entry| entry.event == "orphan_closed")
            .map(|entry| entry.id.clone())
            .collect();
        assert_eq!(closed.len(), orphans.len(), "some were closed twice");
        assert_eq!(closed.into_iter().collect::<BTreeSet<_>>(), orphans);
        rig.assert_sound(&mut book);

        figures.handles += load.handles.len();
        figures.handles_usable_after += runtime.block_on(load.use_handles_again(&rig, &gateway));
        let acts = rig.sshd.acts();
        book.read_on();
        load.assert_answers(&counted(&acts), &book);
        loads.push(load);
        figures.rounds += 1;
    }
    assert!(gateway.terminate().success());
    // What a dead gateway had asked for has come to its end, too.
    rig.sshd.stop();
    rig.assert_sound(&mut book);
    let acts = counted(&rig.sshd.acts());
    loads.iter().for_each(|load| load.assert_answers(&acts, &book));

    figures.orphans_closed = book.count("orphan_closed");
    let repaired = book.entries.iter().filter(|entry| entry.repaired).count();
    let (acts, seconds) = (acts.values().sum::<u32>(), clock.elapsed().as_secs_f64());
    say(&format!(
        "kill -9: {acts} acts, {} intents, {repaired} half lines cut off, {} entries in {seconds:.1} s: {figures:?}",
        book.intents(),
        book.entries.len(),
    ));
    assert!(figures.orphans_closed > 0 && figures.answered > 0, "the kills did not hit anything");
}

impl Figures {
    fn count(&mut self, calls: &[Call], acts: &[String], book: &Book) {
        self.calls += calls.len();
        self.answered += calls.iter().filter(|call| call.answer.is_some()).count();
        for call in calls.iter().filter(|call| call.answer.is_none()) {
            let command = format!("count-act {}", call.token);
            let stage = match (book.is_intended(&command), acts.contains(&call.token)) {
                (false, _) => 0,
                (true, false) => 1,
                (true, true) if !book.is_completed(&command) => 2,
                (true, true) => 3,
            };
            self.cut[stage] += 1;
        }
    }
}

/// A start that is cut off anywhere, also in the middle of the repair after the last crash.
fn kill_while_it_starts(rig: &Rig, after: Duration) {
    let mut child = Command::new(Rig::binary())
        .arg("--config")
        .arg(rig.config())
        .arg("serve")
        .env_remove("PORTCULLIS_CONFIG")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(after);
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Random, unless the environment names the one of an earlier run.
fn seed() -> u64 {
    use std::hash::BuildHasher as _;
    match std::env::var("PORTCULLIS_KILL_SEED") {
        Ok(seed) => seed.parse().expect("PORTCULLIS_KILL_SEED is a number"),
        Err(_) => std::hash::RandomState::new().hash_one(std::process::id()),
    }
}

/// Past the capture of output: the seed and the figures are for whoever started the run, also when all is well.
fn say(line: &str) {
    std::io::stderr().write_all(format!("{line}\n").as_bytes()).unwrap();
}

struct Dice(SeededEntropy);

impl Dice {
    fn roll(&self, sides: u64) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes).unwrap();
        u64::from_le_bytes(bytes) % sides
    }

    fn up_to(&self, milliseconds: u64) -> Duration {
        Duration::from_micros(self.roll(milliseconds * 1000))
    }
}
