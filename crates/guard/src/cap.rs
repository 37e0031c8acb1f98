//! Cuts output to the call's limit, and says so where it cut.

use model::{Outcome, Stream};
use serde_json::Value;

use crate::Report;
use crate::rich::cap_content;
use crate::visible::make_bytes_visible;

/// How deep values may nest before what lies deeper is left out.
pub(crate) const MAX_DEPTH: usize = 64;

/// Cuts streams and values to `limit` bytes and makes the streams' bytes visible text.
pub(crate) fn cap(mut outcome: Outcome, limit: u64, report: &mut Report) -> Outcome {
    let lengths: Vec<u64> = outcome.streams.iter().map(|stream| length(stream.bytes.len())).collect();
    let shares = shares(&lengths, limit);
    for (stream, share) in outcome.streams.iter_mut().zip(shares) {
        cap_stream(stream, share, report);
    }
    let mut budget = usize::try_from(limit).unwrap_or(usize::MAX);
    for value in outcome.values.values_mut() {
        cap_value(value, &mut budget, 0, report);
    }
    outcome.content = cap_content(outcome.content, limit, report);
    outcome
}

/// Bytes that the connector kept, all streams together.
pub(crate) fn bytes_kept(outcome: &Outcome) -> u64 {
    outcome.streams.iter().map(|stream| length(stream.bytes.len())).sum()
}

/// Each stream gets what it needs, and when that is too much for all, the largest are cut to the same size:
/// a flood on one stream cannot push the other out of sight.
fn shares(lengths: &[u64], limit: u64) -> Vec<u64> {
    let mut by_length: Vec<u64> = lengths.to_vec();
    by_length.sort_unstable();
    let (mut left, mut open) = (limit, length(lengths.len()));
    let mut level = u64::MAX;
    for need in by_length {
        let fair = left / open.max(1);
        if need > fair {
            level = fair;
            break;
        }
        left -= need;
        open -= 1;
    }
    lengths.iter().map(|need| (*need).min(level)).collect()
}

fn cap_stream(stream: &mut Stream, share: u64, report: &mut Report) {
    let kept = usize::try_from(share).unwrap_or(usize::MAX);
    if kept < stream.bytes.len() {
        stream.bytes.truncate(character_boundary(&stream.bytes, kept));
    }
    let shown = length(stream.bytes.len());
    let omitted = stream.total.max(shown) - shown;
    let (mut text, marked) = make_bytes_visible(&stream.bytes);
    report.neutralised |= marked;
    report.bytes_out = report.bytes_out.saturating_add(shown);
    if omitted > 0 {
        report.truncated = true;
        report.bytes_omitted = report.bytes_omitted.saturating_add(omitted);
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(&format!(
            "[{}: truncated, {omitted} of {} bytes omitted]\n",
            stream.name,
            stream.total.max(shown)
        ));
    }
    stream.bytes = text.into_bytes();
    // Marks and escapes are not output: what renders this must still see "cut" exactly where something was cut off.
    stream.total = length(stream.bytes.len()).saturating_add(omitted);
}

/// The last place at or before `at` that does not fall into a character.
pub(crate) fn character_boundary(bytes: &[u8], at: usize) -> usize {
    let is_continuation = |i: usize| bytes.get(i).is_some_and(|b| b & 0xc0 == 0x80);
    // A character has at most four bytes; more continuation bytes than that are no UTF-8 anyway.
    (at.saturating_sub(3)..=at).rev().find(|i| !is_continuation(*i)).unwrap_or(at)
}

fn cap_value(value: &mut Value, budget: &mut usize, depth: usize, report: &mut Report) {
    if depth > MAX_DEPTH {
        *value = Value::String("[omitted: nested too deeply]".to_owned());
        report.truncated = true;
        return;
    }
    match value {
        Value::String(text) => cap_text(text, budget, report),
        Value::Array(items) => items.iter_mut().for_each(|item| cap_value(item, budget, depth + 1, report)),
        Value::Object(map) => map.values_mut().for_each(|item| cap_value(item, budget, depth + 1, report)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn cap_text(text: &mut String, budget: &mut usize, report: &mut Report) {
    if text.len() <= *budget {
        *budget -= text.len();
        return;
    }
    let whole = text.len();
    text.truncate(character_boundary(text.as_bytes(), *budget));
    let omitted = whole - text.len();
    text.push_str(&format!("[truncated, {omitted} of {whole} bytes omitted]"));
    *budget = 0;
    report.truncated = true;
    report.bytes_omitted = report.bytes_omitted.saturating_add(length(omitted));
}

fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{cap, shares};
    use crate::Report;
    use model::{Outcome, Stream};
    use serde_json::json;

    fn stream(name: &'static str, bytes: &[u8], total: u64) -> Stream {
        Stream { name, bytes: bytes.to_vec(), total }
    }

    #[test]
    fn a_flood_on_one_stream_does_not_push_the_other_out() {
        assert_eq!(shares(&[1000, 10], 100), [90, 10]);
        assert_eq!(shares(&[1000, 1000], 100), [50, 50]);
        assert_eq!(shares(&[40, 50], 100), [40, 50]);
        assert_eq!(shares(&[5, 5], 0), [0, 0]);
        assert_eq!(shares(&[], 10), [0_u64; 0]);
    }

    #[test]
    fn the_cut_is_marked_counted_and_between_characters() {
        let mut report = Report::default();
        let outcome =
            Outcome { streams: vec![stream("stdout", "aé世".as_bytes(), 1000)], ..Outcome::default() };
        let capped = cap(outcome, 5, &mut report);
        let text = String::from_utf8(capped.streams[0].bytes.clone()).unwrap();
        assert_eq!(text, "aé\n[stdout: truncated, 997 of 1000 bytes omitted]\n");
        assert_eq!((report.truncated, report.bytes_out, report.bytes_omitted), (true, 3, 997));
        assert!(!report.neutralised, "the cut makes no broken character");
    }

    #[test]
    fn a_stream_is_longer_than_its_bytes_only_if_it_was_cut() {
        let cut = |bytes: &[u8], total: u64, limit: u64| {
            let outcome = Outcome { streams: vec![stream("stdout", bytes, total)], ..Outcome::default() };
            let capped = cap(outcome, limit, &mut Report::default());
            capped.streams[0].total > u64::try_from(capped.streams[0].bytes.len()).unwrap()
        };
        assert!(!cut(b"plain", 5, 100));
        assert!(!cut(b"\x1b[2J\xff\xff", 6, 100), "escapes make it longer, not cut");
        assert!(cut(b"kept", 9, 100), "the mark makes it longer, and it was cut");
        assert!(cut(b"one byte too many", 17, 16), "less is cut off than the mark is long");
    }

    #[test]
    fn what_the_connector_already_left_out_is_marked_too() {
        let mut report = Report::default();
        let outcome = Outcome { streams: vec![stream("stderr", b"kept\n", 9)], ..Outcome::default() };
        let capped = cap(outcome, 100, &mut report);
        assert_eq!(capped.streams[0].bytes, b"kept\n[stderr: truncated, 4 of 9 bytes omitted]\n");
        assert!(report.truncated);
    }

    #[test]
    fn values_share_a_budget_and_a_depth() {
        let mut report = Report::default();
        let mut deep = json!("x");
        for _ in 0..100 {
            deep = json!([deep]);
        }
        let mut outcome = Outcome::default();
        outcome.values.insert("rows".into(), json!(["12345678", "12345678", 1]));
        outcome.values.insert("deep".into(), deep);
        let capped = cap(outcome, 10, &mut report);
        assert_eq!(capped.values["rows"][1], "12[truncated, 6 of 8 bytes omitted]");
        assert!(capped.values["deep"].to_string().contains("nested too deeply"));
        assert!(report.truncated);
    }
}
