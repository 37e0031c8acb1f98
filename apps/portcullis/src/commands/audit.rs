//! `audit tail|query|verify`

use std::path::{Path, PathBuf};
use std::time::Duration;

use audit::{PublicKey, VerifyReport};
use config::KeyLocation;
use gateway::{SystemClock, SystemEntropy};
use model::{Clock, Timestamp};
use serde_json::{Map, Value, json};

use crate::cli::{Audit, Global, Query};
use crate::failure::{Exit, Stop};
use crate::operators;
use crate::output::Output;
use crate::place::Place;

/// How often a followed journal is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// Does it.
pub(crate) fn run(global: &Global, audit: Audit, output: Output) -> Result<Exit, Stop> {
    match audit {
        Audit::Tail { lines, follow, commands } => tail(global, lines, follow, commands, output),
        Audit::Query(query) => self::query(global, query, output),
        Audit::Verify { folder, key, head } => {
            verify(global, folder.as_deref(), key.as_deref(), head.as_deref(), output)
        }
    }
}

fn tail(global: &Global, lines: u32, follow: bool, commands: bool, output: Output) -> Result<Exit, Stop> {
    let mut arguments = Map::from_iter([("limit".to_owned(), json!(lines))]);
    open_commands(&mut arguments, commands);
    let answer = ask(global, "audit-tail", arguments, output)?;
    let entries = print(&answer, output)?;
    let folder = answer.get("folder").and_then(Value::as_str).map(PathBuf::from);
    match folder.filter(|_| follow) {
        Some(folder) => self::follow(&folder, entries.unwrap_or(0), output),
        None => Ok(Exit::Done),
    }
}

/// Whoever may ask for the tail may read on: the files are this user's. Asking again and again would fill the journal
/// with its own reading.
fn follow(folder: &Path, mut last: u64, output: Output) -> Result<Exit, Stop> {
    loop {
        for entry in audit::tail(folder, 1000).map_err(Stop::failed)? {
            if entry.seq > last {
                last = entry.seq;
                print_entry(&entry.members, output)?;
            }
        }
        std::thread::sleep(LOOK);
    }
}

fn query(global: &Global, query: Query, output: Output) -> Result<Exit, Stop> {
    let mut arguments = Map::from_iter([("limit".to_owned(), json!(query.limit))]);
    let times = [("since", query.since), ("until", query.until)];
    for (name, written) in times.into_iter().filter_map(|(name, written)| Some((name, written?))) {
        arguments.insert(name.to_owned(), json!(moment(&written)?.to_string()));
    }
    let texts = [
        ("principal", query.principal),
        ("tool", query.tool),
        ("target", query.target),
        ("event", query.event),
        ("decision", query.decision),
        ("id", query.id),
    ];
    arguments.extend(texts.into_iter().filter_map(|(name, value)| Some((name.to_owned(), json!(value?)))));
    open_commands(&mut arguments, query.commands);
    print(&ask(global, "audit-query", arguments, output)?, output)?;
    Ok(Exit::Done)
}

fn open_commands(arguments: &mut Map<String, Value>, open: bool) {
    if open {
        arguments.insert("commands".to_owned(), json!("open"));
    }
}

fn ask(global: &Global, verb: &str, arguments: Map<String, Value>, output: Output) -> Result<Value, Stop> {
    let reply = operators::verb(global, verb, arguments, output)?;
    if reply.answer.is_error { Err(operators::refused(&reply)) } else { Ok(reply.answer.structured) }
}

/// Prints the entries of an answer and gives the number of the last.
fn print(answer: &Value, output: Output) -> Result<Option<u64>, Stop> {
    let mut last = None;
    for entry in
        answer.get("entries").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object)
    {
        print_entry(entry, output)?;
        last = entry.get("seq").and_then(Value::as_u64).or(last);
    }
    match (last, answer.get("omitted").and_then(Value::as_u64)) {
        (None, _) => output.note("no entries"),
        (Some(_), Some(omitted)) if omitted > 0 => {
            output.note(&format!("{omitted} older entries are left out"))
        }
        (Some(_), Some(_) | None) => {}
    }
    Ok(last)
}

fn print_entry(entry: &Map<String, Value>, output: Output) -> Result<(), Stop> {
    if output.is_json() {
        output.text(&Value::Object(entry.clone()).to_string())
    } else {
        output.text(&line(entry))
    }
}

/// An entry on one line, for people: when, who, what, where, how it was decided, and what else there is to say.
pub(crate) fn line(entry: &Map<String, Value>) -> String {
    let text = |name: &str| entry.get(name).and_then(Value::as_str);
    let what = text("tool").or(text("event"));
    let target = text("target").filter(|target| *target != model::Target::GATEWAY);
    let parts = [text("principal"), what, target, text("decision"), text("error_code")];
    let mut line = format!("{} {:<8}", text("ts").unwrap_or("-"), text("phase").unwrap_or("-"));
    for part in parts.into_iter().flatten() {
        line.push_str(&format!(" {}", printable(part)));
    }
    for name in ["exit_code", "command", "reason"] {
        match entry.get(name) {
            Some(Value::String(value)) => line.push_str(&format!(" {name}={}", printable(value))),
            Some(Value::Number(value)) => line.push_str(&format!(" {name}={value}")),
            Some(Value::Object(_)) => line.push_str(&format!(" {name}=(sealed)")),
            Some(Value::Null | Value::Bool(_) | Value::Array(_)) | None => {}
        }
    }
    line
}

/// What an agent wrote is shown without what a terminal would act on.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || guard::is_deceptive(c) { '\u{fffd}' } else { c }).collect()
}

/// A time as it stands in the journal, or how long ago.
fn moment(written: &str) -> Result<Timestamp, Stop> {
    let wrong = || {
        Stop::usage(format!("`{written}` is neither a time nor an age"))
            .with_hint("write 2026-03-28T10:30:00.000Z, 2026-03-28, or an age such as 90s, 15m, 12h, 7d")
    };
    let candidates = [written.to_owned(), format!("{written}T00:00:00.000Z"), written.replace('Z', ".000Z")];
    if let Some(time) = candidates.iter().find_map(|text| Timestamp::parse(text)) {
        return Ok(time);
    }
    let (number, unit) = written.split_at_checked(written.len().saturating_sub(1)).ok_or_else(wrong)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    let age = number
        .parse::<i64>()
        .ok()
        .filter(|n| *n >= 0)
        .and_then(|n| n.checked_mul(seconds * 1000))
        .ok_or_else(wrong)?;
    let now = SystemClock::new(&SystemEntropy).map_err(Stop::failed)?.now();
    Ok(Timestamp::from_millis(now.as_millis().saturating_sub(age)))
}

/// Works on files alone, also on copies on another machine.
fn verify(
    global: &Global,
    folder: Option<&Path>,
    key: Option<&str>,
    head: Option<&Path>,
    output: Output,
) -> Result<Exit, Stop> {
    let folder_given = folder.is_some();
    let (folder, key, head) = match folder {
        Some(folder) => (folder.to_owned(), key.map(public_key).transpose()?, head.map(Path::to_owned)),
        None => configured(global, key, head, output)?,
    };
    // Heads that are configured and not there are judged below, by what the journal holds.
    let there = head.as_deref().filter(|path| folder_given || path.exists());
    let report = audit::verify(&folder, key.as_ref(), there).map_err(Stop::failed)?;
    // Every start signs a head before anything else is done, so a journal with entries has one.
    let unanchored =
        head.as_deref().filter(|_| report.entries > 0 && report.heads == 0 && report.first_bad.is_none());
    if output.is_json() {
        output.json(&report_json(&folder, &report, key.is_some(), unanchored.is_none()))?;
    } else {
        print_report(&folder, &report, key.is_some(), there.is_some(), output)?;
    }
    match &report.first_bad {
        None => unanchored.map_or(Ok(Exit::Done), |path| Err(no_heads(path))),
        Some(bad) => Err(Stop {
            exit: Exit::Integrity,
            message: format!(
                "{}: {} does not hold: {}",
                folder.join(&bad.file).display(),
                record(bad.line, bad.seq),
                bad.what
            ),
            hint: Some(
                "the record before it is sound; keep the files as they are, and compare them with a copy"
                    .to_owned(),
            ),
        }),
    }
}

fn no_heads(path: &Path) -> Stop {
    Stop {
        exit: Exit::Integrity,
        message: format!(
            "`{}` holds no signed head, but every start of a gateway writes one: it was removed or emptied, so nothing shows \
             whether the end of the journal was cut off",
            path.display()
        ),
        hint: Some("compare with a copy of the heads; `[audit] heads` is best on another machine".to_owned()),
    }
}

type Configured = (PathBuf, Option<PublicKey>, Option<PathBuf>);

/// The journal that is configured, with its own public key and heads where nothing else is named.
fn configured(
    global: &Global,
    key: Option<&str>,
    head: Option<&Path>,
    output: Output,
) -> Result<Configured, Stop> {
    let place = Place::find(global.config.as_deref())?;
    let configuration = crate::place::load(&place, output)?.configuration;
    let key = match (key, &configuration.audit.signing_key) {
        (Some(written), _) => Some(public_key(written)?),
        (None, KeyLocation::File(path)) => Some(beside(path)?),
        (None, KeyLocation::Env(_) | KeyLocation::Systemd(_) | KeyLocation::Prompt) => None,
    };
    let heads = head.map_or(configuration.audit.heads.to, Path::to_owned);
    Ok((configuration.state.join("journal"), key, Some(heads)))
}

fn beside(signing_key: &Path) -> Result<PublicKey, Stop> {
    let mut public = signing_key.as_os_str().to_owned();
    public.push(".pub");
    PublicKey::load(Path::new(&public)).map_err(Stop::configuration)
}

/// A file, or the line that such a file holds.
fn public_key(written: &str) -> Result<PublicKey, Stop> {
    let path = Path::new(written);
    let read = if path.exists() { PublicKey::load(path) } else { PublicKey::parse(written) };
    read.map_err(|error| {
        Stop::usage(error).with_hint("name the `.pub` file that was written beside the signing key")
    })
}

fn print_report(
    folder: &Path,
    report: &VerifyReport,
    key: bool,
    heads: bool,
    output: Output,
) -> Result<(), Stop> {
    output.text(&format!("{}: {} entries in {} files", folder.display(), report.entries, report.files))?;
    if let Some((seq, ts)) = &report.complete_up_to {
        output.text(&format!("complete up to entry {seq} of {ts}"))?;
    }
    output.text(&match (report.anchored, heads, key) {
        (Some(seq), _, true) => format!("anchored up to entry {seq} by {} signed heads", report.heads),
        (_, true, false) => "not anchored: heads were given, and no key to check them with".to_owned(),
        (_, false, _) => {
            "not anchored: without signed heads nobody can tell whether the tail was cut off".to_owned()
        }
        (None, true, true) => "not anchored: no head vouches for any entry".to_owned(),
    })?;
    if report.orphans > 0 {
        output.text(&format!(
            "{} calls have begun and not ended: they are running, or a crash ended them",
            report.orphans
        ))?;
    }
    if report.torn_tail {
        output.text("the last line is not whole: it is being written, or a crash cut it off")?;
    }
    if report.abandoned_bytes > 0 {
        output.text(&format!(
            "{} bytes were given up after the disk failed; the next file repeats them",
            report.abandoned_bytes
        ))?;
    }
    Ok(())
}

fn report_json(folder: &Path, report: &VerifyReport, key: bool, anchors: bool) -> Value {
    json!({
        "ok": report.first_bad.is_none() && anchors,
        "folder": folder.display().to_string(),
        "files": report.files,
        "entries": report.entries,
        "complete_up_to": report.complete_up_to.as_ref().map(|(seq, ts)| json!({ "seq": seq, "ts": ts })),
        "anchored": report.anchored,
        "heads": report.heads,
        "key": key,
        "orphans": report.orphans,
        "torn_tail": report.torn_tail,
        "abandoned_bytes": report.abandoned_bytes,
        "first_bad": report.first_bad.as_ref().map(|bad| json!({
            "file": bad.file, "line": bad.line, "seq": bad.seq, "what": bad.what.to_string(),
        })),
    })
}

fn record(line: u64, seq: u64) -> String {
    if line == 0 { "the file".to_owned() } else { format!("line {line} (entry {seq})") }
}

#[cfg(test)]
mod tests {
    use super::{line, moment};
    use serde_json::json;

    #[test]
    fn times_and_ages_are_read() {
        assert_eq!(moment("2026-03-28").unwrap().to_string(), "2026-03-28T00:00:00.000Z");
        assert_eq!(moment("2026-03-28T10:30:00Z").unwrap().to_string(), "2026-03-28T10:30:00.000Z");
        assert_eq!(moment("2026-03-28T10:30:00.123Z").unwrap().to_string(), "2026-03-28T10:30:00.123Z");
        assert!(moment("7d").unwrap() < moment("90s").unwrap());
        for wrong in ["", "d", "-1d", "7w", "soon", "99999999999999999d", "é"] {
            assert!(moment(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_entry_is_one_line_that_a_terminal_does_not_act_on() {
        let entry = json!({"ts": "t", "phase": "closed", "event": "tool_call", "reason": "a\u{1b}[2Jb\nc", "exit_code": 3});
        let line = line(entry.as_object().unwrap());
        assert!(line.contains("exit_code=3") && line.contains("reason=a\u{fffd}[2Jb\u{fffd}c"), "{line}");
    }
}
