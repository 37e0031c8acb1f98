//! An act, and what was counted of it.

use anyhow::{Context, Result, ensure};

/// Something that `examples/measured` can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Act {
    pub(super) name: String,
    /// How often it is done for one figure.
    pub(super) times: u32,
    /// In a few words.
    pub(super) what: String,
}

/// The instructions of an act done so many times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) act: Act,
    pub(super) total: u64,
}

impl Act {
    /// Reads the list that the program prints.
    pub(super) fn read_all(list: &str) -> Result<Vec<Self>> {
        let acts: Result<Vec<Self>> = list.lines().map(Self::read).collect();
        let acts = acts?;
        ensure!(!acts.is_empty(), "the measured program has no acts");
        Ok(acts)
    }

    fn read(line: &str) -> Result<Self> {
        let mut fields = line.split('\t');
        let (Some(name), Some(times), Some(what), None) =
            (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            anyhow::bail!("`{line}` is no act");
        };
        let times = times.parse().ok().filter(|times| *times > 0);
        let times = times.with_context(|| format!("`{line}` does not say how often"))?;
        Ok(Self { name: name.to_owned(), times, what: what.to_owned() })
    }
}

impl Count {
    /// Instructions of doing it once, to the nearest whole.
    pub(super) fn once(&self) -> u64 {
        let times = u64::from(self.act.times);
        self.total.saturating_add(times / 2) / times
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acts_are_read_as_the_program_lists_them() {
        let acts = Act::read_all("a\t5\tfirst of all\nb\t1\tsecond\n").unwrap();
        assert_eq!(acts[0], Act { name: "a".into(), times: 5, what: "first of all".into() });
        assert_eq!(acts.len(), 2);
        for wrong in ["", "a\t5\n", "a\t0\tnever\n", "a\tmany\ttimes\n", "a\t1\tb\tc\n"] {
            assert!(Act::read_all(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn once_is_the_nearest_whole() {
        let act = Act { name: "a".into(), times: 4, what: String::new() };
        for (total, once) in [(400, 100), (401, 100), (402, 101), (3, 1), (0, 0), (u64::MAX, u64::MAX / 4)] {
            assert_eq!(Count { act: act.clone(), total }.once(), once, "{total}");
        }
    }
}
