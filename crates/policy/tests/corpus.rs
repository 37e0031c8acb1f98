//! Hostile lines that must neither act nor read what no rule permits, and plain ones that must run unchanged.
//!
//! The lines are in `corpus/`, one a line; `#` begins a comment. In files called `*.escaped.txt`, `\n \r \t \0 \\`,
//! `\xHH` and `\u{HEX}` stand for characters. `corpus/rules.toml` holds the rules.
//!
//! - `bypass/`: the rules permit none of them.
//! - `opaque/`: stay denied even beside a rule that permits every command that is understood.
//! - `harmless/`: look like attacks; are permitted, since once quoted they do only what they say.
//! - `plain/`: permitted, and their programs get exactly the words that are written.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use model::{CommandLine, Joint};
use policy::Snapshot;
use policy::command::{canonical, parse};

use crate::judge::{Run, SHELLS, judge};
use crate::world::{run, snapshot};

/// One line, and where it stands.
struct Entry {
    place: String,
    line: String,
}

pub(crate) const ANY: &str =
    "[[rule]]\nname='any'\nallow=['ssh_execute']\nprincipals=['bot']\ntargets=['web1']\ncommands=['**']\n";

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")
}

fn entries(kind: &str) -> Vec<Entry> {
    let mut files: Vec<_> =
        fs::read_dir(folder().join(kind)).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let mut entries = Vec::new();
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap();
        let text = fs::read_to_string(&file).unwrap();
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.starts_with('#')) {
            let line = if name.ends_with(".escaped.txt") { unescaped(line) } else { line.to_owned() };
            entries.push(Entry { place: format!("{kind}/{name}:{}", number + 1), line });
        }
    }
    let distinct: BTreeSet<_> = entries.iter().map(|entry| &entry.line).collect();
    assert_eq!(distinct.len(), entries.len(), "{kind}: lines stand there twice: {:?}", twice(&entries));
    entries
}

fn twice(entries: &[Entry]) -> Vec<&str> {
    let mut seen = BTreeSet::new();
    entries.iter().filter(|entry| !seen.insert(&entry.line)).map(|entry| entry.place.as_str()).collect()
}

fn unescaped(line: &str) -> String {
    let mut text = String::new();
    let mut rest = line.chars();
    let hex = |digits: &str| char::from_u32(u32::from_str_radix(digits, 16).unwrap()).unwrap();
    while let Some(c) = rest.next() {
        match c {
            '\\' => match rest.next().unwrap() {
                'n' => text.push('\n'),
                'r' => text.push('\r'),
                't' => text.push('\t'),
                '0' => text.push('\0'),
                'x' => text.push(hex(&rest.by_ref().take(2).collect::<String>())),
                'u' => {
                    let digits: String = rest.by_ref().skip(1).take_while(|c| *c != '}').collect();
                    text.push(hex(&digits));
                }
                other => text.push(other),
            },
            _ => text.push(c),
        }
    }
    text
}

pub(crate) fn rules() -> Snapshot {
    snapshot(&fs::read_to_string(folder().join("rules.toml")).unwrap(), "")
}

/// What the policy permits of a line, as it would be sent.
pub(crate) fn permitted(policy: &Snapshot, line: &str) -> Option<CommandLine> {
    let parsed = parse(line).ok()?;
    run(policy, "bot", "web1", line).is_ok().then_some(parsed)
}

fn passing<'a>(policy: &Snapshot, entries: &'a [Entry]) -> Vec<&'a str> {
    entries
        .iter()
        .filter(|entry| permitted(policy, &entry.line).is_some())
        .map(|entry| entry.place.as_str())
        .collect()
}

#[test]
fn no_bypass_of_the_corpus_passes_the_rules() {
    let entries = entries("bypass");
    assert!(entries.len() >= 1000, "{}", entries.len());
    assert_eq!(passing(&rules(), &entries), [""; 0]);
}

#[test]
fn programs_of_the_corpus_stay_out_where_every_command_is_permitted() {
    let entries = entries("opaque");
    assert!(entries.len() >= 1000, "{}", entries.len());
    let any = snapshot(ANY, "");
    assert!(permitted(&any, "touch /srv/made").is_some());
    assert_eq!(passing(&any, &entries), [""; 0]);
}

/// What looks hostile and is permitted is run, by every shell. (Of `bypass/` nothing is, says the test above.)
#[test]
fn what_is_permitted_of_hostile_lines_neither_acts_nor_reads() {
    let policy = rules();
    let harmless = entries("harmless");
    assert!(harmless.len() >= 140, "{}", harmless.len());
    assert_eq!(denied(&policy, &harmless), [""; 0]);
    let texts: Vec<String> = harmless.iter().map(|entry| canonical(&parse(&entry.line).unwrap())).collect();
    let runs = in_every_shell(texts.iter().map(String::as_str));
    for (number, (run, seen)) in runs.iter().zip(judge(&runs, &[], 10, false)).enumerate() {
        let place = &harmless[number / SHELLS.len()].place;
        assert!(!seen.acted(), "{place}: {} ran `{}`: {seen:?}", run.shell, run.line);
    }
}

/// The judge is no better than what it sees: without a policy, hostile lines do act in front of it.
#[test]
fn without_a_policy_the_judge_sees_the_same_lines_act() {
    let entries = entries("bypass");
    let all = entries.iter().map(|entry| &entry.line).filter(|line| !line.contains('\0'));
    // Of each kind; the rest would take minutes, and some of it would wait for ever in some shell.
    let some = all.step_by(16).map(String::as_str);
    let runs = in_every_shell(some);
    let seen = judge(&runs, &[], 2, true);
    for shell in SHELLS {
        let of_shell = || runs.iter().zip(&seen).filter(|(run, _)| run.shell == shell);
        let (acted, all) = (of_shell().filter(|(_, seen)| seen.acted()).count(), of_shell().count());
        println!("without a policy {acted} of {all} lines act in {shell}");
        assert!(acted * 4 > all, "{shell}: only {acted} of {all} act");
    }
    assert!(seen.iter().any(|seen| seen.changed.contains("/srv/made")));
    assert!(seen.iter().any(|seen| seen.changed.contains("/srv/canary")));
    assert!(seen.iter().any(|seen| seen.changed.is_empty() && seen.acted()));
}

#[test]
fn plain_lines_are_permitted_and_their_programs_get_the_words_that_are_written() {
    let policy = rules();
    let plain = entries("plain");
    assert!(plain.len() >= 300, "{}", plain.len());
    assert_eq!(denied(&policy, &plain), [""; 0]);
    let parsed: Vec<CommandLine> = plain.iter().map(|entry| parse(&entry.line).unwrap()).collect();
    let stubs: BTreeSet<String> =
        parsed.iter().flat_map(CommandLine::commands).map(|command| command.words[0].clone()).collect();
    let mut runs: Vec<(usize, Run)> = Vec::new();
    for (number, line) in parsed.iter().enumerate() {
        let sent = canonical(line);
        runs.extend(in_every_shell([sent.as_str()].into_iter()).into_iter().map(|run| (number, run)));
        // Also as it was written, so that it is not only we who say what its words are.
        let written = Run { shell: SHELLS[0], line: plain[number].line.clone() };
        if written.line != sent {
            runs.push((number, written));
        }
    }
    let (of, runs): (Vec<usize>, Vec<Run>) = runs.into_iter().unzip();
    let seen = judge(&runs, &stubs.into_iter().collect::<Vec<_>>(), 10, false);
    for ((number, run), seen) in of.into_iter().zip(&runs).zip(&seen) {
        let place = &plain[number].place;
        assert_eq!(
            seen.arrived,
            arriving(&parsed[number]),
            "{place}: {} ran `{}`: {seen:?}",
            run.shell,
            run.line
        );
        assert!(
            !seen.acted() && seen.printed.is_empty(),
            "{place}: {} ran `{}`: {seen:?}",
            run.shell,
            run.line
        );
    }
}

/// The vectors that arrive where every program ends well.
pub(crate) fn arriving(line: &CommandLine) -> Vec<Vec<String>> {
    let rest = line.rest.iter().filter(|(joint, _)| *joint != Joint::Or).map(|(_, pipeline)| pipeline);
    let pipelines = std::iter::once(&line.first).chain(rest);
    let mut vectors: Vec<_> =
        pipelines.flat_map(|pipeline| &pipeline.commands).map(|command| command.words.clone()).collect();
    vectors.sort();
    vectors
}

fn denied<'a>(policy: &Snapshot, entries: &'a [Entry]) -> Vec<&'a str> {
    let passing: BTreeSet<_> = passing(policy, entries).into_iter().collect();
    entries.iter().map(|entry| entry.place.as_str()).filter(|place| !passing.contains(place)).collect()
}

pub(crate) fn in_every_shell<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<Run> {
    lines.flat_map(|line| SHELLS.map(|shell| Run { shell, line: line.to_owned() })).collect()
}
