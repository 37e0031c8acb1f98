//! What is printed, for people and for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::against::Before;
use super::count::Count;

/// Everything that was counted, and with what.
pub(super) struct Report {
    pub(super) counts: Vec<Count>,
    /// Versions of what compiled and what counted: with others, other counts.
    pub(super) made_with: Vec<String>,
}

impl Report {
    /// One row for each act; with an earlier output also what it said, and by how much that has changed.
    pub(super) fn table(&self, before: Option<&Before>) -> String {
        let mut rows = vec![row("ACT", "INSTRUCTIONS", before.map(|_| ("BEFORE", "CHANGE")), "WHAT")];
        for count in &self.counts {
            let now = count.once();
            let then = before.map(|before| match before.once(&count.act.name) {
                Some(then) => (grouped(then), change(then, now)),
                None => (String::new(), "new".to_owned()),
            });
            let then = then.as_ref().map(|(then, change)| (then.as_str(), change.as_str()));
            rows.push(row(&count.act.name, &grouped(now), then, &count.act.what));
        }
        let mut text = aligned(&rows);
        if let Some(others) = before.and_then(|before| before.made_with_others(&self.made_with)) {
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "careful: before was made with {others}; now with {}",
                self.made_with.join(", ")
            );
        }
        text
    }

    /// The same for programs, and for a later `--against`.
    pub(super) fn to_json(&self, before: Option<&Before>) -> Value {
        let counts = self.counts.iter().map(|count| {
            json!({
                "before": before.and_then(|before| before.once(&count.act.name)),
                "act": count.act.name,
                "what": count.act.what,
                "instructions": count.once(),
                "times": count.act.times,
                "total": count.total,
            })
        });
        json!({ "made_with": self.made_with, "counts": counts.collect::<Vec<_>>() })
    }
}

fn row(act: &str, now: &str, then: Option<(&str, &str)>, what: &str) -> Vec<String> {
    let mut row = vec![act.to_owned(), now.to_owned()];
    if let Some((then, change)) = then {
        row.extend([then.to_owned(), change.to_owned()]);
    }
    row.push(what.to_owned());
    row
}

/// Columns as wide as what is in them; numbers, which are all but the first and the last, end at the same place.
fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width =
        |at: usize| rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).enumerate().map(|(at, (cell, width))| match at {
            0 => format!("{cell:<width$}"),
            _ if at + 1 == columns => cell.clone(),
            _ => format!("{cell:>width$}"),
        });
        text += &cells.collect::<Vec<_>>().join("  ");
        text.push('\n');
    }
    text
}

/// With a comma before every three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// In tenths of a percent; `same` only when not one instruction differs.
fn change(then: u64, now: u64) -> String {
    if then == now {
        return "same".to_owned();
    }
    let sign = if now > then { '+' } else { '-' };
    let Some(tenths) = u128::from(then.abs_diff(now)).saturating_mul(1000).checked_div(u128::from(then))
    else {
        return "from 0".to_owned();
    };
    format!("{sign}{}.{} %", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::super::against::Before;
    use super::super::count::Act;
    use super::*;

    fn report(counts: &[(&str, u64)]) -> Report {
        let count = |(name, total): &(&str, u64)| {
            let act = Act { name: (*name).to_owned(), times: 1, what: format!("what {name} is") };
            Count { act, total: *total }
        };
        Report {
            counts: counts.iter().map(count).collect(),
            made_with: vec!["rustc 1".into(), "valgrind-3".into()],
        }
    }

    #[test]
    fn counts_stand_under_each_other() {
        let table = report(&[("short", 1_234_567), ("much-longer", 8)]).table(None);
        assert_eq!(
            table,
            "ACT          INSTRUCTIONS  WHAT\n\
             short           1,234,567  what short is\n\
             much-longer             8  what much-longer is\n"
        );
    }

    #[test]
    fn a_later_run_is_held_against_an_earlier_one() {
        let earlier = report(&[("a", 1000), ("b", 1000), ("c", 1000), ("gone", 1)]).to_json(None).to_string();
        let before = Before::parse(&earlier).unwrap();
        let table = report(&[("a", 1000), ("b", 1234), ("c", 995), ("d", 5)]).table(Some(&before));
        let changes: Vec<Vec<&str>> = table
            .lines()
            .map(|line| line.split("  ").map(str::trim).filter(|c| !c.is_empty()).collect())
            .collect();
        assert_eq!(changes[0], ["ACT", "INSTRUCTIONS", "BEFORE", "CHANGE", "WHAT"]);
        assert_eq!(changes[1][..4], ["a", "1,000", "1,000", "same"]);
        assert_eq!(changes[2][..4], ["b", "1,234", "1,000", "+23.4 %"]);
        assert_eq!(changes[3][..4], ["c", "995", "1,000", "-0.5 %"]);
        assert_eq!(changes[4][..3], ["d", "5", "new"]);
        assert!(!table.contains("careful"), "{table}");
        let told = report(&[("b", 1234), ("d", 5)]).to_json(Some(&before));
        assert_eq!(told["counts"][0]["before"], 1000);
        assert!(told["counts"][1]["before"].is_null() && told["counts"][1]["instructions"] == 5);
        let mut elsewhere = report(&[("a", 1000)]);
        elsewhere.made_with = vec!["rustc 2".into()];
        assert!(elsewhere.table(Some(&before)).contains("careful: before was made with rustc 1, valgrind-3"));
    }

    #[test]
    fn a_change_is_never_rounded_to_none() {
        assert_eq!(change(1_000_000, 1_000_001), "+0.0 %");
        assert_eq!(change(7, 7), "same");
        assert_eq!(change(0, 7), "from 0");
    }
}
