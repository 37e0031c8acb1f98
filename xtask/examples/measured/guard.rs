//! What the guard does with what a target sends.

use ::guard::{Guard, Scanner};
use anyhow::ensure;
use model::{Answer, Exit, Failure, Outcome, Secret, Stream};
use serde_json::{Map, Value};

use crate::act::Once;

const PASSWORD: &str = "k9#Vb2!qLm7$wRx4";
const BYTES: usize = 64 * 1024;

/// Lines as a log has them.
pub(crate) const PLAIN: &str = "Nov 21 18:03:17 web1 nginx[812]: 10.0.0.7 - GET /index.html 200 512 0.004\n";
/// The same, as it comes from `grep --color`, and with letters beyond ASCII.
pub(crate) const PAINTED: &str = "Nov 21 18:03:17 web1 nginx[812]: \u{1b}[01;31m\u{1b}[Kerror\u{1b}[m\u{1b}[K: Größe überschritten 512 0.004\n";

/// A scanner is made for the password of a call.
pub(crate) fn scanner() -> anyhow::Result<Once> {
    let password = Secret::new(PASSWORD.to_owned());
    Ok(Box::new(move || {
        let scanner = Scanner::new([std::hint::black_box(&password)]);
        scanner.weak() == 0 && scanner.finds(PASSWORD.as_bytes())
    }))
}

/// Output is looked through, and the password is not in it.
pub(crate) fn scan(line: &str) -> anyhow::Result<Once> {
    let (scanner, text) = (checked_scanner(line)?, repeated(line));
    Ok(Box::new(move || !scanner.finds(std::hint::black_box(text.as_bytes()))))
}

/// Output passes the whole stage: scanned, cut, rendered, scanned again, made harmless.
pub(crate) fn admit(line: &str) -> anyhow::Result<Once> {
    let (scanner, text) = (checked_scanner(line)?, repeated(line));
    let total = u64::try_from(text.len())?;
    let guard = Guard::new();
    Ok(Box::new(move || {
        let stream = Stream { name: "stdout", bytes: text.clone().into_bytes(), total };
        let outcome = Outcome { streams: vec![stream], exit: Some(Exit::Status(0)), ..Outcome::default() };
        let guarded = guard.admit(&scanner, total, Ok(outcome), render);
        let report = guarded.report();
        !report.withheld && !report.truncated && report.bytes_out == total
    }))
}

/// As a tool renders a command's output: the text, and a field with the same.
fn render(result: Result<Outcome, Failure>) -> Answer {
    let streams = result.map(|outcome| outcome.streams).unwrap_or_default();
    let bytes = streams.first().map(|stream| stream.bytes.as_slice()).unwrap_or_default();
    let text = String::from_utf8_lossy(bytes);
    let fields = Map::from_iter([("stdout".to_owned(), Value::from(text.as_ref()))]);
    Answer { text: text.into_owned(), structured: Value::Object(fields), ..Answer::default() }
}

/// One that does find the password when it is there.
fn checked_scanner(line: &str) -> anyhow::Result<Scanner> {
    let scanner = Scanner::new([&Secret::new(PASSWORD.to_owned())]);
    let holding = format!("{}{PASSWORD}\n{line}", repeated(line));
    ensure!(scanner.finds(holding.as_bytes()), "the guard does not find the password");
    Ok(scanner)
}

fn repeated(line: &str) -> String {
    let mut text = line.repeat(BYTES.div_ceil(line.len()));
    let end = text.floor_char_boundary(BYTES);
    text.truncate(end);
    text
}
