//! Time that stands still until told otherwise, and bytes that are the same every run.

use std::sync::Mutex;
use std::time::Duration;

use model::{BootInstant, Clock, Entropy, NoEntropy, Timestamp};

/// Clocks that a test sets.
pub struct FakeClock {
    hands: Mutex<Hands>,
    boot_id: String,
}

struct Hands {
    wall: Timestamp,
    boot: BootInstant,
}

impl FakeClock {
    /// Friday 2026-11-20, noon UTC, an hour after the boot `boot-1`.
    pub fn new() -> Self {
        Self::of_boot("boot-1")
    }

    /// The same, on another boot.
    pub fn of_boot(boot_id: &str) -> Self {
        let wall = Timestamp::parse("2026-11-20T12:00:00.000Z").expect("a well-formed time");
        let hands = Hands { wall, boot: BootInstant::new(Duration::from_hours(1)) };
        Self { hands: Mutex::new(hands), boot_id: boot_id.to_owned() }
    }

    /// Time passes, on both clocks.
    pub fn advance(&self, by: Duration) {
        let mut hands = self.hands.lock().unwrap();
        hands.wall = hands.wall.after(by);
        hands.boot = hands.boot.after(by);
    }

    /// Somebody sets the wall clock; the boot clock goes on as it was.
    pub fn set_wall(&self, wall: Timestamp) {
        self.hands.lock().unwrap().wall = wall;
    }
}

impl Default for FakeClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        self.hands.lock().unwrap().wall
    }

    fn boot(&self) -> BootInstant {
        self.hands.lock().unwrap().boot
    }

    fn boot_id(&self) -> &str {
        &self.boot_id
    }
}

/// Bytes that look random and follow from a seed, or none at all.
pub struct SeededEntropy {
    state: Mutex<Option<u64>>,
}

impl SeededEntropy {
    /// The stream of this seed.
    pub fn new(seed: u64) -> Self {
        Self { state: Mutex::new(Some(seed)) }
    }

    /// A system that gives no random bytes.
    pub fn exhausted() -> Self {
        Self { state: Mutex::new(None) }
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, out: &mut [u8]) -> Result<(), NoEntropy> {
        let mut held = self.state.lock().unwrap();
        let state = held.as_mut().ok_or(NoEntropy)?;
        for chunk in out.chunks_mut(8) {
            // SplitMix64.
            *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = *state;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^= mixed >> 31;
            chunk.copy_from_slice(&mixed.to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_passes_only_when_told_and_the_boot_clock_cannot_be_set() {
        let clock = FakeClock::new();
        let (wall, boot) = (clock.now(), clock.boot());
        clock.advance(Duration::from_secs(5));
        assert_eq!(
            (clock.now(), clock.boot()),
            (wall.after(Duration::from_secs(5)), boot.after(Duration::from_secs(5)))
        );
        clock.set_wall(Timestamp::from_millis(0));
        assert_eq!((clock.now().as_millis(), clock.boot()), (0, boot.after(Duration::from_secs(5))));
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes_and_no_two_draws_are_equal() {
        let draw = |entropy: &SeededEntropy| {
            let mut bytes = [0; 19];
            entropy.fill(&mut bytes).unwrap();
            bytes
        };
        let (one, other) = (SeededEntropy::new(7), SeededEntropy::new(7));
        let first = draw(&one);
        assert_eq!(first, draw(&other));
        assert_ne!(first, draw(&one));
        assert_eq!(SeededEntropy::exhausted().fill(&mut [0; 4]), Err(NoEntropy));
    }
}
